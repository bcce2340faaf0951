"""The sound of something that hits the ground: a burst of noise and a body that rings, by the subject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import NONE
from streamgen_export.pocket.scenes.loops import FRAME_RATE_HZ, Timbre, spectrum, struck
from streamgen_export.pocket.scenes.motion import contacts
from streamgen_export.pocket.scenes.synth import BANDS, HOP, NOTES
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLES_PER_PICTURE, World

FRAMES_PER_PICTURE: Final = SAMPLES_PER_PICTURE // HOP
LENGTH: Final = 100
"""Control frames after which an impact has died away: 1 s."""


@dataclass(frozen=True)
class Strike:
    """How a subject sounds when it hits the ground.

    Attributes:
        note: MIDI note of the body.
        gain: its amplitude at the onset.
        timbre: its partials.
        band: centre of the burst of noise, in bands.
        level: RMS of the burst at the onset.
        decay_s: time after which the burst has fallen to 1/e.
    """

    note: int
    gain: float
    timbre: Timbre
    band: float
    level: float
    decay_s: float


_THUD = Timbre(((0, 1.0, 1.0), (12, 0.5, 0.5), (19, 0.2, 0.3)), 0.16)
_BOING = Timbre(((0, 1.0, 0.7), (12, 0.7, 1.0), (19, 0.35, 0.8)), 0.22)
_WOOD = Timbre(((0, 1.0, 1.0), (12, 0.35, 0.5), (24, 0.25, 0.4)), 0.09)
_GLASS = Timbre(((0, 1.0, 1.0), (12, 0.4, 0.6), (19, 0.35, 0.5), (28, 0.2, 0.4)), 0.4)
_SOFT = Timbre(((0, 1.0, 1.0), (12, 0.2, 0.6)), 0.2)
_METAL = Timbre(((0, 0.8, 1.0), (7, 0.5, 0.8), (19, 0.6, 0.9), (28, 0.4, 0.7)), 0.45)
_WATER = Timbre(((0, 1.0, 0.6), (12, 0.4, 0.8)), 0.12)

STRIKES: Final[dict[str, Strike]] = {
    "ball": Strike(45, 0.2, _BOING, 6.5, 0.17, 0.05),
    "cube": Strike(50, 0.19, _WOOD, 8.0, 0.187, 0.045),
    "star": Strike(79, 0.18, _GLASS, 11.0, 0.136, 0.04),
    "triangle": Strike(67, 0.21, _WOOD, 9.5, 0.17, 0.035),
    "heart": Strike(48, 0.2, _SOFT, 7.0, 0.17, 0.05),
    "ring": Strike(72, 0.16, _METAL, 10.5, 0.145, 0.045),
    "fish": Strike(55, 0.18, _WATER, 9.0, 0.15, 0.08),
}


@cache
def strike(subject: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Controls of one impact: tones float32 [100, 73] and noise float32 [100, 16]; the first frame is the loudest."""
    sound = STRIKES[subject]
    age = np.arange(LENGTH, dtype=np.float64)
    tones = sound.gain * struck(sound.timbre, sound.note, age)
    fall = sound.level * np.exp(-age / (sound.decay_s * FRAME_RATE_HZ))
    noise = np.where(fall < 1e-4, 0.0, fall)[:, None].astype(np.float32) * spectrum(sound.band, 2.4)
    return tones, noise


def impacts(world: World, frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Controls of all impacts of a clip: tones float32 [frames, 73], noise float32 [frames, 16]."""
    tones = np.zeros((frames + LENGTH, NOTES), np.float32)
    noise = np.zeros((frames + LENGTH, BANDS), np.float32)
    for picture in contacts(world):
        shown = world.attributes[picture // PICTURES_PER_CHUNK]
        at = slice(picture * FRAMES_PER_PICTURE, picture * FRAMES_PER_PICTURE + LENGTH)
        subjects = [subject for subject in (shown.subject, shown.second) if subject != NONE]
        for subject in subjects:
            body, burst = strike(subject)
            # Two subjects land together and are about as loud as one: their bands share one noise, so levels add up.
            tones[at] += body / len(subjects)
            noise[at] += burst / len(subjects)
    return tones[:frames], noise[:frames]
