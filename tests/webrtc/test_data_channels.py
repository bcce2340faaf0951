"""Data channels over a real connection: one is served, the others are closed."""

import asyncio
import gc
import logging
from typing import Any

import pytest

from streamgen.protocol import MAX_FRAME_BYTES, ProtocolError, encode
from streamgen.protocol.requests import Ping
from streamgen.steering import data_channel
from streamgen.steering.outbox import MAX_WAITING
from streamgen.webrtc.data_channels import LABEL, DataChannels
from streamgen.webrtc.offer import Offer
from streamgen.webrtc.viewer import Viewer
from tests.webrtc.loopback import Player, Programme, until
from tests.webrtc.wire import Talk, wired


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
