"""The statistics guard against drift: latents that leave the range seen in training are pulled gently back.

Autoregressive video drifts by small errors that feed on themselves, and they show first in the mean and the spread
of single latent channels (too bright, too flat). A chunk inside the ranges passes unchanged.
"""

from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.manifest import ChannelRanges, Guard

LEAST_DEVIATION: Final = 1e-4  # a flat channel has no shape that could be stretched


class StatisticsGuard:
    """The ranges of a manifest, ready to be applied to chunk after chunk."""

    def __init__(self, guard: Guard) -> None:
        self._video = _Side(guard.video, guard.pull) if guard.video is not None else None
        self._audio = _Side(guard.audio, guard.pull) if guard.audio is not None else None

    def __call__(self, clean: Latents) -> Latents:
        """Clean latents with every channel's mean and standard deviation moved towards its range."""
        return Latents(
            self._video(clean.video) if self._video else clean.video,
            self._audio(clean.audio) if self._audio else clean.audio,
        )


class _Side:
    """Ranges of one modality; all arrays are `[C]`."""

    def __init__(self, ranges: ChannelRanges, pull: float) -> None:
        self._mean = np.asarray(ranges.mean, np.float32).T
        self._deviation = np.asarray(ranges.deviation, np.float32).T
        self._pull = pull

    def __call__(self, latent: Float32Array) -> Float32Array:
        """`[1, C, ...]` -> the same shape."""
        rows = latent.reshape(latent.shape[1], -1)
        mean, deviation = rows.mean(axis=1), rows.std(axis=1)
        wanted_mean = mean + self._pull * (np.clip(mean, *self._mean) - mean)
        wanted_deviation = deviation + self._pull * (np.clip(deviation, *self._deviation) - deviation)
        stretch = wanted_deviation / np.maximum(deviation, LEAST_DEVIATION)
        stretch[deviation < LEAST_DEVIATION] = 1.0
        # As a change on top of the latent, so that a channel inside its range stays what it is to the last bit.
        change = (stretch - 1)[:, None] * (rows - mean[:, None]) + (wanted_mean - mean)[:, None]
        steadied: Float32Array = latent + change.reshape(latent.shape)
        return steadied
