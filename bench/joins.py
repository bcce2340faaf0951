"""What viewers leave behind: `python -m bench.joins` lets a thousand join and leave, and looks at the server.

The server is a process of its own (`bench.held`); viewers are aiortc peers in this one, which join over HTTP, a round
at a time. They leave as viewers do: with DELETE, by hanging up, by vanishing, before they are connected, or without
ever trying to connect. After each hundred, when all have gone, the server says how many tasks, sockets and threads it
has and how much memory; what grows with the number of joins is a leak.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bench import record
from bench.held import Held, HeldServer

Way = Literal["delete", "goodbye", "vanish", "unconnected", "never"]

WAYS: Final[tuple[Way, ...]] = ("delete",) * 4 + ("goodbye",) * 3 + ("vanish", "unconnected", "never")
"""How the viewers of a round leave; they come together."""
SETTLED_AFTER: Final = 200
"""Joins after which memory should be flat: until then libraries fill what they keep."""
HTTP_LIMIT_S: Final = 60.0
MEDIA_LIMIT_S: Final = 60.0
_FIRST_MEDIA_BYTE: Final = 128  # RFC 7983: STUN and DTLS begin with less
_SDP: Final = {"Content-Type": "application/sdp"}


async def come_and_go(http: httpx.AsyncClient, url: str, way: Way) -> None:
    """One viewer, from its offer until it has left in this way."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for kind in ("video", "audio"):
            peer.addTransceiver(kind, direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        media = _first_media(peer)
        answer = await http.post(url, content=peer.localDescription.sdp, headers=_SDP)
        answer.raise_for_status()
        session = httpx.URL(url).join(answer.headers["location"])
        if way == "unconnected":
            (await http.delete(session)).raise_for_status()
        if way in ("unconnected", "never"):
            return
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
        async with asyncio.timeout(MEDIA_LIMIT_S):
            await media.wait()
        if way == "delete":
            (await http.delete(session)).raise_for_status()
        elif way == "vanish":
            _fall_silent(peer)
    finally:
        await peer.close()


def _protocols(peer: RTCPeerConnection) -> list[Any]:
    """aioice's socket protocols of all transports."""
    return [
        protocol
        for transceiver in peer.getTransceivers()
        for protocol in transceiver.receiver.transport.transport._connection._protocols
    ]


def _first_media(peer: RTCPeerConnection) -> asyncio.Event:
    """Set when media arrives; none of it is looked at, which would only be this process's own load."""
    arrived = asyncio.Event()
    for protocol in _protocols(peer):
        theirs: Callable[[bytes, Any], None] = protocol.datagram_received

        def datagram_received(data: bytes, address: Any, theirs: Callable[[bytes, Any], None] = theirs) -> None:
            if data[0] >= _FIRST_MEDIA_BYTE:
                arrived.set()
            else:
                theirs(data, address)

        protocol.datagram_received = datagram_received
    return arrived


def _fall_silent(peer: RTCPeerConnection) -> None:
    """Its network is gone: nothing that it sends arrives any more, not even a goodbye."""
    for protocol in _protocols(peer):
        protocol.transport.sendto = _into_nothing


def _into_nothing(data: Any, address: Any = None) -> None:
    """Sends nothing."""


async def measure(joins: int, each: int, ways: Sequence[Way] = WAYS) -> list[Held]:
    """What the server holds before the first viewer and after `each`, twice `each` and so on up to `joins`."""
    async with HeldServer() as server, httpx.AsyncClient(timeout=HTTP_LIMIT_S) as http:
        found = [await server.held()]
        _show(0, found[0])
        for done in range(0, joins, len(ways)):
            async with asyncio.TaskGroup() as viewers:
                for way in ways:
                    viewers.create_task(come_and_go(http, server.url, way))
            if (done + len(ways)) // each > done // each:
                found.append(await server.held())
                _show(done + len(ways), found[-1])
        return found


def _show(joins: int, held: Held) -> None:
    print(
        f"{joins:5} joins: {held.sessions} sessions, {held.tasks} tasks, {held.sockets} sockets, "
        f"{held.descriptors} descriptors, {held.threads} threads, {held.resident_mib:.1f} MiB",
        flush=True,
    )


def growth(found: Sequence[Held], each: int, settled_after: int = SETTLED_AFTER) -> dict[str, float | None]:
    """How much of each thing comes with a hundred joins more, by least squares over what is left after settling.

    None where fewer than two samples are left.
    """
    joins = np.arange(len(found)) * each
    kept = joins >= settled_after
    grown: dict[str, float | None] = {}
    for name in ("tasks", "sockets", "descriptors", "threads", "resident_mib"):
        values = np.array([getattr(held, name) for held in found], dtype=np.float64)
        enough = np.count_nonzero(kept) >= 2
        grown[name] = float(np.polyfit(joins[kept] / 100, values[kept], 1)[0]) if enough else None
    return grown


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="What viewers that have left leave behind in the server.")
    parser.add_argument("--joins", type=int, default=1000)
    parser.add_argument("--each", type=int, default=100, help="joins from one look to the next")
    parser.add_argument("--record", action="store_true", help="append the result to bench/results.jsonl")
    options = parser.parse_args(arguments)
    if options.each < len(WAYS) or options.each % len(WAYS):
        parser.error(f"--each is a multiple of {len(WAYS)}, the viewers of a round")
    run = record.begin("joins", record.open_bundle(None), {"joins": options.joins, "each": options.each})
    found = asyncio.run(measure(options.joins, options.each))
    grown = growth(found, options.each)
    print(f"growth with a hundred joins more, after the first {SETTLED_AFTER}: {record.plain(grown)}")
    if options.record:
        record.append(record.finish(run, {"held": [asdict(held) for held in found], "growth_per_100_joins": grown}, []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
