"""What waits to be sent to one steering connection: bounded, and the newest state of things matters most.

Full-policy: `state`, `audience`, `timeline`, `chunk` and `health` coalesce (a newer one replaces the one that still
waits), answers to requests never do. When more than `limit` answers wait, the connection is hopelessly behind and the
outbox overflows; its owner then closes the connection, and the client starts over with a fresh `state`.

All methods belong to the event loop's thread.
"""

import asyncio
from collections import deque
from typing import Final

from streamgen.protocol import AudienceOverlay, Chunk, Health, ServerMessage, State, Timeline

MAX_WAITING: Final = 256


class OutboxOverflowError(Exception):
    """The receiver is hopelessly behind; what waited is dropped."""


class Outbox:
    """One producer side (`put` never waits), one consumer (`get`)."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self.coalesced = 0  # messages that a newer one replaced before they were sent
        self._limit = limit
        self._waiting: deque[ServerMessage] = deque()
        self._overflown = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: ServerMessage) -> None:
        """Add a message, by the policy above."""
        if self._overflown:
            return
        if isinstance(message, State | Chunk | AudienceOverlay | Timeline | Health):
            for waiting in self._waiting:
                if waiting.type == message.type:
                    self._waiting.remove(waiting)
                    self.coalesced += 1
                    if isinstance(message, AudienceOverlay) and isinstance(waiting, AudienceOverlay):
                        message = _with_mine(message, waiting)
                    break
        if len(self._waiting) >= self._limit:
            self._overflown = True
            self._waiting.clear()
        else:
            self._waiting.append(message)
        self._changed.set()

    async def get(self) -> ServerMessage:
        """The next message. Raises `OutboxOverflowError` when the receiver is hopelessly behind."""
        while not self._waiting:
            if self._overflown:
                raise OutboxOverflowError
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


def _with_mine(message: AudienceOverlay, waiting: AudienceOverlay) -> AudienceOverlay:
    """What is said on joining only must not be lost with the message that said it."""
    return message if waiting.mine is None else message.model_copy(update={"mine": waiting.mine})
