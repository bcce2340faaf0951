"""Rotary positions of Wan (Su et al. 2021, RoFormer): pairs of a head turn with latent frame, row and column.

A head has D / 2 pairs of neighbouring channels: the first `temporal_pairs` tell the latent frame, then `spatial_pairs`
the row and as many the column. Angles are computed in float64, as the models' own code does, and stored as float32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamgen_export.wan.config import RingShape, WanConfig

THETA: Final = 10_000.0
"""Ratio of the slowest to the fastest turning pair, nearly."""

Table = tuple[NDArray[np.float32], NDArray[np.float32]]
"""cos and sin, [tokens or frames, pairs]."""


def temporal_table(config: WanConfig, positions: ArrayLike) -> Table:
    """Of latent frames at these positions: [frames, temporal_pairs]."""
    return _table(_angles(positions, config.temporal_pairs))


def spatial_table(config: WanConfig, shape: RingShape) -> Table:
    """Of the tokens of a latent frame, row by row: [m, 2 * spatial_pairs]."""
    rows = _angles(np.arange(shape.rows), config.spatial_pairs)
    columns = _angles(np.arange(shape.columns), config.spatial_pairs)
    return _table(np.hstack((rows.repeat(shape.columns, axis=0), np.tile(columns, (shape.rows, 1)))))


def _angles(positions: ArrayLike, pairs: int) -> NDArray[np.float64]:
    frequencies = THETA ** (-np.arange(pairs, dtype=np.float64) / max(pairs, 1))
    return np.outer(np.asarray(positions, np.float64), frequencies)


def _table(angles: NDArray[np.float64]) -> Table:
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
