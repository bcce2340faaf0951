"""Pages over a steering connection that a test speaks, and the picture of a real server.

What the server says about a vote is tested with the server. Here a test decides what is said and when, and sees what a
page sends: votes that are refused, phases that end, connections that are lost.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from playwright.async_api import BrowserContext, Page, WebSocketRoute

from tests.e2e.viewing import LIMIT_S, Viewing

STATE: dict[str, Any] = {
    "type": "state",
    "version": 1,
    "revision": 1,
    "channel": "main",
    "status": "live",
    "prompt": "a calm sea",
    "prompt_id": None,
    "sound": None,
    "pending": [],
    "held": [],
    "knobs": {},
    "choices": {},
    "recaches": False,
    "config": {"guidance": None, "seed": None},
    "cover": "none",
    "muted": False,
    "paused": False,
    "media_time": 1.0,
    "chunk": 3,
    "viewers": 1,
    "can": ["propose", "vote"],
}
AUDIENCE: dict[str, Any] = {
    "type": "audience",
    "revision": 1,
    "mode": "single",
    "phase": "vote",
    "paused": False,
    "round": "4",
    "ballot": "4.prompt",
    "stage": "prompt",
    "stages": ["prompt"],
    "options": [
        {"id": "p1", "text": "a lighthouse in a storm", "votes": 6, "share": 0.6, "names": ["Mara"], "playing": 0.0},
        {"id": "p2", "text": "paper lanterns over a river", "votes": 4, "share": 0.4, "names": [], "playing": 0.0},
    ],
    "voters": 10,
    "proposals": 2,
    "remaining_s": 60.0,
    "winners": [],
    "decided_by": None,
    "mine": None,
    "queue": [],
}


class Scripted(Viewing):
    """A page whose steering connection is the test's own: `say` speaks to it, `heard` is what it sent."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.heard: list[dict[str, Any]] = []  # oldest first, pings are answered and not kept
        self._revision = 0
        self._socket: WebSocketRoute | None = None
        self._arrived = asyncio.Event()

    @classmethod
    async def open_scripted(cls, context: BrowserContext, url: str, *first: dict[str, Any]) -> Self:
        """Open `url`; on connecting the page is told `first`, and `STATE` without any."""
        context.set_default_timeout(LIMIT_S * 1000)
        scripted = cls(await context.new_page())

        def connected(socket: WebSocketRoute) -> None:
            scripted._socket = socket
            socket.on_message(scripted._take)
            for message in first or (STATE,):
                scripted.say(message)

        await scripted.page.route_web_socket("**/steer/**", connected)
        await scripted.page.goto(url)
        return scripted

    def say(self, message: dict[str, Any], **changes: Any) -> None:
        """Tell the page something; `state` and `audience` get the next revision."""
        assert self._socket is not None
        said = message | changes
        if "revision" in said:
            self._revision += 1
            said["revision"] = self._revision
        self._socket.send(json.dumps(said))

    async def asked(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The newest message of the page that is wanted; waits for it."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                found: list[dict[str, Any]] = [message for message in self.heard if wanted(message)]
                if found:
                    return found[-1]
                self._arrived.clear()
                await self._arrived.wait()

    async def hang_up(self) -> None:
        """End the connection; the page comes back by itself."""
        assert self._socket is not None
        await self._socket.close(code=1012, reason="the server stops")

    def _take(self, frame: str | bytes) -> None:
        message: dict[str, Any] = json.loads(frame)
        if message["type"] == "ping":
            self.say({"type": "pong", "id": message["id"], "t": message["t"], "server_media_time": 2.0})
        else:
            self.heard.append(message)
            self._arrived.set()
