"""One viewer: an aiortc peer connection that sends the packets of one subscription.

All methods belong to the event loop's thread.

The tracks return `av.Packet`, so aiortc only packetises and encrypts. A packet leaves the moment it is released.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Any, Final, Self

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.stats import RTCOutboundRtpStreamStats, RTCRemoteInboundRtpStreamStats

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, VideoCodec
from streamgen.webrtc import seams
from streamgen.webrtc.answer import complete_answer
from streamgen.webrtc.errors import SessionEndedError, UnusableOfferError, WhepError
from streamgen.webrtc.offer import MAX_CANDIDATES, Offer, read_fragment
from streamgen.webrtc.subscription import Subscription, SubscriptionClosedError
from streamgen.webrtc.timeline import ReportTimeline

logger = logging.getLogger(__name__)

# From the answer to the first media packet; a viewer whose network lets nothing through is given up after it.
CONNECT_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class TrackStats:
    """What has been sent on one track, and how it arrives as far as the viewer reported it (RTCP)."""

    packets: int = 0  # RTP packets
    payload_bytes: int = 0
    packets_lost: int = 0
    loss: float = 0.0  # share of packets lost since the report before, 0..1
    jitter_ms: float | None = None  # None while there is no report
    rtt_ms: float | None = None


@dataclass(frozen=True)
class ViewerStats:
    """One viewer's situation."""

    state: str  # aiortc's connectionState: new, connecting, connected, failed, closed
    codec: VideoCodec
    video: TrackStats
    audio: TrackStats
    video_dropped: int  # pictures that did not fit into the queue
    audio_dropped: int


class Viewer:
    """One peer connection, from the answer to the end, whoever ends it.

        async with Viewer(fanout.add(offer.codec), offer) as viewer:
            answer_sdp = await viewer.answer()
            await viewer.wait_closed()

    It ends, and leaves the fan-out, when `close` is called, when the peer closes or fails, when it does not
    connect within `connect_timeout_s`, or when its network goes silent (ICE consent, about 30 s). `on_closed` is
    called once, after everything has stopped.
    """

    def __init__(
        self,
        subscription: Subscription,
        offer: Offer,
        *,
        include_loopback: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.codec: VideoCodec = offer.codec
        # RTP timestamp = (offset + pts) mod 2^32, pts in ticks of the track's RTP clock.
        self.rtp_offset_video = secrets.randbits(32)
        self.rtp_offset_audio = secrets.randbits(32)
        self._subscription = subscription
        self._offer = offer
        self._include_loopback = include_loopback
        self._connect_timeout_s = connect_timeout_s
        self._on_closed = on_closed
        # No ICE servers: aiortc's default is a public STUN server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._timeline = ReportTimeline()
        self._trickled = 0
        self._senders: dict[str, RTCRtpSender] = {}
        self._answer_sdp = ""
        self._refusal: WhepError | None = None
        self._answered = asyncio.Event()  # one of the two above is there
        self._connected = asyncio.Event()
        self._ending = asyncio.Event()
        self._closed = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether media flows."""
        return self._connected.is_set() and not self._ending.is_set()

    async def answer(self) -> str:
        """Negotiate and begin to connect; returns the answer SDP with all of this server's candidates.

        To be called once. Raises `UnusableOfferError`, and `SessionEndedError` when `close` came meanwhile.
        """
        assert self._life is None, "a viewer answers one offer"
        # Negotiation runs in the viewer's own task: an HTTP request that is cancelled must not leave half of it.
        self._life = asyncio.create_task(self._live(), name="viewer")
        await self._answered.wait()
        if self._refusal is not None:
            raise self._refusal
        return self._answer_sdp

    async def trickle(self, fragment: str) -> None:
        """Take candidates that the viewer found after its offer; those over `MAX_CANDIDATES` are ignored.

        Raises `MalformedOfferError`, or `UnusableOfferError` for an ICE restart.
        """
        for candidate in read_fragment(fragment, self._offer):
            if self._trickled < MAX_CANDIDATES and not self._ending.is_set():
                self._trickled += 1
                await self._peer.addIceCandidate(candidate)

    async def stats(self) -> ViewerStats:
        """The viewer's situation now."""
        tracks = {kind: await _track_stats(sender) for kind, sender in self._senders.items()}
        return ViewerStats(
            state=self._peer.connectionState,
            codec=self.codec,
            video=tracks.get("video", TrackStats()),
            audio=tracks.get("audio", TrackStats()),
            video_dropped=self._subscription.video_dropped,
            audio_dropped=self._subscription.audio_dropped,
        )

    async def close(self) -> None:
        """End the connection and wait until everything has stopped. Idempotent."""
        self._ending.set()
        if self._life is None:
            # Never answered, so nobody else tears it down.
            self._life = asyncio.create_task(self._live(), name="viewer")
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the viewer has ended, for whatever reason, and everything has stopped."""
        await self._closed.wait()

    def _add_track(self, kind: str) -> None:
        track = _VideoTrack(self._subscription) if kind == "video" else _AudioTrack(self._subscription)
        transceiver = self._peer.addTransceiver(track, direction="sendonly")
        # Before setRemoteDescription: afterwards the answer could name one codec and the packets hold another.
        transceiver.setCodecPreferences(self._preferences(kind))
        sender = transceiver.sender
        self._senders[kind] = sender
        if kind == "video":
            seams.send_on_timeline(sender, self.rtp_offset_video, self._timeline)
            seams.on_keyframe_request(sender, self._subscription.request_keyframe)
        else:
            seams.send_on_timeline(sender, self.rtp_offset_audio, self._timeline)

    def _preferences(self, kind: str) -> list[RTCRtpCodecCapability]:
        if kind == "audio":
            wanted = "audio/opus"
        elif self.codec == "vp8":
            wanted = "video/vp8"
        else:
            wanted = "video/h264"
        return [
            codec
            for codec in RTCRtpSender.getCapabilities(kind).codecs
            if codec.mimeType.lower() == "video/rtx"
            or (
                codec.mimeType.lower() == wanted
                and codec.parameters.get("profile-level-id") == self._offer.h264_profile
            )
        ]

    def _connection_state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._ending.set()

    async def _live(self) -> None:
        """The viewer's one task: negotiates, waits for the end and tears everything down."""
        try:
            if self._ending.is_set():
                raise _ended_early()
            self._answer_sdp = await self._negotiate()
            if self._ending.is_set():
                raise _ended_early()
            self._answered.set()
            await self._until_over()
        except WhepError as error:
            self._refusal = error
        except Exception:
            logger.exception("a viewer's connection failed unexpectedly")
            self._refusal = WhepError("the server failed to answer this offer; its log says why")
        finally:
            self._ending.set()
            self._answered.set()
            self._subscription.close()
            await self._tear_down()
            self._closed.set()
            self._on_closed()

    async def _tear_down(self) -> None:
        try:
            await self._peer.close()
        except Exception:
            # Whoever waits for the end must not wait for ever, whatever state aiortc was left in.
            logger.exception("a viewer's connection could not be closed cleanly")

    async def _negotiate(self) -> str:
        peer = self._peer
        peer.on("connectionstatechange", self._connection_state_changed)
        for kind in self._offer.kinds:
            self._add_track(kind)
        seams.offer_loopback(peer, always=self._include_loopback)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(sdp=self._offer.sdp, type="offer"))
            await peer.setLocalDescription(await peer.createAnswer())
        except (InvalidAccessError, InvalidStateError, OperationError, ValueError) as error:
            raise UnusableOfferError(f"the offer cannot be answered: {error}") from error
        return complete_answer(peer.localDescription.sdp)

    async def _until_over(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await _first_of(self._connected, self._ending)
        except TimeoutError:
            logger.info("a viewer did not connect within %.0f s", self._connect_timeout_s)
            self._ending.set()
        await self._ending.wait()


class _VideoTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, subscription: Subscription) -> None:
        super().__init__()
        self._subscription = subscription

    async def recv(self) -> "av.Packet[Any]":
        self._subscription.start()  # aiortc asks for the first time when media can flow
        try:
            packet = await self._subscription.next_video()
        except SubscriptionClosedError:
            raise MediaStreamError from None
        return _av_packet(packet.data, packet.pts, VIDEO_CLOCK_HZ)


