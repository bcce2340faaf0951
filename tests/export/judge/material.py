"""Takes with a known answer, for the tests of the judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.labels import JUDGED, label
from streamgen_export.pocket.judge.takes import Footage, Take, taken
from streamgen_export.pocket.world.attributes import Attributes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, POCKET, Format

FORM: Final = Format(112, 64, POCKET.picture_rate)
MEADOW: Final = Attributes(
    "meadow", "day", "clear", subject="ball", colour="red", motion="bounces", mood="calm", tempo="slow"
)
BLUE: Final = replace(MEADOW, colour="blue")


def brief(wanted: tuple[Attributes, ...], named: tuple[str, ...] = JUDGED) -> Brief:
    """What was asked for, all of it in words."""
    return Brief(0, wanted, ("a prompt",) * len(wanted), frozenset(named))


def footage(chunks: int, seed: int = 0, form: Format = FORM) -> list[Footage]:
    """Noise for picture and sound, chunk by chunk."""
    rng = np.random.default_rng(seed)
    return [
        (
            rng.integers(0, 256, (PICTURES_PER_CHUNK, form.height, form.width, 3), dtype=np.uint8),
            (0.1 * rng.standard_normal((2, form.samples_per_chunk))).astype(np.float32),
        )
        for _ in range(chunks)
    ]


def take(wanted: tuple[Attributes, ...], seed: int = 0) -> Take:
    """A take of noise."""
    return taken(FORM, brief(wanted), footage(len(wanted), seed))


def seen(*rows: Attributes) -> NDArray[np.int64]:
    """Classes of somebody who sees and hears these attributes."""
    return np.array([label(row) for row in rows], dtype=np.int64)


def knocks(times_s: list[float], chunks: int, seed: int = 0, hz: float = 120) -> NDArray[np.float32]:
    """Decaying knocks over quiet noise and a steady tone: float32 [2, S]."""
    count = chunks * FORM.samples_per_chunk
    t = np.arange(count) / FORM.sample_rate
    sound = 0.01 * np.random.default_rng(seed).standard_normal(count) + 0.05 * np.sin(2 * np.pi * 440 * t)
    for time in times_s:
        age = np.clip(t - time, 0, None)
        sound += np.where(t >= time, 0.6 * np.exp(-age * 30) * np.sin(2 * np.pi * hz * age), 0)
    return np.stack([sound, sound]).astype(np.float32)
