import pytest

from streamgen.rtp.evidence import (
    FEEDBACK_FRESH_S,
    LOSS_HIGH,
    LOSS_REPAIRED,
    LOSS_SEVERE,
    LOSS_SPAN_S,
    NACK_HIGH_S,
    QUEUE_HIGH_S,
    QUEUE_S,
    QUEUE_SEVERE_S,
    REMB_LOW_S,
    RTT_MEMORY_S,
    Evidence,
)

SENT = 1_000_000  # bit/s
RTT_S = 0.05
FALSE_ALARM = 0.85  # of the rate received: what one detection of the receiver makes of REMB


def heard(*, rtt_s: float = RTT_S, remb: float = 1.5 * SENT) -> Evidence:
    """A viewer with ten seconds of good reports up to time 10."""
    evidence = Evidence()
    for second in range(1, 11):
        evidence.report(0.0, rtt_s, float(second))
        evidence.remb(remb, SENT, float(second))
    return evidence


def test_limits_are_in_order() -> None:
    assert LOSS_REPAIRED < LOSS_HIGH < LOSS_SEVERE
    assert QUEUE_S < QUEUE_HIGH_S < QUEUE_SEVERE_S


def test_good_reports_are_clean_and_prove_nothing() -> None:
    evidence = heard()
    assert evidence.clean(10.0)
    assert evidence.congestion(SENT, 10.0) is None


def test_unheard_viewer_is_not_clean_and_proves_nothing() -> None:
    assert not Evidence().clean(10.0)
    assert Evidence().congestion(SENT, 10.0) is None
    evidence = heard()
    assert evidence.clean(10.0 + FEEDBACK_FRESH_S)
    assert not evidence.clean(10.1 + FEEDBACK_FRESH_S)


def test_low_remb_that_never_fell_is_only_a_calm_past() -> None:
    evidence = Evidence()
    evidence.report(0.0, RTT_S, 1.0)
    for tick in range(20):
        evidence.remb(0.2 * SENT, SENT, 1 + tick * 0.2)
        assert evidence.congestion(SENT, 1 + tick * 0.2) is None
    assert evidence.clean(4.8)


def test_remb_that_falls_and_stays_above_the_rate_sent_has_followed_a_calm_scene() -> None:
    evidence = heard()
    evidence.remb(0.3 * SENT, 0.2 * SENT, 10.2)
    evidence.remb(0.3 * SENT, SENT, 10.4)  # the scene moves again
    assert evidence.congestion(SENT, 10.4 + REMB_LOW_S) is None


def test_remb_that_fell_far_below_the_rate_sent_is_a_limit_after_half_a_second() -> None:
    evidence = heard()
    evidence.remb(0.5 * SENT, SENT, 10.2)
    evidence.remb(0.5 * SENT, SENT, 10.2 + REMB_LOW_S)
    assert evidence.congestion(SENT, 10.1 + REMB_LOW_S) is None
    assert evidence.congestion(SENT, 10.3 + REMB_LOW_S) == 0.5 * SENT
    assert not evidence.clean(10.3)


def test_remb_of_a_false_alarm_proves_nothing_alone() -> None:
    evidence = heard()
    for tick in range(15):
        evidence.remb(FALSE_ALARM * SENT, SENT, 10.2 + tick * 0.2)
        assert evidence.congestion(SENT, 10.2 + tick * 0.2) is None


@pytest.mark.parametrize(("lost", "rtt_s"), [(LOSS_HIGH + 0.01, RTT_S), (0.0, RTT_S + QUEUE_S + 0.01)])
def test_fallen_remb_is_a_limit_at_once_when_loss_or_round_trip_confirms(lost: float, rtt_s: float) -> None:
    evidence = heard()
    evidence.remb(FALSE_ALARM * SENT, SENT, 10.8)
    evidence.report(lost, rtt_s, 10.9)
    assert evidence.congestion(SENT, 10.9) == FALSE_ALARM * SENT


def test_stale_remb_is_no_limit() -> None:
    evidence = heard()
    evidence.remb(0.5 * SENT, SENT, 10.2)
    assert evidence.congestion(SENT, 12.0) == 0.5 * SENT
    assert evidence.congestion(SENT, 12.3) is None
    assert evidence.fresh_remb(12.0) == 0.5 * SENT
    assert evidence.fresh_remb(12.3) is None


def test_loss_counts_over_two_reports() -> None:
    evidence = heard()
    evidence.report(0.15, RTT_S, 11.0)
    assert evidence.congestion(SENT, 11.0) is None
    evidence.report(0.15, RTT_S, 12.0)
    assert evidence.congestion(SENT, 12.0) == pytest.approx(0.85 * SENT)


