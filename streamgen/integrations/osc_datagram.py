"""Open Sound Control 1.0 datagrams, to and from calls. Free of I/O.

python-osc reads and writes the messages. Bundles are walked here: its own reader never ends for an element whose size
is below zero, goes as deep as the datagram says, and logs each type tag that it does not know.

Full-policy: a datagram is taken as a whole or not at all; it holds at most `MAX_CALLS` calls in `MAX_DEPTH` bundles.
"""

import math
import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message import ParseError as MessageParseError
from pythonosc.osc_message_builder import OscMessageBuilder

OscValue: TypeAlias = str | int | float | bool | None

MAX_DATAGRAM_BYTES: Final = 8192  # a prompt of 500 characters of four bytes, and room
MAX_CALLS: Final = 64
MAX_DEPTH: Final = 4
MAX_ARGUMENTS: Final = 16

_BUNDLE: Final = b"#bundle\0"
_HEADER_BYTES: Final = 16  # with the time tag
_TAGS: Final = frozenset("ifsdhTFN")
_SIZE: Final = struct.Struct(">i")


class MalformedOscError(ValueError):
    """These bytes are no OSC, or more of it than one datagram may hold."""


@dataclass(frozen=True, slots=True)
class OscCall:
    """One message: an address and its arguments."""

    address: str
    arguments: tuple[OscValue, ...] = ()


def read_datagram(datagram: bytes) -> tuple[OscCall, ...]:
    """The calls of a datagram, in order. Time tags are not waited for: everything is for now.

    Raises:
        MalformedOscError: whatever is wrong with it.
    """
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise MalformedOscError(f"more than {MAX_DATAGRAM_BYTES} bytes")
    calls: list[OscCall] = []
    for element in _elements(datagram):
        if len(calls) == MAX_CALLS:
            raise MalformedOscError(f"more than {MAX_CALLS} messages")
        calls.append(_read_message(element))
    return tuple(calls)


def write_call(address: str, tags: str, *values: str | int | float) -> bytes:
    """The datagram of one message; `tags` has one letter for each value (`s`, `i`, `f`, `d`)."""
    builder = OscMessageBuilder(address)
    for tag, value in zip(tags, values, strict=True):
        # A zero ends a string; what comes after it would be lost, and in the way of what follows.
        builder.add_arg(value.replace("\0", " ") if isinstance(value, str) else value, tag)
    return builder.build().dgram


def _elements(datagram: bytes) -> list[bytes]:
    """The messages in a datagram, depth first, as bytes."""
    found: list[bytes] = []
    waiting: list[tuple[bytes, int]] = [(datagram, 0)]
    while waiting:
        element, depth = waiting.pop()
        if not element.startswith(_BUNDLE):
            found.append(element)
            continue
        if depth == MAX_DEPTH:
            raise MalformedOscError(f"more than {MAX_DEPTH} bundles in one another")
        if len(element) < _HEADER_BYTES:
            raise MalformedOscError("a bundle without a time tag")
        inside: list[tuple[bytes, int]] = []
        place = _HEADER_BYTES
        while place < len(element):
            if place + _SIZE.size > len(element):
                raise MalformedOscError("a bundle that ends within a size")
            (size,) = _SIZE.unpack_from(element, place)
            place += _SIZE.size
            if size <= 0 or size % 4 or place + size > len(element):
                raise MalformedOscError(f"an element of a bundle with {size} bytes")
            inside.append((element[place : place + size], depth + 1))
            place += size
        waiting += reversed(inside)
    return found


def _read_message(element: bytes) -> OscCall:
    _check_tags(element)
    try:
        message = OscMessage(element)
    # UnicodeDecodeError is a ValueError; struct and indices are the library's own way of meeting an end.
    except (MessageParseError, ValueError, IndexError, struct.error, OverflowError) as error:
        raise MalformedOscError(f"not a message: {error}") from error
    values = tuple(message.params)
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise MalformedOscError("a number that is none")
    return OscCall(message.address, values)


def _check_tags(element: bytes) -> None:
    """Only tags that are used here, and few of them."""
    if not element.startswith(b"/") or len(element) % 4:
        raise MalformedOscError("neither a message nor a bundle")
    end = element.find(b"\0")
    if end < 0:
        raise MalformedOscError("an address without an end")
    start = (end // 4 + 1) * 4
    if start >= len(element):
        return  # old senders leave out the tags when there are no arguments
    end = element.find(b"\0", start)
    tags = element[start:end].decode("ascii", "replace") if end >= 0 else ""
    if not tags.startswith(",") or len(tags) > MAX_ARGUMENTS + 1 or not _TAGS.issuperset(tags[1:]):
        raise MalformedOscError("type tags that are not understood")
