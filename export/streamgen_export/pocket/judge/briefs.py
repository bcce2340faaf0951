"""What to generate: held-out prompts, with the attributes that a true picture of them would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from streamgen_export.pocket.judge.takes import PICTURED
from streamgen_export.pocket.scenes.attributes import COLOURS, LIGHTS, MOTIONS, NONE, Attributes, held_out, possible
from streamgen_export.pocket.scenes.captions import caption
from streamgen_export.pocket.scenes.world import World, sample_world


@dataclass(frozen=True)
class Brief:
    """Attributes and prompt of each chunk, and the seed of the noise (or of the world, for a render)."""

    seed: int
    wanted: tuple[Attributes, ...]
    prompts: tuple[str, ...]


def prompt_for(attributes: Attributes, rng: np.random.Generator) -> str:
    """A caption that names everything that is judged: subject and colour always are, the rest is asked for."""
    return caption(attributes, rng, mention=("scene", "light", "motion", "mood"))


def held_out_worlds(seed: int, accept: Callable[[World], bool] = lambda world: True) -> Iterator[World]:
    """Held-out worlds with one subject that `accept` likes, without end; a pure function of its arguments."""
    number = 0
    while True:
        world = sample_world(seed * 1_000_003 + number, heldout=True)
        number += 1
        if all(attributes.second == NONE for attributes in world.attributes) and accept(world):
            yield world


def changed(attributes: Attributes, name: str, rng: np.random.Generator) -> Attributes | None:
    """A held-out combination that differs in one attribute of `PICTURED`, or None where there is none.

    A new scene brings its plain light; everything else stays.
    """
    values = {
        "scene": tuple(LIGHTS),
        "light": LIGHTS[attributes.scene],
        "subject": tuple(MOTIONS),
        "colour": COLOURS,
    }[name]
    for index in rng.permutation(len(values)):
        value = values[int(index)]
        if value == getattr(attributes, name):
            continue
        new = replace(attributes, **{name: value})
        if name == "scene":
            new = replace(new, light=LIGHTS[value][0])
        if possible(new) and all(held_out(combination) for combination in new.combinations):
            return new
    return None


def change_briefs(seed: int, count: int, before: int, after: int) -> list[Brief]:
    """Prompts that change one attribute of `PICTURED` in mid-stream; the attributes take turns.

    Args:
        seed: of prompts and noise.
        count: how many.
        before: chunks with the first prompt.
        after: chunks with the second.
    """
    rng = np.random.default_rng([seed, 0xC4A])
    briefs: list[Brief] = []
    worlds = held_out_worlds(seed)
    while len(briefs) < count:
        first = next(worlds).attributes[0]
        second = changed(first, PICTURED[len(briefs) % len(PICTURED)], rng)
        if second is None:
            continue
        said = (prompt_for(first, rng), prompt_for(second, rng))
        briefs.append(
            Brief(
                seed=seed + len(briefs),
                wanted=(first,) * before + (second,) * after,
                prompts=(said[0],) * before + (said[1],) * after,
            )
        )
    return briefs


def bounce_briefs(seed: int, count: int, chunks: int) -> list[Brief]:
    """Prompts in which the subject bounces all the time."""
    bouncing = held_out_worlds(seed + 1, lambda world: world.attributes[0].motion == "bounces")
    return _steady(bouncing, seed + 10_000, count, chunks)


def long_briefs(seed: int, count: int, chunks: int) -> list[Brief]:
    """Prompts that stay the same for a long time."""
    return _steady(held_out_worlds(seed + 2), seed + 20_000, count, chunks)


def _steady(worlds: Iterator[World], seed: int, count: int, chunks: int) -> list[Brief]:
    rng = np.random.default_rng([seed, 0xB0])
    briefs = []
    for index in range(count):
        attributes = next(worlds).attributes[0]
        briefs.append(Brief(seed + index, (attributes,) * chunks, (prompt_for(attributes, rng),) * chunks))
    return briefs
