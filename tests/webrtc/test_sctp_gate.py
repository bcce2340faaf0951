"""Which SCTP packets of a viewer are read at all."""

import struct
from random import Random

import pytest
from aiortc.rtcsctptransport import (
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    StreamResetOutgoingParam,
    serialize_packet,
)

from streamgen.webrtc.sctp_gate import (
    CHUNKS_AT_ONCE,
    CHUNKS_PER_S,
    MOST_AHEAD,
    MOST_CHANNELS,
    MOST_CHUNKS,
    MOST_FRAGMENTS,
    MOST_NAMED,
    MOST_PARAMETERS,
    MOST_STREAMS,
    SctpGate,
    SctpViolationError,
)

NEWEST = 2**32 - 5  # TSNs start again at 0 soon


def data(tsn: int, payload: bytes = b"{}") -> bytes:
    chunk = DataChunk(flags=3)
    chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = tsn % 2**32, 1, 0, 51, payload
    return bytes(chunk)


def sack(*gaps: tuple[int, int]) -> bytes:
    chunk = SackChunk()
    chunk.gaps = list(gaps)
    return bytes(chunk)


def packet(*chunks: bytes) -> bytes:
    return bytes(12) + b"".join(chunks)


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", kind, 0, len(body) + 4) + body + bytes(-len(body) % 4)


def parameter(length: int) -> bytes:
    return struct.pack("!HH", 13, length)


def admits(*chunks: bytes, newest_tsn: int | None = NEWEST) -> bool:
    return SctpGate().admits(packet(*chunks), newest_tsn=newest_tsn, now_s=0.0)


def test_what_aiortc_sends_is_read() -> None:
    init = InitChunk()
    init.params = [(0xC000, b""), (0x8008, b"\xc0\x82")]
    beat = HeartbeatChunk()
    beat.params = [(1, b"abc")]
    reset = ReconfigChunk()
    reset.params = [(13, bytes(StreamResetOutgoingParam(1, 2, 3, streams=[1])))]
    forward = ForwardTsnChunk()
    forward.cumulative_tsn, forward.streams = 7, [(1, 2)]
    for each in (beat, reset, forward):
        assert admits(bytes(each)), each
    assert admits(bytes(init), newest_tsn=None)
    assert admits(data(NEWEST + 1), sack((2, 3), (5, 5)), data(NEWEST + 2))
    assert SctpGate().admits(serialize_packet(5000, 5000, 1, init), newest_tsn=None, now_s=0.0)


@pytest.mark.parametrize(
    "chunks",
    [
        (),  # no chunk at all
        (b"\x00\x03\x00\x03",),  # shorter than its own header
        (b"\x00\x03\x00\xff" + bytes(20),),  # longer than the packet
        (chunk(0, bytes(11)),),
        (chunk(1, bytes(15)),),
        (chunk(3, bytes(11)),),
        (chunk(192, bytes(3)),),
        (chunk(4, parameter(0)),),  # aiortc reads this one for ever
        (chunk(4, parameter(3)),),
        (chunk(6, parameter(4) + parameter(0)),),
        (chunk(1, bytes(16) + parameter(0)),),
        (chunk(2, bytes(16) + parameter(1)),),
        (chunk(130, parameter(2)),),
        (chunk(130, parameter(4) * (MOST_PARAMETERS + 1)),),
        (chunk(3, struct.pack("!LLHH", 0, 0, 2, 0) + bytes(4)),),  # blocks that are not there
        (chunk(3, struct.pack("!LLHH", 0, 0, 0, 2) + bytes(4)),),  # duplicates that are not there
        (sack((3, 2)),),
        (sack((0, 2)),),
        (sack((1, MOST_NAMED + 1)),),
        (sack(*((1, 65_535),) * 300),),  # twenty million TSNs in 1200 bytes
        (chunk(4, b""),) * (MOST_CHUNKS + 1),
    ],
)
def test_what_no_peer_sends_is_a_violation(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(SctpViolationError):
        admits(*chunks)


def test_most_of_each_is_allowed() -> None:
    assert admits(*(chunk(4, b""),) * MOST_CHUNKS)
    assert admits(sack((1, MOST_NAMED)))
    assert admits(chunk(130, parameter(4) * MOST_PARAMETERS))


def test_nothing_is_read_that_needs_an_association_before_there_is_one() -> None:
    gate = SctpGate()
    for each in (data(1), sack(), chunk(192, bytes(4)), chunk(130, b"")):
        assert not gate.admits(packet(each), newest_tsn=None, now_s=0.0)
    assert gate.dropped == 4


def test_what_is_too_far_ahead_is_dropped_also_where_numbers_start_again() -> None:
    assert admits(data(NEWEST + MOST_AHEAD))
    assert not admits(data(NEWEST + MOST_AHEAD + 1))
    assert not admits(data(NEWEST + 1), data(NEWEST + 100_000))
    assert admits(data(NEWEST - 10_000))  # a late one, which is acknowledged again


def test_a_flood_is_dropped_and_what_comes_in_time_is_read() -> None:
    gate = SctpGate()
    beat = packet(chunk(4, b""))
    read = sum(gate.admits(beat, newest_tsn=NEWEST, now_s=5.0) for _ in range(10 * CHUNKS_AT_ONCE))
    assert read == CHUNKS_AT_ONCE
    assert gate.dropped == 9 * CHUNKS_AT_ONCE
    read = sum(gate.admits(beat, newest_tsn=NEWEST, now_s=6.0) for _ in range(10 * CHUNKS_AT_ONCE))
    assert read == CHUNKS_PER_S
    # Many chunks in one packet count as many.
    read = sum(gate.admits(packet(*(chunk(4, b""),) * 50), newest_tsn=NEWEST, now_s=7.0) for _ in range(100))
    assert read == CHUNKS_PER_S // 50


def test_what_is_kept_is_bounded() -> None:
    gate = SctpGate()
    gate.check_kept(streams=MOST_STREAMS, fragments=MOST_FRAGMENTS, channels=MOST_CHANNELS)
    with pytest.raises(SctpViolationError, match="streams"):
        gate.check_kept(streams=MOST_STREAMS + 1, fragments=0, channels=0)
    with pytest.raises(SctpViolationError, match="fragments"):
        gate.check_kept(streams=0, fragments=MOST_FRAGMENTS + 1, channels=0)
    with pytest.raises(SctpViolationError, match="channels"):
        gate.check_kept(streams=0, fragments=0, channels=MOST_CHANNELS + 1)


def test_random_packets_are_read_dropped_or_violations_and_nothing_else() -> None:
    random = Random(7)
    outcomes = {"read": 0, "dropped": 0, "violation": 0}
    for number in range(20_000):
        kind = random.choice((0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 130, 192, 255))
        body = random.randbytes(random.choice((0, 1, 3, 4, 8, 12, 16, 20, 40, 200)))
        each = packet(chunk(kind, body)) if number % 3 else random.randbytes(random.randrange(60))
        try:
            read = SctpGate().admits(each, newest_tsn=random.choice((None, NEWEST)), now_s=0.0)
            outcomes["read" if read else "dropped"] += 1
        except SctpViolationError:
            outcomes["violation"] += 1
    assert min(outcomes.values()) > 500
