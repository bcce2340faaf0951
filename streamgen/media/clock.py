"""The media clock: where programme time lies on media time, and when that is. Free of I/O; reads no clock itself.

Media time is tied to the machine's monotonic clock for good: `pts` is due at `epoch + pts`. What moves is programme
time (chunk 0 of a generator is at 0), which is laid onto media time in whole slots of 20 ms, one Opus packet each.
A slot is exactly 960 samples and exactly 1800 ticks, so picture and sound always move together.
"""

from typing import Final

from streamgen.packets import AUDIO_CLOCK_HZ, OPUS_FRAME_SAMPLES, VIDEO_CLOCK_HZ

SLOT_NS: Final = 20_000_000
SLOT_TICKS: Final = VIDEO_CLOCK_HZ * SLOT_NS // 1_000_000_000
SLOT_SAMPLES: Final = OPUS_FRAME_SAMPLES
_NS_PER_S: Final = 1_000_000_000


class MediaClock:
    """Integer arithmetic between programme time, media time and `time.monotonic_ns()`.

    Attributes:
        epoch_ns: monotonic time of media time 0; never changes.
        shift_slots: media time minus programme time, in slots of 20 ms.
    """

    def __init__(self, epoch_ns: int) -> None:
        self.epoch_ns = epoch_ns
        self.shift_slots = 0

    @property
    def programme_epoch_ns(self) -> int:
        """Monotonic time at which the generator's programme time is 0; what `SetEpoch` carries."""
        return self.epoch_ns + self.shift_slots * SLOT_NS

    def anchor(self, programme_pts: int, media_pts: int) -> bool:
        """Lay programme time so that a sound of `programme_pts` is heard at `media_pts` (samples at 48 kHz).

        Returns:
            Whether anything moved.

        Raises:
            ValueError: the two are not a whole number of slots apart, so that picture and sound would part.
        """
        slots, rest = divmod(media_pts - programme_pts, SLOT_SAMPLES)
        if rest:
            raise ValueError(
                f"sound at {programme_pts} does not lie on the channel's grid of 20 ms, which passes {media_pts}: "
                f"all encoders of a channel must have the same delay"
            )
        moved = slots != self.shift_slots
        self.shift_slots = slots
        return moved

    def video_pts(self, programme_pts: int) -> int:
        """Media time of a picture, in ticks of 90 kHz."""
        return programme_pts + self.shift_slots * SLOT_TICKS

    def video_due_ns(self, media_pts: int) -> int:
        """Monotonic time at which a picture is released; `media_pts` in ticks of 90 kHz."""
        return self.epoch_ns + media_pts * _NS_PER_S // VIDEO_CLOCK_HZ

    def audio_due_ns(self, media_pts: int) -> int:
        """Monotonic time at which a packet of sound is released; `media_pts` in samples at 48 kHz."""
        return self.epoch_ns + media_pts * _NS_PER_S // AUDIO_CLOCK_HZ

    def media_time_s(self, now_ns: int) -> float:
        """Media time now, in seconds."""
        return (now_ns - self.epoch_ns) / _NS_PER_S
