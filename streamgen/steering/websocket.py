"""The steering protocol over one WebSocket: a thin shell, whose conversation is `streamgen.steering.conversation`."""

from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamgen.access.expiry import until
from streamgen.access.limits import MAX_STEERING, Limits
from streamgen.protocol import Permission
from streamgen.steering.conversation import SEND_TIMEOUT_S, Guest, LineClosedError, converse
from streamgen.steering.hub import SteeringHub


class WebSocketLine:
    """An accepted WebSocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def listen(self, take: Callable[[str | bytes], None]) -> None:
        """Hand over each frame until the client leaves."""
        while True:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            take(event["text"] if event.get("text") is not None else event["bytes"])

    async def send(self, text: str) -> None:
        """Send one text frame, and wait until the transport has taken it. Raises `LineClosedError`."""
        try:
            await self._websocket.send_text(text)
        except WebSocketDisconnect as error:
            raise LineClosedError from error

    async def close(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455. Raises `LineClosedError`."""
        try:
            await self._websocket.close(code, reason)
        except WebSocketDisconnect as error:
            raise LineClosedError from error


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
    max_connections: int = MAX_STEERING,
) -> None:
    """Serve an accepted connection until it ends; the arguments are those of `converse`."""
    await converse(
        WebSocketLine(websocket),
        hub,
        client=client,
        can=can,
        guest=guest,
        limits=limits,
        now_s=now_s,
        wait_until=wait_until,
        send_timeout_s=send_timeout_s,
        max_connections=max_connections,
    )
