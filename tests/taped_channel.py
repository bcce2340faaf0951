"""A channel that keeps what it releases, for tests of what viewers get."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import psutil

from streamgen.channel import Channel
from streamgen.log.writer import ChannelLog
from streamgen.packets import AudioPacket, ChunkRecord, VideoPacket
from streamgen.protocol import ServerMessage
from streamgen.steering.hub import Connection
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName

LIMIT_S = 240.0  # of any wait: far beyond what it takes, even on a machine that is busy with other things


class TapedChannel(Channel):
    """Keeps what is released, and wakes whoever waits for it."""

    videos: list[VideoPacket]
    audios: list[AudioPacket]
    records: list[ChunkRecord]

    def video(self, packet: VideoPacket) -> None:
        self.videos.append(packet)
        super().video(packet)

    def audio(self, packet: AudioPacket) -> None:
        self.audios.append(packet)
        super().audio(packet)

    def chunk_started(self, record: ChunkRecord) -> None:
        self.records.append(record)
        super().chunk_started(record)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; the test's time limit bounds it."""
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)

    async def until_live(self, chunks: int = 2) -> None:
        """Wait until so many more chunks have started."""
        wanted = len(self.records) + chunks
        await self.until(lambda: len(self.records) >= wanted)

    def check_timelines(self) -> None:
        """What holds whatever happens to the generator."""
        assert self.audios
        assert {later.pts - packet.pts for packet, later in pairwise(self.audios)} == {960}
        for layer in {packet.layer for packet in self.videos}:
            pts = [packet.pts for packet in self.videos if packet.layer == layer]
            assert pts == sorted(set(pts))


@asynccontextmanager
async def running(
    bundle: Path,
    *,
    prompt: str = "a red sun",
    silence_timeout_s: float = 30.0,
    first_restart_s: float = 0.05,
    log: ChannelLog | None = None,
    runtime: RuntimeName = DEFAULT_RUNTIME,
    gpu: GpuOptions | None = None,
) -> AsyncIterator[TapedChannel]:
    channel = TapedChannel(
        bundle,
        prompt=prompt,
        scale=1,
        first_restart_s=first_restart_s,
        silence_timeout_s=silence_timeout_s,
        log=log,
        runtime=runtime,
        gpu=gpu,
    )
    channel.videos, channel.audios, channel.records = [], [], []
    async with asyncio.timeout(LIMIT_S), channel:
        yield channel
        channel.check_timelines()


async def answers(connection: Connection, wanted: Callable[[ServerMessage], bool]) -> list[ServerMessage]:
    """Messages up to and with the first one that is wanted."""
    messages = []
    while True:
        messages.append(await connection.outbox.get())
        if wanted(messages[-1]):
            return messages


def generators() -> list[int]:
    """Process ids of generators of this process."""
    found = []
    for child in psutil.Process().children():
        try:
            if "spawn_main" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found
