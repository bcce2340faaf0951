"""WHEP over HTTP (draft-ietf-wish-whep-04, RFC 9725): the routes around the sessions of `streamgen.webrtc.whep`.

    POST    /whep/main        application/sdp offer -> 201, answer, Location of the session, Link of ICE servers
    PATCH   /whep/main/{id}   application/trickle-ice-sdpfrag -> 204; an ICE restart -> 422
    DELETE  /whep/main/{id}   ends the session; also right, once, for a viewer that has hung up already
    GET     both              204: there is something here, and it has no representation
    OPTIONS both              what is accepted, and CORS; at the first also Link of ICE servers

A viewer that offers a data channel steers over it, with the token of its POST and under the name `?client=`.

No ETag is sent and no If-Match is asked for: sessions never restart ICE, and clients exist that lose it.

Where not everybody may watch, every request but OPTIONS needs `Authorization: Bearer` (draft, section "Bearer token
authentication"). OPTIONS is open because a browser's preflight carries no credentials; the ICE servers, whose
credentials are worth something, are told only to those who may watch.
"""

import asyncio
import secrets
import time
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamgen.http.auth import ViewerAccess, WrongTokenError, challenge
from streamgen.http.hosts import cors_headers
from streamgen.http.problem import problem
from streamgen.http.steering import SessionSteering
from streamgen.webrtc.data_channels import ServeChannel
from streamgen.webrtc.errors import MalformedOfferError, NoSuchSessionError, OfferTooLargeError, WhepError
from streamgen.webrtc.offer import asks_for_data
from streamgen.webrtc.turn import IceServers
from streamgen.webrtc.viewer import ViewerStats
from streamgen.webrtc.whep import (
    EXPOSED_HEADERS,
    FRAGMENT_TYPE,
    SDP_TYPE,
    WhepAnswer,
    require_accept,
    require_content_type,
)

MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
PREFIX: Final = "/whep/"

_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
}
_ENDPOINT_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_SESSION_METHODS: Final = "GET, HEAD, PATCH, DELETE, OPTIONS"
# Answered here, because the router would name the methods of one route only (RFC 9110, section 15.5.6).
_ENDPOINT_OTHERS: Final = ("PUT", "PATCH", "DELETE")
_SESSION_OTHERS: Final = ("PUT", "POST")

_TURN_NAME_BYTES: Final = 9


class WhepSessions(Protocol):
    """The viewers of one channel; `streamgen.webrtc.whep.WhepServer` is the real one."""

    @property
    def viewers(self) -> int:
        """How many receive media now."""

    async def offer(
        self, sdp: str, address: str | None, *, serve_channel: ServeChannel | None, ends_at: float | None
    ) -> WhepAnswer:
        """Answer an offer from the client at this address; its session steers so, and ends at that Unix time."""

    def has(self, session_id: str) -> bool:
        """Whether this session is there."""

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Take candidates."""

    async def delete(self, session_id: str) -> None:
        """End a session."""

    async def stats(self) -> tuple[ViewerStats, ...]:
        """Every viewer's situation."""


class SteeringOf(Protocol):
    """How viewers steer over their data channel; `SteeringDoor.for_session` is the real one."""

    def __call__(self, request: HTTPConnection, *, client: str | None) -> SessionSteering:
        """What the session that this request opens steers with, under this name."""


class SlowBodyError(WhepError):
    """The body of a request does not come to its end."""

    status = 408
    title = "The body came too slowly"


class NotAllowedError(WhepError):
    """The request carries no token that allows watching."""

    status = 401
    title = "A token is needed to watch"

    def __init__(self, detail: str, challenge: str) -> None:
        super().__init__(detail)
        self.challenge = challenge  # value of WWW-Authenticate


class LackingRoleError(NotAllowedError):
    """The request carries a token that holds, and does not allow watching."""

    status = 403
    title = "This token does not allow watching"


class WhepCors:
    """ASGI middleware: every answer under /whep/, errors included, says which pages may play the stream.

    `origins` are those of the settings; without any, every page may.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the CORS headers to the response."""

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Access-Control-Expose-Headers", EXPOSED_HEADERS)
                for name, value in cors_headers(Headers(scope=scope).get("origin"), self._origins).items():
                    headers.setdefault(name, value)
            await send(message)

        wanted = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await self._app(scope, receive, send_with_cors if wanted else send)


