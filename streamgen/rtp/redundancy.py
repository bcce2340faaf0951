"""Sound that is sent twice where packets are lost (RED, RFC 2198), and when that is worth its bits. Free of I/O.

A packet of sound that is lost is heard: it is too late to send it again, and Opus has no redundancy of its own for
music (its in-band FEC is of the speech codec, which 48 kHz stereo does not use). So a viewer who loses packets and
understands RED gets each packet's payload once more with the next ones.
"""

import struct
from collections.abc import Sequence
from typing import Final

MOST_COPIES: Final = 2
LONGEST_COPY: Final = 1023
"""Bytes of a payload that RED can repeat: ten bits of length."""
LONGEST_OFFSET: Final = (1 << 14) - 1
"""Ticks by which a repeated payload may lie back."""
SOME_LOSS: Final = 0.005
"""From here on one earlier payload is repeated: what is lost is heard from about one packet in a hundred on."""
MUCH_LOSS: Final = 0.04
"""From here on two: losses come in pairs then often enough to be heard."""
CALM_S: Final = 10.0
"""So long nothing is taken back: networks that lose packets do so in spells."""

_REPEATED: Final = struct.Struct("!I")


class Redundancy:
    """How many earlier payloads each packet of sound repeats, from what the viewer reports.

    Attributes:
        copies: now, 0 to `MOST_COPIES`.
    """

    def __init__(self) -> None:
        self.copies = 0
        self._until_s = 0.0

    def report(self, fraction_lost: float, now_s: float) -> None:
        """The viewer has reported this share of lost packets (0 to 1), now on a monotonic clock."""
        wanted = 0 if fraction_lost < SOME_LOSS else 1 if fraction_lost < MUCH_LOSS else MOST_COPIES
        if wanted >= self.copies:
            self.copies = wanted
            self._until_s = now_s + CALM_S
        elif now_s >= self._until_s:
            self.copies -= 1
            self._until_s = now_s + CALM_S


def red_payload(payload_type: int, payload: bytes, earlier: Sequence[tuple[int, bytes]]) -> bytes:
    """The payload of a RED packet (RFC 2198, section 3).

    Args:
        payload_type: of all payloads in it.
        payload: of the packet's own time.
        earlier: ticks by which each of these lies back, and what is repeated; the oldest first. One that RED cannot
            express is left out.
    """
    fitting = [(back, copy) for back, copy in earlier if 0 < back <= LONGEST_OFFSET and 0 < len(copy) <= LONGEST_COPY]
    headers = [_REPEATED.pack(1 << 31 | payload_type << 24 | back << 10 | len(copy)) for back, copy in fitting]
    return b"".join((*headers, bytes((payload_type,)), *(copy for _, copy in fitting), payload))
