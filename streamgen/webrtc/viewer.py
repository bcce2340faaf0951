"""One viewer: an aiortc peer connection that sends the packets of one subscription.

All methods belong to the event loop's thread.

aiortc does ICE, DTLS and SDP; what is sent is made by `sender`, which stands in for aiortc's own.
"""

import asyncio
import contextlib
import functools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecCapability, RTCRtpSender, RTCSessionDescription
from aiortc.clock import current_ntp_time
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError

from streamgen.access.expiry import until
from streamgen.packets import Layer, VideoCodec
from streamgen.rtp.outgoing import OutgoingAudio, OutgoingVideo
from streamgen.webrtc import seams
from streamgen.webrtc.answer import complete_answer
from streamgen.webrtc.data_channels import DataChannels, ServeChannel
from streamgen.webrtc.errors import SessionEndedError, UnusableOfferError, WhepError
from streamgen.webrtc.offer import MAX_CANDIDATES, Offer, read_fragment
from streamgen.webrtc.ports import MediaNetwork, gather_on
from streamgen.webrtc.sender import Outlet, TrackSender
from streamgen.webrtc.subscription import Subscription
from streamgen.webrtc.timeline import ReportTimeline

logger = logging.getLogger(__name__)

# From the answer to the first media packet; a viewer whose network lets nothing through is given up after it.
CONNECT_TIMEOUT_S: Final = 20.0

# A viewer of whom nothing has been heard for so long is gone: browsers check the path (STUN) and report (RTCP)
# several times in it. ICE consent alone would take half a minute.
SILENCE_S: Final = 8.0
_LOOK_S: Final = 1.0


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
    layer: Layer
    switches: int  # of layers
    video: TrackStats
    audio: TrackStats
    resent: int  # packets sent again because the viewer missed them
    refused: int  # packets that this machine's network did not take

    @property
    def codec(self) -> VideoCodec:
        """Of the pictures."""
        return self.layer.codec


