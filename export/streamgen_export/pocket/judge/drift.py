"""Does a long stream wander off, freeze or collapse? Measured chunk by chunk, never holding the stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from streamgen_export.pocket.judge.eye import Eye, look
from streamgen_export.pocket.judge.looks import FLAT, LOOKS, SAME, SILENT_DB, difference, measure_look
from streamgen_export.pocket.judge.takes import NEAR, SMALL, Footage, resized

START_S: Final = 10.0
"""Length of the start from which content departs."""
MEASURES: Final = (*LOOKS, "departure")
MINUTES: Final = "minutes"
"""Key of the time in a section."""
BLOCKS: Final = 30
"""Stretches into which a stream is cut for its trend: their means are nearly independent of one another."""
_MOST_SECTIONS = 60
_LOOKED_AT_ONCE = 32

Curves = Mapping[str, NDArray[np.float64]]
"""Measure to its value at each time that was looked at, float64 [n]."""


class Watcher:
    """Measures a stream as it comes.

    Attributes:
        times_s: middle of each chunk that was measured.
    """

    def __init__(self, eye: Eye, window: int) -> None:
        """Takes the trained eye and the chunks that the model sees of its past."""
        self.times_s: list[float] = []
        self._eye = eye
        self._past: deque[NDArray[np.uint8]] = deque(maxlen=window)
        self._looks: list[dict[str, float]] = []
        self._features: list[NDArray[np.float32]] = []
        self._waiting: list[NDArray[np.uint8]] = []
        self._like_last: list[float] = []
        self._like_earlier: list[float] = []

    def pass_by(self, footage: Footage) -> None:
        """Lets a chunk pass that later ones are compared with, without measuring it."""
        self._past.append(resized(footage[0], SMALL))

    def measure(self, footage: Footage, time_s: float) -> None:
        """Measures a chunk of which the middle is at `time_s`."""
        video, audio = footage
        small = resized(video, SMALL)
        self.times_s.append(time_s)
        self._looks.append(measure_look(video, audio))
        if self._past:
            self._like_last.append(difference(small, self._past[-1]))
        if len(self._past) == self._past.maxlen:
            self._like_earlier.append(difference(small, self._past[0]))
        self._past.append(small)
        self._waiting.append(resized(video[-1:], NEAR))
        if len(self._waiting) == _LOOKED_AT_ONCE:
            self._look()

    def _look(self) -> None:
        if self._waiting:
            self._features.append(look(self._eye, np.concatenate(self._waiting)).features)
            self._waiting.clear()

    def looks(self) -> Curves:
        """Each of `LOOKS`, chunk by chunk."""
        return {name: np.array([measured[name] for measured in self._looks]) for name in LOOKS}

    def departures(self, unit: float) -> NDArray[np.float64]:
        """How far the content of each chunk is from that of the first 10 s, in `unit`s, see `typical_distance`."""
        self._look()
        features = np.concatenate(self._features)
        start = features[: max(1, int(np.searchsorted(self.times_s, START_S)))].mean(axis=0)
        away: NDArray[np.float64] = np.linalg.norm(features - start, axis=1).astype(np.float64) / unit
        return away

    def failures(self) -> Failures:
        """Shares of chunks that look like a stream that has died."""
        looks = self.looks()
        return Failures(
            like_last=_share_below(self._like_last, SAME),
            like_earlier=_share_below(self._like_earlier, SAME),
            flat=_share_below(looks["contrast"], FLAT),
            silent=_share_below(looks["loudness_db"], SILENT_DB),
        )


@dataclass(frozen=True)
class Failures:
    """Shares of the chunks of a stream.

    Attributes:
        like_last: nearly equal to the chunk before: frozen.
        like_earlier: nearly equal to the chunk one window earlier: caught in a loop of the model's memory.
        flat: with a picture that shows nothing.
        silent: without a sound.
    """

    like_last: float | None
    like_earlier: float | None
    flat: float | None
    silent: float | None


def _share_below(values: Sequence[float] | NDArray[np.float64], limit: float) -> float | None:
    return float(np.mean(np.asarray(values) < limit)) if len(values) else None


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
        slope_per_minute: least-squares slope over the means of 30 blocks.
        margin_per_minute: half the slope's 95 % confidence interval; None where there are too few blocks.
        moved: slope times duration, in units of the spread over different renders; within about 1 the stream
            stays where it was. None where renders do not differ.
        moved_margin: the same of the margin.
    """

    first: float
    last: float
    slope_per_minute: float
    margin_per_minute: float | None
    moved: float | None
    moved_margin: float | None


