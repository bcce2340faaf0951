"""A whole server for the client's tests: the real HTTP application, steering and WHEP around a test programme."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import uvicorn

from streamgen.http.app import create_app
from streamgen.http.auth import OperatorAccess
from streamgen.packets import ChunkRecord, Command, GeneratorStats, PromptQueued, SetPrompt
from streamgen.settings import Settings
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.steering.voting import Voting
from streamgen.steering.voting_clock import keep_time
from streamgen.webrtc.fanout import FanoutStats
from streamgen.webrtc.whep import WhepLimits, WhepServer
from tests.webrtc.loopback import PICTURE_TICKS, Programme, until

CHUNK_PICTURES = 4


@dataclass
class Stats:
    fanout: FanoutStats
    generator: GeneratorStats | None = None
    underruns: int = 0
    restarts: int = 0


@dataclass
class Station:
    """A channel whose chunks are made of the test programme; a prompt is applied with the next chunk."""

    programme: Programme
    chunk: int = 0
    commands: list[Command] = field(default_factory=list)
    url: str = ""
    hold: bool = False  # prompts wait and are not applied
    voting: Voting | None = None
    whep: WhepServer = field(init=False)

    def __post_init__(self) -> None:
        self.steering = SteeringHub(
            SteeringSession("main", prompt="calm sea"),
            send=self._command,
            media_time_s=self._media_time_s,
            voting=self.voting,
        )
        self._waiting: SetPrompt | None = None
        self._current: SetPrompt | None = None

    def _media_time_s(self) -> float:
        return self.programme.number * PICTURE_TICKS / 90_000

    def _command(self, command: Command) -> None:
        self.commands.append(command)
        if isinstance(command, SetPrompt):
            self._waiting = command

    def stats(self) -> Stats:
        return Stats(self.programme.fanout.stats())

    def play_chunk(self) -> None:
        applied: tuple[str, ...] = ()
        if self._waiting is not None and not self.hold:
            self._current, self._waiting = self._waiting, None
            self.steering.prompt_queued(PromptQueued(self._current.id, 0.0))
            applied = (self._current.id,)
        first = self.programme.number
        record = ChunkRecord(
            chunk=self.chunk,
            first_frame=first,
            fps=(25, 2),
            pts=first * PICTURE_TICKS,
            prompt_id=self._current.id if self._current else None,
            prompt=self._current.text if self._current else "calm sea",
            seed=0,
            guidance=1.0,
            steps=4,
            applied=applied,
        )
        self.chunk += 1
        for _ in range(CHUNK_PICTURES):
            self.programme.release()
        self.steering.chunk_started(record)
        self.programme.fanout.chunk_started(record)


@asynccontextmanager
async def on_air(
    *,
    start: int = 0,
    token: str | None = None,
    limits: WhepLimits | None = None,
    live: bool = True,
    voting: Voting | None = None,
) -> AsyncIterator[Station]:
    """A station at `station.url` that plays faster than real time."""
    station = Station(Programme("vp8", start=start), voting=voting)
    station.steering.generator_ready()
    listener = socket.create_server(("127.0.0.1", 0))
    station.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with WhepServer(station.programme.fanout, limits, is_live=lambda: live) as whep:
        station.whep = whep
        app = create_app(station, Settings(), whep=whep, access=OperatorAccess(token))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off"))
        tasks = [asyncio.create_task(server.serve([listener])), asyncio.create_task(_play(station))]
        if voting is not None:
            tasks.append(asyncio.create_task(keep_time(station.steering)))
        try:
            await until(lambda: server.started)
            yield station
        finally:
            server.should_exit = True
            for task in tasks[1:]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await tasks[0]
            listener.close()


async def _play(station: Station) -> None:
    while True:
        station.play_chunk()
        await asyncio.sleep(0.02)
