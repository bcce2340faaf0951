"""From the RTP timestamp of what is received to media time. Free of I/O."""

from typing import Final

VIDEO_CLOCK_HZ: Final = 90_000
AUDIO_CLOCK_HZ: Final = 48_000

_UINT32: Final = 1 << 32


class RtpTimeline:
    """Unfolds one track's RTP timestamps, which are (offset + pts) mod 2^32, into pts that never wrap.

    A video timestamp repeats every 13 hours, so the first is resolved with `near_s`, the channel's media time at
    about that moment, and every other with the one before it.
    """

    def __init__(self, offset: int, clock_hz: int, near_s: float) -> None:
        self.clock_hz = clock_hz
        self._offset = offset
        self._expected = round(near_s * clock_hz)

    def pts(self, timestamp: int) -> int:
        """Media time in ticks of the RTP clock."""
        folded = (timestamp - self._offset) % _UINT32
        turns = (self._expected - folded + _UINT32 // 2) // _UINT32
        self._expected = folded + turns * _UINT32
        return self._expected
