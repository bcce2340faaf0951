"""Where media leaves this machine: the UDP ports of a fixed range, and the address that viewers are told.

aioice binds a port of the system's choice on each address and announces those addresses. Behind a firewall or a NAT
viewers then reach nothing. Here one port of a bounded pool serves all addresses of a connection, and host candidates
carry the public address that a 1:1 NAT has for this machine.

All methods belong to the event loop's thread. `gather_on` reaches into aiortc 1.16 and aioice 0.13: it changes one
object, and its tests fail over a real connection when a new version no longer works this way.
"""

import asyncio
import errno
import ipaddress
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport

from streamgen.webrtc.errors import NoFreePortError
from streamgen.webrtc.port_range import PortRange

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

RETRY_NO_PORT_S: Final = 10
RECEIVE_BUFFER_BYTES: Final = 262_144  # as aioice asks for; the system may give less


class PortPool:
    """The ports of a range, one per connection. Empty: `NoFreePortError`.

    A port that is given back is used again after all others, so that a viewer's last packets do not reach the next.
    """

    def __init__(self, ports: PortRange) -> None:
        self.range = ports
        self._free = deque(range(ports.first, ports.last + 1))

    @property
    def free(self) -> int:
        """How many ports carry no connection. Another program may still have some of them."""
        return len(self._free)

    def bind(self, addresses: Sequence[str]) -> "PortLease":
        """Bind one free port on every address; an address that cannot be bound at all is left out.

        Raises `NoFreePortError` when each port is taken, here or by another program.
        """
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                sockets = _bind_all(addresses, port)
            except OSError as error:
                self._free.append(port)
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return PortLease(self, port, sockets)
        raise self._exhausted()

    def check_free(self) -> None:
        """Raise `NoFreePortError` when every port carries a connection, before anything is set up for one more."""
        if not self._free:
            raise self._exhausted()

    def give_back(self, port: int) -> None:
        """Called by the lease, once."""
        self._free.append(port)

    def _exhausted(self) -> NoFreePortError:
        return NoFreePortError(
            f"every UDP port of {self.range} is in use, one per viewer; try again later", retry_after_s=RETRY_NO_PORT_S
        )


class PortLease:
    """One port of a pool while its sockets are open. `sockets` are bound and belong to whoever holds the lease."""

    def __init__(self, pool: PortPool, port: int, sockets: list[socket.socket]) -> None:
        self.port = port
        self.sockets = tuple(sockets)
        self._pool: PortPool | None = pool
        self._open = set(sockets)
        self._release_if_closed()

    def closed(self, bound: socket.socket) -> None:
        """This socket has been closed; with the last of them the port goes back. Idempotent."""
        self._open.discard(bound)
        self._release_if_closed()

    def _release_if_closed(self) -> None:
        if not self._open and self._pool is not None:
            self._pool.give_back(self.port)
            self._pool = None


@dataclass(frozen=True, slots=True)
class MediaNetwork:
    """How a connection gathers its candidates."""

    ports: PortPool | None = None  # None: a port of the system's choice
    # What viewers are told in place of this machine's own address; at most one of each family.
    public_addresses: tuple[IpAddress, ...] = ()
    ipv6: bool = True

    def usable(self, addresses: Sequence[str]) -> list[str]:
        """Those of the machine's addresses that are used."""
        return [each for each in addresses if self.ipv6 or ipaddress.ip_address(each).version == 4]

    def announced(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates as viewers are told: public addresses in place of private ones, each once.

        A NAT passes a public port on to the same port of one of the addresses, and all of them have that port. The
        loopback address stays, since it is for viewers on this machine.
        """
        public = {address.version: str(address) for address in self.public_addresses}
        told: dict[tuple[str, int], Candidate] = {}
        for candidate in candidates:
            own = ipaddress.ip_address(candidate.host)
            host = candidate.host if own.is_loopback else public.get(own.version, candidate.host)
            told.setdefault((host, candidate.port), _host_candidate(candidate.component, host, candidate.port))
        return list(told.values())


def gather_on(peer: RTCPeerConnection, network: MediaNetwork) -> None:
    """Make every ICE connection of this peer gather on `network`.

    To be called as soon as the peer is made: it applies to the transports that the peer makes from then on, also to
    the one of a data channel. Whatever wraps a connection's `get_component_candidates` later, such as
    `seams.offer_loopback`, works on top. Needs a peer without ICE servers: only host candidates are gathered.

    `setLocalDescription` raises `NoFreePortError` when the pool is empty. Ports go back when the peer is closed.
    """
    create_transport = peer._RTCPeerConnection__createDtlsTransport  # type: ignore[attr-defined]

    def create_transport_on_network() -> RTCDtlsTransport:
        transport: RTCDtlsTransport = create_transport()
        ice: Connection = transport.transport._connection
        ice.get_component_candidates = _gathering(ice, network)  # type: ignore[method-assign]
        return transport

    peer._RTCPeerConnection__createDtlsTransport = create_transport_on_network  # type: ignore[attr-defined]


def _gathering(ice: Connection, network: MediaNetwork) -> Any:
    """What stands in for `Connection.get_component_candidates`, which binds port 0 on each address."""

    async def gather(component: int, addresses: list[str]) -> list[Candidate]:
        own = await _open(ice, component, network.usable(addresses), network.ports)
        return network.announced(own)

    return gather


async def _open(ice: Connection, component: int, addresses: list[str], ports: PortPool | None) -> list[Candidate]:
    """Open the sockets of one component and hand them to `ice`; returns this machine's own candidates."""
    lease = ports.bind(addresses) if ports is not None else None
    waiting = deque(lease.sockets if lease is not None else _bind_all(addresses, 0))
    candidates = []
    try:
        while waiting:
            protocol = _LeasedProtocol(ice, component, waiting[0], lease)
            await _attach(protocol, waiting[0])
            waiting.popleft()
            if ice._closing:
                protocol.transport.close()
                continue
            # At once and not at the end: closing the connection must find every socket, whenever it happens.
            ice._protocols.append(protocol)
            candidates.append(protocol.local_candidate)
    finally:
        for unused in waiting:
            unused.close()
            if lease is not None:
                lease.closed(unused)
    return candidates


async def _attach(protocol: StunProtocol, bound: socket.socket) -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=bound)


class _LeasedProtocol(StunProtocol):
    """aioice's protocol of one socket, which also tells the lease when the socket has been closed."""

    def __init__(self, ice: Connection, component: int, bound: socket.socket, lease: PortLease | None) -> None:
        super().__init__(ice)
        # Known before anything can arrive, such as the last packets of the viewer who had this port before. It is the
        # true address, by which the connection's own checks go; only what viewers are told may differ from it.
        self.local_candidate = _host_candidate(component, *bound.getsockname()[:2])
        self._bound = bound
        self._lease = lease

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._lease is not None:
            self._lease.closed(self._bound)


def _host_candidate(component: int, host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )


def _bind_all(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """A socket per address; raises `OSError` when the port is in use on one of them, and then none is left open."""
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            try:
                sockets.append(_bind(address, port))
            except OSError as error:
                # An address that has just gone, or that IPv6 has not confirmed yet, is no reason to give up.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _bind(address: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        bound.bind((address, port))
    except BaseException:
        bound.close()
        raise
    return bound
