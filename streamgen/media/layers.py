"""The ladder of sizes in which a channel is encoded: what a viewer falls back on when the network is too slow.

A receiver's estimate of the bandwidth (REMB) ends at about 1.5 times what it receives. A rung further up than that
would never be tried, so neighbours are as far apart as the estimate reaches, and no further. Free of I/O.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

FRACTIONS: Final = (Fraction(1), Fraction(2, 3), Fraction(1, 2))
"""Of the full height, the largest first."""
MIN_HEIGHT: Final = 180
"""Rows under which a picture is not worth a rung; the full size is always there."""
FIRST_RUNG: Final = 0
"""A viewer begins with the full size: most networks carry it, since pictures take far less than its ceiling, and one
that does not shows it within a second."""
STEP: Final = Fraction(3, 2)
"""Bitrate of a rung over that of the next smaller one."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A size of the ladder and its ceiling in bit/s."""

    width: int
    height: int
    bitrate: int


def ladder(width: int, height: int, bitrate: int) -> tuple[Rung, ...]:
    """Full size, two thirds and half of it, the largest first.

    Each rung has two thirds of the bitrate of the one above it. Its pixels fall faster than that (to 4/9 and to 1/4 of
    the full size), so a smaller picture is also a clearer one. The height is the even number next to its share, the
    width the even number next to the full aspect at that height. Rungs of less than `MIN_HEIGHT` rows are left out.

    Args:
        width, height: of the encoded full size, in pixels; even.
        bitrate: ceiling of the full size, bit/s.

    Raises:
        ValueError: an edge is odd or not positive, or the bitrate is not positive.
    """
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise ValueError(f"pictures of {width}x{height} cannot be encoded: edges must be even and positive")
    if bitrate < 1:
        raise ValueError(f"a ceiling of {bitrate} bit/s lets nothing through; give a positive bitrate")
    rungs = [Rung(width, height, bitrate)]
    for step, fraction in enumerate(FRACTIONS[1:], start=1):
        rows = _even(height * fraction)
        if rows >= MIN_HEIGHT:
            rungs.append(Rung(_even(Fraction(rows * width, height)), rows, max(1, round(bitrate / STEP**step))))
    return tuple(rungs)


def _even(edge: Fraction) -> int:
    """The even number of pixels that is nearest."""
    return 2 * round(edge / 2)