def whep_routes(
    sessions: WhepSessions,
    channel: str,
    *,
    access: ViewerAccess | None = None,
    ice: IceServers | None = None,
    steering: SteeringOf | None = None,
) -> APIRouter:
    """The routes of one channel. `access` says who may watch, without it everybody; `ice` what viewers are told.

    `steering` serves the data channels of those who steer by one; without it nobody does.
    """
    router = APIRouter(prefix=f"{PREFIX}{channel}")
    viewers = access if access is not None else ViewerAccess()
    servers = ice if ice is not None else IceServers()

    @router.post("", status_code=201, response_class=Response)
    async def create(request: Request, client: str | None = None) -> Response:
        steers: SessionSteering | None = None
        try:
            ends_at = _require_token(viewers, request)
            require_content_type(request.headers.get("content-type"), SDP_TYPE)
            require_accept(request.headers.get("accept"), SDP_TYPE)
            sdp = await _body(request)
            # Whoever asks for no data channel is nobody who has to be known by name.
            if steering is not None and asks_for_data(sdp):
                steers = steering(request, client=client)
            answer = await sessions.offer(
                sdp,
                request.client.host if request.client else None,
                serve_channel=steers.serve_channel if steers is not None else None,
                ends_at=ends_at,
            )
        except WhepError as error:
            return whep_problem(error)
        location = f"{request.scope.get('root_path', '')}{PREFIX}{channel}/{answer.session_id}"
        headers = {**answer.headers, "Location": location}
        if steers is not None and steers.set_cookie is not None:
            headers["Set-Cookie"] = steers.set_cookie
        return _with_ice_servers(Response(answer.sdp, 201, headers, media_type=SDP_TYPE), servers)

    @router.patch("/{session_id}", status_code=204, response_class=Response)
    async def trickle(session_id: str, request: Request) -> Response:
        try:
            _require_token(viewers, request)
            require_content_type(request.headers.get("content-type"), FRAGMENT_TYPE)
            await sessions.trickle(session_id, await _body(request))
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=204)

    @router.delete("/{session_id}", response_class=Response)
    async def delete(session_id: str, request: Request) -> Response:
        try:
            _require_token(viewers, request)
            await sessions.delete(session_id)
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=200)

    @router.api_route("", methods=["GET", "HEAD"], status_code=204, response_class=Response, include_in_schema=False)
    async def look(request: Request) -> Response:
        try:
            _require_token(viewers, request)
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=204)

    @router.api_route(
        "/{session_id}", methods=["GET", "HEAD"], status_code=204, response_class=Response, include_in_schema=False
    )
    async def look_at_session(session_id: str, request: Request) -> Response:
        try:
            _require_token(viewers, request)
            if not sessions.has(session_id):
                raise NoSuchSessionError("the session is unknown or over; POST a new offer")
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=204)

    @router.options("", response_class=Response)
    async def options(request: Request) -> Response:
        response = _preflight(_ENDPOINT_METHODS, {"Accept-Post": SDP_TYPE})
        # A preflight is the browser's own and is kept for a day; no page ever reads it.
        if "access-control-request-method" not in request.headers and viewers.allows(_authorization(request)):
            return _with_ice_servers(response, servers)
        return response

    @router.options("/{session_id}", response_class=Response)
    async def session_options(session_id: str) -> Response:
        return _preflight(_SESSION_METHODS, {"Accept-Patch": FRAGMENT_TYPE})

    @router.api_route("", methods=list(_ENDPOINT_OTHERS), include_in_schema=False)
    async def not_here() -> Response:
        raise HTTPException(405, headers={"Allow": _ENDPOINT_METHODS})

    @router.api_route("/{session_id}", methods=list(_SESSION_OTHERS), include_in_schema=False)
    async def not_at_a_session(session_id: str) -> Response:
        raise HTTPException(405, headers={"Allow": _SESSION_METHODS})

    return router


def whep_problem(error: WhepError) -> Response:
    """A refused WHEP request as a problem document."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, NotAllowedError):
        headers["WWW-Authenticate"] = error.challenge
    return problem(error.status, error.detail, title=error.title, headers=headers)


def _authorization(request: Request) -> str | None:
    return request.headers.get("authorization")


def _require_token(access: ViewerAccess, request: Request) -> float | None:
    """Until when the request allows watching (Unix time, s), None without an end. Raises `NotAllowedError`."""
    given = _authorization(request)
    try:
        return access.check(given)
    except WrongTokenError as error:
        status, value = challenge(error, given)
        kind = LackingRoleError if status == LackingRoleError.status else NotAllowedError
        raise kind(str(error), value) from None


def _with_ice_servers(response: Response, servers: IceServers) -> Response:
    """Tell this viewer the STUN and TURN servers (RFC 9725, section 4.6), with credentials of its own."""
    # Wall time on purpose: the TURN server compares with its own.
    for link in servers.links(name=secrets.token_urlsafe(_TURN_NAME_BYTES), now_s=int(time.time())):
        response.headers.append("Link", link)
    response.headers["Cache-Control"] = "no-store"
    return response


def _preflight(methods: str, accepts: Mapping[str, str]) -> Response:
    # 200, as the draft has it for every OPTIONS request.
    return Response(
        status_code=200,
        headers={"Allow": methods, "Access-Control-Allow-Methods": methods, **_PREFLIGHT_HEADERS, **accepts},
    )


async def _body(request: Request) -> str:
    """The body as text. Raises a `WhepError` as soon as it is too long, too slow or not text."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise OfferTooLargeError(f"a body has at most {MAX_BODY_BYTES} bytes; leave codecs out")
    except TimeoutError:
        raise SlowBodyError(f"the body took longer than {BODY_TIMEOUT_S:.0f} s; send it again") from None
    except ClientDisconnect:
        raise MalformedOfferError("the body ended early; send it again") from None
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedOfferError("the body is not UTF-8 text; send the SDP as it is") from None
