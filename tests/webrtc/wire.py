"""One viewer with data channels over a real connection, and the server's side of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import Chunk, serialize_packet

from streamgen.packets import Command
from streamgen.protocol import parse_server
from streamgen.steering.conversation import converse
from streamgen.steering.data_channel import DataChannelLine
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.webrtc.data_channels import LABEL
from streamgen.webrtc.offer import Offer
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
            return converse(
                DataChannelLine(channel), at_hub, client=None, can=frozenset({"prompt", "config", "watch"}), **serving
            )

        viewer = Viewer(programme.fanout.add(offer.codec), offer, serve_channel=serve)
        async with viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: len(player.video.frames) >= 3)
            yield Wire(programme, player, viewer, at_hub)
    assert at_hub.connections == 0
    assert not [each for each in asyncio.all_tasks() if each.get_name().startswith(("steering", "data-channel"))]
    assert not viewer._channels.serving
