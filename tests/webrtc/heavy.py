"""A programme whose pictures are as large as their layer's ceiling allows, for tests of networks that are too narrow.

The loopback's pictures are of one colour, so a few bytes hold them. Here each is filled up to its size: a VP8 decoder
reads the last partition only as far as the picture needs (RFC 6386, section 9.5: its size is what is left), so what
stands behind it changes nothing that is seen.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from streamgen.media.layers import Rung
from streamgen.packets import Layer, VideoPacket
from tests.webrtc.loopback import PICTURE_TICKS, RUNGS, PictureEncoder, Programme

ACTIVITY: Final = 0.85  # rate by the ceiling, as of a lively scene
KEYFRAME: Final = 3  # size by that of another picture
MOST_S: Final = 180.0  # for what takes some seconds on an idle machine
TURNS: Final = 24
"""Of the event loop after each picture. asyncio reads one datagram of a socket in a turn: without them a machine that
is too slow would lose packets in the receivers' sockets, which no test means."""


class HeavyEncoder(PictureEncoder):
    """Pictures of `loopback`, of one size each."""

    def __init__(self, layer: Layer, bitrate: int) -> None:
        super().__init__(layer)
        self._size_bytes = round(ACTIVITY * bitrate / 8 * PICTURE_TICKS / 90_000)

    def encode(self, number: int, *, keyframe: bool) -> VideoPacket:
        packet = super().encode(number, keyframe=keyframe)
        size_bytes = self._size_bytes * (KEYFRAME if keyframe else 1)
        return replace(packet, data=packet.data.ljust(size_bytes, b"\xa5"))


class HeavyProgramme(Programme):
    """VP8 only."""

    def __init__(self, *, start: int = 0, rungs: Sequence[Rung] = RUNGS[:1], **fanout: Any) -> None:
        super().__init__("vp8", start=start, rungs=rungs, **fanout)
        for layer in self._encoders:
            self._encoders[layer] = HeavyEncoder(layer, rungs[layer.rung].bitrate)

    async def play_until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(MOST_S):
            while not done():
                self.release()
                await asyncio.sleep(0.01)
                await _turns()

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        """Release pictures in real time, as the pacer does; on a machine that is too slow it takes longer."""
        task = asyncio.create_task(self._on_air())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _on_air(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            self.release()
            await _turns()
            due_s = max(due_s + PICTURE_TICKS / 90_000, loop.time())
            await asyncio.sleep(due_s - loop.time())


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
