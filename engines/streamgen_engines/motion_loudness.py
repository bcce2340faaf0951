"""How much louder or softer sound gets with what moves in the pictures: a gain, bounded and smooth. No model, no I/O.

The change from picture to picture (mean absolute difference) is compared with its own slow mean, so that a scene that
moves much all the time is not loud all the time, and a jolt or a flash is. The gain follows the logarithm of that
ratio, within `RANGE_DB`, in straight lines from picture to picture, so nothing clicks. A cut is no motion.
"""

import math
from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array, UInt8Array

RANGE_DB: Final = 6.0
"""Farthest that sound is raised or lowered."""
DB_PER_OCTAVE: Final = 6.0
"""Gain for twice the change of the slow mean: amplitude in proportion."""
SLOW_S: Final = 12.0
"""Time constant of the slow mean. Of 1, 3, 6 and 12 s this one agrees best with the sound of rendered scenes."""
FLOOR: Final = 0.25
"""Levels (of 255) by which a picture without noise may differ; added, so that a still scene does not tremble."""


class MotionLoudness:
    """The gain of one stream. One thread at a time calls it.

    Args:
        pictures_per_s: rate of the pictures.
    """

    def __init__(self, pictures_per_s: float) -> None:
        self._share = 1 - math.exp(-1 / (SLOW_S * pictures_per_s))
        self._last: UInt8Array | None = None
        self._slow: float | None = None  # mean of the logarithms to base 2
        self._gain_db = 0.0  # where the last chunk ended

    def gains(self, pictures: UInt8Array, samples: int, *, cut: bool = False) -> Float32Array:
        """Gains of the next chunk.

        Args:
            pictures: what is shown meanwhile, uint8 `[T, h, w, 3]`; small ones will do.
            samples: of the chunk.
            cut: the pictures do not go on from those before.

        Returns:
            Float32 `[samples]`, factors from -`RANGE_DB` to `RANGE_DB`.
        """
        levels = [self._gain_db]
        for number, picture in enumerate(pictures):
            if not (self._last is None or (cut and number == 0)):
                self._follow(float(np.abs(picture.astype(np.int16) - self._last).mean()))
            self._last = picture
            levels.append(self._gain_db)
        self._last = pictures[-1].copy()
        places = np.linspace(0, samples, len(levels))
        return np.power(10, np.interp(np.arange(1, samples + 1), places, levels) / 20).astype(np.float32)

    def reset(self) -> None:
        """Begin anew, with a gain of 1."""
        self._last = self._slow = None
        self._gain_db = 0.0

    def _follow(self, change: float) -> None:
        octaves = math.log2(change + FLOOR)
        if self._slow is None:
            self._slow = octaves
        self._gain_db = min(max(DB_PER_OCTAVE * (octaves - self._slow), -RANGE_DB), RANGE_DB)
        self._slow += self._share * (octaves - self._slow)
