"""The steering protocol over one WebSocket: a thin shell around a connection of the hub.

`serve` reads frames and owns one more task, which empties the outbox. A frame that is not a valid message is answered
and the connection goes on; only a transport that stands still ends it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamgen.protocol import Permission, ProtocolError, encode, parse_client
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.outbox import OutboxOverflowError
from streamgen.steering.rate import TokenBucket

logger = logging.getLogger(__name__)

# RFC 6455, section 7.4.1, and the IANA registry of close codes.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013

MAX_CONNECTIONS: Final = 512
SEND_TIMEOUT_S: Final = 20.0  # one frame that takes this long: the client does not read


async def serve(
    websocket: WebSocket,
    hub: SteeringHub,
    *,
    client: str | None,
    can: frozenset[Permission],
    now_s: Callable[[], float] | None = None,
    send_timeout_s: float = SEND_TIMEOUT_S,
) -> None:
    """Serve an accepted connection until it ends.

    `client` is the name that the client gave itself, so that its ids outlive one connection; None for a client of
    this connection only. `now_s` is a monotonic clock in seconds.
    """
    if hub.connections >= MAX_CONNECTIONS:
        await websocket.close(TRY_AGAIN_LATER, "too many connections; try again later")
        return
    clock = now_s if now_s is not None else asyncio.get_running_loop().time
    connection = hub.connect(client, can)
    behind = False
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send(websocket, connection, send_timeout_s), name="steering-send")
            await _receive(websocket, hub, connection, clock)
            sending.cancel()
    except* (OutboxOverflowError, TimeoutError):
        behind = True
    except* WebSocketDisconnect:
        pass  # it left while something was being sent to it
    finally:
        hub.disconnect(connection)
    if behind:
        logger.warning("a steering client does not read what it is sent; its connection is closed")
        # What stands still may not take the close either; then the transport's own ping ends it.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(send_timeout_s):
                await websocket.close(TRY_AGAIN_LATER, "you are too far behind; reconnect for the state of now")


async def _receive(websocket: WebSocket, hub: SteeringHub, connection: Connection, now_s: Callable[[], float]) -> None:
    bucket = TokenBucket()
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        frame: str | bytes = event["text"] if event.get("text") is not None else event["bytes"]
        wait_s = bucket.take(now_s())
        try:
            message = parse_client(frame)
        except ProtocolError as error:
            hub.reject(connection, error if wait_s is None else _too_fast(error.id), wait_s)
            continue
        if wait_s is None:
            hub.take(connection, message)
        else:
            hub.reject(connection, _too_fast(message.id), wait_s)


async def _send(websocket: WebSocket, connection: Connection, timeout_s: float) -> None:
    while True:
        message = await connection.outbox.get()
        async with asyncio.timeout(timeout_s):
            await websocket.send_text(encode(message))


def _too_fast(request_id: str | None) -> ProtocolError:
    return ProtocolError("frame", "rate_limited", "too many messages; send fewer and try again", id=request_id)
