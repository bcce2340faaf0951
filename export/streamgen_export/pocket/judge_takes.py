"""What the judge looks at: a stretch of picture and sound with what was asked for, rendered or generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import (
    COLOURS,
    LIGHTS,
    MOTIONS,
    NONE,
    Attributes,
    held_out,
    possible,
)
from streamgen_export.pocket.scenes.captions import caption
from streamgen_export.pocket.scenes.world import (
    PICTURE_RATE_HZ,
    PICTURES_PER_CHUNK,
    SAMPLES_PER_CHUNK,
    World,
    sample_world,
)

CHUNK_S: Final = PICTURES_PER_CHUNK / PICTURE_RATE_HZ
JUDGED: Final = ("scene", "subject", "colour")
"""Attributes that are recognised in pictures, and that prompts are changed in."""


@dataclass(frozen=True, eq=False)
class Take:
    """A whole number of chunks.

    Attributes:
        video: uint8 [T, H, W, 3], RGB.
        audio: float32 [channels, S] in [-1, 1].
        wanted: what each chunk was asked to show.
        prompts: the prompt of each chunk.
        impacts_s: when something hits the ground, for a render; empty for what was generated.
        mask: bool [T, H, W], where the subjects are, for a render; None for what was generated.
    """

    video: NDArray[np.uint8]
    audio: NDArray[np.float32]
    wanted: tuple[Attributes, ...]
    prompts: tuple[str, ...]
    impacts_s: tuple[float, ...] = ()
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        chunks = len(self.wanted)
        if self.video.shape[0] != chunks * PICTURES_PER_CHUNK:
            raise ValueError(f"{self.video.shape[0]} pictures do not make {chunks} chunks")
        if self.audio.shape[1] != chunks * SAMPLES_PER_CHUNK:
            raise ValueError(f"{self.audio.shape[1]} samples do not make {chunks} chunks")
        if len(self.prompts) != chunks:
            raise ValueError(f"{len(self.prompts)} prompts for {chunks} chunks")

    @property
    def chunks(self) -> int:
        """Length in chunks."""
        return len(self.wanted)

    @property
    def duration_s(self) -> float:
        """Length in seconds of media time."""
        return self.chunks * CHUNK_S

    def pictures(self, chunk: int) -> NDArray[np.uint8]:
        """The pictures of one chunk, uint8 [4, H, W, 3]."""
        return self.video[chunk * PICTURES_PER_CHUNK : (chunk + 1) * PICTURES_PER_CHUNK]

    @property
    def changes(self) -> tuple[tuple[int, str], ...]:
        """(chunk, attribute) of every judged attribute that takes a new value at that chunk."""
        return tuple(
            (chunk, name)
            for chunk in range(1, self.chunks)
            for name in JUDGED
            if getattr(self.wanted[chunk], name) != getattr(self.wanted[chunk - 1], name)
        )


@dataclass(frozen=True)
class Brief:
    """What to generate: attributes and prompt of each chunk, and the seed of the noise."""

    seed: int
    wanted: tuple[Attributes, ...]
    prompts: tuple[str, ...]


def prompt_for(attributes: Attributes, rng: np.random.Generator) -> str:
    """A caption that names everything that is judged: subject and colour always are, the rest is asked for."""
    return caption(attributes, rng, mention=("scene", "light", "motion"))


def held_out_worlds(seed: int, accept: Callable[[World], bool]) -> Iterator[World]:
    """Held-out worlds with one subject that `accept` likes, without end; a pure function of `seed`."""
    number = 0
    while True:
        world = sample_world(seed * 1_000_003 + number, heldout=True)
        number += 1
        if all(attributes.second == NONE for attributes in world.attributes) and accept(world):
            yield world


def changed(attributes: Attributes, name: str, rng: np.random.Generator) -> Attributes | None:
    """A held-out combination that differs in one judged attribute, or None where there is none.

    A new scene brings its plain light; everything else stays.
    """
    values = {"scene": tuple(LIGHTS), "subject": tuple(MOTIONS), "colour": COLOURS}[name]
    for index in rng.permutation(len(values)):
        value = values[int(index)]
        if value == getattr(attributes, name):
            continue
        if name == "scene":
            new = replace(attributes, scene=value, light=LIGHTS[value][0])
        elif name == "subject":
            new = replace(attributes, subject=value)
        else:
            new = replace(attributes, colour=value)
        if possible(new) and all(held_out(combination) for combination in new.combinations):
            return new
    return None


def change_briefs(seed: int, count: int, before: int, after: int) -> list[Brief]:
    """Prompts that change one judged attribute in mid-stream; the attributes take turns.

    Args:
        seed: of prompts and noise.
        count: how many.
        before: chunks with the first prompt.
        after: chunks with the second.
    """
    rng = np.random.default_rng([seed, 0xC4A])
    briefs: list[Brief] = []
    for world in held_out_worlds(seed, lambda world: True):
        if len(briefs) == count:
            break
        first = world.attributes[0]
        second = changed(first, JUDGED[len(briefs) % len(JUDGED)], rng)
        if second is None:
            continue
        prompts = (prompt_for(first, rng), prompt_for(second, rng))
        briefs.append(
            Brief(
                seed=seed + len(briefs),
                wanted=(first,) * before + (second,) * after,
                prompts=(prompts[0],) * before + (prompts[1],) * after,
            )
        )
    return briefs


def bounce_briefs(seed: int, count: int, chunks: int) -> list[Brief]:
    """Prompts in which the subject bounces all the time."""
    rng = np.random.default_rng([seed, 0xB0])
    worlds = held_out_worlds(seed + 1, lambda world: world.attributes[0].motion == "bounces")
    briefs = []
    for index in range(count):
        attributes = next(worlds).attributes[0]
        prompt = prompt_for(attributes, rng)
        briefs.append(Brief(seed + 10_000 + index, (attributes,) * chunks, (prompt,) * chunks))
    return briefs
