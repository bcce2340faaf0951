"""Sender reports of one RTP stream, and what the viewer's receiver reports say about it (RFC 3550, section 6).

I/O-free: time comes in as an argument, packets go out as bytes that SRTP has not protected yet.
"""

from collections import OrderedDict
from dataclasses import dataclass
from random import Random
from typing import Final

from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from streamgen.webrtc.timeline import ReportTimeline

INTERVAL_S: Final = 1.0
"""Mean. RFC 3550 asks for 5 s at least by default, and lets a sender of this bandwidth take 0.36 s (section 6.2);
picture and sound are together only after the first reports, so they come each second, as browsers' and aiortc's do."""
REMEMBERED_REPORTS: Final = 8  # a receiver report of 5 s, RFC 3550's default, still finds the one that it quotes
RTT_KEPT: Final = 0.85  # weight of what was known when a new round trip is smoothed in, as in aiortc
RTT_ROUNDING_S: Final = 0.001  # so much below 0 is DLSR's rounding (15 us) and timers, more is made up

_SDES_CNAME: Final = 1
_UINT32_MASK: Final = 0xFFFF_FFFF
_UINT64_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Reception:
    """What one receiver report says (RFC 3550, section 6.4.1)."""

    fraction_lost: float  # of the packets since the report before, 0..1
    packets_lost: int  # since the start; negative if more came than was sent, as copies
    jitter_s: float
    rtt_s: float | None  # of this report alone; None: it quotes none that is remembered and not yet measured by
    smoothed_rtt_s: float | None  # None before the first


class SenderReports:
    """Counts one stream and reports it.

    Attributes:
        packets: RTP packets sent, without retransmissions on an SSRC of their own.
        octets: of their payloads, without headers and padding.
        smoothed_rtt_s: the round trip in seconds, None before the first.
    """

    def __init__(self, *, ssrc: int, cname: str, clock_hz: int, offset: int, timeline: ReportTimeline) -> None:
        """Reports of a stream that has sent nothing yet.

        Args:
            ssrc: of the stream.
            cname: canonical name, the same for streams that are played together.
            clock_hz: of its RTP time stamps.
            offset: RTP time stamp of media time 0.
            timeline: media time to NTP time, anchored by whoever sends, shared by the viewer's streams.

        Raises:
            ValueError: the name is empty or has more than 255 bytes.
        """
        name = cname.encode()
        if not 0 < len(name) <= 255:
            raise ValueError(f"a CNAME has 1 to 255 bytes, this one {len(name)}")
        self.packets = 0
        self.octets = 0
        self.smoothed_rtt_s: float | None = None
        self._ssrc = ssrc
        self._clock_hz = clock_hz
        self._offset = offset
        self._timeline = timeline
        self._name = RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=ssrc, items=[(_SDES_CNAME, name)])])
        # When the report left (s), by the middle 32 bits of its NTP time; None: several had it, or it is answered.
        self._left_s: OrderedDict[int, float | None] = OrderedDict()

    @staticmethod
    def next_interval_s(random: Random) -> float:
        """How long to wait for the next report: 0.5 to 1.5 of the interval, so that viewers' reports spread out.

        RFC 3550, section 6.3.1; its correction by e - 3/2 is for groups whose members reconsider, and here are two.
        """
        return INTERVAL_S * (0.5 + random.random())

    def sent(self, payload_bytes: int) -> None:
        """A packet with so much payload left."""
        self.packets += 1
        self.octets += payload_bytes

    def report(self, pts: int, now_s: float) -> bytes:
        """A compound of sender report and CNAME that leaves now, for media time `pts` (ticks of the RTP clock).

        Empty before the first packet: it would report media that does not exist.
        """
        if not self.packets:
            return b""
        ntp = self._timeline.ntp(pts, self._clock_hz) & _UINT64_MASK  # NTP's era ends in 2036
        middle = ntp >> 16 & _UINT32_MASK
        self._left_s[middle] = None if middle in self._left_s else now_s
        if len(self._left_s) > REMEMBERED_REPORTS:
            self._left_s.popitem(last=False)
        return _compound(
            RtcpSrPacket(
                ssrc=self._ssrc,
                sender_info=RtcpSenderInfo(
                    ntp_timestamp=ntp,
                    rtp_timestamp=(self._offset + pts) & _UINT32_MASK,
                    packet_count=self.packets & _UINT32_MASK,
                    octet_count=self.octets & _UINT32_MASK,
                ),
            ),
            self._name,
        )

    def goodbye(self) -> bytes:
        """The stream ends. A compound begins with a report (section 6.1); an empty one will do."""
        return _compound(RtcpRrPacket(ssrc=self._ssrc), self._name, RtcpByePacket(sources=[self._ssrc]))

    def received(self, report: RtcpReceiverInfo, now_s: float) -> Reception | None:
        """A report block came in a receiver or sender report; None if it is of another stream."""
        if report.ssrc != self._ssrc:
            return None
        rtt_s = self._round_trip_s(report, now_s)
        if rtt_s is not None:
            before_s = rtt_s if self.smoothed_rtt_s is None else self.smoothed_rtt_s
            self.smoothed_rtt_s = RTT_KEPT * before_s + (1 - RTT_KEPT) * rtt_s
        return Reception(
            fraction_lost=report.fraction_lost / 256,
            packets_lost=report.packets_lost,
            jitter_s=report.jitter / self._clock_hz,
            rtt_s=rtt_s,
            smoothed_rtt_s=self.smoothed_rtt_s,
        )

    def _round_trip_s(self, report: RtcpReceiverInfo, now_s: float) -> float | None:
        """A - LSR - DLSR (section 6.4.1), with the time at which the report left in place of its time stamp.

        The two differ: the time stamp is of the media, and says when it was due. Only the first answer to a report
        counts: Chromium sends several, with each REMB and NACK, and all of them tell of the queue that one report met.
        """
        left_s = self._left_s.get(report.lsr)
        if left_s is None or not report.dlsr:  # DLSR is 0 for a receiver that has seen no sender report
            return None
        rtt_s = now_s - left_s - report.dlsr / 65_536
        if rtt_s <= -RTT_ROUNDING_S:
            return None
        self._left_s[report.lsr] = None
        return max(0.0, rtt_s)


def _compound(*packets: AnyRtcpPacket) -> bytes:
    return b"".join(bytes(packet) for packet in packets)
