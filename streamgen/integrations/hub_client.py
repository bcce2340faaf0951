"""A client of the steering hub inside this process: asks like everybody else, and hears what everybody hears.

What it asks for takes the same way as what comes over a WebSocket: permissions, moderation and log are the hub's. The
hub never waits for it: its outbox is bounded as every other, one task empties it, and `hear` must return at once.
Falling hopelessly behind means joining anew, with a fresh `state`; `fell_behind` counts it.

All methods belong to the event loop's thread.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeAlias

from streamgen.protocol import (
    Accepted,
    Applied,
    Held,
    Permission,
    Queued,
    Received,
    Rejected,
    RequestMessage,
    ServerMessage,
    Superseded,
)
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.outbox import OutboxOverflowError

logger = logging.getLogger(__name__)

Outcome: TypeAlias = Applied | Rejected | Superseded
LifeEvent: TypeAlias = Received | Held | Accepted | Queued | Applied | Rejected | Superseded

MAX_FOLLOWED: Final = 256  # requests under way; one more and the oldest is followed no longer


class Asked:
    """A request under way, and what became of it.

    Attributes:
        message: what was asked for.
        heard: the last that was said about it, None before the first.
        final: the final answer, None before it comes.
        lost: True once its answer will never be known here.
    """

    def __init__(self, message: RequestMessage) -> None:
        self.message = message
        self.heard: LifeEvent | None = None
        self.final: Outcome | None = None
        self.lost = False
        self._over = asyncio.Event()

    async def outcome(self) -> Outcome | None:
        """Wait for the final answer; None when it will never be known."""
        await self._over.wait()
        return self.final

    def take(self, event: LifeEvent) -> None:
        """Something was said about it."""
        self.heard = event
        if isinstance(event, Applied | Rejected | Superseded):
            self.final = event
            self._over.set()

    def lose(self) -> None:
        """Nothing more will be heard."""
        self.lost = self.final is None
        self._over.set()


class HubClient:
    """`async with HubClient(hub, name, can=..., hear=...) as client`.

    Args:
        hub: the channel's.
        name: for the log: who asked. No client from outside can have it.
        can: what it may do.
        hear: called with every message, in order, after requests have taken it; must return at once. The first is the
            whole `state`.
    """

    def __init__(
        self,
        hub: SteeringHub,
        name: str,
        *,
        can: frozenset[Permission],
        hear: Callable[[ServerMessage], None] = lambda message: None,
    ) -> None:
        self.fell_behind = 0
        self._hub = hub
        self._name = name
        self._can = can
        self._hear = hear
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._connection: Connection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._connection = self._join()
        self._reader = asyncio.create_task(self._read(), name=f"{self._name} hub client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave. Idempotent; what was asked for stays in force."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._hub.disconnect(connection)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        self._lose_all()

    def ask(self, message: RequestMessage) -> Asked:
        """Ask for something, under an id that `new_id` made, and follow what becomes of it."""
        if self._connection is None:
            raise RuntimeError("the hub client has left, or did not join; use `async with`")
        asked = Asked(message)
        self._asked[message.id] = asked
        if len(self._asked) > MAX_FOLLOWED:
            _, oldest = self._asked.popitem(last=False)
            oldest.lose()
        self._hub.take(self._connection, message)
        return asked

    def ask_for(self, voter: str, message: RequestMessage) -> None:
        """Ask in the name of somebody else, who counts as `voter`, with the permissions of this client.

        Nobody listens to the answers. A connection of their own would make the hub copy each state for each of them,
        and there are thousands in a chat.
        """
        # Not joined: the hub delivers to joined connections only. The name is one that no client can choose.
        self._hub.take(Connection(f"\n{voter}", self._can, voter), message)

    def _join(self) -> Connection:
        return self._hub.connect(None, self._can, voter=self._name)

    async def _read(self) -> None:
        assert self._connection is not None
        while True:
            try:
                message = await self._connection.outbox.get()
            except OutboxOverflowError:
                self.fell_behind += 1
                logger.warning("%s fell behind what the channel says, and joins anew", self._name)
                self._hub.disconnect(self._connection)
                self._connection = self._join()
                self._lose_all()
                continue
            self._take(message)

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, Received | Held | Accepted | Queued | Applied | Rejected | Superseded):
            asked = self._asked.get(message.id or "")
            if asked is not None:
                asked.take(message)
        try:
            self._hear(message)
        except Exception:  # the task's outermost edge: the next messages have to be heard as well
            logger.exception("%s could not use a %s message", self._name, message.type)
        if isinstance(message, Applied | Rejected | Superseded):
            self._asked.pop(message.id or "", None)

    def _lose_all(self) -> None:
        for asked in self._asked.values():
            asked.lose()
        self._asked.clear()


def new_id() -> str:
    """An id that nobody else chooses."""
    return secrets.token_hex(12)
