"""Is what was asked for there, how soon after the prompt changed, and does the rest stay?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, UNASKED, WINDOW
from streamgen_export.pocket.world.attributes import VOCABULARY

CHANGE_LIMIT_S: Final = 1.0
IN_TIME_SHARE: Final = 0.9
"""Share of the changes that must show within the limit."""
SETTLING_CHUNKS: Final = 2
"""Chunks after a start or a change that no counted recogniser sees anything of: the world itself takes two."""

Classes = NDArray[np.int64]
"""What was recognised in a take, int64 [chunks, attributes of `JUDGED`]; -1 where there was too little to judge by."""


@dataclass(frozen=True)
class Accuracy:
    """How often the asked value is the likeliest one.

    Attributes:
        share: between 0 and 1; None when there is nothing to count.
        margin: half the 95 % confidence interval of `share`, takes being drawn anew.
        chance: what the same answers would reach if they belonged to other takes.
        counted: number of chunks.
        takes: number of takes that they come from.
        values: how many different values there are to choose from.
    """

    share: float | None
    margin: float | None
    chance: float | None
    counted: int
    takes: int
    values: int


def accuracy(briefs: Sequence[Brief], seen: Sequence[Classes]) -> dict[str, Accuracy]:
    """Per judged attribute, over the settled chunks of all takes whose prompts name it."""
    return {name: _accuracy_of(name, briefs, seen) for name in JUDGED}


def _accuracy_of(name: str, briefs: Sequence[Brief], seen: Sequence[Classes]) -> Accuracy:
    column, values = JUDGED.index(name), len(VOCABULARY[name])
    shares = []
    asked, answered = np.zeros(values), np.zeros(values)
    for brief, classes in zip(briefs, seen, strict=True):
        right, got = brief.asked[:, column], classes[:, column]
        counted = _settled(brief, name) & (right != UNASKED) & (got >= 0)
        if counted.any():
            np.add.at(asked, right[counted], 1)
            np.add.at(answered, got[counted], 1)
            shares.append((int(counted.sum()), float((right == got)[counted].mean())))
    total = int(asked.sum())
    if not total:
        return Accuracy(None, None, None, 0, 0, values)
    weights, means = np.array(shares).T
    share = float(np.average(means, weights=weights))
    scatter = np.sqrt(np.sum((weights * (means - share)) ** 2)) / weights.sum()
    return Accuracy(
        share=share,
        margin=float(1.96 * scatter) if len(shares) > 1 else None,
        chance=float(asked @ answered) / total**2,
        counted=total,
        takes=len(shares),
        values=values,
    )


def _settled(brief: Brief, name: str) -> NDArray[np.bool_]:
    """Whether all chunks that the recogniser of an attribute sees lie after the last change has settled."""
    settled: NDArray[np.bool_] = np.array(brief.ages) + 1 >= SETTLING_CHUNKS + WINDOW[name]
    return settled


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
    briefs: Sequence[Brief], seen: Sequence[Classes], chunk_s: float, limit_s: float = CHANGE_LIMIT_S
) -> dict[str, Following]:
    """Per attribute that prompts are changed in, how soon the picture shows a new value that is asked for."""
    return {name: _follow_one(name, briefs, seen, chunk_s, limit_s) for name in CHANGED}


def _follow_one(
    name: str, briefs: Sequence[Brief], seen: Sequence[Classes], chunk_s: float, limit_s: float
) -> Following:
    within: list[bool] = []
    at_end: list[bool] = []
    before: list[bool] = []
    times: list[float] = []
    column = JUDGED.index(name)
    for brief, classes in zip(briefs, seen, strict=True):
        for start, end in _changes(brief, name):
            new = brief.asked[start, column]
            shown = classes[start:end, column] == new
            delays = (np.flatnonzero(shown) + 1) * chunk_s
            within.append(bool(len(delays) and delays[0] <= limit_s + 1e-9))
            at_end.append(bool(shown[-1]))
            times.extend(delays[:1].tolist())
            before.extend((classes[:start, column] == new).tolist())
    return Following(
        changes=len(within),
        within_limit=_mean(within),
        at_end=_mean(at_end),
        median_s=float(np.median(times)) if times else None,
        before=_mean(before),
    )


def _changes(brief: Brief, name: str) -> Iterator[tuple[int, int]]:
    """(first chunk with the new value, end of that stretch) of each change of an attribute that can be asked about."""
    column = brief.asked[:, JUDGED.index(name)]
    starts = [
        c for c in range(1, len(column)) if UNASKED not in (column[c], column[c - 1]) and column[c] != column[c - 1]
    ]
    for start in starts:
        yield start, next((c for c in range(start, len(column)) if column[c] != column[start]), len(column))


@dataclass(frozen=True)
class Staying:
    """Whether what the prompts left as it was stayed so when something else changed.

    Attributes:
        before: share of the settled chunks before the change in which an untouched attribute is named right.
        after: the same after it.
        cases: untouched attributes of takes that were looked at.
    """

    before: float | None
    after: float | None
    cases: int


def stay(briefs: Sequence[Brief], seen: Sequence[Classes]) -> tuple[dict[str, Staying], dict[str, Staying]]:
    """Looks at every attribute that both prompts of a change name and that has the same value in both.

    Returns:
        by the attribute that changed, and by the attribute that should have stayed.
    """
    found: list[tuple[str, str, float, float]] = []
    for brief, classes in zip(briefs, seen, strict=True):
        right = brief.asked
        for changed in CHANGED:
            for start, end in _changes(brief, changed):
                for column, name in enumerate(JUDGED):
                    value = right[start, column]
                    if value == UNASKED or (right[:end, column] != value).any():
                        continue
                    counted = _settled(brief, name) & (classes[:, column] >= 0)
                    hits = classes[:, column] == value
                    old, new = hits[:start][counted[:start]], hits[start:end][counted[start:end]]
                    if len(old) and len(new):
                        found.append((changed, name, float(old.mean()), float(new.mean())))
    by_change = {name: _staying([row for row in found if row[0] == name]) for name in CHANGED}
    return by_change, {name: _staying([row for row in found if row[1] == name]) for name in JUDGED}


def _staying(rows: Sequence[tuple[str, str, float, float]]) -> Staying:
    if not rows:
        return Staying(None, None, 0)
    return Staying(float(np.mean([row[2] for row in rows])), float(np.mean([row[3] for row in rows])), len(rows))


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
