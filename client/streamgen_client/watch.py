"""Watching a channel: one WHEP session, received with aiortc, as numpy arrays with their media time.

All methods belong to the event loop's thread. aiortc decodes in threads of its own.

aiortc holds a picture back until the first packet of the next one has come, so pictures arrive one picture time (80
ms at 12.5 pictures/s) later than in a browser; sound arrives about 80 ms late.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeAlias, TypeVar
from urllib.parse import urljoin

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from streamgen_client.errors import ConnectionLostError, RefusedError, UnreachableError
from streamgen_client.lines import DataChannelLine
from streamgen_client.refusal import refused
from streamgen_client.rtp import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, RtpTimeline
from streamgen_client.steer import Steering

CONNECT_TIMEOUT_S: Final = 20.0
PICTURE_BACKLOG: Final = 84  # 5 s at 50/3 pictures/s
SOUND_BACKLOG: Final = 256  # 5 s of 20 ms
OFFERED_CHANNEL: Final = 1022  # far above the ids that channels get by themselves

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Picture:
    """One decoded picture."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    pts: int | None  # media time in ticks of 90 kHz; None from a server that does not tell its RTP offset
    received_s: float  # when the decoder put it out, on the clock of `time.monotonic()`

    @property
    def media_time_s(self) -> float | None:
        """Seconds of media time."""
        return None if self.pts is None else self.pts / VIDEO_CLOCK_HZ


@dataclass(frozen=True, eq=False)
class Sound:
    """20 ms of decoded sound."""

    samples: NDArray[np.float32]  # [2, S] in [-1, 1], at 48 kHz
    pts: int | None  # media time of the first sample, in samples; None as for `Picture`
    received_s: float

    @property
    def media_time_s(self) -> float | None:
        """Seconds of media time of the first sample."""
        return None if self.pts is None else self.pts / AUDIO_CLOCK_HZ


Media: TypeAlias = Picture | Sound


@dataclass(frozen=True)
class _Decoded(Generic[Item]):
    frame: Item
    pts: int | None
    received_s: float


class _Lane(Generic[Item]):
    """Decoded frames that wait to be taken. Full: the oldest is dropped and counted."""

    def __init__(self, backlog: int) -> None:
        self.frames: deque[_Decoded[Item]] = deque(maxlen=backlog)
        self.dropped = 0
        self.timeline: RtpTimeline | None = None

    def put(self, frame: Item, timestamp: int) -> None:
        if len(self.frames) == self.frames.maxlen:
            self.dropped += 1
        pts = self.timeline.pts(timestamp) if self.timeline is not None else None
        self.frames.append(_Decoded(frame, pts, time.monotonic()))


