"""The steering protocol over one WebSocket: a thin shell around a connection of the hub.

`serve` reads frames and owns the tasks beside it: one empties the outbox, one waits for the end of the client's
token. A frame that is not a valid message is answered and the connection goes on; only a transport that stands still,
or a token whose time is over, ends it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamgen.access.expiry import until
from streamgen.access.limits import ACTION_OF, Limits
from streamgen.access.tokens import expired
from streamgen.protocol import ClientMessage, Permission, Prompt, ProtocolError, encode, parse_client
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.outbox import OutboxOverflowError
from streamgen.steering.rate import TRUSTED_BURST_MESSAGES, TRUSTED_MESSAGES_PER_S, TokenBucket

logger = logging.getLogger(__name__)

# RFC 6455, section 7.4.1, and the IANA registry of close codes.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013

MAX_CONNECTIONS: Final = 512
SEND_TIMEOUT_S: Final = 20.0  # one frame that takes this long: the client does not read
FAREWELL_TIMEOUT_S: Final = 0.4  # with `expiry.CHECK_S` less than a second after a token's end


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is at the other end, for whatever counts or limits them."""

    voter: str | None = None  # counted once; see `streamgen.access.visitors`
    host: str | None = None  # the address they come from
    expires_at: float | None = None  # Unix time (s) at which their token ends
    trusted: bool = False  # whoever runs the server: only the limit of their address, and a wide one here


class _TokenEndedError(Exception):
    """The client's token is over."""


async def serve(
    websocket: WebSocket,
    hub: SteeringHub,
    *,
    client: str | None,
    can: frozenset[Permission],
    guest: Guest | None = None,
    limits: Limits | None = None,
    now_s: Callable[[], float] | None = None,
    wait_until: Callable[[float], Awaitable[None]] = until,
    send_timeout_s: float = SEND_TIMEOUT_S,
) -> None:
    """Serve an accepted connection until it ends.

    `client` is the name that the client gave itself, so that its ids outlive one connection; None for a client of
    this connection only. `limits` are those of the server, shared by its connections. `now_s` is a monotonic clock in
    seconds, and `wait_until` returns once a Unix time has come.
    """
    guest = guest if guest is not None else Guest()
    limits = limits if limits is not None else Limits()
    if hub.connections >= MAX_CONNECTIONS:
        await websocket.close(TRY_AGAIN_LATER, "too many connections; try again later")
        return
    if not limits.connect(guest.host):
        await websocket.close(TRY_AGAIN_LATER, "too many connections from your address; close one and try again")
        return
    clock = now_s if now_s is not None else asyncio.get_running_loop().time
    connection = hub.connect(client, can, voter=guest.voter)
    behind = over = False
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(_send(websocket, connection, send_timeout_s), name="steering-send")]
            if guest.expires_at is not None:
                waiting = _end_with_token(guest.expires_at, wait_until)
                beside.append(tasks.create_task(waiting, name="steering-token"))
            await _receive(websocket, hub, connection, guest, limits, clock)
            for task in beside:
                task.cancel()
    except* (OutboxOverflowError, TimeoutError):
        behind = True
    except* _TokenEndedError:
        over = True
    except* WebSocketDisconnect:
        pass  # it left while something was being sent to it
    finally:
        hub.disconnect(connection)
        limits.disconnect(guest.host)
    if over:
        await _send_away(websocket)
    elif behind:
        logger.warning("a steering client does not read what it is sent; its connection is closed")
        # What stands still may not take the close either; then the transport's own ping ends it.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(send_timeout_s):
                await websocket.close(TRY_AGAIN_LATER, "you are too far behind; reconnect for the state of now")


async def _receive(
    websocket: WebSocket,
    hub: SteeringHub,
    connection: Connection,
    guest: Guest,
    limits: Limits,
    now_s: Callable[[], float],
) -> None:
    bucket = TokenBucket(TRUSTED_MESSAGES_PER_S, TRUSTED_BURST_MESSAGES) if guest.trusted else TokenBucket()
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        frame: str | bytes = event["text"] if event.get("text") is not None else event["bytes"]
        wait_s = bucket.take(now_s())
        try:
            message = parse_client(frame)
        except ProtocolError as error:
            hub.reject(connection, error if wait_s is None else _too_fast(error.id, thin=error.thin), wait_s)
            continue
        if wait_s is None:
            wait_s = _take(limits, message, guest, now_s())
        if wait_s is None:
            hub.take(connection, message)
        else:
            thin = isinstance(message, Prompt)
            hub.reject(connection, _too_fast(None if isinstance(message, Prompt) else message.id, thin=thin), wait_s)


def _take(limits: Limits, message: ClientMessage, guest: Guest, now_s: float) -> float | None:
    action = ACTION_OF.get(message.type)
    if action is None:
        return None
    return limits.take(action, voter=None if guest.trusted else guest.voter, host=guest.host, now_s=now_s)


async def _send(websocket: WebSocket, connection: Connection, timeout_s: float) -> None:
    while True:
        message = await connection.outbox.get()
        async with asyncio.timeout(timeout_s):
            await websocket.send_text(encode(message))


async def _end_with_token(expires_at: float, wait_until: Callable[[float], Awaitable[None]]) -> None:
    await wait_until(expires_at)
    raise _TokenEndedError


async def _send_away(websocket: WebSocket) -> None:
    """Say that the token is over, and close. A client that does not read is left to the transport's own ping."""
    reason = str(expired())
    with contextlib.suppress(TimeoutError, WebSocketDisconnect):
        async with asyncio.timeout(FAREWELL_TIMEOUT_S):
            await websocket.send_text(encode(ProtocolError("token", "forbidden", reason).rejected()))
            await websocket.close(POLICY_VIOLATION, reason)


def _too_fast(request_id: str | None, *, thin: bool) -> ProtocolError:
    told = "too many messages; send fewer and try again"
    return ProtocolError("frame", "rate_limited", told, id=request_id, thin=thin)
