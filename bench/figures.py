"""From raw observations to figures. Free of I/O: times and values come in as arguments.

Every time in one call is on one clock. Percentiles are nearest-rank, so each is a value that was really observed.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

VIDEO_CLOCK_HZ: Final = 90_000
SETTLING_SHARE: Final = 0.2  # of a run, at its beginning, that says nothing about whether memory is flat


@dataclass(frozen=True, slots=True)
class Summary:
    """Values of one quantity, all in its own unit."""

    count: int
    p50: float
    p95: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Summary | None":
        """None when nothing was observed."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(len(ordered), percentile(ordered, 50), percentile(ordered, 95), ordered[0], ordered[-1])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one value in rising order."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a quantity moved over a run."""

    first: float  # before anything was left out
    last: float
    slope_per_min: float | None  # least squares, over what is left after settling; None of fewer than two samples
    samples: int  # that the slope rests on


def trend(times_s: Sequence[float], values: Sequence[float], settling: float = SETTLING_SHARE) -> Trend | None:
    """First, last, and the straight line through the last part of a run; None without samples.

    Args:
        times_s: of the samples, rising.
        values: as many.
        settling: share of the run's time, at its beginning, that is left out.
    """
    if not times_s:
        return None
    start = times_s[0] + settling * (times_s[-1] - times_s[0])
    kept = [(time_s, value) for time_s, value in zip(times_s, values, strict=True) if time_s >= start]
    if len(kept) < 2:
        return Trend(values[0], values[-1], None, len(kept))
    x, y = np.array(kept, dtype=np.float64).T
    x -= x.mean()
    slope_per_s = float((x * (y - y.mean())).sum() / (x * x).sum())
    return Trend(values[0], values[-1], 60 * slope_per_s, len(kept))


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that was presented."""

    pts: int  # media time, ticks of 90 kHz
    at_ms: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt as its sender saw it; None for what did not happen."""

    id: str
    entered_ms: float  # Enter was pressed
    queued_ms: float | None  # the server had it encoded
    applied_ms: float | None  # the server's `applied` had come
    pts: int | None  # of the first picture made with it


@dataclass(frozen=True, slots=True)
class Photon:
    """One prompt's way to the screen, ms since Enter."""

    id: str
    queued_ms: float | None
    applied_ms: float
    shown_ms: float


def photons(asked: Iterable[Asked], shown: Sequence[Shown]) -> list[Photon]:
    """The first presented picture whose media time is that of `applied` or later, for each prompt that has one.

    Args:
        asked: prompts.
        shown: presented pictures in the order of presentation.
    """
    found = []
    for prompt in asked:
        if prompt.applied_ms is None or prompt.pts is None:
            continue
        at_ms = next((each.at_ms for each in shown if each.pts >= prompt.pts and each.at_ms >= prompt.entered_ms), None)
        if at_ms is None:
            continue
        queued_ms = None if prompt.queued_ms is None else prompt.queued_ms - prompt.entered_ms
        found.append(Photon(prompt.id, queued_ms, prompt.applied_ms - prompt.entered_ms, at_ms - prompt.entered_ms))
    return found


@dataclass(frozen=True, slots=True)
class Arrival:
    """Media that arrived: a complete picture, or a packet of sound."""

    media_s: float
    at_s: float

    @property
    def delay_s(self) -> float:
        """Between media time 0 and its arrival; only differences mean something."""
        return self.at_s - self.media_s


def arrival_skew_ms(pictures: Iterable[Arrival], sounds: Sequence[Arrival]) -> list[float]:
    """How much later than sound each picture arrived for its media time, ms; negative: earlier.

    Each picture is compared with the packet of sound that arrived nearest to it.

    Args:
        pictures: in any order.
        sounds: in the order of arrival.
    """
    if not sounds:
        return []
    times = [sound.at_s for sound in sounds]
    skews = []
    for picture in pictures:
        after = bisect_left(times, picture.at_s)
        nearest = min(
            range(max(0, after - 1), min(len(times), after + 1)), key=lambda index: abs(times[index] - picture.at_s)
        )
        skews.append(1000 * (picture.delay_s - sounds[nearest].delay_s))
    return skews


@dataclass(frozen=True, slots=True)
class Hold:
    """The media stood still."""

    reason: str
    at_ms: float
    lasted_ms: float | None  # None: it was not over at the end


def holds(changes: Iterable[tuple[float, bool, str | None]]) -> list[Hold]:
    """Standstills, from `buffering` messages as (time in ms, active, reason) in the order of arrival."""
    found: list[Hold] = []
    open_at: tuple[float, str] | None = None
    for at_ms, active, reason in changes:
        if active and open_at is None:
            open_at = (at_ms, reason or "unknown")
        elif not active and open_at is not None:
            found.append(Hold(open_at[1], open_at[0], at_ms - open_at[0]))
            open_at = None
    if open_at is not None:
        found.append(Hold(open_at[1], open_at[0], None))
    return found
