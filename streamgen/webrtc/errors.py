"""Why a WHEP request was refused, with what an HTTP route needs to say so (RFC 9457 problem details).

Status codes follow RFC 9725 (WHIP) and draft-ietf-wish-whep-04: 400 for what is not an SDP at all, 422 for an SDP
that is well formed but cannot be answered.

406 has two meanings in WHEP. With `Content-Type: application/sdp` and a `Location` it is a counter-offer (draft,
section "Server Sends Counter-offer"), which this server never makes: an offer that it cannot answer gets 422. Here
406 has its meaning of RFC 9110, section 15.5.7: the request's `Accept` excludes `application/sdp`, the only type of an
answer. The two cannot be mistaken for each other: ours is a problem document without a `Location`, and goes only to
those who said that they would not take a counter-offer either.
"""

from typing import ClassVar

from streamgen.errors import StreamgenError


class WhepError(StreamgenError):
    """A refused WHEP request; `str(error)` and `detail` say what to do next."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "WHEP request refused"

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        # Seconds for a Retry-After header; None when trying again will not help.
        self.retry_after_s = retry_after_s


class MalformedOfferError(WhepError):
    """The body is not an SDP (or not a trickle fragment)."""

    status = 400
    title = "The body is not a valid session description"


class NoSuchSessionError(WhepError):
    """The session is unknown, or over."""

    status = 404
    title = "No such WHEP session"


class NotAcceptableError(WhepError):
    """The request's Accept excludes the type of every answer; no counter-offer follows (see the module)."""

    status = 406
    title = "The answer would not be accepted"


class NotLiveError(WhepError):
    """The channel has nothing to play yet."""

    status = 409
    title = "The channel is not live"


class OfferTooLargeError(WhepError):
    """The body is longer than any honest offer."""

    status = 413
    title = "The offer is too large"


class UnsupportedContentTypeError(WhepError):
    """The request does not say that its body is an SDP."""

    status = 415
    title = "The content type is not supported"


class UnusableOfferError(WhepError):
    """The SDP is well formed, but this server has no answer to it."""

    status = 422
    title = "The offer cannot be answered"


class TooManyViewersError(WhepError):
    """The server has no room for one more viewer right now."""

    status = 503
    title = "Too many viewers"


class NoFreePortError(WhepError):
    """Every UDP port of the configured range carries a viewer, or belongs to another program."""

    status = 503
    title = "No free media port"


class SessionEndedError(WhepError):
    """The session was closed while its offer was being answered, as when the server stops."""

    status = 503
    title = "The session has ended"