class Viewer:
    """One peer connection, from the answer to the end, whoever ends it.

        async with Viewer(fanout.add(offer.codec), offer) as viewer:
            answer_sdp = await viewer.answer()
            await viewer.wait_closed()

    It ends, and leaves the fan-out, when `close` is called, when the peer closes or fails, when it does not
    connect within `connect_timeout_s`, when nothing has been heard of it for `silence_s`, or at `ends_at`, a Unix time
    in seconds (None: never), which is waited for with `wait_until`. `on_closed` is called once, after everything has
    stopped. `serve_channel` serves the data channel that steers; without it all data channels are closed.
    """

    def __init__(
        self,
        subscription: Subscription,
        offer: Offer,
        *,
        include_loopback: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        silence_s: float = SILENCE_S,
        network: MediaNetwork | None = None,
        serve_channel: ServeChannel | None = None,
        ends_at: float | None = None,
        wait_until: Callable[[float], Awaitable[None]] = until,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.codec: VideoCodec = offer.codec
        # RTP timestamp = (offset + pts) mod 2^32, pts in ticks of the track's RTP clock.
        self.rtp_offset_video = secrets.randbits(32)
        self.rtp_offset_audio = secrets.randbits(32)
        self._subscription = subscription
        subscription.on_failed = self._give_up
        self._offer = offer
        self._include_loopback = include_loopback
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = silence_s
        self._channels = DataChannels(serve_channel)
        self._ends_at = ends_at
        self._wait_until = wait_until
        self._heard_s = 0.0  # monotonic time of the newest sign of life
        self._on_closed = on_closed
        # No ICE servers: aiortc's default is a public STUN server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if network is not None:
            gather_on(self._peer, network)
        seams.take_rsa_certificates(self._peer)
        self._timeline = ReportTimeline()
        self._trickled = 0
        self._senders: dict[str, TrackSender] = {}
        self._ready: set[str] = set()  # kinds that can flow
        self._outlet: Outlet | None = None
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
        outlet = self._outlet
        return ViewerStats(
            state=self._peer.connectionState,
            layer=self._subscription.layer,
            switches=self._subscription.switches,
            video=_track_stats(self._senders.get("video"), None if outlet is None else outlet.video_stream),
            audio=_track_stats(self._senders.get("audio"), None if outlet is None else outlet.audio_stream),
            resent=0 if outlet is None else outlet.resent,
            refused=0 if outlet is None else outlet.path.refused,
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
        transceiver = self._peer.addTransceiver(kind, direction="sendonly")
        # Before setRemoteDescription: afterwards the answer could name one codec and the packets hold another.
        transceiver.setCodecPreferences(self._preferences(kind))
        offset = self.rtp_offset_video if kind == "video" else self.rtp_offset_audio
        ready = functools.partial(self._can_flow, kind)
        self._senders[kind] = TrackSender(kind, transceiver.sender.transport, offset, self._timeline, ready)
        if kind == "audio":
            self._senders[kind].red = self._offer.red
        seams.stand_in(transceiver, self._senders[kind])

    def _can_flow(self, kind: str) -> None:
        """ICE and DTLS are done for this track; media begins when they are for all."""
        self._ready.add(kind)
        if self._outlet is not None or self._ready != set(self._offer.kinds) or self._ending.is_set():
            return
        self._outlet = Outlet(
            self._senders.get("video"),
            self._senders.get("audio"),
            self._timeline,
            chooser=lambda: self._subscription.chooser,
            on_keyframe_request=self._subscription.request_keyframe,
            now_ntp=current_ntp_time,
        )
        self._subscription.start(self._outlet)

    def _give_up(self) -> None:
        self._ending.set()

    def _heard(self) -> None:
        self._heard_s = time.monotonic()

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
        end = None
        if self._ends_at is not None:
            end = asyncio.create_task(self._end_at(self._ends_at), name="viewer-end")
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
            if self._outlet is not None:
                self._outlet.close()
            if end is not None:
                end.cancel()
                await asyncio.wait([end])
            await self._tear_down()
            self._closed.set()
            self._on_closed()

    async def _end_at(self, moment_s: float) -> None:
        await self._wait_until(moment_s)
        logger.info("a viewer's token is over, and its session with it")
        self._ending.set()

    async def _tear_down(self) -> None:
        try:
            # First the transport: what is still said to the viewer then finds its channel closed.
            await seams.end_data_channels(self._peer)
            await self._channels.close()
            await self._peer.close()
        except Exception:
            # Whoever waits for the end must not wait for ever, whatever state aiortc was left in.
            logger.exception("a viewer's connection could not be closed cleanly")

    async def _negotiate(self) -> str:
        peer = self._peer
        peer.on("connectionstatechange", self._connection_state_changed)
        peer.on("datachannel", self._channels.opened)
        for kind in self._offer.kinds:
            self._add_track(kind)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(sdp=self._offer.sdp, type="offer"))
            # Only now it is known which transport all sections share: that of a data channel, if that comes first.
            # Sockets are opened by setLocalDescription.
            seams.offer_loopback(peer, always=self._include_loopback)
            seams.endure_nonsense(peer)
            seams.bound_data_channels(peer)
            seams.on_sign_of_life(peer, self._heard)
            await peer.setLocalDescription(await peer.createAnswer())
        except (InvalidAccessError, InvalidStateError, OperationError, ValueError) as error:
            raise UnusableOfferError(f"the offer cannot be answered: {error}") from error
        return complete_answer(peer.localDescription.sdp, self._offer.red)

    async def _until_over(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await _first_of(self._connected, self._ending)
        except TimeoutError:
            logger.info("a viewer did not connect within %.0f s", self._connect_timeout_s)
            self._ending.set()
        self._heard()
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._ending.wait()
            if time.monotonic() - self._heard_s > self._silence_s:
                logger.info("a viewer vanished: nothing was heard of it for %.0f s", self._silence_s)
                self._ending.set()


def _ended_early() -> SessionEndedError:
    return SessionEndedError("the session was ended before it was answered; POST a new offer", retry_after_s=1)


def _track_stats(sender: TrackSender | None, stream: OutgoingVideo | OutgoingAudio | None) -> TrackStats:
    stats = TrackStats(
        packets=0 if stream is None else stream.packets_sent,
        payload_bytes=0 if stream is None else stream.octets_sent,
    )
    if sender is None or (reception := sender.reception) is None:
        return stats
    rtt_s = reception.smoothed_rtt_s
    return replace(
        stats,
        packets_lost=max(0, reception.packets_lost),
        loss=reception.fraction_lost,
        jitter_ms=1000 * reception.jitter_s,
        rtt_ms=None if rtt_s is None else 1000 * rtt_s,
    )


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