class _AudioTrack(MediaStreamTrack):
    kind = "audio"

    def __init__(self, subscription: Subscription) -> None:
        super().__init__()
        self._subscription = subscription

    async def recv(self) -> "av.Packet[Any]":
        self._subscription.start()
        try:
            packet = await self._subscription.next_audio()
        except SubscriptionClosedError:
            raise MediaStreamError from None
        return _av_packet(packet.data, packet.pts, AUDIO_CLOCK_HZ)


def _av_packet(data: bytes, pts: int, clock_hz: int) -> "av.Packet[Any]":
    packet: av.Packet[Any] = av.Packet(data)
    packet.pts = pts
    # The RTP clock itself, so that aiortc converts nothing and rounds nothing.
    packet.time_base = Fraction(1, clock_hz)
    return packet


def _ended_early() -> SessionEndedError:
    return SessionEndedError("the session was ended before it was answered; POST a new offer", retry_after_s=1)


async def _track_stats(sender: RTCRtpSender) -> TrackStats:
    sent: RTCOutboundRtpStreamStats | None = None
    report: RTCRemoteInboundRtpStreamStats | None = None
    for entry in (await sender.getStats()).values():
        if isinstance(entry, RTCOutboundRtpStreamStats):
            sent = entry
        elif isinstance(entry, RTCRemoteInboundRtpStreamStats):
            report = entry
    clock_hz = VIDEO_CLOCK_HZ if sender.kind == "video" else AUDIO_CLOCK_HZ
    return TrackStats(
        packets=sent.packetsSent if sent else 0,
        payload_bytes=sent.bytesSent if sent else 0,
        packets_lost=report.packetsLost if report else 0,
        loss=report.fractionLost / 256 if report else 0.0,
        jitter_ms=1000 * report.jitter / clock_hz if report else None,
        rtt_ms=1000 * report.roundTripTime if report and report.roundTripTime is not None else None,
    )


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
