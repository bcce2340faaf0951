import pytest

from streamgen.webrtc.timeline import ReportTimeline

SECOND = 1 << 32  # NTP, 32.32 fixed point


def test_both_clocks_share_the_anchor_of_the_first_packet() -> None:
    timeline = ReportTimeline()
    assert not timeline.anchored
    timeline.anchor(90_000 * 10, 90_000, 1000 * SECOND)
    assert timeline.anchored
    timeline.anchor(48_000 * 10, 48_000, 1000 * SECOND + SECOND // 5)  # the sound left 0.2 s late
    assert timeline.ntp(90_000 * 10, 90_000) == 1000 * SECOND
    assert timeline.ntp(48_000 * 10, 48_000) == 1000 * SECOND
    assert timeline.ntp(48_000 * 11, 48_000) == 1001 * SECOND


def test_times_do_not_drift_over_a_day() -> None:
    timeline = ReportTimeline()
    timeline.anchor(0, 90_000, 5 * SECOND)
    day_s = 86_400
    assert timeline.ntp(day_s * 90_000 + 7200, 90_000) - (5 + day_s) * SECOND == (7200 * SECOND) // 90_000


def test_no_time_before_the_first_packet() -> None:
    with pytest.raises(AssertionError, match="no packet"):
        ReportTimeline().ntp(0, 90_000)
