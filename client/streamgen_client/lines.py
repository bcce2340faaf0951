"""What carries steering: a WebSocket, or a data channel of the session that watches.

All methods belong to the event loop's thread.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.exceptions import InvalidStateError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from streamgen.protocol import MAX_TRANSPORT_BYTES
from streamgen_client.errors import ConnectionLostError, MessageTooLongError, RefusedError, UnreachableError

POLICY_VIOLATION: Final = 1008
CHANNEL_LABEL: Final = "streamgen"
UNREAD_FRAMES: Final = 512  # of a data channel; full: it is closed, since what an answer says must not be lost
BUFFERED_BYTES: Final = 64 * 1024  # of a data channel, on their way; more waits


class Line(Protocol):
    """One connection to a channel's steering, to be opened once."""

    async def open(self) -> None:
        """Connect. Raises `UnreachableError` or `RefusedError`."""

    async def send(self, text: str) -> None:
        """Send one message, and wait while too much waits. Raises `ConnectionLostError`."""

    def frames(self) -> AsyncIterator[str | bytes]:
        """What the server says, until it hangs up. Raises `RefusedError` or `ConnectionLostError`."""

    async def close(self) -> None:
        """Hang up. Idempotent."""


class WebSocketLine:
    """A WebSocket of its own."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._connection: ClientConnection | None = None

    async def open(self) -> None:
        """Connect. Raises `UnreachableError` or `RefusedError`."""
        try:
            self._connection = await connect(
                self._url, additional_headers=self._headers, max_size=MAX_TRANSPORT_BYTES, open_timeout=None
            )
        except InvalidStatus as error:
            raise RefusedError(
                f"{self._url} answered {error.response.status_code}; is it a streamgen server with this channel?",
                status=error.response.status_code,
            ) from error
        except (OSError, InvalidHandshake) as error:
            raise UnreachableError(f"{self._url} cannot be reached ({error}); is the server running?") from error

    async def send(self, text: str) -> None:
        """Send one text frame. Raises `ConnectionLostError`."""
        assert self._connection is not None, "open it first"
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise ConnectionLostError("the steering connection was lost; connect again") from error

    async def frames(self) -> AsyncIterator[str | bytes]:
        """What the server says. Raises `RefusedError` or `ConnectionLostError`."""
        assert self._connection is not None, "open it first"
        try:
            async for frame in self._connection:
                yield frame
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd is not None else ""
            if error.rcvd is not None and error.rcvd.code == POLICY_VIOLATION:
                raise RefusedError(reason or "the server refuses this client", status=POLICY_VIOLATION) from error
            raise ConnectionLostError(f"the steering connection was lost ({reason or error}); connect again") from error

    async def close(self) -> None:
        """Close. Idempotent."""
        if self._connection is not None:
            await self._connection.close()


class DataChannelLine:
    """A data channel on a connection that is up already. It ends with that connection."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self._peer = peer
        self._channel: RTCDataChannel | None = None
        self._unread: deque[str | bytes] = deque()
        self._changed = asyncio.Event()  # of what is unread, what waits to be sent, or the channel's state
        self._overrun = False

    async def open(self) -> None:
        """Open the channel. Raises `UnreachableError`."""
        channel = self._channel = self._peer.createDataChannel(CHANNEL_LABEL)
        channel.bufferedAmountLowThreshold = BUFFERED_BYTES
        for event in ("open", "close", "bufferedamountlow"):
            channel.on(event, self._changed.set)
        channel.on("message", self._heard)
        while channel.readyState == "connecting":
            await self._wait()
        if channel.readyState != "open" and not self._unread:
            raise UnreachableError("the server does not take a data channel for steering; steer over a WebSocket")

    async def send(self, text: str) -> None:
        """Send one text message. Raises `ConnectionLostError`, and `MessageTooLongError` where the line goes on."""
        channel = self._opened()
        try:
            channel.send(text)
        except ValueError as error:
            raise MessageTooLongError("this is longer than a data channel carries; steer over a WebSocket") from error
        except InvalidStateError as error:
            raise ConnectionLostError("the steering channel is closed; open it again") from error
        while channel.readyState == "open" and channel.bufferedAmount > BUFFERED_BYTES:
            await self._wait()

    async def frames(self) -> AsyncIterator[str | bytes]:
        """What the server says. Raises `ConnectionLostError` for a reader that is hopelessly behind."""
        channel = self._opened()
        while True:
            while self._unread:
                yield self._unread.popleft()
            if self._overrun:
                raise ConnectionLostError("more messages came than were read; open the steering channel again")
            if channel.readyState in ("closing", "closed"):
                return
            await self._wait()

    async def close(self) -> None:
        """Close the channel; the connection stays. Idempotent."""
        if self._channel is not None:
            self._channel.close()
        self._changed.set()

    def _opened(self) -> RTCDataChannel:
        assert self._channel is not None, "open it first"
        return self._channel

    def _heard(self, frame: str | bytes) -> None:
        if len(self._unread) < UNREAD_FRAMES:
            self._unread.append(frame)
        else:
            self._overrun = True
            self._opened().close()
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
