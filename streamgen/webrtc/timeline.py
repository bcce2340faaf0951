"""Which wall-clock time a viewer is told for a media time: the line that keeps picture and sound together.

Free of I/O and clocks.
"""


class ReportTimeline:
    """Media time to NTP time (RFC 5905, 32.32 fixed point) for the RTCP sender reports of one viewer.

    A receiver plays picture and sound together by these reports (RFC 3550, section 6.4.1). They must therefore put
    both tracks on one clock. Both are on the channel's media time already, so one anchor is enough: the first packet
    of either track. From there on a packet that leaves late (a busy event loop, a queue) changes nothing, whereas
    reporting the time of sending would move its track against the other.
    """

    def __init__(self) -> None:
        self._origin_ntp: int | None = None  # NTP time of media time 0; None before the first packet

    @property
    def anchored(self) -> bool:
        """Whether a packet has been told of; the time of later ones need not be asked for."""
        return self._origin_ntp is not None

    def anchor(self, pts: int, clock_hz: int, now_ntp: int) -> None:
        """A packet is about to leave. Only the first one counts."""
        if self._origin_ntp is None:
            self._origin_ntp = now_ntp - _fixed_point(pts, clock_hz)

    def ntp(self, pts: int, clock_hz: int) -> int:
        """The NTP time of a packet. Only after `anchor`."""
        assert self._origin_ntp is not None, "no packet has left yet"
        return self._origin_ntp + _fixed_point(pts, clock_hz)


def _fixed_point(pts: int, clock_hz: int) -> int:
    return (pts << 32) // clock_hz
