"""What viewers may send over SCTP: it ends their data channels at most, and nothing of anybody else."""

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, HeartbeatChunk, SackChunk, tsn_plus_one
from OpenSSL import SSL

from streamgen.protocol import encode
from streamgen.protocol.requests import Ping
from streamgen.webrtc.sctp_gate import CHUNKS_AT_ONCE, CHUNKS_PER_S, MOST_CHANNELS, MOST_FRAGMENTS, MOST_STREAMS
from tests.webrtc.loopback import Programme, until
from tests.webrtc.wire import Wire, wired


async def test_thousands_of_channels_end_the_data_channels_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    programme = Programme("vp8")
    with caplog.at_level(logging.WARNING):
        async with wired(programme) as wire, wired(programme, wire.hub) as other:
            steady = other.open()
            await steady.says(1)
            talk = wire.open()
            await talk.says(1)
            for _ in range(2000):
                wire.open("more")
            await programme.play_until(lambda: wire.ours.state == "closed")
            assert wire.ours._data_channels == {}
            await until(lambda: wire.hub.connections == 1)
            await wire.media_go_on()
            steady.channel.send(encode(Ping(id="p", t=1.0)))
            await steady.says(2)
            assert steady.kinds[-1] == "pong"
    assert [record.getMessage() for record in caplog.records] == []


async def test_channels_at_once_are_bounded_while_they_close() -> None:
    async with wired(Programme("vp8")) as wire:
        for _ in range(MOST_CHANNELS // 2):
            wire.open("more")
        talk = wire.open()
        await talk.says(1)
        await until(lambda: len(wire.ours._data_channels) == 1)
        assert wire.ours.state == "connected"


def data(tsn: int, *, flags: int = 0, stream: int = 1, payload: bytes = b"x", protocol: int = 51) -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = tsn, stream, 0, protocol, payload
    return chunk


async def endless_message(wire: Wire) -> None:
    """A message that begins and never ends."""
    tsn = wire.theirs._local_tsn
    for number in range(MOST_FRAGMENTS + 2):
        await wire.send(data(tsn, flags=0x02 if number == 0 else 0, payload=b"x" * 1000))
        tsn = tsn_plus_one(tsn)
        if number % 20 == 0:
            await asyncio.sleep(0.01)  # a socket holds only so much


async def many_streams(wire: Wire) -> None:
    forward = ForwardTsnChunk()
    forward.cumulative_tsn = tsn_plus_one(wire.theirs._local_tsn)
    forward.streams = [(stream, 1) for stream in range(MOST_STREAMS + 1)]
    await wire.send(forward)


async def endless_parameter(wire: Wire) -> None:
    """aiortc 1.16 would read this for ever, and stop the server with it."""
    await wire.send(struct.pack("!BBHHH", 4, 0, 8, 1, 0))


async def vast_acknowledgement(wire: Wire) -> None:
    sack = SackChunk()
    sack.cumulative_tsn = wire.ours._last_sacked_tsn
    sack.gaps = [(1, 65_535)] * 280
    await wire.send(sack)


async def not_utf8(wire: Wire) -> None:
    await wire.send(data(wire.theirs._local_tsn, flags=0x03, stream=wire.stream, payload=b"\xff\xfe"))


async def opened_twice(wire: Wire) -> None:
    opening = struct.pack("!BBHLHH", 3, 0, 0, 0, 0, 0)
    await wire.send(data(wire.theirs._local_tsn, flags=0x03, stream=wire.stream, payload=opening, protocol=50))


async def acknowledged_never_opened(wire: Wire) -> None:
    await wire.send(data(wire.theirs._local_tsn, flags=0x03, stream=77, payload=b"\x02", protocol=50))


async def garbage(wire: Wire) -> None:
    random = Random(3)
    for _ in range(200):
        await wire.theirs.transport._send_data(random.randbytes(random.randrange(1, 200)))


@pytest.mark.parametrize(
    "attack",
    [
        endless_message,
        many_streams,
        endless_parameter,
        vast_acknowledgement,
        not_utf8,
        opened_twice,
        acknowledged_never_opened,
        garbage,
    ],
)
async def test_hostile_packets_end_the_data_channels_and_nothing_else(
    attack: Callable[[Wire], Any], caplog: pytest.LogCaptureFixture
) -> None:
    programme = Programme("vp8")
    with caplog.at_level(logging.WARNING):
        async with wired(programme) as wire, wired(programme, wire.hub) as other:
            steady, talk = other.open(), wire.open()
            await steady.says(1)
            await talk.says(1)
            await until(lambda: not wire.theirs._sent_queue and not wire.theirs._outbound_queue)
            await attack(wire)
            await until(lambda: wire.ours.state == "closed")
            await until(lambda: wire.hub.connections == 1)
            assert wire.ours._data_channels == {}
            assert wire.ours._sent_queue == wire.ours._outbound_queue == wire.ours._data_channel_queue
            assert sum(len(each.reassembly) for each in wire.ours._inbound_streams.values()) == 0
            await wire.media_go_on()
            steady.channel.send(encode(Ping(id="p", t=1.0)))
            await steady.says(2)
    assert [record.getMessage() for record in caplog.records] == []


async def test_datagrams_of_many_records_leave_nothing_behind() -> None:
    """aiortc takes one record for each datagram out of OpenSSL, which would keep the others for ever."""
    async with wired(Programme("vp8")) as wire:
        talk = wire.open()
        await talk.says(1)
        read: list[bytes] = []

        async def take(data: bytes) -> None:
            read.append(data)

        wire.ours._handle_data = take
        dtls = wire.theirs.transport
        for _ in range(50):
            for _ in range(20):
                dtls._ssl.send(b"x" * 20)
            await dtls.transport._send(dtls._ssl.bio_read(65_536))
            await asyncio.sleep(0.001)
        await until(lambda: len(read) >= 1000)
        with pytest.raises(SSL.WantReadError):
            wire.ours.transport._ssl.recv(1500)
        await wire.media_go_on()


async def test_a_flood_of_packets_is_dropped_and_the_channel_goes_on() -> None:
    async with wired(Programme("vp8")) as wire:
        talk = wire.open()
        await talk.says(1)
        sent: list[bytes] = []
        send_data = wire.ours.transport._send_data

        async def counting(packet: bytes) -> None:
            sent.append(packet)
            await send_data(packet)

        wire.ours.transport._send_data = counting
        beat = HeartbeatChunk()
        beat.params = [(1, b"beat")]
        began_s = time.monotonic()
        for _ in range(3000):
            await wire.send(beat)
            await asyncio.sleep(0)
        assert wire.viewer.connected
        # Each that is read is answered.
        assert len(sent) <= CHUNKS_AT_ONCE + CHUNKS_PER_S * (time.monotonic() - began_s)
        talk.channel.send(encode(Ping(id="p", t=1.0)))
        await talk.says(2)
        assert talk.kinds[-1] == "pong"
