"""What `denoise` is told of time: the noise level as a sinusoid, and rotary tables of places in the ring."""

from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array, Int64Array
from streamgen_engines.manifest.wan import TRAINING_STEPS

TIME_WIDTH: Final = 256
"""Width of the sinusoid that stands for a noise level (Wan 2.1: `freq_dim`)."""
_BASE: Final = 10_000.0


def sinusoid(sigma: float) -> Float32Array:
    """The embedding of a noise level, float32 `[1, 256]`: cosines, then sines, of 1000 sigma (Vaswani et al. 2017,
    section 3.5, with both halves together).
    """
    half = TIME_WIDTH // 2
    angles = TRAINING_STEPS * sigma * _BASE ** (-np.arange(half) / half)
    return np.concatenate([np.cos(angles), np.sin(angles)])[None].astype(np.float32)


def temporal_pairs(head_dim: int) -> int:
    """Pairs of a head's numbers that turn with time; the others turn with rows and columns, a third each, rounded."""
    return head_dim // 2 - 2 * (head_dim // 6)


class TemporalRotary:
    """Cosines and sines of the temporal part of the rotary embedding (Su et al. 2021, section 3.2.2).

    Args:
        head_dim: numbers of a head.
        places: how many places there are; tables hold all of them, and nothing is computed later.
    """

    def __init__(self, *, head_dim: int, places: int) -> None:
        pairs = temporal_pairs(head_dim)
        angles = np.arange(places)[:, None] * _BASE ** (-np.arange(pairs) / max(pairs, 1))
        self._cos = np.cos(angles).astype(np.float32)
        self._sin = np.sin(angles).astype(np.float32)

    def cos(self, places: Int64Array) -> Float32Array:
        """Float32 `[N, pairs]` for `[N]` places."""
        return self._cos[places]

    def sin(self, places: Int64Array) -> Float32Array:
        """Float32 `[N, pairs]` for `[N]` places."""
        return self._sin[places]
