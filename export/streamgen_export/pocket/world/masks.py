"""Coverage of a shape in a part of a patch of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.screen import Plane

Part: TypeAlias = tuple[slice, slice]
"""Rows and columns."""
NOTHING: Final[Part] = (slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Mask:
    """Coverage of a shape in a patch.

    Attributes:
        part: rows and columns of the patch that it lies in.
        share: uint8 [h, w] of that part, 0 to 255.
    """

    part: Part
    share: NDArray[np.uint8]

    def cut(self, field: Plane) -> Mask:
        """The mask where a field of the whole patch, 0 to 1, lets it through."""
        return Mask(self.part, (self.share * field[self.part]).astype(np.uint8))

    def without(self, other: Mask) -> Mask:
        """What is left of the mask outside another one."""
        share = self.share.copy()
        both = common(self.part, other.part)
        if both is not None:
            mine, others = inside(both, self.part), inside(both, other.part)
            share[mine] = cv2.subtract(share[mine], other.share[others])
        return Mask(self.part, share)


def common(a: Part, b: Part) -> Part | None:
    """Rows and columns in both."""
    top, bottom = max(a[0].start, b[0].start), min(a[0].stop, b[0].stop)
    left, right = max(a[1].start, b[1].start), min(a[1].stop, b[1].stop)
    return (slice(top, bottom), slice(left, right)) if bottom > top and right > left else None


def inside(part: Part, outer: Part) -> Part:
    """Rows and columns of a part, counted from those of another one around it."""
    y, x = outer[0].start, outer[1].start
    return slice(part[0].start - y, part[0].stop - y), slice(part[1].start - x, part[1].stop - x)
