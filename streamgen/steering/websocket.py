"""One WebSocket as a line for `streamgen.steering.conversation`."""

from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamgen.steering.conversation import LineClosedError


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
