"""The HTTP surface of one channel, put together. It starts and stops nothing: whoever made its parts owns them."""

import logging
from typing import Final, Protocol

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from streamgen.http.auth import OperatorAccess, ViewerAccess, WrongTokenError, is_loopback
from streamgen.http.hosts import HostGuard, origin_allowed
from streamgen.http.metrics import METRICS_TYPE, ChannelStats, metrics_text
from streamgen.http.page import PageFiles, web_folder
from streamgen.http.problem import problem
from streamgen.http.whep import PREFIX, WhepCors, WhepSessions, whep_routes
from streamgen.protocol import MAX_ID_CHARS
from streamgen.settings import Settings
from streamgen.steering import websocket as steering
from streamgen.steering.hub import SteeringHub
from streamgen.version import __version__
from streamgen.webrtc.turn import IceServers

logger = logging.getLogger(__name__)

CHANNEL: Final = "main"
RETRY_NOT_READY_S: Final = 1


class Channel(Protocol):
    """What is served; `streamgen.channel.Channel` is the real one."""

    @property
    def steering(self) -> SteeringHub:
        """Prompts and settings, and who is connected to change them."""

    def stats(self) -> ChannelStats:
        """How the channel is going."""


def create_app(
    channel: Channel, settings: Settings, *, whep: WhepSessions, access: OperatorAccess | None = None
) -> FastAPI:
    """The application: WHEP, steering, the page, health and metrics.

    `access` says who may steer; without it that follows from the settings. Who may watch always does.
    """
    operator = access if access is not None else OperatorAccess.for_settings(settings)
    app = FastAPI(title="streamgen", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _server_problem)
    app.add_middleware(WhepCors)
    if is_loopback(settings.host) or settings.allowed_hosts:
        app.add_middleware(HostGuard, extra=settings.allowed_hosts)

    viewers = ViewerAccess.for_settings(settings, operator)
    app.include_router(whep_routes(whep, CHANNEL, access=viewers, ice=ice_servers(settings)))

    @app.websocket(f"/steer/{CHANNEL}")
    async def steer(websocket: WebSocket, token: str | None = None, client: str | None = None) -> None:
        await websocket.accept()
        if operator.token is None and not origin_allowed(websocket.headers.get("origin"), settings.allowed_hosts):
            await websocket.close(steering.POLICY_VIOLATION, "a page of another site may not steer this server")
            return
        if client is not None and not (0 < len(client) <= MAX_ID_CHARS and client.isprintable()):
            await websocket.close(steering.POLICY_VIOLATION, f"client has 1 to {MAX_ID_CHARS} printable characters")
            return
        try:
            can = operator.permissions(websocket.headers.get("authorization"), token)
        except WrongTokenError:
            await websocket.close(
                steering.POLICY_VIOLATION, "Wrong token: open the operator's link that the server printed"
            )
            return
        await steering.serve(websocket, channel.steering, client=client, can=can)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok", "version": __version__})

    @app.get("/readyz")
    async def readyz() -> Response:
        status = channel.steering.status
        if status in ("live", "buffering"):
            return JSONResponse({"status": status})
        return problem(
            503,
            f"channel {CHANNEL} is {status}: no new media yet; ask again soon",
            headers={"Retry-After": str(RETRY_NOT_READY_S)},
        )

    @app.get("/metrics")
    async def metrics() -> Response:
        text = metrics_text(channel.stats(), channel.steering, whep.viewers, await whep.stats())
        return Response(text, media_type=METRICS_TYPE)

    @app.get(f"/api/channels/{CHANNEL}")
    async def inspect() -> JSONResponse:
        state = channel.steering.state()
        return JSONResponse(
            {
                "name": CHANNEL,
                "status": state.status,
                "prompt": state.prompt,
                "prompt_id": state.prompt_id,
                "config": state.config.model_dump(),
                "chunk": state.chunk,
                "media_time": state.media_time,
                "viewers": whep.viewers,
                "whep": f"{PREFIX}{CHANNEL}",
                "steer": f"/steer/{CHANNEL}",
            }
        )

    folder = web_folder()
    if folder is None:
        logger.warning("the page is not installed (package streamgen_client); WHEP and steering work without it")
    else:
        app.mount("/", PageFiles(folder), name="page")
    return app


def ice_servers(settings: Settings) -> IceServers:
    """The STUN and TURN servers that viewers are told."""
    return IceServers(
        stun_urls=settings.stun_urls,
        turn_urls=settings.turn_urls,
        turn_secret=settings.turn_secret.get_secret_value() if settings.turn_secret is not None else "",
        turn_ttl_s=settings.turn_ttl_s,
    )


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and request.url.path.startswith((PREFIX, "/steer/", "/api/channels/")):
        detail = f"there is nothing here; this server has one channel, {CHANNEL}"
    elif error.status_code == 404:
        detail = f"there is nothing at {request.url.path[:100]}; the page is at /"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{request.method} is not possible here; use {allowed}"
    return problem(error.status_code, detail, headers=error.headers)


async def _server_problem(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, so uvicorn logs it with its traceback.
    return problem(500, "the server made a mistake, which is in its log; try again")
