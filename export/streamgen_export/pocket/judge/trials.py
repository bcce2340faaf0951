"""Ways to sample that are compared: what differs from a bundle's own sampler, and how the words fared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import Sampler
from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, UNASKED

OWN: Final = "own"
"""Name of the trial that takes the bundle's sampler as it is; all others are compared with it."""
EARLY, LATE = "early", "late"
"""The first and the second half of the chunks under one prompt: words that fade show in the second."""


@dataclass(frozen=True)
class Trial:
    """One way to sample.

    Attributes:
        name: what it is called.
        sampler: fields of the manifest's `sampler` that differ from the bundle's own; nothing is its own way.
    """

    name: str
    sampler: Mapping[str, Any] = field(default_factory=dict)

    def of(self, bundle: Bundle) -> Bundle:
        """The bundle with this sampler.

        Raises:
            pydantic.ValidationError: a field is unknown or its value cannot be.
        """
        own = bundle.manifest.sampler.model_dump(mode="json")
        sampler = Sampler.model_validate_json(json.dumps(own | dict(self.sampler)), strict=True)
        return replace(bundle, manifest=bundle.manifest.model_copy(update={"sampler": sampler}))


def read_trials(path: Path) -> list[Trial]:
    """Trials from a JSON object of names, each with fields of the manifest's `sampler`; `own` comes first, always.

    Raises:
        ValueError: it is something else.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(isinstance(fields, dict) for fields in found.values()):
        raise ValueError(f'{path}: give an object of trials such as {{"more": {{"guidance": 4.0}}}}')
    if found.get(OWN):
        raise ValueError(f"{path}: {OWN} is the bundle's own way to sample; give the trial another name")
    return [Trial(OWN), *(Trial(name, fields) for name, fields in found.items() if name != OWN)]


@dataclass(frozen=True)
class Score:
    """How often what is asked for is seen, in one trial.

    Attributes:
        share: mean over the attributes, each the share of its asked chunks in which it is named right.
        by_attribute: that share for each attribute.
        gain: by how much `share` is above that of the trial compared with; None for that one itself.
        margin: half the 95 % confidence interval of the gain, takes being drawn anew.
    """

    share: float
    by_attribute: dict[str, float]
    gain: float | None = None
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class Tally:
    """Right answers of a trial, take by take.

    Attributes:
        hits: float64 [takes, attributes of `CHANGED`], chunks in which it is named right.
        asked: the same shape, chunks in which it is asked for.
    """

    hits: NDArray[np.float64]
    asked: NDArray[np.float64]


def tally(briefs: Sequence[Brief], seen: Sequence[NDArray[np.int64]], part: str | None = None) -> Tally:
    """Counts the chunks of every take, all of them or only the `EARLY` or `LATE` ones.

    The first chunks under a prompt count as well, unlike in the report: nothing here is compared with renders, in which
    a change takes two chunks.

    Args:
        briefs: what was asked for.
        seen: what was recognised, int64 [chunks, attributes of `JUDGED`] each.
        part: which chunks.
    """
    columns = [JUDGED.index(name) for name in CHANGED]
    hits, asked = [], []
    for brief, classes in zip(briefs, seen, strict=True):
        right, got = brief.asked[:, columns], classes[:, columns]
        counted = (right != UNASKED) & _within(brief, part)[:, None]
        asked.append(counted.sum(axis=0))
        hits.append(((right == got) & counted).sum(axis=0))
    return Tally(np.array(hits, dtype=np.float64), np.array(asked, dtype=np.float64))


def _within(brief: Brief, part: str | None) -> NDArray[np.bool_]:
    ages = np.array(brief.ages)
    late = np.zeros(len(ages), dtype=bool)
    starts = [*np.flatnonzero(ages == 0).tolist(), len(ages)]
    for start, end in pairwise(starts):
        late[(start + end) // 2 : end] = True
    return np.ones_like(late) if part is None else late if part == LATE else ~late


def score(found: Tally, against: Tally | None = None, *, seed: int = 0, draws: int = 2000) -> Score:
    """Shares of a trial, and its gain over another one with the same briefs and noise.

    The gain's spread is that of a paired bootstrap: takes are drawn anew, the same for both.
    """
    shares = _shares(found.hits.sum(axis=0), found.asked.sum(axis=0))
    by_attribute = {name: float(value) for name, value in zip(CHANGED, shares, strict=True) if np.isfinite(value)}
    share = float(np.nanmean(shares))
    if against is None:
        return Score(share, by_attribute)
    gain = share - float(np.nanmean(_shares(against.hits.sum(axis=0), against.asked.sum(axis=0))))
    rng = np.random.default_rng(seed)
    takes = rng.integers(len(found.hits), size=(draws, len(found.hits)))
    drawn = [
        np.nanmean(_shares(t.hits[takes].sum(axis=1), t.asked[takes].sum(axis=1)), axis=1) for t in (found, against)
    ]
    low, high = np.percentile(drawn[0] - drawn[1], (2.5, 97.5))
    return Score(share, by_attribute, gain, float(high - low) / 2)


def _shares(hits: NDArray[np.float64], asked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each attribute; not a number where it was never asked for."""
    shares: NDArray[np.float64] = np.divide(hits, asked, out=np.full_like(hits, np.nan), where=asked > 0)
    return shares
