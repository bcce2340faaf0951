"""One client's steering, whatever carries it: a line brings its frames and takes the messages for it.

`converse` owns the tasks beside the reading: one empties the outbox, one waits for the end of the client's token. A
frame that is not a valid message is answered and the conversation goes on; only a line that stands still, or a token
whose time is over, ends it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from streamgen.access.expiry import until
from streamgen.access.limits import ACTION_OF, MAX_STEERING, Limits
from streamgen.access.tokens import expired
from streamgen.protocol import (
    ClientMessage,
    Permission,
    ProtocolError,
    TimelineLoad,
    encode,
    parse_client,
)
from streamgen.protocol.reading import refuse_unread
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.open_request import texts_of
from streamgen.steering.outbox import OutboxOverflowError
from streamgen.steering.rate import TRUSTED_BURST_MESSAGES, TRUSTED_MESSAGES_PER_S, TokenBucket

logger = logging.getLogger(__name__)

# Why a line is closed: RFC 6455, section 7.4.1, and the IANA registry of close codes.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013

SEND_TIMEOUT_S: Final = 20.0  # one message that takes this long: the client does not read
TOO_FAST: Final = "too many messages; send fewer and try again"
FAREWELL_TIMEOUT_S: Final = 0.4  # with `expiry.CHECK_S` less than a second after a token's end


class LineClosedError(Exception):
    """The client is gone."""


class Line(Protocol):
    """What carries a conversation: `websocket.WebSocketLine` and `data_channel.DataChannelLine`."""

    async def listen(self, take: Callable[[str | bytes], None]) -> None:
        """Hand each frame to `take`, text or binary, until the client leaves."""

    async def send(self, text: str) -> None:
        """Send a message, and wait while the client is behind. Raises `LineClosedError`."""

    async def close(self, code: int, reason: str) -> None:
        """Hang up. Raises `LineClosedError` if the client has done so."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is at the other end, for whatever counts or limits them."""

    voter: str | None = None  # counted once; see `streamgen.access.visitors`
    host: str | None = None  # the address they come from
    expires_at: float | None = None  # Unix time (s) at which their token ends
    trusted: bool = False  # whoever runs the server: only the limit of their address, and a wide one here


class _TokenEndedError(Exception):
    """The client's token is over."""


async def converse(
    line: Line,
    hub: SteeringHub,
    *,
    client: str | None,
    can: frozenset[Permission],
    guest: Guest | None = None,
    limits: Limits | None = None,
    now_s: Callable[[], float] | None = None,
    wait_until: Callable[[float], Awaitable[None]] = until,
    send_timeout_s: float = SEND_TIMEOUT_S,
    max_connections: int = MAX_STEERING,
) -> None:
    """Serve a line until it ends.

    `client` is the name that the client gave itself, so that its ids outlive one connection; None for a client of
    this connection only. `limits` are those of the server, shared by its connections. `now_s` is a monotonic clock in
    seconds, and `wait_until` returns once a Unix time has come. More than `max_connections` are told to come later.
    """
    guest = guest if guest is not None else Guest()
    limits = limits if limits is not None else Limits()
    full: str | None = None
    if hub.connections >= max_connections:
        full = "too many connections; try again later"
    elif not limits.connect(guest.host):
        full = "too many connections from your address; close one and try again"
    if full is not None:
        with contextlib.suppress(LineClosedError):
            await line.close(TRY_AGAIN_LATER, full)
        return
    try:
        connection = hub.connect(client, can, voter=guest.voter)
    except BaseException:
        limits.disconnect(guest.host)
        raise
    reading = _Reading(hub, connection, guest, limits, now_s or asyncio.get_running_loop().time)
    behind = over = False
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(_send(line, hub, connection, send_timeout_s), name="steering-send")]
            if guest.expires_at is not None:
                waiting = _end_with_token(guest.expires_at, wait_until)
                beside.append(tasks.create_task(waiting, name="steering-token"))
            await line.listen(reading.take)
            for task in beside:
                task.cancel()
    except* (OutboxOverflowError, TimeoutError):
        behind = True
    except* _TokenEndedError:
        over = True
    except* LineClosedError:
        pass  # it left while something was being sent to it
    finally:
        hub.disconnect(connection)
        limits.disconnect(guest.host)
    if over:
        await _send_away(line)
    elif behind:
        logger.warning("a steering client does not read what it is sent; its connection is closed")
        # What stands still may not take the close either; then the transport itself ends it.
        with contextlib.suppress(TimeoutError, LineClosedError):
            async with asyncio.timeout(send_timeout_s):
                await line.close(TRY_AGAIN_LATER, "you are too far behind; reconnect for the state of now")


class _Reading:
    """What becomes of one client's frames. Nothing here waits."""

    def __init__(
        self, hub: SteeringHub, connection: Connection, guest: Guest, limits: Limits, now_s: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._connection = connection
        self._guest = guest
        self._limits = limits
        self._now_s = now_s
        wide = (TRUSTED_MESSAGES_PER_S, TRUSTED_BURST_MESSAGES)
        self._bucket = TokenBucket(*wide) if guest.trusted else TokenBucket()

    def take(self, frame: str | bytes) -> None:
        """The client says something: it acts, or is answered why not."""
        wait_s = self._bucket.take(self._now_s())
        if wait_s is not None:  # it is not worth reading
            self._hub.reject(self._connection, refuse_unread(frame, "rate_limited", TOO_FAST), wait_s)
            return
        try:
            message = parse_client(frame, whole_timelines="schedule" in self._connection.can)
        except ProtocolError as error:
            self._hub.reject(self._connection, error)
            return
        wait_s = self._of_limits(message)
        if wait_s is None:
            self._hub.take(self._connection, message)
        else:
            self._hub.reject(self._connection, refuse_unread(frame, "rate_limited", TOO_FAST), wait_s)

    def _of_limits(self, message: ClientMessage) -> float | None:
        """Count what is limited by person and address: None, or how long to wait (s)."""
        action = ACTION_OF.get(message.type)
        if action is None:
            return None
        guest = self._guest
        voter = None if guest.trusted else guest.voter
        times = max(1, len(texts_of(message))) if isinstance(message, TimelineLoad) else 1
        return self._limits.take(action, voter=voter, host=guest.host, now_s=self._now_s(), times=times)


async def _send(line: Line, hub: SteeringHub, connection: Connection, timeout_s: float) -> None:
    while True:
        message = await connection.outbox.get()
        wait_s = hub.turn_s(connection)
        if wait_s > 0.0:
            await asyncio.sleep(wait_s)
        async with asyncio.timeout(timeout_s):
            await line.send(hub.encoded(message))


async def _end_with_token(expires_at: float, wait_until: Callable[[float], Awaitable[None]]) -> None:
    await wait_until(expires_at)
    raise _TokenEndedError


async def _send_away(line: Line) -> None:
    """Say that the token is over, and close. A client that does not read is left to the transport itself."""
    reason = str(expired())
    with contextlib.suppress(TimeoutError, LineClosedError):
        async with asyncio.timeout(FAREWELL_TIMEOUT_S):
            await line.send(encode(ProtocolError("token", "forbidden", reason).rejected()))
            await line.close(POLICY_VIOLATION, reason)