class Watch:
    """What a channel shows. Made by `Client.watch`; use it with `async with`.

    Iterate over it for pictures and sound in the order of their arrival, or over `pictures()` or `sound()` alone.
    Whoever does not take them in time loses the oldest. Everything of this object serves one consumer.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        steer: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._http = http
        self._url = url
        self._steer = steer
        self._connect_timeout_s = connect_timeout_s
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._session: str | None = None  # the session's own URL
        self._pictures: _Lane[av.VideoFrame] = _Lane(PICTURE_BACKLOG)
        self._sounds: _Lane[av.AudioFrame] = _Lane(SOUND_BACKLOG)
        self._changed = asyncio.Event()
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._closing = False
        self._readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the session and wait until media can flow. Raises `UnreachableError` or `RefusedError`."""
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def dropped_pictures(self) -> int:
        """Pictures that nobody took in time."""
        return self._pictures.dropped

    @property
    def dropped_sounds(self) -> int:
        """Packets of sound that nobody took in time."""
        return self._sounds.dropped

    async def __aiter__(self) -> AsyncIterator[Media]:
        """Pictures and sound as they arrive. Raises `ConnectionLostError` when the server ends the session."""
        while True:
            picture = self._pictures.frames[0].received_s if self._pictures.frames else None
            sound = self._sounds.frames[0].received_s if self._sounds.frames else None
            if picture is not None and (sound is None or picture <= sound):
                yield _picture(self._pictures.frames.popleft())
            elif sound is not None:
                yield _sound(self._sounds.frames.popleft())
            elif not await self._more():
                return

    async def pictures(self) -> AsyncIterator[Picture]:
        """The pictures alone."""
        while True:
            if self._pictures.frames:
                yield _picture(self._pictures.frames.popleft())
            elif not await self._more():
                return

    async def sound(self) -> AsyncIterator[Sound]:
        """The sound alone."""
        while True:
            if self._sounds.frames:
                yield _sound(self._sounds.frames.popleft())
            elif not await self._more():
                return

    def steer(self) -> Steering:
        """Follow and change what the channel plays, over this session's connection. Needs `watch(steer=True)`.

        One at a time; it may be opened again after it has ended. What it may do is what the session's token allows.
        """
        assert self._steer, "the session carries media only: use client.watch(steer=True)"
        return Steering(DataChannelLine(self._peer))

    async def close(self) -> None:
        """End the session on both sides. Idempotent."""
        self._closing = True
        session, self._session = self._session, None
        if session is not None:
            # A server that is gone has nothing left to be told.
            with contextlib.suppress(httpx.HTTPError):
                await self._http.delete(session)
        await self._peer.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._pictures.frames.clear()
        self._sounds.frames.clear()
        self._over.set()
        self._changed.set()

    async def _open(self) -> None:
        peer = self._peer
        peer.on("track", self._track)
        peer.on("connectionstatechange", self._connection_state_changed)
        video = peer.addTransceiver("video", direction="recvonly").receiver
        audio = peer.addTransceiver("audio", direction="recvonly").receiver
        self._receivers = {"video": video, "audio": audio}
        if self._steer:
            # Asks for data channels in the offer, and opens none: this one exists on this side only.
            peer.createDataChannel("offered", negotiated=True, id=OFFERED_CHANNEL)
        await peer.setLocalDescription(await peer.createOffer())
        try:
            response = await self._http.post(
                self._url,
                content=peer.localDescription.sdp.encode(),
                headers={"Content-Type": "application/sdp", "Accept": "application/sdp"},
            )
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self._url} cannot be reached ({error}); is the server running?") from error
        if response.status_code != 201:
            raise refused(response)
        location = response.headers.get("location")
        if location is None:
            raise RefusedError("the answer names no session (no Location header)", status=502)
        self._session = urljoin(str(response.url), location)
        self._set_timelines(response.headers)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=response.text, type="answer"))
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._connected.wait()
        except TimeoutError:
            raise UnreachableError(
                "no path for media to the server was found; its UDP ports must be reachable from here"
            ) from None
        if self._over.is_set():
            raise ConnectionLostError("the server ended the session before media could flow; watch again")

    def _set_timelines(self, headers: httpx.Headers) -> None:
        near_s = float(headers.get("streamgen-media-time", "0"))
        for lane, name, clock_hz in (
            (self._pictures, "streamgen-rtp-offset", VIDEO_CLOCK_HZ),
            (self._sounds, "streamgen-rtp-offset-audio", AUDIO_CLOCK_HZ),
        ):
            if name in headers:
                lane.timeline = RtpTimeline(int(headers[name]), clock_hz, near_s)

    def _track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.create_task(self._read(track), name=f"watch {track.kind}"))

    def _connection_state_changed(self) -> None:
        state = self._peer.connectionState
        if state in ("failed", "closed"):
            self._over.set()
            self._changed.set()
        if state in ("connected", "failed", "closed"):
            self._connected.set()

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self._pictures.put(frame, _rtp_timestamp(self._receivers["video"], frame))
                elif isinstance(frame, av.AudioFrame):
                    self._sounds.put(frame, _rtp_timestamp(self._receivers["audio"], frame))
                self._changed.set()
        except MediaStreamError:
            self._over.set()
            self._changed.set()

    async def _more(self) -> bool:
        """Wait for more media; False when this side has closed the session."""
        if self._closing:
            return False
        if self._over.is_set():
            raise ConnectionLostError("the server ended the session; watch again")
        self._changed.clear()
        await self._changed.wait()
        return True


def _rtp_timestamp(receiver: RTCRtpReceiver, frame: av.VideoFrame | av.AudioFrame) -> int:
    """The RTP timestamp that a frame came with: aiortc 1.16 takes the track's first one off and keeps it hidden."""
    mapper = receiver._RTCRtpReceiver__timestamp_mapper  # type: ignore[attr-defined]
    assert frame.pts is not None
    return int(mapper._origin) + frame.pts


def _picture(decoded: _Decoded[av.VideoFrame]) -> Picture:
    # Converted only when taken, so what is dropped costs nothing.
    rgb = decoded.frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return Picture(rgb, decoded.pts, decoded.received_s)


def _sound(decoded: _Decoded[av.AudioFrame]) -> Sound:
    # aiortc's Opus decoder gives packed 16-bit stereo: [1, 2 S].
    packed = decoded.frame.to_ndarray().reshape(-1, 2)
    samples = np.ascontiguousarray(packed.T).astype(np.float32) * np.float32(1 / 32_768)
    return Sound(samples, decoded.pts, decoded.received_s)
