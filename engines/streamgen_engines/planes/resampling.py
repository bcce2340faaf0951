"""The filters of libswscale as matrices: pictures of one size times two matrices are pictures of another.

Pictures that are made on a GPU and those that `streamgen.media.scaler` makes on a CPU have to look alike, so these are
its filters and its places of samples (libswscale, `initFilter` of utils.c; what differs is its rounding, and that it
leaves out taps which add up to less than 0.002):

- enlarging is Lanczos with three lobes, shrinking in either direction is the mean over areas in both;
- samples lie in the middle of what they stand for, those of chroma in the middle of 2x2 pixels;
- chroma is made from the source, not from enlarged luma; where it gets no wider than half the source, two pixels that
  lie side by side are averaged first;
- beyond its edges a picture goes on with its last row or column.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.chunk import Size

Matrix = NDArray[np.float64]
LOBES: Final = 3
_NOTHING: Final = 1e-12
_Weights = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneFilters:
    """Rows and columns of one size from those of another: `rows @ plane @ columns.T`.

    Attributes:
        luma_rows: `[h, H]`.
        luma_columns: `[w, W]`.
        chroma_rows: `[h/2, H]`.
        chroma_columns: `[w/2, W]`.
    """

    luma_rows: Matrix
    luma_columns: Matrix
    chroma_rows: Matrix
    chroma_columns: Matrix


def plane_filters(source: Size, target: Size) -> PlaneFilters:
    """The filters from pictures to 4:2:0 planes; sizes are (width, height), the target's even."""
    (width, height), (wide, high) = source, target
    resample = area if wide < width or high < height else lanczos
    if wide // 2 <= width // 2:
        halves = -(-width // 2)
        chroma_columns = resample(halves, wide // 2) @ _pairs(width)
    else:
        chroma_columns = resample(width, wide // 2)
    return PlaneFilters(
        luma_rows=resample(height, high),
        luma_columns=resample(width, wide),
        chroma_rows=resample(height, high // 2),
        chroma_columns=chroma_columns,
    )


def lanczos(source: int, target: int) -> Matrix:
    """Lanczos with three lobes, as wide as the larger of both pixels; `[target, source]`, rows add up to 1."""
    stretch = max(source / target, 1.0)

    def weights(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        at = distance / stretch
        return np.where(np.abs(at) < LOBES, np.sinc(at) * np.sinc(at / LOBES), 0.0)

    return _matrix(source, target, weights, LOBES * stretch)


def area(source: int, target: int) -> Matrix:
    """The mean over the area of a pixel; linear between two pixels where there are not fewer than before."""
    step = source / target
    if step <= 1:
        return _matrix(source, target, lambda distance: np.clip(1 - np.abs(distance), 0.0, 1.0), 1.0)
    return _matrix(
        source, target, lambda distance: np.clip((step + 1) / 2 - np.abs(distance), 0.0, 1.0), (step + 1) / 2
    )


def _matrix(source: int, target: int, weights: _Weights, reach: float) -> Matrix:
    """Rows of weights around the middle of each new pixel; those beyond an edge go to the last pixel before it."""
    middles = (np.arange(target) + 0.5) * (source / target) - 0.5
    made = np.zeros((target, source))
    first = np.floor(middles - reach).astype(np.int64)
    for tap in range(int(np.ceil(2 * reach)) + 2):
        place = first + tap
        np.add.at(made, (np.arange(target), np.clip(place, 0, source - 1)), weights(place - middles))
    made[np.abs(made) < _NOTHING] = 0.0  # what sin(pi) is in floating point
    return _normalised(made)


def _pairs(source: int) -> Matrix:
    """The mean of two pixels side by side; an odd last one stays what it is."""
    made = np.zeros((-(-source // 2), source))
    for row in range(len(made)):
        made[row, 2 * row : 2 * row + 2] = 1.0
    return _normalised(made)


def _normalised(rows: Matrix) -> Matrix:
    sums: Matrix = rows.sum(axis=1, keepdims=True)
    return rows / sums
