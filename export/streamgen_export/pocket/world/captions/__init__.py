"""Captions: varied plain English for what a clip shows and for what changes in it.

`captions_of` gives those of a world, `caption` that of a state. They are what a text encoder that reads 32 word pieces
turns into the condition of a model, so they are short, and their words are the ones that people type.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from streamgen_export.pocket.world.attributes import Attributes
from streamgen_export.pocket.world.captions.changes import INSTRUCTED_SHARE, instruct, relevant
from streamgen_export.pocket.world.captions.describe import describe

if TYPE_CHECKING:
    from streamgen_export.pocket.world.world import World

__all__ = ["caption", "captions_of"]


def captions_of(world: World) -> tuple[str, ...]:
    """A caption per chunk; the chunks of a segment share theirs. A new segment's caption names what has changed."""
    rng = np.random.default_rng([world.seed, 0xCA97])
    told: list[str] = []
    before: Attributes | None = None
    for first, end, attributes in world.segments:
        mention = () if before is None else relevant(before, attributes)
        told.extend([caption(attributes, rng, mention, before)] * (end - first))
        before = attributes
    return tuple(told)


def caption(
    attributes: Attributes,
    rng: np.random.Generator,
    mention: Collection[str] = (),
    before: Attributes | None = None,
) -> str:
    """Describe `attributes` in at most `english.MAX_PIECES` word pieces; everything said is true of them.

    Wording, order and length vary with `rng`, and attributes are left out at times, except those named in `mention`
    (field names of `Attributes`; the ones without a value, such as the time of day in space, have no words). After
    `before` a good third of the captions are instructions that name only what is in `mention`: "now it starts to
    snow".
    """
    if before is not None and mention and rng.random() < INSTRUCTED_SHARE:
        told = instruct(before, attributes, frozenset(mention), rng)
        if told:
            return told
    return describe(attributes, rng, mention, before)
