"""Data channels over a real connection: one is served, the others are closed, and nothing sent there harms anybody."""

import asyncio
import gc
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    SackChunk,
    serialize_packet,
    tsn_plus_one,
)
from OpenSSL import SSL

from streamgen.packets import Command
from streamgen.protocol import MAX_FRAME_BYTES, ProtocolError, encode, parse_server
from streamgen.protocol.requests import Ping
from streamgen.steering import data_channel
from streamgen.steering.hub import SteeringHub
from streamgen.steering.outbox import MAX_WAITING
from streamgen.steering.session import SteeringSession
from streamgen.webrtc.data_channels import LABEL, DataChannels
from streamgen.webrtc.offer import Offer
from streamgen.webrtc.sctp_gate import MOST_CHANNELS, MOST_FRAGMENTS, MOST_STREAMS
from streamgen.webrtc.viewer import Viewer
from tests.webrtc.loopback import Player, Programme, until


class Wire:
    """One viewer with data channels, and the server's side of it."""

    def __init__(self, programme: Programme, player: Player, viewer: Viewer, hub: SteeringHub) -> None:
        self.programme = programme
        self.player = player
        self.viewer = viewer
        self.hub = hub

    @property
    def ours(self) -> Any:
        """The server's end of the association."""
        return self.viewer._peer.sctp

    @property
    def theirs(self) -> Any:
        return self.player.peer.sctp

    @property
    def stream(self) -> int:
        """The stream of the only channel."""
        (stream,) = self.ours._data_channels
        return int(stream)

    def open(self, label: str = LABEL, **options: Any) -> "Talk":
        return Talk(self.player.peer.createDataChannel(label, **options))

    async def send(self, chunk: Chunk | bytes) -> None:
        """Send a chunk past the viewer's own bookkeeping."""

        class Raw:
            def __bytes__(self) -> bytes:
                return bytes(chunk)

        raw: Any = Raw()
        packet = serialize_packet(
            self.theirs._local_port, self.theirs._remote_port, self.theirs._remote_verification_tag, raw
        )
        await self.theirs.transport._send_data(packet)

    async def media_go_on(self) -> None:
        seen = len(self.player.video.frames)
        await self.programme.play_until(lambda: len(self.player.video.frames) >= seen + 10)
        assert self.viewer.connected
        assert self.player.video.gaps == self.player.audio.gaps == 0


