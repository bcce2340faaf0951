"""Ports and addresses of the media: over real sockets and real connections on this machine."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from aioice import Candidate, Connection
from aioice.ice import StunProtocol
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from streamgen.webrtc import ports, seams
from streamgen.webrtc.errors import NoFreePortError
from streamgen.webrtc.port_range import PortRange
from streamgen.webrtc.ports import MediaNetwork, PortPool, gather_on
from tests.webrtc.loopback import Player, until

LOOPBACK = "127.0.0.1"


@pytest.fixture
def free_ports() -> PortRange:
    """Two neighbouring ports that nobody uses at the moment."""
    for first in range(42_000, 60_000, 2):
        try:
            for port in (first, first + 1):
                for each in ports._bind_all(["0.0.0.0"], port):
                    each.close()
        except OSError:
            continue
        return PortRange(first, first + 1)
    raise AssertionError("this machine has no two free UDP ports")


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


@asynccontextmanager
async def answering(offer: str, network: MediaNetwork) -> AsyncIterator[RTCPeerConnection]:
    """A peer that sends, has gathered on `network` and on loopback, and is closed at the end."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    gather_on(peer, network)
    try:
        for kind in ("video", "audio"):
            peer.addTransceiver(kind, direction="sendonly")
        seams.offer_loopback(peer, always=True)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        yield peer
    finally:
        await peer.close()


def candidates(sdp: str) -> set[tuple[str, int]]:
    """Address and port of the candidates of an SDP."""
    lines = [line.split() for line in sdp.splitlines() if line.startswith("a=candidate:")]
    return {(fields[4], int(fields[5])) for fields in lines}


# The pool ------------------------------------------------------------------------------------------------------------


