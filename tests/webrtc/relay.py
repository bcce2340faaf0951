"""A bad network between one viewer and the server: a UDP relay on this machine through which both must talk.

How they are made to: every candidate is taken out of the offer, so that the server knows no address of the viewer, and
those of the answer are replaced by one, the relay's. The viewer's checks (STUN) thus arrive at the relay, which passes
them on from a socket of its own. The server has never heard of that address and learns it as a peer-reflexive
candidate (RFC 8445, section 7.3.1.3; in aioice `Connection.check_incoming`), checks back to it, and nominates that
pair, the only one there is. Each address of the viewer has a socket of its own, as in a NAT, since the server's packets
to it must find the way back.

All methods belong to the event loop's thread.
"""

import asyncio
import heapq
import itertools
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeAlias

from tests.webrtc.impairment import Counts, Impairment, Network

LOOPBACK: Final = "127.0.0.1"
MOST_ADDRESSES: Final = 16  # of the viewer; packets from further ones are ignored
MOST_WAITING: Final = 20_000  # packets on their way; those that come then are dropped
HOST_PRIORITY: Final = 2_130_706_431  # of a host candidate (RFC 8445, section 5.1.2)
BUFFER_BYTES: Final = 1 << 20
DATAGRAM_BYTES: Final = 65_536

Address: TypeAlias = tuple[str, int]


class Relay:
    """Between one viewer and the server.

        with Relay(to_viewer=Network(loss=0.05)) as relay:
            answer = await server.offer(relay.offer(sdp))
            ... relay.answer(answer.sdp) ...

    Attributes:
        to_viewer: what is done to the server's packets.
        to_server: what is done to the viewer's packets.
    """

    def __init__(self, to_viewer: Network | None = None, to_server: Network | None = None, *, seed: int = 1) -> None:
        """Both directions are perfect if not given; they differ in their chances."""
        self.to_viewer = Impairment(to_viewer if to_viewer is not None else Network(), seed)
        self.to_server = Impairment(to_server if to_server is not None else Network(), seed + 1)
        self._loop = asyncio.get_running_loop()
        self._front = _socket()  # the viewer's side
        self._backs: dict[Address, socket.socket] = {}  # the server's side, by the viewer's address
        self._server: Address | None = None
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._front, self._from_viewer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """To the viewer, and to the server."""
        return self.to_viewer.counts, self.to_server.counts

    def offer(self, sdp: str) -> str:
        """The viewer's offer as the server must see it."""
        gone = ("a=candidate:", "a=end-of-candidates")
        return "".join(line + "\r\n" for line in sdp.splitlines() if not line.startswith(gone))

    def answer(self, sdp: str) -> str:
        """The server's answer as the viewer must see it.

        Raises `ValueError` if it has no candidate of IPv4.
        """
        self._server = None
        host, port = self._front.getsockname()
        lines = []
        for line in sdp.splitlines():
            if line.startswith("a=candidate:"):
                fields = line.split()
                if self._server is not None or ":" in fields[4]:
                    continue
                self._server = fields[4], int(fields[5])
                line = f"a=candidate:1 1 udp {HOST_PRIORITY} {host} {port} typ host"
            lines.append(line)
        if self._server is None:
            raise ValueError("the answer has no IPv4 candidate that the relay could send to")
        return "\r\n".join(lines) + "\r\n"

    def change(self, *, to_viewer: Network | None = None, to_server: Network | None = None) -> None:
        """The directions that are given are like this from now on."""
        if to_viewer is not None:
            self.to_viewer.change(to_viewer)
        if to_server is not None:
            self.to_server.change(to_server)

    def close(self) -> None:
        """Nothing passes any more; what is on its way is lost. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        for each in (self._front, *self._backs.values()):
            if each.fileno() >= 0:
                self._loop.remove_reader(each)
                each.close()

    def _from_viewer(self) -> None:
        for data, address in _received(self._front):
            back = self._backs.get(address)
            if back is None:
                if len(self._backs) == MOST_ADDRESSES:
                    continue
                back = self._backs[address] = _socket()
                self._loop.add_reader(back, self._from_server, back, address)
            if self._server is not None:
                self._carry(self.to_server, back, data, self._server)

    def _from_server(self, back: socket.socket, viewer: Address) -> None:
        for data, _ in _received(back):
            self._carry(self.to_viewer, self._front, data, viewer)

    def _carry(self, impairment: Impairment, via: socket.socket, data: bytes, to: Address) -> None:
        now_s = self._loop.time()
        arrival_s = impairment.arrival_s(len(data), now_s)
        if arrival_s is None:
            return
        if arrival_s <= now_s:
            _send(via, data, to)
            return
        if len(self._waiting) == MOST_WAITING:
            impairment.counts.dropped += 1
            return
        heapq.heappush(self._waiting, (arrival_s, next(self._order), lambda: _send(via, data, to)))
        self._wait()

    def _wait(self) -> None:
        """Come back when the next packet arrives."""
        due_s = self._waiting[0][0]
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now_s:
            heapq.heappop(self._waiting)[2]()
        if self._waiting:
            self._wait()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.bind((LOOPBACK, 0))
    return made


def _received(sock: socket.socket) -> list[tuple[bytes, Address]]:
    """Everything that has arrived; nothing if the socket has been closed meanwhile."""
    found: list[tuple[bytes, Address]] = []
    while sock.fileno() >= 0:
        try:
            data, address = sock.recvfrom(DATAGRAM_BYTES)
        except BlockingIOError:
            break
        except ConnectionError:
            continue  # the answer to a packet that found no socket: somebody has left
        found.append((data, address))
    return found


def _send(sock: socket.socket, data: bytes, to: Address) -> None:
    try:
        sock.sendto(data, to)
    except (BlockingIOError, ConnectionError):
        return  # as a network would lose it
