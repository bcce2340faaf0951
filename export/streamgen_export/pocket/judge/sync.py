"""How far from what is seen is it heard?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_export.pocket.judge.labels import EVENTS

REACH_S: Final = 0.4
"""A sound further from what is seen than this does not belong to it; half a quick bounce is 0.48 s."""
MEDIAN_TARGET_S: Final = 0.030
P95_TARGET_S: Final = 0.080
ALL: Final = "all"
"""Key of all kinds of events together."""
_HIT_S = 0.1
"""A detection within this of a true event is right."""

Times = Mapping[str, Sequence[float]]
"""Kind of event to times in seconds."""


@dataclass(frozen=True)
class Detection:
    """A detector against the truth of renders.

    Attributes:
        events: how many there really are.
        recall: share of them that were found within 100 ms.
        precision: share of the found ones that are real.
        median_error_s: median distance of those that match.
    """

    events: int
    recall: float | None
    precision: float | None
    median_error_s: float | None


def check_detector(truth: Sequence[Times], found: Sequence[Times]) -> dict[str, Detection]:
    """Compares detections with the truth, take by take and kind by kind."""
    return {
        kind: _check([times.get(kind, ()) for times in truth], [times.get(kind, ()) for times in found])
        for kind in EVENTS
    }


def _check(truth: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> Detection:
    recalled = [nearest(time, got) for true, got in zip(truth, found, strict=True) for time in true]
    real = [nearest(time, true) for true, got in zip(truth, found, strict=True) for time in got]
    hits = [abs(error) for error in recalled if error is not None and abs(error) <= _HIT_S]
    correct = [error is not None and abs(error) <= _HIT_S for error in real]
    return Detection(
        events=len(recalled),
        recall=len(hits) / len(recalled) if recalled else None,
        precision=float(np.mean(correct)) if correct else None,
        median_error_s=float(np.median(hits)) if hits else None,
    )


def nearest(time: float, others: Sequence[float]) -> float | None:
    """Signed distance from `time` to the nearest of `others`, or None when there is none."""
    return min((other - time for other in others), key=abs, default=None)


@dataclass(frozen=True)
class Sync:
    """How far events are heard from where they are seen.

    Attributes:
        seen: events in the picture.
        heard: events in the sound.
        seen_per_s: events in the picture per second of media.
        heard_per_s: the same for the sound.
        matched: share of the seen events with a sound of the same kind within 0.4 s.
        median_s: median |offset| of the matched.
        p95_s: 95th percentile of |offset| of the matched.
        lag_s: median signed offset; positive when the sound is late.
    """

    seen: int
    heard: int
    seen_per_s: float
    heard_per_s: float
    matched: float | None
    median_s: float | None
    p95_s: float | None
    lag_s: float | None


def synchrony(seen: Sequence[Times], heard: Sequence[Times], duration_s: float) -> dict[str, Sync]:
    """Compares the events of takes; a kind that is never seen is left out, `ALL` is all of them together.

    Args:
        seen: times in the picture, per take.
        heard: times in the sound, per take.
        duration_s: length of all takes together.
    """
    found: dict[str, Sync] = {}
    distances: dict[str, list[float | None]] = {kind: [] for kind in EVENTS}
    sounds = {kind: sum(len(times.get(kind, ())) for times in heard) for kind in EVENTS}
    for kind in EVENTS:
        for picture, sound in zip(seen, heard, strict=True):
            distances[kind] += [nearest(time, sound.get(kind, ())) for time in picture.get(kind, ())]
        if distances[kind]:
            found[kind] = _sync(distances[kind], sounds[kind], duration_s)
    together = [distance for kind in EVENTS for distance in distances[kind]]
    return found | {ALL: _sync(together, sum(sounds.values()), duration_s)}


def _sync(distances: Sequence[float | None], sounds: int, duration_s: float) -> Sync:
    offsets = np.array([d for d in distances if d is not None and abs(d) <= REACH_S])
    return Sync(
        seen=len(distances),
        heard=sounds,
        seen_per_s=len(distances) / duration_s,
        heard_per_s=sounds / duration_s,
        matched=len(offsets) / len(distances) if distances else None,
        median_s=float(np.median(np.abs(offsets))) if len(offsets) else None,
        p95_s=float(np.percentile(np.abs(offsets), 95)) if len(offsets) else None,
        lag_s=float(np.median(offsets)) if len(offsets) else None,
    )
