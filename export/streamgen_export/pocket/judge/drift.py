"""Does a long stream wander off? Light, colour, sharpness, loudness, motion and content per 30 s, and their trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.joints import picture_changes
from streamgen_export.pocket.judge.takes import CHUNK_S

SECTION_S: Final = 30.0
START_S: Final = 10.0
"""Length of the start from which content departs."""
LOOKS: Final = ("luminance", "saturation", "sharpness", "loudness_db", "motion")
"""What `measure_look` measures."""
MEASURES: Final = (*LOOKS, "departure")
_SILENCE_DB = -90.0

Curves = Mapping[str, NDArray[np.float64]]
"""Measure to its value in each chunk, float64 [chunks]."""


def measure_look(video: NDArray[np.uint8], audio: NDArray[np.float32]) -> dict[str, float]:
    """Measures a stretch of uint8 [T, H, W, 3] and float32 [channels, S].

    Returns:
        luminance, 0 to 1; saturation, largest minus smallest of red, green and blue, 0 to 1; sharpness, mean
        absolute difference of neighbouring pixels, 0 to 1; loudness_db, RMS in dB of full scale; motion, mean
        absolute difference of neighbouring pictures, 0 to 1.
    """
    values = video.astype(np.float32) / 255
    luminance = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    across = np.abs(np.diff(luminance, axis=2)).mean()
    down = np.abs(np.diff(luminance, axis=1)).mean()
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return {
        "luminance": float(luminance.mean()),
        "saturation": float((values.max(axis=3) - values.min(axis=3)).mean()),
        "sharpness": float((across + down) / 2),
        "loudness_db": max(_SILENCE_DB, float(10 * np.log10(power + 1e-12))),
        "motion": float(picture_changes(video).mean() / 255),
    }


def departures(features: NDArray[np.float32], unit: float) -> NDArray[np.float64]:
    """How far the content of each chunk is from the first 10 s.

    Args:
        features: what the eye tells content by, float32 [chunks, D].
        unit: the distance that makes 1, see `typical_distance`.
    """
    start = features[: max(1, round(START_S / CHUNK_S))].mean(axis=0)
    away: NDArray[np.float64] = np.linalg.norm(features - start, axis=1).astype(np.float64) / unit
    return away


def typical_distance(features: Sequence[NDArray[np.float32]]) -> float:
    """Mean distance of two different takes: list of float32 [chunks, D].

    Raises:
        ValueError: fewer than two takes.
    """
    if len(features) < 2:
        raise ValueError("the distance of different takes needs at least two takes")
    means = [part.mean(axis=0) for part in features]
    return float(np.mean([np.linalg.norm(a - b) for a, b in combinations(means, 2)]))


@dataclass(frozen=True)
class Trend:
    """How one measure moved.

    Attributes:
        first: mean of the first section.
        last: mean of the last section.
        slope_per_minute: least-squares slope over the chunks.
        moved: slope times duration, in units of the spread over different renders; within about 1 the stream
            stays where it was. None where renders do not differ.
    """

    first: float
    last: float
    slope_per_minute: float
    moved: float | None


@dataclass(frozen=True)
class Drift:
    """A long stream of one prompt.

    Attributes:
        prompt: what was asked for.
        duration_s: its length.
        sections: mean of each measure of `MEASURES` in every 30 s.
        trends: per measure.
    """

    prompt: str
    duration_s: float
    sections: tuple[dict[str, float], ...]
    trends: dict[str, Trend]


def drift(prompt: str, curves: Curves, spread: Mapping[str, float]) -> Drift:
    """Sums up a stream of which every chunk was measured.

    Args:
        prompt: what was asked for.
        curves: each measure, chunk by chunk.
        spread: standard deviation of each measure over different renders.

    Raises:
        ValueError: the stream is empty.
    """
    chunks = len(next(iter(curves.values())))
    if not chunks:
        raise ValueError("drift needs at least one chunk")
    times_s = (np.arange(chunks) + 0.5) * CHUNK_S
    duration_s = chunks * CHUNK_S
    # A short rest at the end belongs to the last whole section.
    section_of = np.minimum(times_s // SECTION_S, max(0, duration_s // SECTION_S - 1)).astype(int)
    sections = tuple(
        {name: float(values[section_of == section].mean()) for name, values in curves.items()}
        for section in range(section_of.max() + 1)
    )
    trends = {}
    for name, values in curves.items():
        slope = float(np.polyfit(times_s / 60, values, 1)[0]) if chunks > 1 else 0.0
        trends[name] = Trend(
            first=sections[0][name],
            last=sections[-1][name],
            slope_per_minute=slope,
            moved=slope * duration_s / 60 / spread[name] if spread[name] > 0 else None,
        )
    return Drift(prompt, duration_s, sections, trends)


def spread_of(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Standard deviation of each measure over different renders; departure is in such units already."""
    return {name: float(np.std([look[name] for look in looks])) for name in LOOKS} | {"departure": 1.0}
