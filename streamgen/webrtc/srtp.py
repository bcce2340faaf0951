"""SRTP for the packets of a picture in a row, without a call of Python's for each.

Reaches into pylibsrtp 1.0: the session, its buffer and the binding. Its own `protect` allocates a number and checks its
argument for each packet, which costs as much again as what libsrtp does.
"""

from collections.abc import Callable, Sequence

from pylibsrtp import SRTP_MAX_TRAILER_LEN, Session
from pylibsrtp._binding import ffi, lib

Protect = Callable[[Sequence[bytes]], list[bytes]]


def protector(session: Session) -> Protect:
    """What protects RTP packets of this session, several at a time, in their order.

    What libsrtp refuses is left out: it repeats no packet that is more than its window back. Raises `ValueError` for a
    packet that is too long.
    """
    handle, data, buffer = session._srtp, session._cdata, session._buffer
    longest = len(data) - SRTP_MAX_TRAILER_LEN
    length = ffi.new("int *")
    srtp_protect, done = lib.srtp_protect, lib.srtp_err_status_ok

    def protect(packets: Sequence[bytes]) -> list[bytes]:
        srtp, protected = handle[0], []
        for packet in packets:
            size = len(packet)
            if size > longest:
                raise ValueError(f"a packet of {size} bytes is too long; at most {longest} can be protected")
            buffer[:size] = packet
            length[0] = size
            if srtp_protect(srtp, data, length) == done:
                protected.append(buffer[: length[0]])
        return protected

    return protect
