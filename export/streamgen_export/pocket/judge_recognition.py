"""Is what was asked for in the picture, and how soon after the prompt changed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_export.pocket.judge_critic import Opinion, label
from streamgen_export.pocket.judge_takes import CHUNK_S, JUDGED, Take
from streamgen_export.pocket.scenes.attributes import VOCABULARY

CHANGE_LIMIT_S: Final = 1.0
SETTLING_CHUNKS: Final = 3
"""Chunks after a start or a change that are not counted as settled."""


@dataclass(frozen=True)
class Accuracy:
    """Share of settled chunks in which the asked value is the likeliest one.

    Attributes:
        share: between 0 and 1; None when there is nothing to count.
        chunks: how many were counted.
        chance: what guessing evenly would reach.
    """

    share: float | None
    chunks: int
    chance: float


def accuracy(takes: Sequence[Take], opinions: Sequence[Opinion]) -> dict[str, Accuracy]:
    """Per judged attribute, over the settled chunks of all takes."""
    hits: dict[str, list[bool]] = {name: [] for name in JUDGED}
    for take, opinion in zip(takes, opinions, strict=True):
        since = 0
        for chunk in range(take.chunks):
            if chunk and take.wanted[chunk] != take.wanted[chunk - 1]:
                since = 0
            since += 1
            if since <= SETTLING_CHUNKS:
                continue
            for index, wanted in enumerate(label(take.wanted[chunk])):
                if wanted >= 0:
                    hits[JUDGED[index]].append(bool(opinion.classes[chunk, index] == wanted))
    return {
        name: Accuracy(float(np.mean(found)) if found else None, len(found), 1 / len(VOCABULARY[name]))
        for name, found in hits.items()
    }


@dataclass(frozen=True)
class ChangeResult:
    """How an attribute followed changes of the prompt.

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
    takes: Sequence[Take], opinions: Sequence[Opinion], limit_s: float = CHANGE_LIMIT_S
) -> dict[str, ChangeResult]:
    """Per judged attribute, how soon the picture shows a new value after the prompt asks for it."""
    return {name: _follow_one(name, takes, opinions, limit_s) for name in JUDGED}


def _follow_one(name: str, takes: Sequence[Take], opinions: Sequence[Opinion], limit_s: float) -> ChangeResult:
    column = JUDGED.index(name)
    within, at_end, times, before = [], [], [], []
    for take, opinion in zip(takes, opinions, strict=True):
        for chunk, changed in take.changes:
            wanted = label(take.wanted[chunk])[column]
            if changed != name or wanted < 0:
                continue
            stretch = chunk
            while stretch < take.chunks and label(take.wanted[stretch])[column] == wanted:
                stretch += 1
            shown = opinion.classes[chunk:stretch, column] == wanted
            delays = (np.flatnonzero(shown) + 1) * CHUNK_S
            within.append(bool(len(delays) and delays[0] <= limit_s + 1e-9))
            at_end.append(bool(shown[-1]))
            if len(delays):
                times.append(float(delays[0]))
            before.extend((opinion.classes[:chunk, column] == wanted).tolist())

    def mean(values: list[bool]) -> float | None:
        return float(np.mean(values)) if values else None

    return ChangeResult(
        changes=len(within),
        within_limit=mean(within),
        at_end=mean(at_end),
        median_s=float(np.median(times)) if times else None,
        before=mean(before),
    )
