from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.media.clock import SLOT_NS, SLOT_SAMPLES, SLOT_TICKS, MediaClock
from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ


def test_a_slot_is_whole_on_every_clock() -> None:
    assert Fraction(SLOT_TICKS, VIDEO_CLOCK_HZ) == Fraction(SLOT_SAMPLES, AUDIO_CLOCK_HZ) == Fraction(SLOT_NS, 10**9)


@given(programme=st.integers(-10_000, 10**9), slots=st.integers(-50, 10**7))
def test_anchor_moves_picture_and_sound_by_the_same_time(programme: int, slots: int) -> None:
    clock = MediaClock(5_000)

    clock.anchor(programme, programme + slots * SLOT_SAMPLES)

    moved_s = Fraction(clock.video_pts(0), VIDEO_CLOCK_HZ)
    assert moved_s == Fraction(slots * SLOT_SAMPLES, AUDIO_CLOCK_HZ)
    assert Fraction(clock.programme_epoch_ns - clock.epoch_ns, 10**9) == moved_s


def test_anchor_says_whether_anything_moved() -> None:
    clock = MediaClock(0)
    assert clock.anchor(-360, 600)
    assert not clock.anchor(-360 + 15_360, 600 + 15_360)
    assert clock.anchor(-360 + 30_720, 600 + 30_720 + 960)


def test_a_sound_beside_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="same delay"):
        MediaClock(0).anchor(-360, 601)


def test_due_times_do_not_drift_over_days() -> None:
    clock = MediaClock(123)
    week_s = 7 * 24 * 3600
    assert clock.video_due_ns(week_s * VIDEO_CLOCK_HZ) == 123 + week_s * 10**9
    assert clock.audio_due_ns(week_s * AUDIO_CLOCK_HZ) == 123 + week_s * 10**9
    assert clock.media_time_s(123 + week_s * 10**9) == week_s
