"""What to generate: held-out prompts, with the attributes that a true picture of them would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, UNASKED, label
from streamgen_export.pocket.world.attributes import NONE, VOCABULARY, Attributes, held_out, motions_of, possible
from streamgen_export.pocket.world.captions import caption
from streamgen_export.pocket.world.captions.describe import sayable
from streamgen_export.pocket.world.world import sample_attributes

MENTIONS: Final = (
    ("place", "time", "weather", "subject", "colour"),
    ("place", "subject", "colour", "style", "mood", "tempo"),
    ("place", "subject", "colour", "motion", "palette", "camera"),
    ("place", "time", "happening", "style", "mood"),
)
"""What successive prompts name, in turns: about 30 word pieces have no room for everything at once."""


@dataclass(frozen=True)
class Brief:
    """What to make and what to ask about it.

    Attributes:
        seed: of the noise, or of the world for a render.
        wanted: attributes of each chunk.
        prompts: prompt of each chunk.
        named: attributes that every prompt names; only these are judged.
    """

    seed: int
    wanted: tuple[Attributes, ...]
    prompts: tuple[str, ...]
    named: frozenset[str]

    @property
    def chunks(self) -> int:
        """Length in chunks."""
        return len(self.wanted)

    @property
    def asked(self) -> NDArray[np.int64]:
        """Right answers, int64 [chunks, attributes of `JUDGED`]; `UNASKED` where the prompt does not name it."""
        named = np.array([name in self.named for name in JUDGED])
        right = np.array([label(attributes) for attributes in self.wanted], dtype=np.int64)
        # Nothing that happens is right nearly always, and would hide how often something that happens is seen.
        quiet = VOCABULARY["happening"].index(NONE)
        column = JUDGED.index("happening")
        right[:, column] = np.where(right[:, column] == quiet, UNASKED, right[:, column])
        return np.where(named, right, UNASKED)

    @property
    def ages(self) -> tuple[int, ...]:
        """How many chunks ago what each chunk shows was asked for: 0 at the start and where something changes."""
        found: list[int] = []
        for chunk, wanted in enumerate(self.wanted):
            steady = chunk > 0 and wanted == self.wanted[chunk - 1]
            found.append(found[-1] + 1 if steady else 0)
        return tuple(found)


def held_out_attributes(seed: int, accept: Callable[[Attributes], bool] = lambda _: True) -> Iterator[Attributes]:
    """Held-out combinations without a second kind of subject that `accept` likes; without end, a pure function."""
    rng = np.random.default_rng([seed, 0x4E1D])
    while True:
        found = sample_attributes(rng, heldout=True)
        if found.second == NONE and accept(found):
            yield found


def changed(attributes: Attributes, name: str, rng: np.random.Generator) -> Attributes | None:
    """A held-out combination that differs in one attribute of `CHANGED` only, or None where none was found.

    A new subject may need another motion.
    """
    values = VOCABULARY[name]
    for index in rng.permutation(len(values)):
        value = values[int(index)]
        if value in (NONE, getattr(attributes, name)) or getattr(attributes, name) == NONE:
            continue
        new = replace(attributes, **{name: value})
        if name == "subject" and new.motion not in motions_of(new.place, value):
            motions = motions_of(new.place, value)
            if not motions:
                continue
            new = replace(new, motion=motions[int(rng.integers(len(motions)))])
        if possible(new) and held_out(new):
            return new
    return None


def change_briefs(seed: int, count: int, before: int, after: int) -> list[Brief]:
    """Prompts that change one attribute of `CHANGED` in mid-stream; the attributes take turns.

    Args:
        seed: of prompts and noise.
        count: how many.
        before: chunks with the first prompt.
        after: chunks with the second.
    """
    rng = np.random.default_rng([seed, 0xC4A])
    combinations = held_out_attributes(seed)
    briefs: list[Brief] = []
    while len(briefs) < count:
        what = CHANGED[len(briefs) % len(CHANGED)]
        first = next(combinations)
        second = changed(first, what, rng)
        if second is None or UNASKED in (label(shown)[JUDGED.index(what)] for shown in (first, second)):
            continue
        # Divided first, so that every kind of change meets every set of names.
        wanted = {what, *MENTIONS[len(briefs) // len(CHANGED) % len(MENTIONS)]}
        said, named = _said((first, second), wanted, rng)
        if what not in named:
            continue
        briefs.append(
            Brief(
                seed=seed + len(briefs),
                wanted=(first,) * before + (second,) * after,
                prompts=(said[0],) * before + (said[1],) * after,
                named=named,
            )
        )
    return briefs


def event_briefs(seed: int, count: int, chunks: int) -> list[Brief]:
    """Prompts in which something happens all the time.

    In turns a subject bounces, one leaps, fireworks burst, a storm flashes, northern lights wave, stars shoot.
    """
    kinds: tuple[tuple[Callable[[Attributes], bool], str], ...] = (
        (lambda a: a.motion == "bounces", "motion"),
        (lambda a: a.motion == "leaps", "motion"),
        (lambda a: a.happening == "fireworks", "happening"),
        (lambda a: a.weather == "storm", "weather"),
        (lambda a: a.happening == "aurora", "happening"),
        (lambda a: a.happening == "shooting_stars", "happening"),
    )
    rng = np.random.default_rng([seed, 0xB0])
    sources = [held_out_attributes(seed + 1 + number, accept) for number, (accept, _) in enumerate(kinds)]
    briefs = []
    for index in range(count):
        kind = index % len(kinds)
        briefs.append(_steady(next(sources[kind]), {"place", kinds[kind][1]}, seed + 10_000 + index, chunks, rng))
    return briefs


def long_briefs(seed: int, count: int, chunks: int) -> list[Brief]:
    """Prompts that stay the same for a long time."""
    rng = np.random.default_rng([seed, 0x10C6])
    source = held_out_attributes(seed + 99)
    return [
        _steady(next(source), set(MENTIONS[index % len(MENTIONS)]), seed + 20_000 + index, chunks, rng)
        for index in range(count)
    ]


def _steady(attributes: Attributes, names: set[str], seed: int, chunks: int, rng: np.random.Generator) -> Brief:
    (said,), named = _said((attributes,), names, rng)
    return Brief(seed, (attributes,) * chunks, (said,) * chunks, named)


def _said(
    shown: Sequence[Attributes], names: AbstractSet[str], rng: np.random.Generator
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Captions that tell all of `names` for which there are words, and the names that each of them tells."""
    mention = tuple(sorted(names))
    told = frozenset(name for name in names if all(sayable(attributes, name) for attributes in shown))
    return tuple(caption(attributes, rng, mention=mention) for attributes in shown), told
