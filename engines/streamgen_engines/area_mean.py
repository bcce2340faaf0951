"""Pictures at another size, each pixel the mean of the area that it covers. Values only, no state.

Both axes are stretched by themselves, so pictures of another shape are squeezed, not cut. Where the new size is larger
than the old one, a pixel lies within one or across two of the old ones, so nothing but their mean is invented.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from streamgen_engines.chunk import Float32Array, Int64Array, UInt8Array


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """For each new place, the old places that it covers and their shares.

    Attributes:
        places: int64 `[taps, new]`.
        shares: float32 `[taps, new]`; each column adds up to 1.
    """

    places: Int64Array
    shares: Float32Array

    @classmethod
    def of(cls, old: int, new: int) -> Self:
        edges = np.arange(new + 1) * (old / new)
        first = np.minimum(np.floor(edges[:-1]).astype(np.int64), old - 1)
        taps = int((np.ceil(edges[1:] - 1e-9).astype(np.int64) - first).max())
        places = first + np.arange(taps)[:, None]
        covered = np.minimum(places + 1, edges[1:]) - np.maximum(places, edges[:-1])
        shares = np.maximum(covered, 0.0)
        return cls(np.minimum(places, old - 1), (shares / shares.sum(axis=0)).astype(np.float32))


class AreaMean:
    """From one size to another; may be shared by all threads.

    Args:
        old: rows and columns of the pictures that come.
        new: rows and columns of those that are wanted.
    """

    def __init__(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        self._old = old
        self._rows, self._columns = _Axis.of(old[0], new[0]), _Axis.of(old[1], new[1])

    def __call__(self, picture: UInt8Array) -> UInt8Array:
        """uint8 `[H, W, 3]` of the old size -> uint8 `[h, w, 3]`; the same one where the sizes are equal."""
        if picture.shape[:2] != self._old:
            raise ValueError(f"the picture is {picture.shape[:2]}, and pictures of {self._old} were announced")
        tall = _mean(picture, self._rows, 0)
        return np.rint(_mean(tall, self._columns, 1)).astype(np.uint8)


def _mean(picture: UInt8Array | Float32Array, axis: _Axis, number: int) -> Float32Array:
    """Along rows (0) or columns (1)."""
    shape = (-1, 1, 1) if number == 0 else (-1, 1)
    (first, share), *rest = zip(axis.places, axis.shares, strict=True)
    total: Float32Array = picture.take(first, axis=number) * share.reshape(shape)
    for place, share in rest:
        total += picture.take(place, axis=number) * share.reshape(shape)
    return total
