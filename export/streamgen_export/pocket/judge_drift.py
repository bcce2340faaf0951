"""Does a long stream wander off? Light, colour, sharpness, loudness and motion per 30 s, and their trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge_joints import picture_changes
from streamgen_export.pocket.judge_takes import CHUNK_S

SECTION_S: Final = 30.0
_SILENCE_DB = -90.0


@dataclass(frozen=True)
class Look:
    """Means over a stretch.

    Attributes:
        luminance: 0 to 1.
        saturation: largest minus smallest of red, green and blue, 0 to 1.
        sharpness: mean absolute difference of neighbouring pixels, 0 to 1.
        loudness_db: RMS, dB of full scale.
        motion: mean absolute difference of neighbouring pictures, 0 to 1.
    """

    luminance: float
    saturation: float
    sharpness: float
    loudness_db: float
    motion: float


def measure_look(video: NDArray[np.uint8], audio: NDArray[np.float32]) -> Look:
    """Measures a stretch: uint8 [T, H, W, 3] and float32 [channels, S]."""
    values = video.astype(np.float32) / 255
    luminance = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    across = np.abs(np.diff(luminance, axis=2)).mean()
    down = np.abs(np.diff(luminance, axis=1)).mean()
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return Look(
        luminance=float(luminance.mean()),
        saturation=float((values.max(axis=3) - values.min(axis=3)).mean()),
        sharpness=float((across + down) / 2),
        loudness_db=max(_SILENCE_DB, 10 * np.log10(power + 1e-12)),
        motion=float(picture_changes(video).mean() / 255),
    )


@dataclass(frozen=True)
class Trend:
    """How one measure moved.

    Attributes:
        first: mean of the first section.
        last: mean of the last section.
        slope_per_minute: least-squares slope over the chunks.
        spread: standard deviation of the measure over different real renders.
        moved: slope times duration, in units of that spread; within about 1 the stream stays where it was.
    """

    first: float
    last: float
    slope_per_minute: float
    spread: float
    moved: float | None


@dataclass(frozen=True)
class Drift:
    """A long stream.

    Attributes:
        duration_s: its length.
        sections: the look of every 30 s.
        trends: per measure of `Look`.
    """

    duration_s: float
    sections: tuple[Look, ...]
    trends: dict[str, Trend]


def drift(chunk_looks: Sequence[Look], render_looks: Sequence[Look]) -> Drift:
    """Sums up a stream of which every chunk was measured.

    Args:
        chunk_looks: the look of each chunk, in order.
        render_looks: the look of whole real renders.

    Raises:
        ValueError: the stream or the renders are empty.
    """
    if not chunk_looks or not render_looks:
        raise ValueError("drift needs at least one chunk and one render")
    times_s = (np.arange(len(chunk_looks)) + 0.5) * CHUNK_S
    duration_s = len(chunk_looks) * CHUNK_S
    section_of = np.minimum(times_s // SECTION_S, max(0, duration_s // SECTION_S - 1)).astype(int)
    names = [field.name for field in fields(Look)]
    values = {name: np.array([getattr(look, name) for look in chunk_looks]) for name in names}
    sections = tuple(
        Look(**{name: float(values[name][section_of == section].mean()) for name in names})
        for section in range(section_of.max() + 1)
    )
    trends = {}
    for name in names:
        slope = float(np.polyfit(times_s / 60, values[name], 1)[0]) if len(times_s) > 1 else 0.0
        spread = float(np.std([getattr(look, name) for look in render_looks]))
        trends[name] = Trend(
            first=getattr(sections[0], name),
            last=getattr(sections[-1], name),
            slope_per_minute=slope,
            spread=spread,
            moved=slope * duration_s / 60 / spread if spread > 0 else None,
        )
    return Drift(duration_s, sections, trends)
