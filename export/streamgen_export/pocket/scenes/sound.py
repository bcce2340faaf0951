"""The sound of a clip as controls of the synthesiser: music, place, movement and impacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.ambience import pattern, slow_noise
from streamgen_export.pocket.scenes.attributes import NONE, Attributes
from streamgen_export.pocket.scenes.impacts import impacts
from streamgen_export.pocket.scenes.loops import FRAME_RATE_HZ, FRAMES_PER_CHUNK, LOOP
from streamgen_export.pocket.scenes.movement import movement
from streamgen_export.pocket.scenes.music import colour_bell, music
from streamgen_export.pocket.scenes.world import World


@dataclass(frozen=True)
class Controls:
    """What the synthesiser plays, every 10 ms.

    Attributes:
        tones: amplitude of the oscillator of each MIDI note from 36 on, float32 [T100, 73].
        noise: RMS of each noise band, float32 [T100, 16].
    """

    tones: NDArray[np.float32]
    noise: NDArray[np.float32]


def sound_controls(world: World) -> Controls:
    """The sound of `world`: 32 control frames a chunk; a pure function of its argument.

    Music, place and movement cross-fade over the first chunk of a new segment; impacts do not.
    """
    frames = world.chunks * FRAMES_PER_CHUNK
    tones, noise = impacts(world, frames)
    segments = world.segments
    for first, end, attributes in segments:
        # The outgoing segment sounds on for the chunk in which the next one fades in.
        last = min(end + 1, world.chunks)
        span = np.arange(first * FRAMES_PER_CHUNK, last * FRAMES_PER_CHUNK)
        weight = _weight(span, first * FRAMES_PER_CHUNK, end * FRAMES_PER_CHUNK)
        bed_tones, bed_noise = _bed(world, attributes, span)
        tones[span] += weight * bed_tones
        noise[span] += weight * bed_noise
    return Controls(tones, noise)


def _weight(span: NDArray[np.int64], first: int, end: int) -> NDArray[np.float32]:
    """Fades of one chunk at both ends of a segment: float32 [F, 1]. The clip's start is no fade."""
    rise = (span - first + 1) / FRAMES_PER_CHUNK if first else np.ones(len(span))
    fall = 1 - (span - end + 1) / FRAMES_PER_CHUNK
    weights: NDArray[np.float32] = np.clip(np.minimum(rise, fall), 0, 1).astype(np.float32)[:, None]
    return weights


def _bed(
    world: World, attributes: Attributes, span: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Music, place and movement of one segment in the control frames `span`: float32 [F, 73] and [F, 16]."""
    time_s = world.offset_s + (span + 1) / FRAME_RATE_HZ
    at = (span - world.beat_phase * FRAMES_PER_CHUNK) % LOOP
    loops = [music(attributes.mood), pattern(attributes.scene, attributes.light)]
    if attributes.colour != NONE:
        loops.append(colour_bell(attributes.colour))
    tones, noise = movement(world, attributes, span)
    noise += slow_noise(attributes.scene, attributes.light, time_s)
    for loop in loops:
        tones += loop.tones[at]
        noise += loop.noise[at]
    return tones, noise
