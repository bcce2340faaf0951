"""WHEP sessions: an offer in, an answer out, and the viewer behind it until it leaves. HTTP is elsewhere.

All methods belong to the event loop's thread. Follows draft-ietf-wish-whep-04 and RFC 9725 (WHIP), from which it
takes most of its rules: all candidates are in the answer, an ICE restart is refused with 422, no ETag is used.
"""

import asyncio
import functools
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from streamgen.packets import VideoCodec
from streamgen.webrtc.admission import (
    ADDRESS_JOINS_PER_S,
    JOINS_PER_S,
    Admission,
    AdmissionLimits,
    Place,
    address_key,
)
from streamgen.webrtc.data_channels import ServeChannel
from streamgen.webrtc.errors import (
    NoSuchSessionError,
    NotAcceptableError,
    NotLiveError,
    OfferTooLargeError,
    TooManyViewersError,
    UnsupportedContentTypeError,
)
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.offer import Offer
from streamgen.webrtc.ports import MediaNetwork
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

RETRY_STOPPING_S: Final = 10
RETRY_NOT_LIVE_S: Final = 2

MOST_HUNG_UP: Final = 1024
"""Sessions of which it is remembered that their viewers hung up; the oldest are forgotten first."""

_SESSION_ID_BYTES: Final = 24


@dataclass(frozen=True)
class WhepLimits:
    """How much viewers may take."""

    max_viewers: int = 64
    # An offer that never connects holds sockets until the timeout.
    max_pending: int = 16
    joins_per_s: float = JOINS_PER_S
    address_joins_per_s: float = ADDRESS_JOINS_PER_S  # of one client
    max_offer_bytes: int = 64 * 1024
    include_loopback: bool = False  # offer 127.0.0.1 even when the machine has another address
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    @property
    def admission(self) -> AdmissionLimits:
        """The part that says who may join."""
        return AdmissionLimits(
            max_viewers=self.max_viewers,
            max_pending=self.max_pending,
            joins_per_s=self.joins_per_s,
            address_joins_per_s=self.address_joins_per_s,
        )


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
    it the newest packet's is used, which stands still while nobody watches. `network` says on which ports and under
    which addresses viewers receive; without it on any port of each address. `clock_s` is monotonic, for rates.
    """

    def __init__(
        self,
        fanout: Fanout,
        limits: WhepLimits | None = None,
        *,
        is_live: Callable[[], bool] = lambda: True,
        media_time_s: Callable[[], float] | None = None,
        network: MediaNetwork | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits if limits is not None else WhepLimits()
        self._fanout = fanout
        self._is_live = is_live
        self._media_time_s = media_time_s
        self._network = network
        self._clock_s = clock_s
        self._admission = Admission(self.limits.admission)
        self._viewers: dict[str, Viewer] = {}
        self._addresses: dict[str, str | None] = {}  # under which the viewers are counted; same keys
        self._sessions: set[str] = set()  # ids of answered sessions, a subset of _viewers
        # Ids of sessions that ended without a DELETE. Some clients (whip-whep) close the connection first and then
        # send theirs, which has come to its end as well as any other: it is answered like one.
        self._hung_up: dict[str, None] = {}
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

    async def offer(
        self,
        sdp: str,
        address: str | None = None,
        *,
        serve_channel: ServeChannel | None = None,
        ends_at: float | None = None,
    ) -> WhepAnswer:
        """Answer an offer from the client at `address`. Raises a `WhepError`; nothing is left behind then.

        `serve_channel` serves the data channel with which the viewer steers, if it opens one; without it none is
        served. The session ends at `ends_at`, a Unix time in seconds; None: whenever the viewer leaves.
        """
        if len(sdp.encode("utf-8", "replace")) > self.limits.max_offer_bytes:
            raise OfferTooLargeError(f"an offer has at most {self.limits.max_offer_bytes} bytes; leave codecs out")
        offer = Offer.read(sdp)
        if not self._is_live():
            raise NotLiveError("the channel is starting; try again soon", retry_after_s=RETRY_NOT_LIVE_S)
        self._admit(address)
        session_id = secrets.token_urlsafe(_SESSION_ID_BYTES)
        viewer = Viewer(
            self._fanout.add(offer.codec),
            offer,
            include_loopback=self.limits.include_loopback,
            connect_timeout_s=self.limits.connect_timeout_s,
            network=self._network,
            serve_channel=serve_channel,
            ends_at=ends_at,
            on_closed=functools.partial(self._forget, session_id),
        )
        self._viewers[session_id] = viewer
        self._addresses[session_id] = address_key(address)
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

    def has(self, session_id: str) -> bool:
        """Whether this session has been answered and has not ended."""
        return session_id in self._sessions

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Take candidates that the viewer found after its offer (RFC 8840 fragment).

        Raises `NoSuchSessionError`, `MalformedOfferError`, or `UnusableOfferError` for an ICE restart.
        """
        if session_id not in self._sessions:
            raise _no_such_session()
        await self._viewers[session_id].trickle(fragment)

    async def delete(self, session_id: str) -> None:
        """End a session, or confirm once that it has ended by itself. Raises `NoSuchSessionError`."""
        if session_id in self._sessions:
            await self._viewers[session_id].close()
        elif session_id not in self._hung_up:
            raise _no_such_session()
        self._hung_up.pop(session_id, None)

    async def stats(self) -> tuple[ViewerStats, ...]:
        """Every viewer's situation."""
        return tuple([await viewer.stats() for viewer in list(self._viewers.values())])

    async def close(self) -> None:
        """Refuse new viewers, end all sessions and wait for them. Idempotent."""
        self._closing = True
        await asyncio.gather(*(viewer.close() for viewer in list(self._viewers.values())))

    def _admit(self, address: str | None) -> None:
        if self._closing:
            raise TooManyViewersError("the server is stopping; try again later", retry_after_s=RETRY_STOPPING_S)
        if self._network is not None and self._network.ports is not None:
            self._network.ports.check_free()
        taken = [Place(self._addresses[id], viewer.connected) for id, viewer in self._viewers.items()]
        self._admission.admit(address, taken, self._clock_s())

    def _media_time_now_s(self) -> float:
        if self._media_time_s is not None:
            return self._media_time_s()
        return self._fanout.media_time_s or 0.0

    def _forget(self, session_id: str) -> None:
        self._viewers.pop(session_id, None)
        self._addresses.pop(session_id, None)
        if session_id in self._sessions:
            self._sessions.remove(session_id)
            self._hung_up[session_id] = None
            if len(self._hung_up) > MOST_HUNG_UP:
                del self._hung_up[next(iter(self._hung_up))]


