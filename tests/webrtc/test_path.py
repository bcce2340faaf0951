import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc.rtcdtlstransport import State

from streamgen.webrtc.path import MOST_SEGMENTS, DatagramPath, runs
from streamgen.webrtc.srtp import Protect


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([5], [[5]]),
        ([5, 5, 5], [[5, 5, 5]]),
        ([5, 5, 3], [[5, 5, 3]]),
        ([5, 3, 3], [[5, 3], [3]]),
        ([3, 5, 5], [[3], [5, 5]]),
        ([5, 5, 3, 5], [[5, 5, 3], [5]]),
        ([5] * 70, [[5] * MOST_SEGMENTS, [5] * 6]),
        ([30_000] * 3, [[30_000] * 2, [30_000]]),
    ],
)
def test_a_run_is_of_one_size_but_its_last(sizes: list[int], expected: list[list[int]]) -> None:
    packets = [bytes(size) for size in sizes]
    assert [[len(packet) for packet in run] for run in runs(packets)] == expected


class Srtp:
    """Marks what it protects."""

    def protect(self, packet: bytes) -> bytes:
        return packet + b"-srtp"

    def protect_rtcp(self, packet: bytes) -> bytes:
        return packet + b"-srtcp"


def marking(session: Any) -> Protect:
    return lambda packets: [session.protect(packet) for packet in packets]


class Wire:
    """A transport's parts as aiortc and aioice name them, with a real socket behind them."""

    def __init__(self, transport: Any, address: tuple[str, int]) -> None:
        self.remote_addr = address
        self.protocol = self
        self.transport = transport


class Ice:
    def __init__(self, pair: Wire | None) -> None:
        self._nominated = {} if pair is None else {1: pair}
        self._connection = self


class Dtls:
    def __init__(self, pair: Wire | None, state: State = State.CONNECTED) -> None:
        self._tx_srtp = Srtp()
        self._state = state
        self.transport = Ice(pair)


class Relay:
    """A TURN transport: no socket of its own, and it wraps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def get_extra_info(self, name: str) -> None:
        return None

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        self.sent.append((packet, address))


def taken(receiver: socket.socket, count: int) -> list[bytes]:
    return [receiver.recv(2048) for _ in range(count)]


@pytest.fixture
def receiver() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


@asynccontextmanager
async def connected(receiver: socket.socket, **options: bool) -> AsyncIterator[DatagramPath]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    path = DatagramPath(Dtls(Wire(transport, receiver.getsockname())), protect_with=marking, **options)  # type: ignore[arg-type]
    try:
        yield path
    finally:
        path.close()
        transport.close()


@pytest.mark.parametrize("segmentation", [True, False])
async def test_packets_arrive_one_by_one_in_order(receiver: socket.socket, segmentation: bool) -> None:
    async with connected(receiver, segmentation=segmentation) as path:
        packets = [bytes([number]) * size for number, size in enumerate([100, 100, 60, 100, 7])]
        path.send(packets)
        path.send_report(b"report")
        assert taken(receiver, 6) == [*(packet + b"-srtp" for packet in packets), b"report-srtcp"]
        assert (path.packets, path.refused) == (6, 0)
        assert path.octets == 100 + 100 + 60 + 100 + 7 + 5 * 5 + len(b"report-srtcp")
        path.close()


class StubbornSocket:
    """Has no segmentation, or no room."""

    def __init__(self, segmented: int, single: int | None = None) -> None:
        self.segmented, self.single = segmented, single
        self.sent: list[bytes] = []
        self.calls = 0

    def sendmsg(self, packets: Sequence[bytes], *rest: object) -> None:
        self.calls += 1
        raise OSError(self.segmented, "no")

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        if self.single is not None:
            raise OSError(self.single, "no")
        self.sent.append(packet)

    def close(self) -> None:
        """Nothing is open."""


def replace_socket(path: DatagramPath, stubborn: StubbornSocket) -> None:
    assert path._socket is not None
    path._socket.close()
    path._socket = stubborn  # type: ignore[assignment]


async def test_without_segmentation_packets_go_one_by_one_ever_after(receiver: socket.socket) -> None:
    async with connected(receiver) as path:
        path.send([b"open"])
        stubborn = StubbornSocket(errno.EIO)
        replace_socket(path, stubborn)
        path.send([b"a", b"b"])
        path.send([b"c", b"d"])
        assert stubborn.sent == [b"a-srtp", b"b-srtp", b"c-srtp", b"d-srtp"]
        assert stubborn.calls == 1


@pytest.mark.parametrize(
    ("error", "refused"),
    [(errno.EAGAIN, 3), (errno.ENETUNREACH, 0)],
    ids=["a full buffer is counted", "a gone network"],
)
async def test_packets_that_cannot_be_sent_are_lost_without_an_error(
    receiver: socket.socket, error: int, refused: int
) -> None:
    async with connected(receiver) as path:
        path.send([b"open"])
        replace_socket(path, StubbornSocket(error, error))
        path.send([b"a", b"b"])
        path.send([b"c"])
        assert path.refused == refused


def test_a_relay_wraps_packets_itself() -> None:
    relay = Relay()
    path = DatagramPath(Dtls(Wire(relay, ("192.0.2.1", 9))), protect_with=marking)  # type: ignore[arg-type]
    path.send([b"a", b"b"])
    assert relay.sent == [(b"a-srtp", ("192.0.2.1", 9)), (b"b-srtp", ("192.0.2.1", 9))]


@pytest.mark.parametrize(
    "dtls", [Dtls(None), Dtls(Wire(Relay(), ("192.0.2.1", 9)), State.CLOSED)], ids=["no pair", "closed"]
)
def test_nothing_is_sent_while_there_is_no_connection(dtls: Dtls) -> None:
    path = DatagramPath(dtls, protect_with=marking)  # type: ignore[arg-type]
    path.send([b"a"])
    path.send_report(b"r")
    assert path.packets == 0


async def test_a_new_pair_is_followed(receiver: socket.socket) -> None:
    async with connected(receiver) as path:
        path.send([b"a"])
        relay = Relay()
        path._dtls.transport._connection._nominated[1] = Wire(relay, ("192.0.2.1", 9))  # type: ignore[assignment]
        path.send([b"b"])
        assert taken(receiver, 1) == [b"a-srtp"]
        assert [packet for packet, _ in relay.sent] == [b"b-srtp"]
        path.close()
        path.close()
