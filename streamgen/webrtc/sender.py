"""What stands in for aiortc's `RTCRtpSender`: sends packets that are made already, and answers what comes back.

aiortc keeps ICE, DTLS, SDP and the parsing of RTCP. Its sender is replaced as a whole because it works per viewer and
per packet: it packetises for every viewer, waits in three coroutines for every packet, keeps 128 packets for
retransmission however many that are per second, ignores keyframe requests for encoded packets, and reports the time
of sending instead of that of the media.

All methods belong to the event loop's thread. Nothing is queued here but the rest of a large picture, for some
milliseconds.
"""

import asyncio
import secrets
import struct
import time
import uuid
from collections.abc import Callable
from random import Random
from typing import Final

from aiortc import RTCDtlsTransport
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from aiortc.stats import RTCStatsReport

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket
from streamgen.rtp.adaptation import RungChooser
from streamgen.rtp.outgoing import SEQUENCE_MASK, OutgoingAudio, OutgoingVideo, Picture, StreamFormat
from streamgen.rtp.redundancy import Redundancy
from streamgen.rtp.reports import Reception, SenderReports
from streamgen.rtp.retransmission import RetransmissionLimit
from streamgen.webrtc.path import DatagramPath
from streamgen.webrtc.timeline import ReportTimeline

BURST_PACKETS: Final = 12
"""Packets of a picture that leave at once; the rest of a large one follows in steps, so that no buffer on the way
overflows on a keyframe."""
STEP_S: Final = 0.004
PROBE_PACKETS: Final = 64
"""The newest packets, of which copies probe the path."""
MOST_ASKED: Final = 1_000
"""Packets that a viewer may ask for in ASKED_S, as many as Chromium keeps account of; one datagram could name 200,000,
and looking each of them up would hold up everybody."""
ASKED_S: Final = 0.1
ONE_BYTE_IDS: Final = range(1, 15)
_NO_NAME: Final = "streamgen"
_RANDOM: Final = Random()  # spreads reports, hides nothing
_SEND_TIME_HZ: Final = 1 << 18  # of the header extension abs-send-time
_NS_PER_S: Final = 1_000_000_000
_ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_HIGHEST_FIRST_SEQUENCE: Final = 1 << 15
"""A stream that began near the wrap could lose its start before the receiver's SRTP knows how often it wrapped."""


class TrackSender:
    """One track of one viewer; takes the place of an `RTCRtpSender` in its transceiver.

    Attributes:
        kind: `video` or `audio`.
        form: what was negotiated; None before that.
        red: payload type of packets that repeat earlier ones, where the viewer offered one; aiortc does not know it.
        reception: the newest report about it, None before the first.
    """

    def __init__(
        self, kind: str, dtls: RTCDtlsTransport, offset: int, timeline: ReportTimeline, on_ready: Callable[[], None]
    ) -> None:
        """Not yet sending.

        Args:
            kind: `video` or `audio`.
            dtls: transport, which `setTransport` may replace while it is negotiated.
            offset: RTP time stamp of media time 0.
            timeline: of both tracks of this viewer.
            on_ready: called when media can flow.
        """
        self.kind = kind
        self.red: int | None = None
        self.reception: Reception | None = None
        self.offset = offset
        self.form: StreamFormat | None = None
        self.track = None  # aiortc asks; there is none
        # Names that aiortc reads.
        self.transport = dtls
        self._ssrc = secrets.randbits(32)
        self._rtx_ssrc = secrets.randbits(32)
        self._stream_id = ""
        self._track_id = str(uuid.uuid4())
        self._timeline = timeline
        self._on_ready = on_ready
        self._reports: SenderReports | None = None
        self._report_due_s = 0.0
        self._on_feedback: Callable[[AnyRtcpPacket], None] | None = None

    # aiortc's side.

    def replaceTrack(self, track: None) -> None:  # noqa: N802 - aiortc's name
        """There is no track to replace."""

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802 - aiortc's name
        """Bundled: it goes over this transport."""
        self.transport = transport

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """ICE and DTLS are done, and this was negotiated."""
        if self.form is not None:
            return
        codec = parameters.codecs[0]
        assert codec.payloadType is not None, "aiortc sends with what it has negotiated"
        rtx = [
            each.payloadType
            for each in parameters.codecs
            if is_rtx(each) and each.parameters["apt"] == codec.payloadType and each.payloadType is not None
        ]
        # Others need the two-byte form (RFC 8285), which is not worth it; 15 is reserved.
        send_time = [
            each.id for each in parameters.headerExtensions if each.uri == _ABS_SEND_TIME and each.id in ONE_BYTE_IDS
        ]
        self.form = StreamFormat(
            ssrc=self._ssrc,
            payload_type=codec.payloadType,
            rtx=(rtx[0], self._rtx_ssrc) if rtx else None,
            send_time_id=send_time[0] if send_time else None,
            red=self.red,
        )
        self._reports = SenderReports(
            ssrc=self._ssrc,
            cname=parameters.rtcp.cname or _NO_NAME,
            clock_hz=VIDEO_CLOCK_HZ if self.kind == "video" else AUDIO_CLOCK_HZ,
            offset=self.offset,
            timeline=self._timeline,
        )
        self.transport._register_rtp_sender(self, parameters)
        self._on_ready()

    async def stop(self) -> None:
        """The connection ends."""
        if self.form is not None:
            self.transport._unregister_rtp_sender(self)
        self._on_feedback = None

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 - aiortc's name
        """Nothing in aiortc's form; see `reception`."""
        return RTCStatsReport()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket) and self._reports is not None:
            for report in packet.reports:
                self.reception = self._reports.received(report, time.monotonic()) or self.reception
        if self._on_feedback is not None:
            self._on_feedback(packet)

    # The outlet's side.

    def listen(self, on_feedback: Callable[[AnyRtcpPacket], None] | None) -> None:
        """Call back for each RTCP packet about this track, after its reports have been read; None: no more."""
        self._on_feedback = on_feedback

    @property
    def rtt_s(self) -> float | None:
        """The round trip, smoothed; None while it is not known."""
        return None if self._reports is None else self._reports.smoothed_rtt_s

    def report(self, path: DatagramPath, stream: OutgoingVideo | OutgoingAudio, now_s: float) -> None:
        """Send a sender report when one is due."""
        if self._reports is None or stream.last_pts is None or now_s < self._report_due_s:
            return
        self._report_due_s = now_s + self._reports.next_interval_s(_RANDOM)
        self._reports.packets, self._reports.octets = stream.packets_sent, stream.octets_sent
        path.send_report(self._reports.report(stream.last_pts, now_s))

    def goodbye(self, path: DatagramPath) -> None:
        """Tell the viewer that the stream ends (RFC 3550, section 6.6)."""
        if self._reports is not None:
            path.send_report(self._reports.goodbye())


