"""WHEP sessions: an offer in, an answer out, and the viewer behind it until it leaves. HTTP is elsewhere.

All methods belong to the event loop's thread. Follows draft-ietf-wish-whep and RFC 9725 (WHIP), from which it
takes most of its rules: all candidates are in the answer, an ICE restart is refused with 422, no ETag is used.
"""

import asyncio
import functools
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from streamgen.packets import VideoCodec
from streamgen.webrtc.errors import (
    NoSuchSessionError,
    NotLiveError,
    OfferTooLargeError,
    TooManyViewersError,
    UnsupportedContentTypeError,
)
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.offer import Offer
from streamgen.webrtc.viewer import CONNECT_TIMEOUT_S, Viewer, ViewerStats

logger = logging.getLogger(__name__)

RTP_OFFSET_HEADER: Final = "Streamgen-Rtp-Offset"
RTP_OFFSET_AUDIO_HEADER: Final = "Streamgen-Rtp-Offset-Audio"
MEDIA_TIME_HEADER: Final = "Streamgen-Media-Time"
# For Access-Control-Expose-Headers: what a page of another origin may read.
EXPOSED_HEADERS: Final = (
    f"Location, Link, Retry-After, {RTP_OFFSET_HEADER}, {RTP_OFFSET_AUDIO_HEADER}, {MEDIA_TIME_HEADER}"
)

SDP_TYPE: Final = "application/sdp"
FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"

RETRY_FULL_S: Final = 10
RETRY_BUSY_S: Final = 1
RETRY_NOT_LIVE_S: Final = 2

_SESSION_ID_BYTES: Final = 24


@dataclass(frozen=True)
class WhepLimits:
    """How much viewers may take."""

    max_viewers: int = 64
    # Setting up costs 10-15 ms of CPU, and an offer that never connects holds sockets until the timeout.
    max_pending: int = 16
    max_offer_bytes: int = 64 * 1024
    include_loopback: bool = False  # offer 127.0.0.1 even when the machine has another address
    connect_timeout_s: float = CONNECT_TIMEOUT_S


@dataclass(frozen=True)
class WhepAnswer:
    """What the 201 answer says."""

    session_id: str  # unguessable: whoever knows it may end the session
    sdp: str  # the answer, with all of this server's candidates
    codec: VideoCodec
    rtp_offset_video: int  # RTP timestamp = (offset + pts in 90 kHz ticks) mod 2^32
    rtp_offset_audio: int  # RTP timestamp = (offset + pts in 48 kHz samples) mod 2^32
    media_time_s: float  # of the newest packet when the answer was made

    @property
    def headers(self) -> dict[str, str]:
        """Response headers with which a viewer finds the media time of what it plays."""
        return {
            RTP_OFFSET_HEADER: str(self.rtp_offset_video),
            RTP_OFFSET_AUDIO_HEADER: str(self.rtp_offset_audio),
            MEDIA_TIME_HEADER: f"{self.media_time_s:.3f}",
        }


class WhepServer:
    """The WHEP resource of one channel.

    `is_live` says whether there is something to play. `media_time_s` gives the channel's media time (s); without
    it the newest packet's is used, which stands still while nobody watches.
    """

    def __init__(
        self,
        fanout: Fanout,
        limits: WhepLimits | None = None,
        *,
        is_live: Callable[[], bool] = lambda: True,
        media_time_s: Callable[[], float] | None = None,
    ) -> None:
        self.limits = limits if limits is not None else WhepLimits()
        self._fanout = fanout
        self._is_live = is_live
        self._media_time_s = media_time_s
        self._viewers: dict[str, Viewer] = {}
        self._sessions: set[str] = set()  # ids of answered sessions, a subset of _viewers
        self._closing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def sessions(self) -> int:
        """How many sessions have been answered and have not ended; they may still be connecting."""
        return len(self._sessions)

    @property
    def viewers(self) -> int:
        """How many viewers receive media now."""
        return sum(viewer.connected for viewer in self._viewers.values())

    async def offer(self, sdp: str) -> WhepAnswer:
        """Answer an offer. Raises a `WhepError`; nothing is left behind then."""
        if len(sdp.encode("utf-8", "replace")) > self.limits.max_offer_bytes:
            raise OfferTooLargeError(f"an offer has at most {self.limits.max_offer_bytes} bytes; leave codecs out")
        offer = Offer.read(sdp)
        if not self._is_live():
            raise NotLiveError("the channel is starting; try again soon", retry_after_s=RETRY_NOT_LIVE_S)
        self._check_room()
        session_id = secrets.token_urlsafe(_SESSION_ID_BYTES)
        viewer = Viewer(
            self._fanout.add(offer.codec),
            offer,
            include_loopback=self.limits.include_loopback,
            connect_timeout_s=self.limits.connect_timeout_s,
            on_closed=functools.partial(self._forget, session_id),
        )
        self._viewers[session_id] = viewer
        answered = False
        try:
            answer_sdp = await viewer.answer()
            answered = True
        finally:
            # Also when the request is cancelled because the client went away meanwhile.
            if not answered:
                await viewer.close()
        if session_id in self._viewers:
            self._sessions.add(session_id)
        return WhepAnswer(
            session_id=session_id,
            sdp=answer_sdp,
            codec=offer.codec,
            rtp_offset_video=viewer.rtp_offset_video,
            rtp_offset_audio=viewer.rtp_offset_audio,
            media_time_s=self._media_time_now_s(),
        )

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Take candidates that the viewer found after its offer (RFC 8840 fragment).

        Raises `NoSuchSessionError`, `MalformedOfferError`, or `UnusableOfferError` for an ICE restart.
        """
        if session_id not in self._sessions:
            raise _no_such_session()
        await self._viewers[session_id].trickle(fragment)

    async def delete(self, session_id: str) -> None:
        """End a session. Raises `NoSuchSessionError`."""
        if session_id not in self._sessions:
            raise _no_such_session()
        await self._viewers[session_id].close()

    async def stats(self) -> tuple[ViewerStats, ...]:
        """Every viewer's situation."""
        return tuple([await viewer.stats() for viewer in list(self._viewers.values())])

    async def close(self) -> None:
        """Refuse new viewers, end all sessions and wait for them. Idempotent."""
        self._closing = True
        await asyncio.gather(*(viewer.close() for viewer in list(self._viewers.values())))

    def _check_room(self) -> None:
        if self._closing:
            raise TooManyViewersError("the server is stopping", retry_after_s=RETRY_FULL_S)
        if len(self._viewers) >= self.limits.max_viewers:
            raise TooManyViewersError(
                f"all {self.limits.max_viewers} places are taken; try again later", retry_after_s=RETRY_FULL_S
            )
        if len(self._viewers) - self.viewers >= self.limits.max_pending:
            raise TooManyViewersError("too many viewers are joining; try again", retry_after_s=RETRY_BUSY_S)

    def _media_time_now_s(self) -> float:
        if self._media_time_s is not None:
            return self._media_time_s()
        return self._fanout.media_time_s or 0.0

    def _forget(self, session_id: str) -> None:
        self._viewers.pop(session_id, None)
        self._sessions.discard(session_id)


def require_content_type(value: str | None, wanted: str = SDP_TYPE) -> None:
    """Check a request's Content-Type; parameters such as a charset are ignored.

    Raises `UnsupportedContentTypeError`.
    """
    if value is None or value.split(";")[0].strip().lower() != wanted:
        raise UnsupportedContentTypeError(f"send the body as Content-Type: {wanted}")


def _no_such_session() -> NoSuchSessionError:
    return NoSuchSessionError("the session is unknown or over; POST a new offer")
