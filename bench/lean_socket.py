"""A WebSocket client that costs next to nothing, for benchmarks with thousands of them (RFC 6455).

It reads whole, unfragmented frames of a server that it trusts, answers pings, and hands each text to a function.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import urlsplit

OPEN_LIMIT_S: Final = 60.0
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_LAST: Final = 0x80
_MASKED: Final = 0x80
_NO_MASK: Final = b"\0\0\0\0"  # a mask that changes nothing: it protects proxies, and there is none here


class HandshakeError(ConnectionError):
    """The server did not take the connection."""


class LeanSocket(asyncio.Protocol):
    """One connection. `on_text` is called with each text frame's bytes, and must return at once.

    Attributes:
        closed: whether the connection has ended, whoever ended it.
    """

    def __init__(self, request: bytes, on_text: Callable[[bytes], None]) -> None:
        self.closed = False
        self._request = request
        self._on_text = on_text
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Some of the answer, or of frames."""
        self._received += data
        if not self._open:
            head, found, rest = bytes(self._received).partition(b"\r\n\r\n")
            if not found:
                return
            status = head.split(b"\r\n", 1)[0].decode("latin-1")
            if " 101 " not in f"{status} ":
                self._opened.set_exception(HandshakeError(f"the server said {status}"))
                return
            self._open = True
            self._received = bytearray(rest)
            self._opened.set_result(None)
        for kind, payload in read_frames(self._received):
            if kind == _TEXT:
                self._on_text(payload)
            elif kind == _PING:
                self._write(_PONG, payload)
            elif kind == _CLOSE:
                self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self.closed = True
        if not self._opened.done():
            self._opened.set_exception(HandshakeError(f"the connection ended ({error})"))

    def send(self, text: str) -> None:
        """Send a text frame, unless the connection has ended."""
        if not self.closed:
            self._write(_TEXT, text.encode())

    def abort(self) -> None:
        """End it without a farewell."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame(kind, payload))

    @classmethod
    async def connect(cls, url: str, token: str, on_text: Callable[[bytes], None]) -> "LeanSocket":
        """Connect with a bearer token. Raises `HandshakeError`, `OSError` or `TimeoutError`."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: cls(request, on_text), parts.hostname, parts.port)
        async with asyncio.timeout(OPEN_LIMIT_S):
            await made._opened
        return made


def read_frames(received: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole frames off the front: opcode and payload of each."""
    found, at = [], 0
    while len(received) - at >= 2:
        length, start = received[at + 1] & 0x7F, at + 2
        if length == 126:
            if len(received) - at < 4:
                break
            (length,), start = struct.unpack_from(">H", received, start), at + 4
        elif length == 127:
            if len(received) - at < 10:
                break
            (length,), start = struct.unpack_from(">Q", received, start), at + 10
        if len(received) < start + length:
            break
        found.append((received[at] & 0x0F, bytes(received[start : start + length])))
        at = start + length
    del received[:at]
    return found


def frame(kind: int, payload: bytes) -> bytes:
    """One whole frame as a client sends it."""
    length = len(payload)
    if length < 126:
        head = bytes((_LAST | kind, _MASKED | length))
    elif length < 1 << 16:
        head = struct.pack(">BBH", _LAST | kind, _MASKED | 126, length)
    else:
        head = struct.pack(">BBQ", _LAST | kind, _MASKED | 127, length)
    return head + _NO_MASK + payload
