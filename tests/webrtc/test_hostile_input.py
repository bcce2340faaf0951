"""What viewers may answer: no RTCP, however absurd, raises, costs more than its share, or stays in memory."""

import math
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

import pytest
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.packets import Layer
from streamgen.rtp.adaptation import SPARE, RungChooser
from streamgen.rtp.outgoing import Picture
from streamgen.rtp.retransmission import (
    BURST_S,
    LEAST_BITRATE,
    LEAST_BURST_BYTES,
    MEMORY_PACKETS,
    MOST_ANSWERS,
    SHARE,
)
from streamgen.webrtc import sender as sender_module
from streamgen.webrtc.sender import MOST_ASKED, Outlet, TrackSender
from streamgen.webrtc.timeline import ReportTimeline

LADDER: Final = (900_000, 600_000, 400_000)
PICTURE_BYTES: Final = 9_000
PICTURE_S: Final = 0.08
UINT32_MAX: Final = (1 << 32) - 1
NACK_BITS: Final = 17  # sequence numbers in four bytes of a NACK

PARAMETERS: Final = RTCRtpSendParameters(
    codecs=[
        RTCRtpCodecParameters("video/VP8", 90_000, payloadType=97),
        RTCRtpCodecParameters("video/rtx", 90_000, payloadType=98, parameters={"apt": 97}),
    ],
    headerExtensions=[
        RTCRtpHeaderExtensionParameters(id=2, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time")
    ],
    muxId="0",
    rtcp=RTCRtcpParameters(cname="streamgen", mux=True),
)


class Dtls:
    """A transport that nothing is sent over."""

    def _register_rtp_sender(self, sender: TrackSender, parameters: RTCRtpSendParameters) -> None:
        """Nothing comes from here: the tests hand RTCP over themselves."""


class Path:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.octets = 0

    def send(self, packets: list[bytes]) -> None:
        self.octets += sum(map(len, packets))

    def send_report(self, packet: bytes) -> None:
        """Not counted."""


class Victim:
    """One viewer's video as the server has it, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.chooser = RungChooser(LADDER, now_s=self.now_s)
        self.keyframe_requests = 0
        self.media_octets = 0
        self.answered_octets = 0
        self._timeline = ReportTimeline()
        self._path = Path()
        dtls: Any = Dtls()
        self.sender = TrackSender("video", dtls, 0, self._timeline, lambda: None)
        finish(self.sender.send(PARAMETERS))
        self.outlet = Outlet(
            self.sender, None, self._timeline, lambda: self.chooser, self._keyframe_requested, now_ntp=lambda: 1 << 62
        )
        path: Any = self._path
        self.outlet.path = path
        self._number = 0

    # What stands in for the module `time`.

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return round(self.now_s * 1e9)

    def play(self, pictures: int) -> None:
        """Send so many pictures of eight packets each, in their time."""
        for _ in range(pictures):
            self.now_s += PICTURE_S
            before = self._path.octets
            picture = Picture.of(
                Layer("vp8", 0), round(self._number * PICTURE_S * 90_000), not self._number, bytes(PICTURE_BYTES)
            )
            self.outlet.video(picture)
            self._number += 1
            self.media_octets += self._path.octets - before
            choice = self.chooser.choose(self.now_s)
            assert 0 <= choice.rung < len(LADDER)
            assert 0 <= choice.probe_bitrate <= SPARE * LADDER[0]
            self.outlet.tick(self.now_s)

    def take(self, packet: AnyRtcpPacket) -> None:
        """RTCP comes."""
        before = self._path.octets
        finish(self.sender._handle_rtcp_packet(packet))
        self.answered_octets += self._path.octets - before

    def _keyframe_requested(self) -> None:
        self.keyframe_requests += 1


def finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


@contextmanager
def victim() -> Iterator[Victim]:
    made = Victim()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender_module, "time", made)
        made.play(30)
        yield made


def most_answered_octets(seconds: float) -> float:
    """What a viewer may cause to be sent again in that time."""
    # A packet is at most its payload, header and descriptor: a fifth more is ample.
    rate = max(LEAST_BITRATE / 8, SHARE * 1.2 * PICTURE_BYTES / PICTURE_S)
    return rate * (seconds + BURST_S) + LEAST_BURST_BYTES


def ours(found: Victim) -> int:
    return found.sender._ssrc


uint32 = st.integers(0, UINT32_MAX)
OURS: Final = -1  # in place of the stream's SSRC, which is not known beforehand
ssrcs = st.one_of(st.just(OURS), uint32)
report_blocks = st.builds(
    RtcpReceiverInfo,
    ssrc=ssrcs,
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-(1 << 23), (1 << 23) - 1),
    highest_sequence=uint32,
    jitter=uint32,
    lsr=uint32,
    dlsr=uint32,
)
reports = st.builds(RtcpRrPacket, ssrc=uint32, reports=st.lists(report_blocks, max_size=31))
sender_reports = st.builds(
    RtcpSrPacket,
    ssrc=uint32,
    sender_info=st.builds(
        RtcpSenderInfo,
        ntp_timestamp=st.integers(0, (1 << 64) - 1),
        rtp_timestamp=uint32,
        packet_count=uint32,
        octet_count=uint32,
    ),
    reports=st.lists(report_blocks, max_size=31),
)
# aiortc does not wrap the numbers that it reads from a NACK's bit mask.
nacks = st.builds(
    RtcpRtpfbPacket,
    fmt=st.sampled_from((RTCP_RTPFB_NACK, 15)),
    ssrc=uint32,
    media_ssrc=ssrcs,
    lost=st.lists(st.integers(0, 0xFFFF + NACK_BITS), max_size=400),
)
absurd_rembs = st.one_of(
    st.builds(pack_remb_fci, st.integers(0, 1 << 40), st.lists(uint32, max_size=3)),
    st.binary(max_size=40).map(lambda rest: b"REMB" + rest),
    st.builds(lambda exponent, rest: b"REMB\x00" + bytes((exponent << 2 | 3,)) + rest, st.integers(0, 63), st.binary()),
    st.binary(max_size=20),
)
payload_feedback = st.builds(
    RtcpPsfbPacket,
    fmt=st.sampled_from((RTCP_PSFB_PLI, RTCP_PSFB_FIR, 2, 3)),
    ssrc=uint32,
    media_ssrc=ssrcs,
    fci=st.binary(max_size=20),
)
rembs = st.builds(RtcpPsfbPacket, fmt=st.just(RTCP_PSFB_APP), ssrc=uint32, media_ssrc=ssrcs, fci=absurd_rembs)
byes = st.builds(RtcpByePacket, sources=st.lists(uint32, max_size=3))
anything = st.one_of(reports, sender_reports, nacks, payload_feedback, rembs, byes)


def addressed(packet: AnyRtcpPacket, ssrc: int) -> AnyRtcpPacket:
    """With the stream's SSRC where `OURS` stands."""
    if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
        for report in packet.reports:
            report.ssrc = ssrc if report.ssrc == OURS else report.ssrc
    elif isinstance(packet, RtcpPsfbPacket | RtcpRtpfbPacket):
        packet.media_ssrc = ssrc if packet.media_ssrc == OURS else packet.media_ssrc
    return packet


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(anything, st.integers(0, 3)), max_size=60))
def test_any_feedback_is_borne_and_its_answers_are_bounded(received: list[tuple[AnyRtcpPacket, int]]) -> None:
    with victim() as found:
        begin_s = found.now_s
        for packet, pictures in received:
            found.take(addressed(packet, ours(found)))
            found.play(pictures)
        assert found.answered_octets <= most_answered_octets(found.now_s - begin_s)
        assert len(found.outlet._limit) <= MEMORY_PACKETS
        # It goes on as for any other viewer.
        before = found.media_octets
        found.play(10)
        assert found.media_octets - before > 10 * PICTURE_BYTES


