"""Which of a viewer's SCTP packets (RFC 9260) aiortc is given to read. Free of I/O.

aiortc believes what a packet says of itself: a parameter of length 0 is read for ever, an acknowledgement of a few
bytes can name millions of packets, and what is out of order is kept and sorted without a bound. So each packet is
looked at here first. What no peer sends that means well is a violation, and ends the viewer's data channels; what
comes too fast, or too far out of order, is dropped as if it had been lost, and comes again.
"""

from struct import unpack_from
from typing import Final

MOST_CHUNKS: Final = 64
"""Chunks in one packet."""

CHUNKS_PER_S: Final = 200.0
CHUNKS_AT_ONCE: Final = 600
"""A message of `a=max-message-size` is 230; a client that keeps to the limits of steering needs some 30 a second."""

MOST_AHEAD: Final = 512
"""TSNs that may be ahead of the newest one without a gap."""

MOST_NAMED: Final = 512
"""TSNs in the gap blocks of one acknowledgement: some forty seconds of everything that a viewer is told."""

MOST_PARAMETERS: Final = 4
"""Requests in one re-configuration, each of which is answered by a packet; RFC 6525 knows two."""

MOST_STREAMS: Final = 64
MOST_CHANNELS: Final = 16
"""Channels at once; all but one are on their way out."""

MOST_FRAGMENTS: Final = 512
"""Fragments of messages that are not whole yet, over all streams: over twice a message of `a=max-message-size`."""

_HEADER_BYTES: Final = 12
_CHUNK_HEADER_BYTES: Final = 4
_DATA, _INIT, _INIT_ACK, _SACK, _HEARTBEAT, _HEARTBEAT_ACK, _ABORT, _ERROR = 0, 1, 2, 3, 4, 5, 6, 9
_RECONFIG, _FORWARD_TSN = 130, 192
# Where the parameters of a chunk begin in its body.
_PARAMETERS_AT: Final = {
    _INIT: 16,
    _INIT_ACK: 16,
    _HEARTBEAT: 0,
    _HEARTBEAT_ACK: 0,
    _ABORT: 0,
    _ERROR: 0,
    _RECONFIG: 0,
}
_LEAST_BODY_BYTES: Final = {_DATA: 12, _INIT: 16, _INIT_ACK: 16, _SACK: 12, _FORWARD_TSN: 4}
_NEED_ASSOCIATION: Final = (_DATA, _SACK, _FORWARD_TSN, _RECONFIG)


class SctpViolationError(ValueError):
    """The viewer breaks the rules of SCTP, or takes more of the server than is its share."""


class SctpGate:
    """Looks at every packet of one viewer's association before it is read."""

    def __init__(self) -> None:
        self.dropped = 0  # packets that came too fast or too far out of order
        self._tokens = float(CHUNKS_AT_ONCE)
        self._filled_at_s: float | None = None

    def admits(self, packet: bytes, *, newest_tsn: int | None, now_s: float) -> bool:
        """Whether the packet is to be read; False: it is dropped.

        Args:
            packet: as it came out of DTLS.
            newest_tsn: the newest TSN before which none is missing; None while there is no association.
            now_s: on any monotonic clock.

        Raises:
            SctpViolationError: nobody sends this who means well.
        """
        chunks = _chunks(packet)
        if not self._take(len(chunks), now_s):
            self.dropped += 1
            return False
        for kind, body in chunks:
            _check(kind, body)
            if kind in _NEED_ASSOCIATION and newest_tsn is None:
                self.dropped += 1
                return False
            if kind == _DATA and newest_tsn is not None and _too_far(unpack_from("!L", body)[0], newest_tsn):
                self.dropped += 1
                return False
        return True

    def check_kept(self, *, streams: int, fragments: int, channels: int) -> None:
        """Check what is kept for the viewer after a packet has been read. Raises `SctpViolationError`."""
        if fragments > MOST_FRAGMENTS:
            raise SctpViolationError(f"a message in more than {MOST_FRAGMENTS} fragments")
        if streams > MOST_STREAMS:
            raise SctpViolationError(f"more than {MOST_STREAMS} streams at once")
        if channels > MOST_CHANNELS:
            raise SctpViolationError(f"more than {MOST_CHANNELS} channels at once")

    def _take(self, chunks: int, now_s: float) -> bool:
        if self._filled_at_s is not None:
            self._tokens = min(CHUNKS_AT_ONCE, self._tokens + (now_s - self._filled_at_s) * CHUNKS_PER_S)
        self._filled_at_s = now_s
        if self._tokens < chunks:
            return False
        self._tokens -= chunks
        return True


def _chunks(packet: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each chunk."""
    chunks: list[tuple[int, bytes]] = []
    at = _HEADER_BYTES
    while at <= len(packet) - _CHUNK_HEADER_BYTES:
        kind, _, length = unpack_from("!BBH", packet, at)
        if length < _CHUNK_HEADER_BYTES or at + length > len(packet):
            raise SctpViolationError("a chunk of a wrong length")
        if len(chunks) == MOST_CHUNKS:
            raise SctpViolationError(f"more than {MOST_CHUNKS} chunks in a packet")
        chunks.append((kind, packet[at + _CHUNK_HEADER_BYTES : at + length]))
        at += _padded(length)
    if not chunks:
        raise SctpViolationError("a packet without a chunk")
    return chunks


def _check(kind: int, body: bytes) -> None:
    if len(body) < _LEAST_BODY_BYTES.get(kind, 0):
        raise SctpViolationError(f"a chunk of type {kind} that ends early")
    if kind in _PARAMETERS_AT:
        parameters = _parameters(body[_PARAMETERS_AT[kind] :])
        if kind == _RECONFIG and parameters > MOST_PARAMETERS:
            raise SctpViolationError(f"more than {MOST_PARAMETERS} requests in a re-configuration")
    elif kind == _SACK:
        _check_acknowledgement(body)


def _parameters(parameters: bytes) -> int:
    """How many there are."""
    at = number = 0
    while at <= len(parameters) - 4:
        (length,) = unpack_from("!H", parameters, at + 2)
        if length < 4:
            raise SctpViolationError("a parameter of a wrong length")
        at += _padded(length)
        number += 1
    return number


def _check_acknowledgement(body: bytes) -> None:
    blocks, duplicates = unpack_from("!HH", body, 8)
    if len(body) < 12 + 4 * (blocks + duplicates):
        raise SctpViolationError("an acknowledgement that ends early")
    named = 0
    for block in range(blocks):
        first, last = unpack_from("!HH", body, 12 + 4 * block)
        if not 0 < first <= last:
            raise SctpViolationError("an acknowledgement of nothing")
        named += last - first + 1
    if named > MOST_NAMED:
        raise SctpViolationError(f"an acknowledgement of more than {MOST_NAMED} packets out of order")


def _too_far(tsn: int, newest_tsn: int) -> bool:
    ahead = (tsn - newest_tsn) % (1 << 32)
    return MOST_AHEAD < ahead < (1 << 31)


def _padded(length: int) -> int:
    return (length + 3) // 4 * 4
