"""Is what was asked for there, and how soon after the prompt changed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.gait import GAIT_CHUNKS
from streamgen_export.pocket.judge.mood import MOOD_CHUNKS
from streamgen_export.pocket.judge.takes import CHUNK_S, JUDGED, PICTURED, Take, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY

CHANGE_LIMIT_S: Final = 1.0
SETTLING_CHUNKS: Final = 2
"""Chunks after a start or a change that no counted recogniser sees anything of."""
WINDOW: Final = dict.fromkeys(PICTURED, 1) | {"motion": GAIT_CHUNKS, "mood": MOOD_CHUNKS}
"""Chunks that the recogniser of each attribute sees at once."""


@dataclass(frozen=True)
class Accuracy:
    """How often the asked value is the likeliest one.

    Attributes:
        share: between 0 and 1; None when there is nothing to count.
        margin: half the 95 % confidence interval of `share`, takes being drawn anew.
        chance: what the same answers would reach if they belonged to other takes.
        counted: number of chunks.
        values: how many different values there are to choose from.
    """

    share: float | None
    margin: float | None
    chance: float | None
    counted: int
    values: int


def accuracy(takes: Sequence[Take], seen: Sequence[NDArray[np.int64]]) -> dict[str, Accuracy]:
    """Per judged attribute, over the settled chunks of all takes.

    Args:
        takes: what was asked for.
        seen: what was recognised, int64 [chunks, 6] per take; -1 where there was too little to judge by.
    """
    return {name: _accuracy_of(name, takes, seen) for name in JUDGED}


def _accuracy_of(name: str, takes: Sequence[Take], seen: Sequence[NDArray[np.int64]]) -> Accuracy:
    column, values = JUDGED.index(name), len(VOCABULARY[name])
    shares = []
    asked, answered = np.zeros(values), np.zeros(values)
    for take, classes in zip(takes, seen, strict=True):
        hits = []
        for wanted, age, got in zip(take.wanted, take.ages, classes[:, column], strict=True):
            right = label(wanted)[column]
            if age + 1 < SETTLING_CHUNKS + WINDOW[name] or right < 0 or got < 0:
                continue
            hits.append(bool(got == right))
            asked[right] += 1
            answered[got] += 1
        if hits:
            shares.append((len(hits), float(np.mean(hits))))
    counted = int(asked.sum())
    if not counted:
        return Accuracy(None, None, None, 0, values)
    weights, means = np.array(shares).T
    share = float(np.average(means, weights=weights))
    scatter = np.sqrt(np.sum((weights * (means - share)) ** 2)) / weights.sum()
    return Accuracy(
        share=share,
        margin=float(1.96 * scatter) if len(shares) > 1 else None,
        chance=float(asked @ answered) / counted**2,
        counted=counted,
        values=values,
    )


@dataclass(frozen=True)
class Following:
    """How an attribute of the pictures followed changes of the prompt.

    Attributes:
        changes: how many were seen.
        within_limit: share in which a chunk that ends within the limit shows the new value.
        at_end: share in which the last chunk of the stretch shows the new value.
        median_s: median media time from the change to the end of the first chunk with the new value,
            of those that got there; None if none did.
        before: share of the chunks before the change that already "show" the new value: the false alarms.
    """

    changes: int
    within_limit: float | None
    at_end: float | None
    median_s: float | None
    before: float | None


def follow(
    takes: Sequence[Take], seen: Sequence[NDArray[np.int64]], limit_s: float = CHANGE_LIMIT_S
) -> dict[str, Following]:
    """Per attribute that prompts are changed in, how soon the picture shows a new value that is asked for."""
    return {name: _follow_one(name, takes, seen, limit_s) for name in PICTURED}


def _follow_one(name: str, takes: Sequence[Take], seen: Sequence[NDArray[np.int64]], limit_s: float) -> Following:
    column = JUDGED.index(name)
    within: list[bool] = []
    at_end: list[bool] = []
    before: list[bool] = []
    times: list[float] = []
    for take, classes in zip(takes, seen, strict=True):
        wanted = [label(attributes)[column] for attributes in take.wanted]
        for chunk in range(1, take.chunks):
            new = wanted[chunk]
            if new == wanted[chunk - 1] or new < 0:
                continue
            end = next((later for later in range(chunk, take.chunks) if wanted[later] != new), take.chunks)
            shown = classes[chunk:end, column] == new
            delays = (np.flatnonzero(shown) + 1) * CHUNK_S
            within.append(bool(len(delays) and delays[0] <= limit_s + 1e-9))
            at_end.append(bool(shown[-1]))
            times.extend(delays[:1].tolist())
            before.extend((classes[:chunk, column] == new).tolist())
    return Following(
        changes=len(within),
        within_limit=_mean(within),
        at_end=_mean(at_end),
        median_s=float(np.median(times)) if times else None,
        before=_mean(before),
    )


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
