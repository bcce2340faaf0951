"""A hub whose connections and requests a test can see, and which tells what the test says."""

import asyncio
from collections.abc import Callable

from streamgen.packets import Command
from streamgen.protocol import ClientMessage, Permission, ServerMessage
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.session import SteeringSession


class Stage(SteeringHub):
    def __init__(self, *, moderated: bool = False) -> None:
        self.commands: list[Command] = []
        self.asked: list[tuple[Connection, ClientMessage]] = []
        self.joined: list[Connection] = []
        super().__init__(
            SteeringSession("main", prompt="sea", moderated=moderated),
            send=self.commands.append,
            media_time_s=lambda: 2.5,
        )

    def connect(self, client: str | None, can: frozenset[Permission], *, voter: str | None = None) -> Connection:
        connection = super().connect(client, can, voter=voter)
        self.joined.append(connection)
        return connection

    def take(self, connection: Connection, message: ClientMessage) -> None:
        self.asked.append((connection, message))
        super().take(connection, message)

    def tell(self, message: ServerMessage) -> None:
        """To everybody who has joined."""
        for connection in self.joined:
            connection.outbox.put(message)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is told by nobody
            await asyncio.sleep(0.001)
