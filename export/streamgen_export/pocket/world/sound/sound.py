"""The sound of a clip: music, place and movement of each segment, and above them what hits, bursts and flashes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, Attributes
from streamgen_export.pocket.world.formats import CONTROL_RATE_HZ
from streamgen_export.pocket.world.sound.ambience import slow_noise
from streamgen_export.pocket.world.sound.beat import beat
from streamgen_export.pocket.world.sound.controls import Controls, Mix
from streamgen_export.pocket.world.sound.impacts import add_impacts
from streamgen_export.pocket.world.sound.loops import Loop
from streamgen_export.pocket.world.sound.movement import add_movement
from streamgen_export.pocket.world.sound.music import music
from streamgen_export.pocket.world.sound.patterns import pattern, patterns_of
from streamgen_export.pocket.world.sound.sky import add_sky
from streamgen_export.pocket.world.timeline import BEAT_CHUNKS
from streamgen_export.pocket.world.world import World

_ALONE: Final = 1.5
"""How much louder a place is without music."""


def sound_controls(world: World) -> Controls:
    """The sound of `world`, `Format.frames_per_chunk` control frames a chunk; a pure function of its argument.

    Music, place and movement cross-fade over the first chunk of a new segment; what starts in one picture rings on.
    """
    chunk = world.format.frames_per_chunk
    mix = Mix(world.chunks * chunk)
    for first, end, attributes in world.segments:
        # The outgoing segment sounds on for the chunk in which the next one fades in.
        last = min(end + 1, world.chunks)
        span = np.arange(first * chunk, last * chunk)
        mix.add_mix(_bed(world, attributes, span), first * chunk, _weight(span, first * chunk, end * chunk, chunk))
    add_impacts(mix, world)
    add_sky(mix, world)
    mix.limit()
    return mix.controls()


def _weight(span: NDArray[np.int64], first: int, end: int, chunk: int) -> NDArray[np.float32]:
    """Fades of one chunk at both ends of a segment: float32 [F, 1]. The clip's start is no fade."""
    rise = (span - first + 1) / chunk if first else np.ones(len(span))
    fall = 1 - (span - end + 1) / chunk
    weights: NDArray[np.float32] = np.clip(np.minimum(rise, fall), 0, 1).astype(np.float32)[:, None]
    return weights


def _bed(world: World, attributes: Attributes, span: NDArray[np.int64]) -> Mix:
    """Music, place and movement of one segment in the control frames `span`."""
    mix = Mix(len(span))
    chunk = world.format.frames_per_chunk
    at = span - world.beat_phase * chunk
    beat_frames = BEAT_CHUNKS[attributes.tempo] * chunk

    def add(loop: Loop) -> None:
        mix.add_loop(loop, at % len(loop.tones))

    for name in patterns_of(attributes):
        add(pattern(name, beat_frames))
    slow_noise(mix, attributes, world.offset_s + (span + 1) / CONTROL_RATE_HZ)
    if attributes.place in ABSTRACT:
        add(beat(attributes.place, attributes.tempo, beat_frames))
    if attributes.mood != NONE:
        add(music(attributes.mood, attributes.tempo, beat_frames))
    elif attributes.weather not in ("rain", "storm"):
        mix.scale(_ALONE)
    add_movement(mix, world, attributes, span)
    return mix
