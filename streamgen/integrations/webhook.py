"""A webhook: what happened on the channel, as signed POSTs to one address.

One task delivers, in order; the channel never waits for it. An attempt that fails is made again after the pauses of
`RETRY_S`. Full-policy: beyond `MAX_WAITING` events that wait, the oldest is dropped and counted. What waits when the
server ends is dropped as well.

Redirects are not followed and no proxy of the environment is used: the events go where the operator said.
"""

import asyncio
import json
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import httpx

from streamgen.integrations.hub_client import HubClient
from streamgen.integrations.webhook_event import EventReader, WebhookEvent
from streamgen.integrations.webhook_signature import signature
from streamgen.protocol import Permission, ServerMessage
from streamgen.steering.hub import SteeringHub
from streamgen.version import __version__

logger = logging.getLogger(__name__)

CAN: Final[frozenset[Permission]] = frozenset({"watch"})

MAX_WAITING: Final = 256
TIMEOUT_S: Final = 10.0  # of one attempt, whatever the other side does
RETRY_S: Final = (1.0, 5.0, 30.0, 120.0)  # pauses before further attempts
RETRY_SPREAD: Final = 0.2  # a pause is up to this much longer, so that many servers do not come at once
MAX_RETRY_AFTER_S: Final = 300.0  # that the other side can ask for
COMPLAIN_EVERY: Final = 20  # failures between two lines in the log

Result: TypeAlias = Literal["delivered", "again", "gone"]


@dataclass(slots=True)
class WebhookCounts:
    """Events since the start: those that arrived, were given up after all attempts, or did not find a place."""

    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: str
    body: bytes


class Webhook:
    """`async with Webhook(hub, url, key, channel="main")`. Belongs to the event loop.

    Args:
        hub: the channel's.
        url: http or https.
        key: of the signatures; see `webhook_signature.read_secret`.
        channel: its name.
        transport: of HTTP, for tests.
        wall_s: Unix time (s).
        pause: waits so many seconds.
        spread: a number from 0 to 1 for each pause.
    """

    def __init__(
        self,
        hub: SteeringHub,
        url: str,
        key: bytes,
        *,
        channel: str,
        transport: httpx.AsyncBaseTransport | None = None,
        wall_s: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.counts = WebhookCounts()
        self._url = url
        self._key = key
        self._wall_s = wall_s
        self._pause = pause
        self._spread = spread
        self._reader = EventReader(channel)
        self._client = HubClient(hub, "webhook", can=CAN, hear=self._hear)
        self._waiting: deque[_Waiting] = deque()
        self._under_way: _Waiting | None = None
        self._more = asyncio.Event()
        self._gone = False  # the other side wants no more
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            headers={"User-Agent": f"streamgen/{__version__}", "Content-Type": "application/json"},
        )
        self._deliverer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Join the channel and begin to deliver."""
        self._deliverer = asyncio.create_task(self._deliver(), name="webhook")
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave the channel and stop to deliver. Idempotent."""
        await self._client.close()
        deliverer, self._deliverer = self._deliverer, None
        if deliverer is not None:
            deliverer.cancel()
            await asyncio.wait([deliverer])
        self.counts.dropped += self.waiting
        self._waiting.clear()
        self._under_way = None
        await self._http.aclose()

    @property
    def waiting(self) -> int:
        """Events that have not been delivered yet."""
        return len(self._waiting) + (self._under_way is not None)

    def _hear(self, message: ServerMessage) -> None:
        for event in self._reader.read(message):
            self._put(event)

    def _put(self, event: WebhookEvent) -> None:
        if self._gone:
            self.counts.dropped += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.counts.dropped += 1
        happened = datetime.fromtimestamp(self._wall_s(), UTC).isoformat(timespec="milliseconds")
        document = {"type": event.type, "timestamp": happened.replace("+00:00", "Z"), "data": dict(event.content)}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        self._waiting.append(_Waiting(f"msg_{secrets.token_hex(12)}", body))
        self._more.set()

    async def _deliver(self) -> None:
        while True:
            while not self._waiting:
                self._more.clear()
                await self._more.wait()
            self._under_way = self._waiting.popleft()
            try:
                await self._deliver_one(self._under_way)
            except Exception:  # the task's outermost edge: the next events have to be told as well
                logger.exception("an event could not be posted to the webhook")
                self.counts.failed += 1
            self._under_way = None

    async def _deliver_one(self, event: _Waiting) -> None:
        for pause_s in (*RETRY_S, None):
            result, asked_s = await self._attempt(event)
            if result == "delivered":
                self.counts.delivered += 1
                return
            if result == "gone":
                self._end()
                return
            if pause_s is not None:
                self.counts.retries += 1
                await self._pause(max(pause_s * (1.0 + RETRY_SPREAD * self._spread()), asked_s))
        self.counts.failed += 1

    async def _attempt(self, event: _Waiting) -> tuple[Result, float]:
        """One POST: what became of it, and for how long the other side asks to wait (s)."""
        now_s = int(self._wall_s())
        headers = {
            "webhook-id": event.id,  # the same for every attempt, so that a receiver can tell what it has seen
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._key, event.id, now_s, event.body),
        }
        try:
            # The body of the answer is of no use and not read; a slow trickle of headers is cut by the whole time.
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._http.stream("POST", self._url, content=event.body, headers=headers) as response,
            ):
                status, asked = response.status_code, response.headers.get("retry-after", "")
        # OSError: what TLS says in the middle of a stream passes through the client as it is.
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            self._complain(type(error).__name__)
            return "again", 0.0
        if 200 <= status < 300:
            return "delivered", 0.0
        if status == httpx.codes.GONE:
            return "gone", 0.0
        self._complain(f"status {status}")
        wait_s = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0
        return "again", min(wait_s, MAX_RETRY_AFTER_S)

    def _end(self) -> None:
        logger.warning("the webhook's receiver answers 410 (gone): nothing more is sent until the server starts again")
        self._gone = True
        self.counts.dropped += 1 + len(self._waiting)
        self._waiting.clear()

    def _complain(self, why: str) -> None:
        if (self.counts.retries + self.counts.failed) % COMPLAIN_EVERY == 0:
            # Not the address, which may hold a secret of its own.
            logger.warning("the webhook cannot be delivered (%s); it is tried again", why)
