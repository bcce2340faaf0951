"""A server as viewers from outside meet it: the real HTTP and WebRTC, with a programme of known pictures to play."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aioice import Candidate, Connection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamgen.http.app import create_app
from streamgen.http.server import _configuration, _Server
from streamgen.packets import VideoCodec
from streamgen.settings import Settings
from streamgen.webrtc.whep import WhepLimits, WhepServer
from tests.http.fakes import FakeChannel
from tests.webrtc.loopback import Programme
from tests.webrtc.test_chromium import on_air

HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 120.0  # for what takes less than a second on an idle machine


@dataclass
class Exchange:
    """One request and how it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)


class HttpLog:
    """ASGI middleware that keeps what is asked under /whep/ and what is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.exchanges: list[Exchange] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/whep/"):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope["method"], scope["path"], _headers(scope["headers"]))
        self.exchanges.append(exchange)

        async def receive_and_keep() -> Message:
            message = await receive()
            exchange.body += message.get("body", b"")
            return message

        async def send_and_keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.answer_headers = _headers(message["headers"])
            await send(message)

        await self._app(scope, receive_and_keep, send_and_keep)

    def of(self, method: str) -> list[Exchange]:
        """What was asked with this method, in order."""
        return [each for each in self.exchanges if each.method == method]


def _headers(raw: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


@dataclass(frozen=True)
class Stage:
    """A server that plays."""

    url: str  # of WHEP
    programme: Programme
    whep: WhepServer
    http: HttpLog

    def told(self) -> list[Candidate]:
        """The candidates that viewers have told, without those that ICE found by itself."""
        known = [each for connection in self._connections() for each in connection._remote_candidates]
        return [each for each in known if each.type != "prflx"]

    def remote_ports(self) -> set[int]:
        """The ports to which media is sent, one of each viewer."""
        return {connection._nominated[1].remote_addr[1] for connection in self._connections()}

    def _connections(self) -> list[Connection]:
        return [viewer._senders["video"].transport.transport._connection for viewer in self.whep._viewers.values()]

    async def empty(self) -> None:
        """Wait until every viewer has gone."""
        async with asyncio.timeout(PATIENCE_S):
            while self.whep.sessions or self.whep.viewers or self.programme.fanout.stats().subscribers:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def on_stage(*codecs: VideoCodec, loopback: bool = False, **settings: Any) -> AsyncIterator[Stage]:
    """A server on a free port of this machine, playing until the block ends.

    `loopback`: media is offered on 127.0.0.1 as well, whatever other addresses there are.
    """
    chosen = Settings(host=HOST, **settings)
    programme = Programme(*codecs, start=100)
    async with WhepServer(programme.fanout, WhepLimits(include_loopback=loopback)) as whep, on_air(programme):
        log = HttpLog(create_app(FakeChannel(), chosen, whep=whep))
        async with serving(log, chosen) as origin:
            yield Stage(f"{origin}/whep/main", programme, whep, log)


@asynccontextmanager
async def serving(app: ASGIApp, settings: Settings | None = None) -> AsyncIterator[str]:
    """Serve an application as `streamgen serve` does; gives its origin."""
    started = asyncio.Event()
    configuration = _configuration(app, settings if settings is not None else Settings())  # type: ignore[arg-type]
    server = _Server(configuration, started.set)
    with socket.create_server((HOST, 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await started.wait()
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await task
