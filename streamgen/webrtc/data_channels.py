"""The data channels that one viewer opens: one steers, every other one is closed.

All methods belong to the event loop's thread.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from aiortc import RTCDataChannel

logger = logging.getLogger(__name__)

LABEL: Final = "streamgen"
"""The label of the channel that steers; it has to be ordered and reliable, which a channel is by default."""

ServeChannel: TypeAlias = Callable[[RTCDataChannel], Coroutine[Any, Any, None]]
"""Called at once when the channel opens, so that it can listen; what it returns runs until the channel has ended."""


class DataChannels:
    """Serves one channel labelled `LABEL` at a time. Whoever has lost it may open it again."""

    def __init__(self, serve: ServeChannel | None) -> None:
        self._serve = serve
        self._serving: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def serving(self) -> bool:
        """Whether a channel is served now."""
        return self._serving is not None and not self._serving.done()

    def opened(self, channel: RTCDataChannel) -> None:
        """The viewer has opened a channel."""
        reliable = channel.ordered and channel.maxRetransmits is None and channel.maxPacketLifeTime is None
        if self._serve is None or self._closing or self.serving or channel.label != LABEL or not reliable:
            channel.close()
        else:
            self._serving = asyncio.create_task(_until_over(self._serve(channel), channel), name="data-channel")

    async def close(self) -> None:
        """End what is served, and wait for it. Idempotent."""
        self._closing = True
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])


async def _until_over(serving: Coroutine[Any, Any, None], channel: RTCDataChannel) -> None:
    try:
        await serving
    except Exception:  # the task's outermost edge: the viewer's media go on
        logger.exception("a viewer's data channel failed unexpectedly and is closed")
    finally:
        channel.close()
