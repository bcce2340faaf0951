from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.rtp.retransmission import (
    BURST_S,
    DEFAULT_RTT_S,
    LEAST_BITRATE,
    LEAST_BURST_BYTES,
    LEAST_SPACING_S,
    MEMORY_PACKETS,
    MEMORY_S,
    MOST_ANSWERS,
    MOST_SPACING_S,
    SHARE,
    RetransmissionCounts,
    RetransmissionLimit,
)

PACKET_BYTES = 1200
MEDIA_BITRATE = 2_400_000  # 250 packets a second
RTT_S = 0.25


def streaming(limit: RetransmissionLimit, from_s: float, seconds: float) -> None:
    """Media at a constant rate."""
    for number in range(round(seconds * MEDIA_BITRATE / 8 / PACKET_BYTES)):
        limit.sent(PACKET_BYTES, from_s + number * PACKET_BYTES * 8 / MEDIA_BITRATE)


def test_first_request_is_answered() -> None:
    limit = RetransmissionLimit()
    assert limit.allow(7, PACKET_BYTES, 0.0, None)
    assert limit.counts == RetransmissionCounts(allowed=1)


def test_packet_is_not_sent_again_before_a_round_trip_has_passed() -> None:
    limit = RetransmissionLimit()
    asked_s = (10.0, 10.125, 10.25, 10.375, 10.5)
    assert [limit.allow(7, 100, now_s, RTT_S) for now_s in asked_s] == [True, False, True, False, True]
    assert limit.counts == RetransmissionCounts(allowed=3, too_soon=2)


@pytest.mark.parametrize(
    ("rtt_s", "spacing_s"), [(None, DEFAULT_RTT_S), (0.0, LEAST_SPACING_S), (0.5, 0.5), (60.0, MOST_SPACING_S)]
)
def test_spacing_is_the_round_trip_within_bounds(rtt_s: float | None, spacing_s: float) -> None:
    limit = RetransmissionLimit()
    assert limit.allow(7, 100, 0.0, rtt_s)
    assert not limit.allow(7, 100, 0.99 * spacing_s, rtt_s)
    assert limit.allow(7, 100, spacing_s, rtt_s)


def test_packet_is_sent_again_only_so_often() -> None:
    limit = RetransmissionLimit()
    answers = [limit.allow(7, 100, float(second), RTT_S) for second in range(8)]
    assert answers == [True] * MOST_ANSWERS + [False] * (8 - MOST_ANSWERS)
    assert limit.counts.too_often == 8 - MOST_ANSWERS


def test_number_that_comes_round_again_is_another_packet() -> None:
    limit = RetransmissionLimit(most_answers=1)
    assert limit.allow(7, 100, 0.0, RTT_S)
    assert not limit.allow(7, 100, MEMORY_S, RTT_S)
    assert limit.allow(7, 100, MEMORY_S + 0.1, RTT_S)
    assert len(limit) == 1