@settings(deadline=None, max_examples=60)
@given(st.lists(absurd_rembs, min_size=1, max_size=60))
def test_absurd_estimates_move_one_viewer_within_the_ladder(fcis: list[bytes]) -> None:
    with victim() as found:
        for fci in fcis:
            found.take(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
            found.play(3)
        assert math.isfinite(found.chooser._evidence.remb_bitrate or 0.0)


def test_asking_for_everything_again_and_again_is_answered_within_bounds() -> None:
    with victim() as found:
        stream = found.outlet.video_stream
        assert stream is not None
        looked_up: list[int] = []
        size_of = stream.size_of

        def counted(sequence: int) -> int:
            looked_up.append(sequence)
            return size_of(sequence)

        stream.size_of = counted  # type: ignore[method-assign]
        everything = list(range(1 << 16))
        Random(1).shuffle(everything)
        storm = everything * 3  # as many as one datagram can name
        begin_s = found.now_s
        for _ in range(50):
            found.take(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ours(found), lost=storm))
            found.take(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ours(found), lost=storm))
            found.play(1)
        assert len(looked_up) <= 50 * MOST_ASKED
        assert found.answered_octets <= most_answered_octets(found.now_s - begin_s)
        assert len(found.outlet._limit) <= MEMORY_PACKETS


def test_a_packet_is_not_sent_more_often_under_another_number() -> None:
    with victim() as found:
        stream = found.outlet.video_stream
        assert stream is not None
        sequence = next(iter(stream.newest(1)))
        for _ in range(10):
            for number in (sequence, sequence + (1 << 16)):
                found.take(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ours(found), lost=[number]))
            found.now_s += 0.2
        assert found.outlet.resent == MOST_ANSWERS


def test_an_honest_viewer_gets_what_it_misses_beside_its_own_nonsense() -> None:
    with victim() as found:
        stream = found.outlet.video_stream
        assert stream is not None
        found.take(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=ours(found), fci=b"REMB\xff\x01\x02\x03"))
        found.take(RtcpRtpfbPacket(RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ours(found), lost=list(stream.newest(5))))
        assert found.outlet.resent == 5
