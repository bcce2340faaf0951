"""One training example: a sampled world with its pictures, its sound and its captions."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from streamgen_export.pocket.scenes.attributes import Attributes
from streamgen_export.pocket.scenes.captions import caption
from streamgen_export.pocket.scenes.picture import Pictures, render_pictures
from streamgen_export.pocket.scenes.sound import Controls, sound_controls
from streamgen_export.pocket.scenes.world import World, sample_world


@dataclass(frozen=True, eq=False)
class Clip:
    """A world and what it looks and sounds like.

    Attributes:
        world: what happens.
        captions: one per chunk; the chunks of a segment share theirs.
        pictures: 4 per chunk.
        controls: 32 control frames per chunk.
    """

    world: World
    captions: tuple[str, ...]
    pictures: Pictures
    controls: Controls


def render_clip(seed: int, *, heldout: bool = False, chunks: int = 10) -> Clip:
    """Sample and render a clip; a pure function of its arguments.

    With `heldout` it shows only held-out combinations, without it none of them.
    """
    world = sample_world(seed, heldout=heldout, chunks=chunks)
    return Clip(world, captions_of(world), render_pictures(world), sound_controls(world))


def captions_of(world: World) -> tuple[str, ...]:
    """A caption per chunk; the one of a new segment always names what has changed."""
    rng = np.random.default_rng([world.seed, 0xCA9])
    told: list[str] = []
    before: Attributes | None = None
    for first, end, attributes in world.segments:
        text = caption(attributes, rng, mention=() if before is None else changed_fields(before, attributes))
        told.extend([text] * (end - first))
        before = attributes
    return tuple(told)


def changed_fields(before: Attributes, after: Attributes) -> tuple[str, ...]:
    """Names of the attributes that differ."""
    return tuple(field.name for field in fields(after) if getattr(before, field.name) != getattr(after, field.name))