def test_one_port_serves_all_addresses_and_goes_back_with_the_last_socket(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    lease = pool.bind([LOOPBACK, "127.0.0.2"])
    assert [each.getsockname() for each in lease.sockets] == [
        (LOOPBACK, free_ports.first),
        ("127.0.0.2", free_ports.first),
    ]
    assert pool.free == 1
    for number, each in enumerate(lease.sockets):
        each.close()
        lease.closed(each)
        lease.closed(each)
        assert pool.free == 1 + number


def test_a_port_that_comes_back_is_used_last(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    used = []
    for _ in range(3):
        lease = pool.bind([LOOPBACK])
        used.append(lease.port)
        lease.sockets[0].close()
        lease.closed(lease.sockets[0])
    assert used == [free_ports.first, free_ports.last, free_ports.first]


def test_an_empty_pool_says_so_and_when_to_come_again(free_ports: PortRange, sockets: list[socket.socket]) -> None:
    pool = PortPool(free_ports)
    for _ in range(2):
        pool.check_free()
        sockets.extend(pool.bind([LOOPBACK]).sockets)
    for attempt in (pool.check_free, lambda: pool.bind([LOOPBACK])):
        with pytest.raises(NoFreePortError, match=f"every UDP port of {free_ports} is in use") as caught:
            attempt()
        assert (caught.value.status, caught.value.retry_after_s) == (503, 10)


def test_a_port_of_another_program_is_passed_over(free_ports: PortRange, sockets: list[socket.socket]) -> None:
    sockets.append(ports._bind("127.0.0.2", free_ports.first))
    pool = PortPool(free_ports)
    lease = pool.bind([LOOPBACK, "127.0.0.2"])
    sockets.extend(lease.sockets)
    assert lease.port == free_ports.last
    # The port is asked for again, since that program may have ended.
    assert pool.free == 1
    with pytest.raises(NoFreePortError):
        pool.bind([LOOPBACK, "127.0.0.2"])
    assert pool.free == 1


def test_an_address_that_is_not_here_is_left_out(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    lease = pool.bind(["203.0.113.1", LOOPBACK])  # RFC 5737: documentation only, so it is not ours
    (bound,) = lease.sockets
    assert bound.getsockname()[0] == LOOPBACK
    bound.close()
    lease.closed(bound)
    assert not pool.bind(["203.0.113.1"]).sockets
    assert pool.free == 2


def test_no_port_is_lost_to_another_error(free_ports: PortRange, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_files(address: str, port: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(ports, "_bind", out_of_files)
    pool = PortPool(free_ports)
    with pytest.raises(OSError, match="too many open files"):
        pool.bind([LOOPBACK])
    assert pool.free == 2


# What viewers are told -----------------------------------------------------------------------------------------------


def own(*hosts: str) -> list[Candidate]:
    return [ports._host_candidate(1, host, 40_000) for host in hosts]


def told(network: MediaNetwork, *hosts: str) -> list[str]:
    return [candidate.host for candidate in network.announced(own(*hosts))]


def test_public_addresses_stand_in_for_private_ones_of_their_family_once() -> None:
    network = MediaNetwork(public_addresses=(ipaddress.ip_address("203.0.113.9"),))
    assert told(network, "10.0.0.5", "172.17.0.1", "2001:db8::5", LOOPBACK) == ["203.0.113.9", "2001:db8::5", LOOPBACK]
    both = MediaNetwork(public_addresses=(*network.public_addresses, ipaddress.ip_address("2001:db8::9")))
    assert told(both, "10.0.0.5", "fd00::5", "::1") == ["203.0.113.9", "2001:db8::9", "::1"]


def test_without_a_public_address_everything_stays() -> None:
    assert told(MediaNetwork(), "10.0.0.5", "fd00::5") == ["10.0.0.5", "fd00::5"]


def test_a_candidate_is_otherwise_an_ordinary_host_candidate() -> None:
    network = MediaNetwork(public_addresses=(ipaddress.ip_address("203.0.113.9"),))
    (candidate,) = network.announced(own("10.0.0.5"))
    assert candidate.to_sdp().split()[1:] == ["1", "udp", "2130706431", "203.0.113.9", "40000", "typ", "host"]
    assert candidate.foundation != own("10.0.0.5")[0].foundation


def test_ipv6_can_be_left_out() -> None:
    assert MediaNetwork(ipv6=False).usable(["10.0.0.5", "2001:db8::5"]) == ["10.0.0.5"]
    assert MediaNetwork().usable(["10.0.0.5", "2001:db8::5"]) == ["10.0.0.5", "2001:db8::5"]


# Connections ---------------------------------------------------------------------------------------------------------


async def test_a_connection_uses_one_port_of_the_range_and_gives_it_back(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    async with Player() as player:
        async with answering(await player.offer(), MediaNetwork(pool)) as peer:
            found = candidates(peer.localDescription.sdp)
            assert (LOOPBACK, free_ports.first) in found
            assert {port for _, port in found} == {free_ports.first}
            assert pool.free == 1
            await player.accept(peer.localDescription.sdp)
            await until(lambda: peer.connectionState == "connected")
            assert player.peer.connectionState == "connected"
        assert pool.free == 2
        for each in ports._bind_all([LOOPBACK], free_ports.first):  # the socket itself is closed, too
            each.close()


def test_on_the_loop_of_the_server_ports_go_back_as_well(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)

    async def connect() -> None:
        async with Player() as player:
            async with answering(await player.offer(), MediaNetwork(pool)) as peer:
                await player.accept(peer.localDescription.sdp)
                await until(lambda: peer.connectionState == "connected")
                assert pool.free == 1
            assert pool.free == 2

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect())


async def test_a_packet_of_whoever_had_the_port_before_does_no_harm(free_ports: PortRange) -> None:
    ice = Connection(ice_controlling=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        lease = PortPool(free_ports).bind([LOOPBACK])
        stranger.sendto(b"\x80late", lease.sockets[0].getsockname())
        protocol = ports._LeasedProtocol(ice, 1, lease.sockets[0], lease)
        await ports._attach(protocol, lease.sockets[0])
        await until(lambda: ice._queue.qsize() > 0)
        await protocol.close()


async def test_a_peer_without_a_port_is_refused_and_leaves_nothing(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    async with Player() as player:
        offer = await player.offer()
        async with answering(offer, MediaNetwork(pool)), answering(offer, MediaNetwork(pool)):
            with pytest.raises(NoFreePortError):
                async with answering(offer, MediaNetwork(pool)):
                    pass
            assert pool.free == 0
        assert pool.free == 2


async def test_the_transport_of_a_data_channel_is_on_the_range_as_well(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    async with Player() as player:
        player.peer.createDataChannel("steer")
        async with answering(await player.offer(), MediaNetwork(pool)) as peer:
            await player.accept(peer.localDescription.sdp)
            await until(lambda: peer.connectionState == "connected")
            assert pool.free == 1
    assert pool.free == 2


async def test_a_data_channel_alone_is_on_the_range(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    gather_on(peer, MediaNetwork(pool, ipv6=False))
    peer.createDataChannel("steer")
    await peer.setLocalDescription(await peer.createOffer())
    assert {port for _, port in candidates(peer.localDescription.sdp)} <= {free_ports.first}
    await peer.close()
    assert pool.free == 2


async def test_a_viewer_outside_connects_to_the_public_address() -> None:
    public = ipaddress.ip_address("203.0.113.9")
    async with Player() as player, answering(await player.offer(), MediaNetwork(None, (public,), False)) as peer:
        found = candidates(peer.localDescription.sdp)
        outside = {port for host, port in found if host == str(public)}
        inside = {port for host, port in found if host == LOOPBACK}
        assert {host for host, _ in found} <= {str(public), LOOPBACK}
        assert inside
        # What a 1:1 NAT does, seen from the viewer: the public address leads to this machine, port by port. A machine
        # without a network has loopback alone, which stays as it is.
        own = {host for protocol in _protocols(peer) for host in [protocol.local_candidate.host] if host != LOOPBACK}
        assert bool(outside) == bool(own)
        translated = peer.localDescription.sdp.replace(f" {public} ", f" {next(iter(own), LOOPBACK)} ")
        lines = [line for line in translated.splitlines() if not (own and f" {LOOPBACK} " in line)]
        await player.accept("\r\n".join([*lines, ""]))
        await until(lambda: peer.connectionState == "connected")


async def test_sockets_that_open_while_the_connection_closes_are_closed(free_ports: PortRange) -> None:
    pool = PortPool(free_ports)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    gather_on(peer, MediaNetwork(pool))
    peer.addTransceiver("video", direction="sendonly")
    (transceiver,) = peer.getTransceivers()
    ice = transceiver.sender.transport.transport._connection
    await peer.close()
    await ice.get_component_candidates(component=1, addresses=[LOOPBACK])
    await until(lambda: pool.free == 2)


def _protocols(peer: RTCPeerConnection) -> list[StunProtocol]:
    (transceiver, *_) = peer.getTransceivers()
    found: list[StunProtocol] = transceiver.sender.transport.transport._connection._protocols
    return found
