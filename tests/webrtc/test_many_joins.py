"""Hundreds of viewers that come and go leave nothing behind: no task, socket, thread, or object."""

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil
from aiortc import RTCPeerConnection

from streamgen.webrtc.path import DatagramPath
from streamgen.webrtc.sender import Outlet, TrackSender
from streamgen.webrtc.subscription import Subscription
from streamgen.webrtc.viewer import Viewer
from streamgen.webrtc.whep import WhepLimits, WhepServer
from tests.webrtc.loopback import Player, Programme

ROUNDS: Final = 20
WAYS: Final = ("delete",) * 3 + ("goodbye",) * 2 + ("vanish",) * 2 + ("unconnected",) * 2 + ("never",)
"""How the viewers of a round leave; they come together."""
PATIENCE_S: Final = 240.0
LIMITS: Final = WhepLimits(
    max_viewers=1000, max_pending=1000, joins_per_s=1e6, address_joins_per_s=1e6, connect_timeout_s=10.0
)
OURS: Final = (Viewer, Subscription, Outlet, TrackSender, DatagramPath, RTCPeerConnection)


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    tasks: int
    descriptors: int
    sockets: int
    threads: int
    objects: tuple[tuple[str, int], ...]  # of our classes, how many of each

    @classmethod
    def now(cls) -> "Held":
        gc.collect()
        process = psutil.Process()
        # The class itself, not isinstance: some objects of other libraries answer that with a warning.
        found = Counter(type(each) for each in gc.get_objects())
        return cls(
            tasks=len(asyncio.all_tasks()),
            descriptors=process.num_fds(),
            sockets=len(process.net_connections(kind="all")),
            threads=threading.active_count(),
            objects=tuple((each.__name__, found[each]) for each in OURS),
        )


def fall_silent(player: Player) -> None:
    """Its network is gone: nothing that it sends arrives any more, not even a goodbye."""
    for transceiver in player.peer.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            protocol.transport.sendto = _into_nothing  # type: ignore[method-assign]


def _into_nothing(data: Any, addr: Any = None) -> None:
    """Sends nothing."""


async def come_and_go(server: WhepServer, way: str) -> None:
    """One viewer, from its offer until it has left in this way."""
    async with Player() as player:
        answer = await server.offer(await player.offer())
        if way == "unconnected":  # changes its mind before it connects
            await server.delete(answer.session_id)
            return
        if way == "never":  # does not connect at all
            return
        await player.accept(answer.sdp)
        async with asyncio.timeout(PATIENCE_S):
            while not player.video.frames or not player.audio.frames:  # noqa: ASYNC110 - aiortc has no event for it
                await asyncio.sleep(0.02)
        if way == "delete":
            await server.delete(answer.session_id)
        elif way == "vanish":
            fall_silent(player)


@asynccontextmanager
async def on_air(programme: Programme) -> AsyncIterator[None]:
    async def play() -> None:
        while True:
            programme.release()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_two_hundred_joins_leave_nothing_behind() -> None:
    programme = Programme("vp8")
    async with WhepServer(programme.fanout, LIMITS) as server, on_air(programme):
        # Once beforehand: libraries keep some things from their first use on.
        await come_and_go(server, "delete")
        before = Held.now()
        for _ in range(ROUNDS):
            async with asyncio.TaskGroup() as viewers:
                for way in WAYS:
                    viewers.create_task(come_and_go(server, way))
        # Those who vanished, or never connected, are given up after some seconds.
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while server.sessions or Held.now() != before:  # noqa: ASYNC110 - nor has Python
                    await asyncio.sleep(0.5)
        assert Held.now() == before
        assert (server.sessions, server.viewers) == (0, 0)
        stats = programme.fanout.stats()
        assert (stats.subscribers, stats.layers) == (0, 0)
        assert programme.fanout.watched == frozenset()
        assert programme.fanout._keyframes == {}
        assert {count for _, count in Held.now().objects} == {0}
