"""WHEP over HTTP (draft-ietf-wish-whep, RFC 9725): the routes around the sessions of `streamgen.webrtc.whep`.

    POST    /whep/main        application/sdp offer -> 201, answer, Location of the session
    PATCH   /whep/main/{id}   application/trickle-ice-sdpfrag -> 204; an ICE restart -> 422
    DELETE  /whep/main/{id}   ends the session
    OPTIONS both              what is accepted, and CORS

No ETag is sent and no If-Match is asked for: sessions never restart ICE, and clients exist that lose it.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamgen.http.problem import problem
from streamgen.webrtc.errors import MalformedOfferError, OfferTooLargeError, WhepError
from streamgen.webrtc.viewer import ViewerStats
from streamgen.webrtc.whep import EXPOSED_HEADERS, FRAGMENT_TYPE, SDP_TYPE, WhepAnswer, require_content_type

MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
PREFIX: Final = "/whep/"

CORS_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": EXPOSED_HEADERS,
}
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
}


class WhepSessions(Protocol):
    """The viewers of one channel; `streamgen.webrtc.whep.WhepServer` is the real one."""

    @property
    def viewers(self) -> int:
        """How many receive media now."""

    async def offer(self, sdp: str) -> WhepAnswer:
        """Answer an offer."""

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Take candidates."""

    async def delete(self, session_id: str) -> None:
        """End a session."""

    async def stats(self) -> tuple[ViewerStats, ...]:
        """Every viewer's situation."""


class SlowBodyError(WhepError):
    """The body of a request does not come to its end."""

    status = 408
    title = "The body came too slowly"


class WhepCors:
    """ASGI middleware: any page may play the stream, so every answer under /whep/ says so, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the CORS headers to the response."""

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in CORS_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        wanted = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await self._app(scope, receive, send_with_cors if wanted else send)


def whep_routes(sessions: WhepSessions, channel: str) -> APIRouter:
    """The routes of one channel."""
    router = APIRouter(prefix=f"{PREFIX}{channel}")

    @router.post("", status_code=201, response_class=Response)
    async def create(request: Request) -> Response:
        try:
            require_content_type(request.headers.get("content-type"), SDP_TYPE)
            answer = await sessions.offer(await _body(request))
        except WhepError as error:
            return whep_problem(error)
        location = f"{request.scope.get('root_path', '')}{PREFIX}{channel}/{answer.session_id}"
        headers = {**answer.headers, "Location": location, "Cache-Control": "no-store"}
        return Response(answer.sdp, 201, headers, media_type=SDP_TYPE)

    @router.patch("/{session_id}", status_code=204, response_class=Response)
    async def trickle(session_id: str, request: Request) -> Response:
        try:
            require_content_type(request.headers.get("content-type"), FRAGMENT_TYPE)
            await sessions.trickle(session_id, await _body(request))
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=204)

    @router.delete("/{session_id}", response_class=Response)
    async def delete(session_id: str) -> Response:
        try:
            await sessions.delete(session_id)
        except WhepError as error:
            return whep_problem(error)
        return Response(status_code=200)

    @router.options("", status_code=204, response_class=Response)
    async def options() -> Response:
        return _preflight("POST, OPTIONS", {"Accept-Post": SDP_TYPE})

    @router.options("/{session_id}", status_code=204, response_class=Response)
    async def session_options(session_id: str) -> Response:
        return _preflight("PATCH, DELETE, OPTIONS", {"Accept-Patch": FRAGMENT_TYPE})

    return router


def whep_problem(error: WhepError) -> Response:
    """A refused WHEP request as a problem document."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return problem(error.status, error.detail, title=error.title, headers=headers)


def _preflight(methods: str, accepts: Mapping[str, str]) -> Response:
    return Response(
        status_code=204,
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
