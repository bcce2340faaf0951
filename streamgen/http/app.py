"""The HTTP surface of one channel, put together. It starts and stops nothing: whoever made its parts owns them."""

import logging
import secrets
from typing import Final, Protocol

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.limits import MAX_STEERING, Limits, Rates
from streamgen.http.auth import CHANNEL as CHANNEL
from streamgen.http.auth import OperatorAccess, ViewerAccess, challenge, is_loopback
from streamgen.http.hosts import HostGuard
from streamgen.http.metrics import METRICS_TYPE, ChannelStats, metrics_text
from streamgen.http.page import PageFiles, web_folder
from streamgen.http.problem import problem
from streamgen.http.steering import COUNTED, SteeringDoor
from streamgen.http.whep import PREFIX, WhepCors, WhepSessions, whep_routes
from streamgen.integrations.running import Integrations
from streamgen.protocol import Permission
from streamgen.settings import Settings
from streamgen.steering.hub import SteeringHub
from streamgen.version import __version__
from streamgen.webrtc.turn import IceServers

logger = logging.getLogger(__name__)

# Permissions for which there are messages; those of `COUNTED` only where an audience takes part. Clients are told these
# of their own, so that nobody is offered what cannot be done here.
OFFERED: Final[frozenset[Permission]] = frozenset(
    {"prompt", "config", "panic", "moderate", "schedule", "propose", "vote"}
)
RETRY_NOT_READY_S: Final = 1

_SECRET_BYTES: Final = 32


class Channel(Protocol):
    """What is served; `streamgen.channel.Channel` is the real one."""

    @property
    def steering(self) -> SteeringHub:
        """Prompts and settings, and who is connected to change them."""

    def stats(self) -> ChannelStats:
        """How the channel is going."""


def create_app(
    channel: Channel,
    settings: Settings,
    *,
    whep: WhepSessions,
    access: OperatorAccess | None = None,
    offered: frozenset[Permission] | None = None,
    max_steering: int = MAX_STEERING,
    limits: Limits | None = None,
    outside: Integrations | None = None,
) -> FastAPI:
    """The application: WHEP, steering, the page, health and metrics.

    `access` says who may steer; without it that follows from the settings. Who may watch always does. `offered` are
    the permissions for which the channel has messages, by itself all of them. At most `max_steering` are connected.
    `limits` are those of the server, shared with what runs `outside`: OSC, webhook and chat.
    """
    if offered is None:
        offered = OFFERED if channel.steering.voting is not None else OFFERED - COUNTED
    limits = limits if limits is not None else Limits(rates(settings))
    outside = outside if outside is not None else Integrations()
    operator = access if access is not None else OperatorAccess.for_settings(settings)
    app = FastAPI(title="streamgen", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _server_problem)
    app.add_middleware(WhepCors, origins=settings.allowed_origins)
    if is_loopback(settings.host) or settings.allowed_hosts:
        app.add_middleware(HostGuard, extra=settings.allowed_hosts)

    viewers = ViewerAccess.for_settings(settings, operator)
    # Cookies of visitors outlive a restart of the server if its secret does.
    visitor_keys = operator.keys if operator.keys is not None else TokenKeys([secrets.token_urlsafe(_SECRET_BYTES)])
    door = SteeringDoor(
        channel.steering,
        operator,
        settings,
        limits=limits,
        visitor_keys=visitor_keys,
        offered=offered,
        max_steering=max_steering,
    )
    app.include_router(whep_routes(whep, CHANNEL, access=viewers, ice=ice_servers(settings), steering=door.for_session))

    @app.websocket(f"/steer/{CHANNEL}")
    async def steer(websocket: WebSocket, token: str | None = None, client: str | None = None) -> None:
        await door.serve_websocket(websocket, token=token, client=client)

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
        text = metrics_text(channel.stats(), channel.steering, whep.viewers, await whep.stats(), outside.metrics)
        return Response(text, media_type=METRICS_TYPE)

    @app.get(f"/api/channels/{CHANNEL}")
    async def inspect(request: Request) -> Response:
        authorization = request.headers.get("authorization")
        try:
            viewers.check(authorization)
        except WrongTokenError as error:
            status, value = challenge(error, authorization)
            return problem(status, str(error), headers={"WWW-Authenticate": value})
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

    @app.get("/api/osc")
    async def osc_map() -> Response:
        if outside.osc is None:
            return problem(404, "OSC is off here; the setting osc_listen turns it on")
        return JSONResponse({"channel": CHANNEL, "addresses": [address.as_json() for address in outside.osc.addresses]})

    folder = web_folder()
    if folder is None:
        logger.warning("the page is not installed (package streamgen_client); WHEP and steering work without it")
    else:
        app.mount("/", PageFiles(folder), name="page")
    return app


def rates(settings: Settings) -> Rates:
    """How often one person and one address may do what."""
    return Rates(
        vote=settings.vote_rate,
        propose=settings.propose_rate,
        prompt=settings.prompt_rate,
        address_factor=settings.address_rate_factor,
        address_connections=settings.address_connections,
        address_visitors=settings.address_visitors,
    )


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
        detail = f"there is nothing at {request.url.path[:100]}; the pages are at /, /operator, /audience and /overlay"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{request.method} is not possible here; use {allowed}"
    return problem(error.status_code, detail, headers=error.headers)


async def _server_problem(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, so uvicorn logs it with its traceback.
    return problem(500, "the server made a mistake, which is in its log; try again")
