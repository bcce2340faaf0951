import pytest

from streamgen_client.rtp import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, RtpTimeline

UINT32 = 1 << 32


def test_offset_is_taken_off() -> None:
    timeline = RtpTimeline(1000, VIDEO_CLOCK_HZ, 0.0)
    assert [timeline.pts(1000 + each) for each in (0, 7200, 14_400)] == [0, 7200, 14_400]


def test_timestamps_that_wrap_go_on() -> None:
    offset = UINT32 - 100
    timeline = RtpTimeline(offset, VIDEO_CLOCK_HZ, 0.0)
    assert [timeline.pts((offset + each) % UINT32) for each in range(0, 500, 50)] == list(range(0, 500, 50))


@pytest.mark.parametrize("hours", [0, 13, 14, 26, 27, 1000])
@pytest.mark.parametrize("error_s", [-60.0, 0.0, 60.0])
def test_channel_of_any_age_is_joined_at_the_right_turn(hours: int, error_s: float) -> None:
    media_s = hours * 3600 + 100
    timeline = RtpTimeline(12_345, VIDEO_CLOCK_HZ, media_s + error_s)
    pts = media_s * VIDEO_CLOCK_HZ
    assert timeline.pts((12_345 + pts) % UINT32) == pts


def test_a_little_disorder_does_not_turn() -> None:
    timeline = RtpTimeline(0, AUDIO_CLOCK_HZ, 0.0)
    assert [timeline.pts(each) for each in (960, 0, 1920)] == [960, 0, 1920]


def test_many_turns_without_drift() -> None:
    timeline = RtpTimeline(7, VIDEO_CLOCK_HZ, 0.0)
    step = UINT32 // 3
    assert [timeline.pts((7 + each * step) % UINT32) for each in range(20)] == [each * step for each in range(20)]