def test_reports_that_come_close_together_count_as_one() -> None:
    evidence = heard()
    # One packet of four is a quarter of this report, and nothing of the second that it is in.
    assert evidence.report(0.4, None, 10.1) is None
    for tick in range(2, 8):
        assert evidence.report(0.0, None, 10 + tick / 10) is None
        assert evidence.congestion(SENT, 10 + tick / 10) is None
    assert evidence.report(0.0, None, 10 + LOSS_SPAN_S) == pytest.approx(0.4 * 0.1 / LOSS_SPAN_S)
    # What lasts counts as soon as the span is over.
    for tick in range(1, 8):
        assert evidence.report(0.4, None, 10.8 + tick / 10) is None
    assert evidence.report(0.4, None, 11.61) == pytest.approx(0.4)
    assert evidence.congestion(SENT, 11.61) == pytest.approx(0.6 * SENT)


def test_severe_loss_counts_at_once() -> None:
    evidence = heard()
    evidence.report(0.4, RTT_S, 11.0)
    assert evidence.congestion(SENT, 11.0) == pytest.approx(0.6 * SENT)


def test_loss_that_retransmission_repairs_is_clean() -> None:
    evidence = heard()
    for second in range(11, 21):
        evidence.report(0.06, RTT_S, float(second))
        assert evidence.clean(float(second))
        assert evidence.congestion(SENT, float(second)) is None
    assert evidence.usual_loss == pytest.approx(0.06, abs=0.01)


def test_round_trip_that_rises_twice_proves_a_queue() -> None:
    evidence = heard()
    evidence.report(0.0, RTT_S + QUEUE_HIGH_S + 0.01, 11.0)
    assert evidence.congestion(SENT, 11.0) is None
    assert not evidence.clean(11.0)
    evidence.report(0.0, RTT_S + QUEUE_HIGH_S + 0.02, 12.0)
    assert evidence.congestion(SENT, 12.0) == SENT


def test_queue_that_shrinks_proves_nothing() -> None:
    evidence = heard()
    evidence.report(0.0, RTT_S + QUEUE_SEVERE_S + 0.2, 11.0)
    assert evidence.congestion(SENT, 11.0) == SENT
    evidence.report(0.0, RTT_S + QUEUE_SEVERE_S + 0.1, 12.0)
    assert evidence.congestion(SENT, 12.0) is None
    assert not evidence.clean(12.0)


def test_long_paths_may_vary_more() -> None:
    evidence = heard(rtt_s=0.6)
    for second in (11.0, 12.0):
        evidence.report(0.0, 0.6 + QUEUE_HIGH_S + 0.05, second)
        assert evidence.clean(second)
        assert evidence.congestion(SENT, second) is None


def test_longer_route_becomes_the_new_minimum() -> None:
    evidence = heard()
    now_s = 11.0
    while now_s < 11 + 2 * RTT_MEMORY_S + 2:
        evidence.report(0.0, RTT_S + 2 * QUEUE_S, now_s)
        now_s += 1
    assert evidence.clean(now_s - 1)


def test_nacks_count_when_they_last() -> None:
    evidence = heard()
    evidence.nacked(25, 100, 10.0)
    for tick in range(1, 20):
        now_s = 10 + tick / 10
        evidence.nacked(5, 100, now_s)
        limit = evidence.congestion(SENT, now_s)
        if now_s < 10 + NACK_HIGH_S:
            assert limit is None
    assert limit == pytest.approx(0.5 * SENT)  # 50 of 100 in the last second
    assert not evidence.clean(now_s)


def test_single_gap_in_the_air_is_over_before_nacks_count() -> None:
    evidence = heard()
    for tick in range(200):
        if tick < 40:  # 0.4 s in which nothing arrives
            evidence.nacked(1, 100, 10 + tick / 100)
        assert evidence.congestion(SENT, 10 + tick / 100) is None
    assert evidence.clean(12.0)


def test_few_nacks_are_one_lost_picture() -> None:
    evidence = heard()
    for tick in range(20):
        evidence.nacked(1, 20, 10 + tick / 10)
        assert evidence.congestion(SENT, 10 + tick / 10) is None


def test_forgotten_evidence_proves_nothing_until_it_comes_again() -> None:
    evidence = heard()
    evidence.report(0.5, RTT_S + 1.0, 11.0)
    for tick in range(20):
        evidence.nacked(10, 100, 10 + tick / 10)
        evidence.remb(0.5 * SENT, SENT, 10 + tick / 10)
    assert evidence.congestion(SENT, 12.0) is not None
    evidence.forget()
    assert evidence.congestion(SENT, 12.0) is None
    evidence.report(0.5, RTT_S + 1.0, 12.1)
    assert evidence.congestion(SENT, 12.1) == pytest.approx(0.5 * SENT)


def test_lowest_of_several_limits_counts() -> None:
    evidence = heard()
    evidence.remb(0.7 * SENT, SENT, 10.8)
    evidence.report(0.6, RTT_S, 10.9)
    assert evidence.congestion(SENT, 10.9) == pytest.approx(0.4 * SENT)
