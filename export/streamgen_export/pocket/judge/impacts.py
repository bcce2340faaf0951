"""When is it seen that something hits the ground, and how far from that is it heard?

In the picture, an impact is a lowest point of the path of the mask that the eye sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.ear import MIN_GAP_S
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ

REACH_S: Final = 0.4
"""A sound further from a visual impact than this does not belong to it; half a bounce is 0.64 or 0.8 s."""
_PROMINENCE = 0.06
"""How far the subject must rise on both sides of a lowest point, as a share of the picture's height."""
_MIN_COVER = 0.006
"""Share of the picture that the subject must cover to have a path at all."""
_HIT_S = 0.1
"""A detection within this of a true impact is right."""


def heights(masks: NDArray[np.float32]) -> NDArray[np.float64]:
    """The subject's height over the bottom in each picture, as a share of the picture; NaN where there is none.

    Args:
        masks: float32 [T, h, w], probability of the subject.
    """
    weights = np.where(masks > 0.3, masks, 0.0).astype(np.float64)
    mass = weights.sum(axis=(1, 2))
    rows = (np.arange(masks.shape[1]) + 0.5) / masks.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (weights.sum(axis=2) * rows).sum(axis=1) / mass
    return np.where(mass > _MIN_COVER * masks.shape[1] * masks.shape[2], 1 - centre, np.nan)


def seen_impacts(path: NDArray[np.float64]) -> list[float]:
    """Times in seconds of the lowest points of a path, finer than one picture.

    A bounce is a corner between two falling curves, so its time is read off two lines of the steeper slope.

    Args:
        path: the height of the subject in each picture, NaN where it is not seen.
    """
    times: list[float] = []
    for index in range(1, len(path) - 1):
        left, here, right = path[index - 1 : index + 2]
        if not (here <= left and here < right) or np.isnan([left, here, right]).any():
            continue
        if min(_rise(path[: index + 1][::-1]), _rise(path[index:])) < _PROMINENCE:
            continue
        slope = max(left - here, right - here)
        time = (index + 0.5 * (left - right) / slope) / PICTURE_RATE_HZ
        if not times or time - times[-1] >= MIN_GAP_S:
            times.append(float(time))
    return times


def _rise(path: NDArray[np.float64]) -> float:
    """How high a path climbs above its start before it comes back below it (or ends)."""
    start, top = path[0], 0.0
    for height in path[1:]:
        if np.isnan(height) or height < start:
            break
        top = max(top, float(height - start))
    return top


@dataclass(frozen=True)
class Detection:
    """A detector against the truth of renders.

    Attributes:
        impacts: how many there really are.
        recall: share of them that were found within 100 ms.
        precision: share of the found ones that are real.
        median_error_s: median distance of those that match.
    """

    impacts: int
    recall: float | None
    precision: float | None
    median_error_s: float | None


def check_detector(truth: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> Detection:
    """Compares detections with the truth, take by take."""
    recalled = [nearest(time, got) for true, got in zip(truth, found, strict=True) for time in true]
    real = [nearest(time, true) for true, got in zip(truth, found, strict=True) for time in got]
    hits = [abs(error) for error in recalled if error is not None and abs(error) <= _HIT_S]
    correct = [error is not None and abs(error) <= _HIT_S for error in real]
    return Detection(
        impacts=len(recalled),
        recall=len(hits) / len(recalled) if recalled else None,
        precision=float(np.mean(correct)) if correct else None,
        median_error_s=float(np.median(hits)) if hits else None,
    )


def nearest(time: float, others: Sequence[float]) -> float | None:
    """Signed distance from `time` to the nearest of `others`, or None when there is none."""
    return min((other - time for other in others), key=abs, default=None)


@dataclass(frozen=True)
class Sync:
    """How far impacts are heard from where they are seen.

    Attributes:
        seen: visual impacts.
        heard: impacts in the sound.
        seen_per_s: visual impacts per second of media.
        heard_per_s: the same for the sound.
        matched: share of visual impacts with a sound within 0.4 s.
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


def synchrony(seen: Sequence[Sequence[float]], heard: Sequence[Sequence[float]], duration_s: float) -> Sync:
    """Compares the impacts of takes.

    Args:
        seen: times in the picture, per take.
        heard: times in the sound, per take.
        duration_s: length of all takes together.
    """
    distances = [nearest(time, sounds) for picture, sounds in zip(seen, heard, strict=True) for time in picture]
    offsets = np.array([d for d in distances if d is not None and abs(d) <= REACH_S])
    return Sync(
        seen=len(distances),
        heard=sum(map(len, heard)),
        seen_per_s=len(distances) / duration_s,
        heard_per_s=sum(map(len, heard)) / duration_s,
        matched=len(offsets) / len(distances) if distances else None,
        median_s=float(np.median(np.abs(offsets))) if len(offsets) else None,
        p95_s=float(np.percentile(np.abs(offsets), 95)) if len(offsets) else None,
        lag_s=float(np.median(offsets)) if len(offsets) else None,
    )