def test_refused_packet_is_not_counted_as_answered() -> None:
    limit = RetransmissionLimit(least_bitrate=8 * PACKET_BYTES, most_answers=1)
    for sequence in range(2):
        assert limit.allow(sequence, LEAST_BURST_BYTES // 2, 0.0, RTT_S)
    assert not limit.allow(9, PACKET_BYTES, 0.0, RTT_S)
    assert limit.counts.over_share == 1
    assert limit.allow(9, PACKET_BYTES, 1.0, RTT_S)  # at once, and for the first time


def test_keyframe_lost_as_a_whole_is_sent_again() -> None:
    limit = RetransmissionLimit()
    streaming(limit, 0.0, 2.0)
    assert all(limit.allow(sequence, PACKET_BYTES, 2.0, RTT_S) for sequence in range(50))


def test_constant_loss_of_a_tenth_is_repaired_whole() -> None:
    limit = RetransmissionLimit()
    for number in range(250 * 20):
        now_s = number / 250
        limit.sent(PACKET_BYTES, now_s)
        if number % 10 == 0:
            assert limit.allow(number, PACKET_BYTES, now_s, RTT_S)


def test_answers_follow_the_media_rate() -> None:
    limit = RetransmissionLimit()
    streaming(limit, 0.0, 10.0)
    for number in range(20_000):  # eight times as many as packets, all in the last 10 s
        now_s = 10 + number / 2000
        if number % 8 == 0:
            limit.sent(PACKET_BYTES, now_s)
        limit.allow(number, PACKET_BYTES, now_s, RTT_S)
    after_burst = limit.counts.allowed * PACKET_BYTES * 8 - BURST_S * SHARE * MEDIA_BITRATE
    assert after_burst / 10 == pytest.approx(SHARE * MEDIA_BITRATE, rel=0.05)


def test_silent_stream_still_answers_a_little() -> None:
    limit = RetransmissionLimit()
    for number in range(1000):
        limit.allow(number, PACKET_BYTES, 100 + number / 100, RTT_S)
    assert limit.counts.allowed * PACKET_BYTES * 8 == pytest.approx((10 + BURST_S) * LEAST_BITRATE, rel=0.05)


def test_clock_that_stands_still_gives_nothing_more() -> None:
    limit = RetransmissionLimit(burst_s=0.001)
    assert sum(limit.allow(number, 1000, 5.0, RTT_S) for number in range(100)) == LEAST_BURST_BYTES // 1000


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"burst_s": -1.0}])
def test_impossible_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RetransmissionLimit(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_storm_costs_a_bounded_number_of_answers_each_second_and_bounded_memory(seed: int) -> None:
    rng = Random(seed)
    limit = RetransmissionLimit()
    answered_bytes: dict[int, int] = {}
    now_s = 0.0
    asked = 0
    while now_s < 5:
        now_s += rng.expovariate(3000)
        if rng.random() < 250 / 3000:
            limit.sent(PACKET_BYTES, now_s)
        size_bytes = rng.randint(1, 1500)
        asked += 1
        if limit.allow(rng.randrange(1 << 16), size_bytes, now_s, rng.choice([None, 0.0, 0.05, 9.0])):
            answered_bytes[int(now_s)] = answered_bytes.get(int(now_s), 0) + size_bytes
        assert len(limit) <= MEMORY_PACKETS
    most_bytes = (1 + BURST_S) * SHARE * MEDIA_BITRATE / 8
    assert max(answered_bytes.values()) <= 1.25 * most_bytes  # the media's rate is random too
    counts = limit.counts
    assert counts.allowed + counts.too_soon + counts.too_often + counts.over_share == asked


def test_memory_is_bounded_even_where_the_rate_is_not() -> None:
    limit = RetransmissionLimit(least_bitrate=10**9)
    for sequence in range(3 * MEMORY_PACKETS):
        assert limit.allow(sequence, 100, 0.0, RTT_S)
    assert len(limit) == MEMORY_PACKETS
    assert not limit.allow(3 * MEMORY_PACKETS - 1, 100, 0.0, RTT_S)  # of the newest it still knows


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(1, 2000)),  # pause (1/64 s), sequence, bytes
        max_size=80,
    )
)
def test_no_packet_is_ever_sent_too_soon_or_too_often(requests: list[tuple[int, int, int]]) -> None:
    limit = RetransmissionLimit()
    answers: dict[int, list[float]] = {}
    now_s = 0.0
    for pause, sequence, size_bytes in requests:
        now_s += pause / 64
        if limit.allow(sequence, size_bytes, now_s, RTT_S):
            answers.setdefault(sequence, []).append(now_s)
    for times_s in answers.values():
        for earlier_s, later_s in pairwise(times_s):
            assert later_s - earlier_s >= RTT_S
        for first_s, fifth_s in zip(times_s, times_s[MOST_ANSWERS:], strict=False):
            assert fifth_s - first_s > MEMORY_S
