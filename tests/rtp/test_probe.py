import pytest

from streamgen.rtp.probe import HOLD_S, LOSS_JUMP, LOSS_RISE, PATIENCE_S, RAMP_PER_S, Probe

RATE = 1_000_000.0  # bit/s
TARGET = 2_000_000.0
LENGTH_S = 20.0  # longer than any probe


def probe(*, remb: float | None = 1_500_000.0, usual_loss: float = 0.0) -> Probe:
    return Probe(bitrate=RATE, target=TARGET, remb=remb, usual_loss=usual_loss, now_s=0.0)


def play(
    tried: Probe,
    *,
    remb: float | None = 1_500_000.0,
    growth: float = 1.08,  # of REMB in a second
    lost: float = 0.0,
    report_every: int | None = 10,  # steps of 0.1 s
    padding: float = 1.0,  # share of what was asked for that really leaves
) -> tuple[str, float]:
    """How it ends, and when (s)."""
    for step in range(1, round(LENGTH_S * 10)):
        now_s = step / 10
        if remb is not None and step % 2 == 0:
            tried.remb(remb * growth**now_s, now_s)
        if report_every is not None and step % report_every == 0:
            tried.report(lost, queueing=False, now_s=now_s)
        verdict = tried.verdict(RATE + padding * (tried.total(now_s) - RATE), now_s)
        if verdict != "under way":
            return verdict, now_s
    return "under way", LENGTH_S


def test_total_rises_geometrically_to_the_target() -> None:
    tried = probe()
    assert tried.total(0.0) == pytest.approx(RATE)
    assert tried.total(1.0) == pytest.approx(RAMP_PER_S * RATE)
    assert tried.total(2.0) == pytest.approx(RAMP_PER_S**2 * RATE)
    assert tried.total(5.0) == TARGET


def test_rate_that_passes_the_target_already_needs_no_more() -> None:
    tried = Probe(bitrate=2 * TARGET, target=TARGET, remb=3 * TARGET, usual_loss=0.0, now_s=0.0)
    assert tried.total(0.0) == TARGET
    tried.report(0.0, queueing=False, now_s=1.0)
    assert tried.verdict(2 * TARGET, HOLD_S) == "passed"


def test_passes_when_remb_follows_and_nothing_else_rises() -> None:
    verdict, at_s = play(probe())
    assert verdict == "passed"
    assert at_s >= HOLD_S + 2.3  # the ramp to twice the rate takes 2.3 s


def test_passes_without_remb_on_loss_and_round_trips_alone() -> None:
    assert play(probe(remb=None), remb=None)[0] == "passed"


def test_slow_growth_near_a_known_limit_is_followed() -> None:
    assert play(probe(), growth=1.015)[0] == "passed"


def test_estimate_that_stops_rising_ends_it_early() -> None:
    verdict, at_s = play(probe(), growth=1.0)
    assert verdict == "failed"
    assert at_s < 2.5


def test_estimate_that_vouches_already_need_not_rise() -> None:
    assert play(probe(remb=1.2 * TARGET), remb=1.2 * TARGET, growth=1.0)[0] == "passed"


def test_falling_estimate_ends_it_at_once() -> None:
    tried = probe()
    tried.remb(1_400_000.0, 0.2)
    assert tried.verdict(RATE, 0.2) == "failed"


def test_remb_that_falls_silent_cannot_pass_it() -> None:
    assert play(probe(), remb=None)[0] == "failed"


def test_queue_ends_it_at_once() -> None:
    tried = probe()
    tried.report(0.0, queueing=True, now_s=0.5)
    assert tried.verdict(RATE, 0.5) == "failed"


def test_jump_of_loss_ends_it_at_once() -> None:
    tried = probe(usual_loss=0.05)
    tried.report(0.05 + LOSS_JUMP - 0.01, queueing=False, now_s=0.5)
    assert tried.verdict(RATE, 0.5) == "under way"
    tried.report(0.05 + LOSS_JUMP + 0.01, queueing=False, now_s=0.9)
    assert tried.verdict(RATE, 0.9) == "failed"


@pytest.mark.parametrize(("more", "verdict"), [(LOSS_RISE - 0.01, "passed"), (LOSS_RISE + 0.01, "failed")])
def test_only_loss_beyond_the_usual_speaks_against_it(more: float, verdict: str) -> None:
    assert play(probe(usual_loss=0.05), lost=0.05 + more)[0] == verdict


def test_padding_that_did_not_leave_proves_nothing() -> None:
    assert play(probe(), padding=0.5)[0] == "failed"


def test_it_waits_for_a_rare_report_but_not_for_ever() -> None:
    verdict, at_s = play(probe(), report_every=50)
    assert (verdict, at_s) == ("passed", 5.0)
    verdict, at_s = play(probe(), report_every=None)
    assert verdict == "failed"
    assert at_s == pytest.approx(2.3 + PATIENCE_S, abs=0.15)