def require_content_type(value: str | None, wanted: str = SDP_TYPE) -> None:
    """Check a request's Content-Type; parameters such as a charset are ignored.

    Raises `UnsupportedContentTypeError`.
    """
    if value is None or value.split(";")[0].strip().lower() != wanted:
        raise UnsupportedContentTypeError(f"send the body as Content-Type: {wanted}")


def require_accept(value: str | None, wanted: str = SDP_TYPE) -> None:
    """Check that a request's Accept allows the answer's type (RFC 9110, section 12.5.1). None: there is none.

    Raises `NotAcceptableError`.
    """
    kind = wanted.split("/")[0]
    # Of the ranges that match, the most exact one decides.
    weights = _weights(value or "*/*")
    for each in (wanted, f"{kind}/*", "*/*"):
        if each in weights:
            if weights[each]:
                return
            break
    raise NotAcceptableError(f"the answer is {wanted}; send Accept: {wanted}, or no Accept at all")


def _weights(accept: str) -> dict[str, bool]:
    """The media ranges of an Accept header, without parameters, and whether they are accepted (q above 0)."""
    weights: dict[str, bool] = {}
    for part in accept.lower().split(","):
        media_range, *parameters = (each.strip() for each in part.split(";"))
        quality = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
        weights[media_range] = weights.get(media_range, False) or quality.strip("0.") != ""
    return weights


def _no_such_session() -> NoSuchSessionError:
    return NoSuchSessionError("the session is unknown or over; POST a new offer")