@dataclass(frozen=True)
class Drift:
    """A long stream of one prompt.

    Attributes:
        prompt: what was asked for.
        duration_s: its length.
        section_s: length of a section: a minute of long streams.
        sections: mean of each measure of `MEASURES`, and of the time in `MINUTES`, in each section that was looked at.
        trends: per measure.
        failures: whether it froze or collapsed.
    """

    prompt: str
    duration_s: float
    section_s: float
    sections: tuple[dict[str, float], ...]
    trends: dict[str, Trend]
    failures: Failures


def drift(prompt: str, duration_s: float, watcher: Watcher, unit: float, spread: Mapping[str, float]) -> Drift:
    """Sums up a stream that was watched.

    Args:
        prompt: what was asked for.
        duration_s: length of the stream.
        watcher: that measured it.
        unit: distance of different renders, see `typical_distance`.
        spread: standard deviation of each measure over different renders.

    Raises:
        ValueError: nothing was measured.
    """
    if not watcher.times_s:
        raise ValueError("drift needs at least one chunk")
    times_s = np.array(watcher.times_s)
    curves = {**watcher.looks(), "departure": watcher.departures(unit)}
    section_s = max(60.0, duration_s / _MOST_SECTIONS) if duration_s >= 600 else duration_s / 10
    section_of = np.minimum(times_s // section_s, max(0, round(duration_s / section_s) - 1)).astype(int)
    sections = tuple(
        {
            name: float(values[section_of == section].mean())
            for name, values in {**curves, MINUTES: times_s / 60}.items()
        }
        for section in np.unique(section_of)
    )
    trends = {}
    for name, values in curves.items():
        slope, margin = slope_per_minute(times_s, values, duration_s)
        scale = duration_s / 60 / spread[name] if spread[name] > 0 else None
        trends[name] = Trend(
            first=sections[0][name],
            last=sections[-1][name],
            slope_per_minute=slope,
            margin_per_minute=margin,
            moved=None if scale is None else slope * scale,
            moved_margin=None if scale is None or margin is None else margin * scale,
        )
    return Drift(prompt, duration_s, section_s, sections, trends, watcher.failures())


def slope_per_minute(
    times_s: NDArray[np.float64], values: NDArray[np.float64], duration_s: float
) -> tuple[float, float | None]:
    """Least-squares slope over the means of blocks and half its 95 % confidence interval (Student's t)."""
    block_of = np.minimum(times_s / duration_s * BLOCKS, BLOCKS - 1).astype(int)
    blocks = np.unique(block_of)
    minutes = np.array([times_s[block_of == block].mean() for block in blocks]) / 60
    means = np.array([values[block_of == block].mean() for block in blocks])
    if len(blocks) < 2:
        return 0.0, None
    away = minutes - minutes.mean()
    power = float(away @ away)
    slope = float(away @ means) / power
    freedom = len(blocks) - 2
    if freedom < 1:
        return slope, None
    rest = means - means.mean() - slope * away
    error = float(np.sqrt(rest @ rest / freedom / power))
    return slope, float(stdtrit(freedom, 0.975)) * error


def spread_of(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Standard deviation of each measure over different renders; departure is in such units already."""
    return {name: float(np.std([look[name] for look in looks])) for name in LOOKS} | {"departure": 1.0}
