"""The server's end of a data channel, by hand."""

import json
from typing import Any

from aiortc.exceptions import InvalidStateError
from pyee.asyncio import AsyncIOEventEmitter


class FakeChannel(AsyncIOEventEmitter):
    """Keeps what is sent. While it is `stuck`, all of it waits, as for a viewer that does not read."""

    def __init__(self, *, longest: int = 65_536) -> None:
        super().__init__()
        self.readyState = "open"
        self.bufferedAmount = 0
        self.bufferedAmountLowThreshold = 0
        self.stuck = False
        self.sent: list[dict[str, Any]] = []
        self._longest = longest

    def send(self, text: str) -> None:
        if self.readyState != "open":
            raise InvalidStateError
        if len(text) > self._longest:
            raise ValueError("the viewer takes no message of this length")
        self.sent.append(json.loads(text))
        if self.stuck:
            self.bufferedAmount += len(text)

    def drain(self) -> None:
        """The viewer has read everything."""
        self.stuck = False
        self.bufferedAmount = 0
        self.emit("bufferedamountlow")

    def close(self) -> None:
        if self.readyState == "open":
            self.readyState = "closed"
            self.emit("close")

    def say(self, **message: Any) -> None:
        """The viewer sends a message."""
        self.emit("message", json.dumps(message))
