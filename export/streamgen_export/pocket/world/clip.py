"""One training example: a sampled world with its pictures, its sound and its captions."""

from __future__ import annotations

from dataclasses import dataclass

from streamgen_export.pocket.world.captions import captions_of
from streamgen_export.pocket.world.formats import Format
from streamgen_export.pocket.world.picture import Pictures, render_pictures
from streamgen_export.pocket.world.sound import Controls, sound_controls
from streamgen_export.pocket.world.world import CLIP_CHUNKS, World, sample_world


@dataclass(frozen=True, eq=False)
class Clip:
    """A world and what it looks and sounds like.

    Attributes:
        world: what happens.
        captions: one per chunk; the chunks of a segment share theirs.
        pictures: 4 per chunk.
        controls: `Format.frames_per_chunk` control frames per chunk.
    """

    world: World
    captions: tuple[str, ...]
    pictures: Pictures
    controls: Controls


def render_clip(seed: int, form: Format, *, heldout: bool = False, chunks: int = CLIP_CHUNKS) -> Clip:
    """Sample and render a clip; a pure function of its arguments.

    With `heldout` it shows only held-out combinations, without it none of them.
    """
    world = sample_world(seed, form, heldout=heldout, chunks=chunks)
    return Clip(world, captions_of(world), render_pictures(world), sound_controls(world))
