"""The relay between real peers (aiortc on both sides), and between plain sockets."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from streamgen.webrtc.offer import Offer
from streamgen.webrtc.viewer import Viewer
from tests.webrtc.impairment import Network
from tests.webrtc.loopback import PATIENCE_S, Player, Programme, until
from tests.webrtc.relay import LOOPBACK, Relay

ANSWER = """v=0
m=video 9 UDP/TLS/RTP/SAVPF 97
a=candidate:1 1 udp 2130706431 fd00::2 {port} typ host
a=candidate:2 1 udp 2130706431 127.0.0.1 {port} typ host
a=candidate:3 1 udp 2130706431 192.0.2.1 {port} typ host
a=end-of-candidates
m=audio 9 UDP/TLS/RTP/SAVPF 96
a=candidate:2 1 udp 2130706431 127.0.0.1 {port} typ host
a=end-of-candidates
"""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Sockets in the places of the server and of a viewer."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as viewer,
    ):
        for each in (server, viewer):
            each.bind((LOOPBACK, 0))
            each.setblocking(False)
        yield server, viewer


async def taken(sock: socket.socket) -> tuple[bytes, tuple[str, int]]:
    async with asyncio.timeout(PATIENCE_S):
        data, address = await asyncio.get_running_loop().sock_recvfrom(sock, 2048)
    return data, address


def front(relay: Relay, server: socket.socket) -> tuple[str, int]:
    """Makes the relay know the server, and returns where the viewer is told to send."""
    lines = relay.answer(ANSWER.format(port=server.getsockname()[1])).splitlines()
    (candidate,) = (line.split() for line in lines if line.startswith("a=candidate:"))
    return candidate[4], int(candidate[5])


async def test_the_answer_names_the_relay_and_nobody_else(ends: tuple[socket.socket, socket.socket]) -> None:
    server, _ = ends
    with Relay() as relay:
        lines = relay.answer(ANSWER.format(port=server.getsockname()[1])).splitlines()
        assert [line for line in lines if "candidate:" in line] == [lines[2]]
        assert [line for line in lines if "candidate:" not in line] == [
            line for line in ANSWER.splitlines() if "candidate:" not in line
        ]
        assert "a=candidate" not in relay.offer(ANSWER)


async def test_an_answer_without_an_address_is_refused() -> None:
    with Relay() as relay, pytest.raises(ValueError, match="no IPv4 candidate"):
        relay.answer("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=end-of-candidates\r\n")


async def test_packets_find_their_way_there_and_back(ends: tuple[socket.socket, socket.socket]) -> None:
    server, viewer = ends
    with Relay() as relay:
        viewer.sendto(b"there", front(relay, server))
        data, back = await taken(server)
        assert data == b"there"
        server.sendto(b"and back", back)
        assert await taken(viewer) == (b"and back", front(relay, server))
        assert [counts.carried for counts in relay.counts] == [1, 1]


async def test_directions_are_impaired_on_their_own(ends: tuple[socket.socket, socket.socket]) -> None:
    server, viewer = ends
    with Relay(to_viewer=Network(loss=1.0)) as relay:
        viewer.sendto(b"there", front(relay, server))
        _, back = await taken(server)
        server.sendto(b"lost", back)
        await until(lambda: relay.to_viewer.counts.lost == 1)
        relay.change(to_viewer=Network(), to_server=Network(loss=1.0))
        server.sendto(b"and back", back)
        assert (await taken(viewer))[0] == b"and back"
        viewer.sendto(b"lost", front(relay, server))
        await until(lambda: relay.to_server.counts.lost == 1)


async def test_delayed_packets_arrive_in_the_order_of_their_arrival(ends: tuple[socket.socket, socket.socket]) -> None:
    server, viewer = ends
    with Relay(to_server=Network(delay_s=0.2)) as relay:
        viewer.sendto(b"slow", front(relay, server))
        await until(lambda: relay.to_server.counts.offered == 1)
        # What is held back keeps to no order.
        relay.change(to_server=Network(reordered=1.0, held_back_s=0.0))
        viewer.sendto(b"fast", front(relay, server))
        assert [(await taken(server))[0], (await taken(server))[0]] == [b"fast", b"slow"]


async def test_nothing_is_left_open(ends: tuple[socket.socket, socket.socket]) -> None:
    server, viewer = ends
    relay = Relay(to_server=Network(delay_s=30.0))
    viewer.sendto(b"there", front(relay, server))
    await until(lambda: relay.to_server.counts.offered == 1)
    relay.close()
    relay.close()
    assert relay._front.fileno() == -1
    assert [each.fileno() for each in relay._backs.values()] == [-1]
    assert relay._timer is None


async def test_a_viewer_and_the_server_talk_through_it() -> None:
    programme = Programme("vp8")
    with Relay() as relay:
        async with Player() as player:
            offer = Offer.read(relay.offer(await player.offer()))
            async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
                await player.accept(relay.answer(await viewer.answer()))
                await programme.play_until(lambda: len(player.video.frames) >= 5 and len(player.audio.frames) >= 5)
                # Every packet that arrived came this way.
                assert relay.to_viewer.counts.carried >= len(player.video.rtp) + len(player.audio.rtp)
                relay.change(to_viewer=Network(loss=1.0))
                lost = relay.to_viewer.counts.lost
                await programme.play_until(lambda: relay.to_viewer.counts.lost >= lost + 20)
                arrived = len(player.video.rtp)
                await programme.play_until(lambda: relay.to_viewer.counts.lost >= lost + 40)
                assert len(player.video.rtp) == arrived