class Talk:
    """The viewer's end of a channel."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        self.heard: list[dict[str, Any]] = []
        channel.on("message", lambda text: self.heard.append(parse_server(text).model_dump()))

    @property
    def kinds(self) -> list[str]:
        return [each["type"] for each in self.heard]

    async def says(self, count: int) -> None:
        await until(lambda: len(self.heard) >= count)

    async def closed(self) -> None:
        await until(lambda: self.channel.readyState == "closed")


def steering() -> SteeringHub:
    commands: list[Command] = []
    return SteeringHub(SteeringSession("main", prompt="sea"), send=commands.append)


@asynccontextmanager
async def wired(programme: Programme, hub: SteeringHub | None = None, **serving: Any) -> AsyncIterator[Wire]:
    at_hub = hub if hub is not None else steering()
    async with Player() as player:
        player.peer.createDataChannel("offered", negotiated=True, id=1000)
        offer = Offer.read(await player.offer())

        def serve(channel: RTCDataChannel) -> Any:
            return data_channel.serve(
                channel, at_hub, client=None, can=frozenset({"prompt", "config", "watch"}), **serving
            )

        viewer = Viewer(programme.fanout.add(offer.codec), offer, serve_channel=serve)
        async with viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: len(player.video.frames) >= 3)
            yield Wire(programme, player, viewer, at_hub)
    assert at_hub.connections == 0
    assert not [each for each in asyncio.all_tasks() if each.get_name().startswith(("steering", "data-channel"))]
    assert not viewer._channels.serving


async def test_the_channel_speaks_the_protocol_and_frees_everything() -> None:
    async with wired(Programme("vp8")) as wire:
        talk = wire.open()
        await talk.says(1)
        assert talk.kinds == ["state"]
        talk.channel.send('{"type": "prompt.set", "id": "a", "text": "rain"}')
        await talk.says(4)
        assert talk.kinds == ["state", "received", "accepted", "state"]
        assert wire.hub.connections == 1
        talk.channel.close()
        await talk.closed()
        await until(lambda: wire.hub.connections == 0 and not wire.ours._data_channels)
        await wire.media_go_on()


async def test_what_comes_together_with_the_opening_is_heard() -> None:
    async with wired(Programme("vp8")) as wire:
        await until(lambda: wire.theirs.state == "connected")
        channel = wire.player.peer.createDataChannel(LABEL)
        talk = Talk(channel)
        channel._setReadyState("open")  # as browsers, which do not wait for the answer
        channel.send(encode(Ping(id="early", t=1.0)))
        await talk.says(2)
        assert talk.kinds == ["state", "pong"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x00\xff", "not_text"),
        (b"", "not_text"),
        ("", "not_json"),
        ("{", "not_json"),
        ('{"type": "prompt.set", "id": "a", "text": "' + "x" * 2 * MAX_FRAME_BYTES + '"}', "too_long"),
        ('{"type": "ping", "id": "a", "t": 1}' + " " * MAX_FRAME_BYTES, "frame_too_long"),
    ],
)
async def test_a_bad_frame_is_answered_and_the_channel_goes_on(frame: str | bytes, reason: str) -> None:
    async with wired(Programme("vp8")) as wire:
        talk = wire.open()
        await talk.says(1)
        talk.channel.send(frame)
        await talk.says(2)
        assert (talk.heard[1]["type"], talk.heard[1]["reason"]) == ("rejected", reason)
        talk.channel.send(encode(Ping(id="p", t=1.0)))
        await talk.says(3)
        assert talk.kinds[2] == "pong"


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("steering", {}),
        ("", {}),
        (LABEL, {"ordered": False}),
        (LABEL, {"maxRetransmits": 0}),
        (LABEL, {"maxPacketLifeTime": 100}),
    ],
)
async def test_other_channels_are_closed(label: str, options: dict[str, Any]) -> None:
    async with wired(Programme("vp8")) as wire:
        other = wire.open(label, **options)
        await other.closed()
        assert other.heard == []
        talk = wire.open()
        await talk.says(1)
        await until(lambda: len(wire.ours._data_channels) == 1)


async def test_a_second_one_is_closed_and_the_first_goes_on() -> None:
    async with wired(Programme("vp8")) as wire:
        talk = wire.open()
        await talk.says(1)
        second = wire.open()
        await second.closed()
        assert second.heard == []
        talk.channel.send(encode(Ping(id="p", t=1.0)))
        await talk.says(2)
        assert wire.hub.connections == 1


async def test_without_anybody_to_serve_them_all_are_closed() -> None:
    programme = Programme("vp8")
    async with Player() as player:
        channel = player.peer.createDataChannel(LABEL)
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: channel.readyState == "closed")


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
        for _ in range(3000):
            await wire.send(beat)
            await asyncio.sleep(0)
        assert wire.viewer.connected
        assert len(sent) < 2000
        talk.channel.send(encode(Ping(id="p", t=1.0)))
        await talk.says(2)
        assert talk.kinds[-1] == "pong"


async def test_one_who_does_not_read_is_bounded_and_its_channel_closed() -> None:
    """The viewer acknowledges nothing: its messages wait, coalesce, overflow; media and others go on."""
    async with wired(Programme("vp8"), send_timeout_s=0.5) as wire:
        talk = wire.open()
        await talk.says(1)

        async def deaf(data: bytes) -> None:
            return

        wire.theirs._handle_data = deaf
        channel = next(each for each in wire.ours._data_channels.values() if each.label == LABEL)
        (connection,) = wire.hub._connections
        kilobyte = "sea " * 120
        for number in range(MAX_WAITING + 100):
            wire.hub.reject(connection, ProtocolError("frame", "invalid", kilobyte + str(number)))
            await asyncio.sleep(0)
            assert channel.bufferedAmount < data_channel.MOST_BUFFERED_BYTES + 4096
        assert len(connection.outbox) == 0  # it is full, and so keeps nothing
        await until(lambda: wire.hub.connections == 0)
        assert channel.readyState == "closing"
        await wire.media_go_on()


async def test_a_viewer_that_takes_no_message_of_this_length_is_closed() -> None:
    async with wired(Programme("vp8")) as wire:
        wire.ours._remote_max_message_size = 10
        talk = wire.open()
        await talk.closed()
        assert talk.heard == []
        await wire.media_go_on()


async def test_a_viewer_that_hangs_up_without_a_word_over_sctp_leaves_no_errors(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What aiortc still has to send then fails in tasks of its own, whose errors nobody would take."""
    with caplog.at_level(logging.WARNING):
        async with wired(Programme("vp8")) as wire:
            talk = wire.open()
            await talk.says(1)
            (connection,) = wire.hub._connections
            sent: list[bytes] = []

            async def closed(packet: bytes) -> None:
                sent.append(packet)
                raise ConnectionError  # as aiortc's does between the viewer's goodbye and our noticing

            monkeypatch.setattr(wire.ours.transport, "_send_data", closed)
            wire.hub.reject(connection, ProtocolError("frame", "invalid", "too late"))
            await until(lambda: len(sent) >= 1)
            await wire.theirs.transport.stop()
            await until(lambda: wire.hub.connections == 0)
            async with asyncio.timeout(30):
                await wire.viewer.wait_closed()
        gc.collect()
        await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records] == []


async def test_closing_leaves_nothing_and_takes_no_more() -> None:
    served: list[str] = []

    async def serve(channel: Any) -> None:
        served.append(channel.label)
        await asyncio.Event().wait()

    class Channel:
        label = LABEL
        ordered = True
        maxRetransmits = None  # noqa: N815 - as aiortc calls it
        maxPacketLifeTime = None  # noqa: N815
        closed = False

        def close(self) -> None:
            self.closed = True

    channels = DataChannels(serve)
    first, second, third = Channel(), Channel(), Channel()
    opened: Any = channels.opened
    opened(first)
    opened(second)
    await asyncio.sleep(0)
    assert (channels.serving, served, first.closed, second.closed) == (True, [LABEL], False, True)
    await channels.close()
    await channels.close()
    assert (channels.serving, first.closed) == (False, True)
    opened(third)
    assert (third.closed, served) == (True, [LABEL])
