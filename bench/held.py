"""A WHEP server in a process of its own, for `bench.joins`, that says what it holds: tasks, sockets, threads, memory.

It is the server's own HTTP and WebRTC with a programme of one picture and one tone, without a generator: what viewers
leave behind is looked for here, and a generator's memory would only hide it.
"""

import asyncio
import gc
import multiprocessing
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

import numpy as np
import psutil
import uvicorn
from fastapi import FastAPI

from streamgen.http.whep import whep_routes
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.layers import Rung
from streamgen.media.video_encoder import VideoEncoder
from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket, Layer, VideoPacket
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.whep import WhepLimits, WhepServer

HOST: Final = "127.0.0.1"
FPS: Final = 25
RUNG: Final = Rung(320, 180, 500_000)
CONNECT_TIMEOUT_S: Final = 10.0
SETTLE_LIMIT_S: Final = 120.0  # for the last viewers to be given up
_LAYER: Final = Layer("vp8", 0)
_SLOT_S: Final = 0.02
_SLOTS_PER_PICTURE: Final = 2
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Held:
    """What the server's process holds while nobody watches."""

    sessions: int
    tasks: int
    sockets: int
    descriptors: int
    threads: int
    resident_mib: float


class HeldServer:
    """`async with HeldServer() as server: ...`; `url` is that of WHEP."""

    url: str

    async def __aenter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.url = str(await asyncio.to_thread(self._ours.recv))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):  # it has ended by itself
            self._ours.send("end")
        await asyncio.to_thread(self._process.join, 30)
        self._ours.close()

    async def held(self) -> Held:
        """What it holds once every viewer has gone, or what it still holds after `SETTLE_LIMIT_S`."""
        self._ours.send("held")
        found = await asyncio.to_thread(self._ours.recv)
        assert isinstance(found, Held)
        return found


def _run(connection: Connection) -> None:
    asyncio.run(_serve(connection))


async def _serve(connection: Connection) -> None:
    fanout = Fanout(rungs=(RUNG,))
    limits = WhepLimits(
        max_viewers=4096,
        max_pending=4096,
        joins_per_s=1e6,
        address_joins_per_s=1e6,
        connect_timeout_s=CONNECT_TIMEOUT_S,
    )
    async with WhepServer(fanout, limits) as whep, _on_air(fanout):
        app = FastAPI()
        app.include_router(whep_routes(whep, "main"))
        with socket.create_server((HOST, 0)) as listener:
            server = _Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            connection.send(f"http://{HOST}:{listener.getsockname()[1]}/whep/main")
            while await asyncio.to_thread(connection.recv) == "held":
                connection.send(await _held(whep))
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the parent process says when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


async def _held(whep: WhepServer) -> Held:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while whep.sessions:  # noqa: ASYNC110 - told by an event that may be past
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)  # connections of HTTP and transports close in the loop's next rounds
    gc.collect()
    process = psutil.Process()
    return Held(
        sessions=whep.sessions,
        tasks=len(asyncio.all_tasks()),
        sockets=len(process.net_connections(kind="all")),
        descriptors=process.num_fds(),
        threads=threading.active_count(),
        resident_mib=process.memory_info().rss / _MIB,
    )


@asynccontextmanager
async def _on_air(fanout: Fanout) -> AsyncIterator[None]:
    # A keyframe each time: whoever joins starts at once, and nothing is encoded while it is measured.
    rng = np.random.default_rng(1)
    planes = rng.integers(16, 235, (RUNG.height * 3 // 2, RUNG.width), dtype=np.uint8)
    picture = VideoEncoder(_LAYER, RUNG, fps=(FPS, 1)).encode(planes, 0, keyframe=True).data
    tone = np.sin(np.arange(AUDIO_CLOCK_HZ) / 20, dtype=np.float32) * 0.3
    sound = [packet.data for packet in AudioEncoder(AUDIO_CLOCK_HZ, 2).encode(np.stack((tone, tone)))]

    async def play() -> None:
        loop = asyncio.get_running_loop()
        due_s, slot = loop.time(), 0
        while True:
            if slot % _SLOTS_PER_PICTURE == 0:
                pts = slot // _SLOTS_PER_PICTURE * VIDEO_CLOCK_HZ // FPS
                fanout.video(VideoPacket(_LAYER, pts, True, picture))
                fanout.flush()
            fanout.audio(AudioPacket(slot * 960, sound[slot % len(sound)]))
            slot += 1
            # On a machine that is too slow the programme takes longer; it does not try to catch up.
            due_s = max(due_s + _SLOT_S, loop.time())
            await asyncio.sleep(due_s - loop.time())

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
