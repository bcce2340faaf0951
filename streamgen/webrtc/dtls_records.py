"""The records in a DTLS datagram (RFC 6347, section 4.1). Free of I/O.

aiortc takes one record out of OpenSSL for each datagram that it puts in. A viewer that sends datagrams of many records
would leave the others there, and more with each; cut up beforehand, what goes in comes out.
"""

from struct import unpack_from
from typing import Final

_HEADER_BYTES: Final = 13
_CHANGE_CIPHER_SPEC, _HEARTBEAT = 20, 24  # the first and the last type of record
_VERSION: Final = 0xFE  # first byte of the version, of all that were before 1.3


def records(datagram: bytes) -> list[bytes]:
    """The records of a datagram, each by itself; one that is not made of records comes back whole."""
    found: list[bytes] = []
    at = 0
    while _CHANGE_CIPHER_SPEC <= _byte(datagram, at) <= _HEARTBEAT and _byte(datagram, at + 1) == _VERSION:
        if at + _HEADER_BYTES > len(datagram):
            break
        (length,) = unpack_from("!H", datagram, at + _HEADER_BYTES - 2)
        end = at + _HEADER_BYTES + length
        if end > len(datagram):
            break
        found.append(datagram[at:end])
        at = end
    return [*found, datagram[at:]] if at < len(datagram) or not found else found


def _byte(datagram: bytes, at: int) -> int:
    return datagram[at] if at < len(datagram) else -1
