"""One data channel of a viewer as a line for `streamgen.steering.conversation`.

A data channel has no close codes. Where a WebSocket would be closed with one, a `rejected` without an id says why, and
then the channel is closed: `forbidden` with the field `token` when coming again cannot help, `unavailable` when it may.

All methods belong to the event loop's thread.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from streamgen.protocol import ProtocolError, encode
from streamgen.steering.conversation import TRY_AGAIN_LATER, LineClosedError

MOST_BUFFERED_BYTES: Final = 16 * 1024
"""Bytes that wait in the transport; with more no further message is taken from the outbox, which then coalesces."""

_TOO_LONG: Final = "a message is too long for your data channel and is left out; steer over the WebSocket to get it"
MOST_EARLY: Final = 64
"""Frames that come before anybody listens, which is a moment. Full: the channel is closed."""


class DataChannelLine:
    """An open data channel. Made as soon as the channel is there: what comes from then on is not lost."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._early: list[str | bytes] = []
        self._take: Callable[[str | bytes], None] | None = None
        self._heard_something = False  # the first message, which is the whole state, was not too long for it
        self._gone = asyncio.Event()
        self._changed = asyncio.Event()  # of what waits to be sent
        channel.bufferedAmountLowThreshold = MOST_BUFFERED_BYTES
        channel.on("bufferedamountlow", self._changed.set)
        channel.on("message", self._heard)
        channel.on("close", self._left)

    async def listen(self, take: Callable[[str | bytes], None]) -> None:
        """Hand over each frame until the channel is closed."""
        early, self._early, self._take = self._early, [], take
        for frame in early:
            take(frame)
        await self._gone.wait()

    async def send(self, text: str) -> None:
        """Send one text message, and wait while too much waits to be sent. Raises `LineClosedError`.

        One that is longer than the viewer's offer allows (`a=max-message-size`) is left out, and the viewer told so.
        """
        try:
            self._channel.send(text)
            self._heard_something = True
        except InvalidStateError as error:
            raise LineClosedError from error
        except ValueError as error:
            if not self._heard_something:  # not even what there is now
                self._channel.close()
                raise LineClosedError from error
            _say(self._channel, ProtocolError("connection", "too_long", _TOO_LONG))
        while self._channel.bufferedAmount > MOST_BUFFERED_BYTES:
            if self._gone.is_set():
                raise LineClosedError
            self._changed.clear()
            await self._changed.wait()

    async def close(self, code: int, reason: str) -> None:
        """Close, after a word about why where nothing has been said yet."""
        if code == TRY_AGAIN_LATER:
            _say(self._channel, ProtocolError("connection", "unavailable", reason))
        self._channel.close()

    def _heard(self, frame: str | bytes) -> None:
        if self._channel.readyState != "open":
            return  # it is being closed; what still comes is not heard, as behind a closed WebSocket
        if self._take is not None:
            self._take(frame)
        elif len(self._early) < MOST_EARLY:
            self._early.append(frame)
        else:
            self._channel.close()

    def _left(self) -> None:
        self._gone.set()
        self._changed.set()


async def refuse(channel: RTCDataChannel, reason: str) -> None:
    """Say why this viewer may not steer, and close the channel."""
    _say(channel, ProtocolError("token", "forbidden", reason))
    channel.close()


def _say(channel: RTCDataChannel, error: ProtocolError) -> None:
    # ValueError: the viewer takes no message of this length, so it gets none.
    with contextlib.suppress(InvalidStateError, ValueError):
        channel.send(encode(error.rejected()))
