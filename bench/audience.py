"""An audience for `bench.fanout`: many real viewers in a process of its own, who throw away what they receive.

Each is a whole aiortc peer (ICE, DTLS, SRTP keys), so the server sends what it would send to a browser; only after the
handshake it stops decrypting and counts packets, because otherwise the audience would be what is measured.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Collection
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

_FIRST_MEDIA_BYTE: Final = 128  # RFC 7983: STUN and DTLS begin with less

Answer = Callable[[str], Awaitable[str]]


class Audience:
    """Viewers of one server; `async with Audience() as audience: await audience.join(20, answer)`.

    With `cores` they stay on those, and what they receive too late there the kernel throws away.
    """

    def __init__(self, cores: Collection[int] = ()) -> None:
        self._cores = frozenset(cores)

    async def __aenter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, self._cores), daemon=True)
        self._process.start()
        theirs.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.send(("end", None))
        await asyncio.to_thread(self._process.join, 30)
        self._ours.close()

    async def join(self, viewers: int, answer: Answer) -> None:
        """Let so many viewers join, one after the other; `answer` makes an answer of an offer."""
        for _ in range(viewers):
            offer = await self._ask("offer", None)
            await self._ask("answer", await answer(str(offer)))

    async def received(self) -> int:
        """RTP and RTCP packets that all viewers got since the last time."""
        return int(await self._ask("received", None))

    async def _ask(self, what: str, value: Any) -> Any:
        self._ours.send((what, value))
        return await asyncio.to_thread(self._ours.recv)


def _run(connection: Connection, cores: frozenset[int]) -> None:
    if cores:
        os.sched_setaffinity(0, cores)
    asyncio.run(_sit(connection))


async def _sit(connection: Connection) -> None:
    peers: list[RTCPeerConnection] = []
    count = [0]
    while True:
        what, value = await asyncio.to_thread(connection.recv)
        if what == "offer":
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peers.append(peer)
            for kind in ("video", "audio"):
                peer.addTransceiver(kind, direction="recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            connection.send(peer.localDescription.sdp)
        elif what == "answer":
            await peers[-1].setRemoteDescription(RTCSessionDescription(sdp=value, type="answer"))
            while peers[-1].connectionState != "connected":  # noqa: ASYNC110 - told by an event that may be past
                await asyncio.sleep(0.005)
            _throw_away(peers[-1], count)
            connection.send(None)
        elif what == "received":
            connection.send(count[0])
            count[0] = 0
        else:
            await asyncio.gather(*(peer.close() for peer in peers))
            return


def _throw_away(peer: RTCPeerConnection, count: list[int]) -> None:
    """From now on media is counted and not looked at; checks of the path are answered as before."""
    for transceiver in peer.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            theirs = protocol.datagram_received

            def datagram_received(data: bytes, address: Any, theirs: Callable[[bytes, Any], None] = theirs) -> None:
                if data[0] >= _FIRST_MEDIA_BYTE:
                    count[0] += 1
                else:
                    theirs(data, address)

            protocol.datagram_received = datagram_received  # type: ignore[method-assign, assignment]
