"""A true ceiling over a bitrate: how much may leave now, so that no second ever carries more. Free of I/O and clocks.

Rate control of an encoder is an estimate. It is far off when a calm picture becomes a wild one, and a burst of several
times the bitrate then fills every queue on the way to a viewer.
"""

from typing import Final

from streamgen.packets import VIDEO_CLOCK_HZ

BURST_S: Final = 0.3
"""Seconds' worth of the bitrate that may leave at once: room for a keyframe."""
TOLERANCE: Final = 1 + BURST_S
"""What any one second carries at most, in times the bitrate, as long as every picture fits."""


class Ceiling:
    """A leaky bucket: pictures fill it, the bitrate drains it, and it holds `BURST_S` of the bitrate.

    In one second it gives off what the bitrate allows and it begins with at most its depth, which is the tolerance.
    """

    def __init__(self, bitrate: int) -> None:
        """`bitrate` in bit/s."""
        self._bitrate = bitrate
        # Integers: units of 1/90000 bit, so that nothing is lost to rounding over days.
        self._depth = int(BURST_S * bitrate * VIDEO_CLOCK_HZ)
        self._level = 0
        self._pts: int | None = None  # of the last picture

    def fits(self, size: int, pts: int) -> bool:
        """Whether a picture of `size` bytes may leave at `pts` (ticks of 90 kHz).

        In debt, after a picture that had to leave all the same, one fits that does not add to it: something must be
        shown, and an encoder that is told to try again would only make it larger.
        """
        return self._level_at(pts) + _units(size) <= max(self._depth, self._level)

    def take(self, size: int, pts: int) -> None:
        """A picture leaves, whether it fits or not."""
        self._level = self._level_at(pts) + _units(size)
        self._pts = pts

    def _level_at(self, pts: int) -> int:
        elapsed = 0 if self._pts is None else pts - self._pts
        return max(0, self._level - self._bitrate * elapsed)


def _units(size: int) -> int:
    return 8 * size * VIDEO_CLOCK_HZ
