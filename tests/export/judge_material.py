"""Takes with a known answer, for the tests of the judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.takes import Take, label
from streamgen_export.pocket.scenes.attributes import Attributes
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLE_RATE_HZ, SAMPLES_PER_CHUNK

SEA: Final = Attributes("sea", "clear", "ball", "red", "bounces")
BLUE_SEA: Final = replace(SEA, colour="blue")


def take(wanted: tuple[Attributes, ...], seed: int = 0) -> Take:
    """Noise for picture and sound."""
    rng = np.random.default_rng(seed)
    chunks = len(wanted)
    video = rng.integers(0, 256, (chunks * PICTURES_PER_CHUNK, 96, 160, 3), dtype=np.uint8)
    audio = (0.1 * rng.standard_normal((2, chunks * SAMPLES_PER_CHUNK))).astype(np.float32)
    return Take(video, audio, wanted, ("a prompt",) * chunks)


def seen(*rows: Attributes) -> NDArray[np.int64]:
    """Classes of somebody who sees and hears these attributes."""
    return np.array([label(row) for row in rows], dtype=np.int64)


def knocks(times_s: list[float], chunks: int, seed: int = 0) -> NDArray[np.float32]:
    """Decaying low knocks over quiet noise and a steady tone: float32 [2, S]."""
    count = chunks * SAMPLES_PER_CHUNK
    t = np.arange(count) / SAMPLE_RATE_HZ
    sound = 0.01 * np.random.default_rng(seed).standard_normal(count) + 0.05 * np.sin(2 * np.pi * 440 * t)
    for time in times_s:
        age = np.clip(t - time, 0, None)
        sound += np.where(t >= time, 0.6 * np.exp(-age * 30) * np.sin(2 * np.pi * 120 * age), 0)
    return np.stack([sound, sound]).astype(np.float32)


def bounce_path(period: float, phase: float, pictures: int) -> NDArray[np.float64]:
    """Height of a ball that touches the ground at `phase`, `phase + period` (pictures): float64 [pictures]."""
    x = ((np.arange(pictures) - phase) / period) % 1
    path: NDArray[np.float64] = 0.3 + 0.4 * 4 * x * (1 - x)
    return path