class Outlet:
    """Both tracks of one viewer: what its subscription sends goes out here, what its browser answers comes in here."""

    def __init__(
        self,
        video: TrackSender | None,
        audio: TrackSender | None,
        timeline: ReportTimeline,
        chooser: Callable[[], RungChooser],
        on_keyframe_request: Callable[[], None],
        now_ntp: Callable[[], int],
    ) -> None:
        """To be made when media can flow.

        Args:
            video, audio: negotiated senders; None where the viewer did not ask for that track.
            timeline: of both.
            chooser: the subscription's, asked each time because the ladder may change.
            on_keyframe_request: called for each PLI and FIR.
            now_ntp: wall-clock time in 32.32 fixed point.
        """
        some = video or audio
        assert some is not None
        self.path = DatagramPath(some.transport)
        self._video_sender, self._audio_sender = video, audio
        self._timeline = timeline
        self._chooser = chooser
        self._on_keyframe_request = on_keyframe_request
        self._now_ntp = now_ntp
        self._limit = RetransmissionLimit()
        self._redundancy = Redundancy()
        self._rest: list[bytes] = []
        self._rest_due: asyncio.TimerHandle | None = None
        self._probe_bitrate = 0
        self._probe_credit = 0.0
        self._probe_s = 0.0
        self._asked = 0  # packets asked for since _asked_s
        self._asked_s = 0.0
        self.resent = 0
        self.video_stream: OutgoingVideo | None = None
        self.audio_stream: OutgoingAudio | None = None
        if video is not None and video.form is not None:
            self.video_stream = OutgoingVideo(
                video.form,
                video.offset,
                sequence=secrets.randbelow(_HIGHEST_FIRST_SEQUENCE),
                picture_id=secrets.randbelow(1 << 15),
                rtx_sequence=secrets.randbelow(_HIGHEST_FIRST_SEQUENCE),
            )
            video.listen(self._feedback)
        if audio is not None and audio.form is not None:
            self.audio_stream = OutgoingAudio(
                audio.form, audio.offset, sequence=secrets.randbelow(_HIGHEST_FIRST_SEQUENCE)
            )
            audio.listen(self._audio_feedback)

    def video(self, picture: Picture) -> None:
        """Send a picture: its first packets at once, the rest of a large one in steps of some milliseconds."""
        if self.video_stream is None:
            return
        if not self._timeline.anchored:
            self._timeline.anchor(picture.pts, VIDEO_CLOCK_HZ, self._now_ntp())
        self.still(picture)

    def still(self, picture: Picture) -> None:
        """Send a picture whose time may be over: from when it leaves nothing follows for the timeline."""
        if self.video_stream is None:
            return
        self._send_rest()
        packets = self.video_stream.packets(picture, _send_time())
        now_s = time.monotonic()
        size = sum(map(len, packets))
        self._chooser().sent(size, now_s)
        self._limit.sent(size, now_s)
        self.path.send(packets[:BURST_PACKETS])
        if len(packets) > BURST_PACKETS:
            self._rest = packets[BURST_PACKETS:]
            self._rest_due = asyncio.get_running_loop().call_later(STEP_S, self._send_step)

    def audio(self, packet: AudioPacket) -> None:
        """Send 20 ms of sound."""
        if self.audio_stream is None:
            return
        if not self._timeline.anchored:
            self._timeline.anchor(packet.pts, AUDIO_CLOCK_HZ, self._now_ntp())
        self.path.send([self.audio_stream.packet(packet.data, packet.pts)])

    def probe(self, bitrate: int) -> None:
        """Send copies at so many bit/s from now on, at each tick; 0 stops."""
        self._probe_bitrate = bitrate if self.video_stream is not None and self.video_stream.can_probe else 0

    def tick(self, now_s: float) -> None:
        """Time passes: reports that are due, and copies that probe the path."""
        if self.video_stream is not None and self._video_sender is not None:
            self._video_sender.report(self.path, self.video_stream, now_s)
            self._send_probe(self.video_stream, now_s)
        if self.audio_stream is not None and self._audio_sender is not None:
            self._audio_sender.report(self.path, self.audio_stream, now_s)

    def close(self) -> None:
        """Say goodbye and give back what is open. Idempotent."""
        if self._rest_due is not None:
            self._rest_due.cancel()
            self._rest_due = None
        self._rest = []
        for sender in (self._video_sender, self._audio_sender):
            if sender is not None:
                sender.listen(None)
                sender.goodbye(self.path)
        self.path.close()

    def _send_step(self) -> None:
        now, self._rest = self._rest[:BURST_PACKETS], self._rest[BURST_PACKETS:]
        self.path.send(now)
        self._rest_due = asyncio.get_running_loop().call_later(STEP_S, self._send_step) if self._rest else None

    def _send_rest(self) -> None:
        """The next picture is here: what is left of the last one goes first."""
        if self._rest_due is not None:
            self._rest_due.cancel()
            self._rest_due = None
            rest, self._rest = self._rest, []
            self.path.send(rest)

    def _send_probe(self, stream: OutgoingVideo, now_s: float) -> None:
        elapsed_s, self._probe_s = min(now_s - self._probe_s, 0.2), now_s
        if not self._probe_bitrate:
            self._probe_credit = 0.0
            return
        self._probe_credit += self._probe_bitrate * elapsed_s / 8
        packets = []
        send_time = _send_time()
        for sequence in stream.newest(PROBE_PACKETS):
            packet = stream.again(sequence, send_time)
            if packet is None or len(packet) > self._probe_credit:
                break
            self._probe_credit -= len(packet)
            packets.append(packet)
        if packets:
            self._chooser().sent(sum(map(len, packets)), now_s, padding=True)
            self.path.send(packets)

    def _audio_feedback(self, packet: AnyRtcpPacket) -> None:
        """RTCP about the sound."""
        assert self._audio_sender is not None
        assert self.audio_stream is not None
        reception = self._audio_sender.reception
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket) and reception is not None:
            self._redundancy.report(reception.fraction_lost, time.monotonic())
            self.audio_stream.copies = self._redundancy.copies

    def _feedback(self, packet: AnyRtcpPacket) -> None:
        """RTCP about the video."""
        assert self._video_sender is not None
        now_s = time.monotonic()
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            if (reception := self._video_sender.reception) is not None:
                self._chooser().report(reception.fraction_lost, reception.rtt_s, now_s)
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            self._send_again(packet.lost, now_s)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self._on_keyframe_request()
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, _ = unpack_remb_fci(packet.fci)
            except (ValueError, struct.error):
                return  # another application's, or cut off
            self._chooser().remb(bitrate, now_s)

    def _send_again(self, lost: list[int], now_s: float) -> None:
        assert self.video_stream is not None
        assert self._video_sender is not None
        if now_s - self._asked_s >= ASKED_S:
            self._asked, self._asked_s = 0, now_s
        lost = lost[: MOST_ASKED - self._asked]
        self._asked += len(lost)
        self._chooser().nacked(len(lost), now_s)
        rtt_s = self._video_sender.rtt_s
        send_time = _send_time()
        packets = []
        for number in lost:
            # aiortc does not wrap what it reads from the bit mask of a NACK; the limit must not take it for another.
            sequence = number & SEQUENCE_MASK
            size = self.video_stream.size_of(sequence)
            if size and self._limit.allow(sequence, size, now_s, rtt_s):
                packet = self.video_stream.again(sequence, send_time)
                assert packet is not None
                packets.append(packet)
        if packets:
            self.resent += len(packets)
            self._chooser().sent(sum(map(len, packets)), now_s)
            self.path.send(packets)


def _send_time() -> int:
    """Now, in seconds of 6.18 fixed point; only differences matter."""
    return time.monotonic_ns() * _SEND_TIME_HZ // _NS_PER_S
