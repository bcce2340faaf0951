"""Soft sounds of subjects that move without hitting anything, read off the same poses that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import NONE, Attributes
from streamgen_export.pocket.scenes.loops import FRAME_RATE_HZ, Curve, spectrum
from streamgen_export.pocket.scenes.motion import WIDTH, beat_phase, poses
from streamgen_export.pocket.scenes.synth import BANDS, FIRST_NOTE, NOTES
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, World

_Chord = tuple[tuple[int, float], ...]
_HEARTBEAT: Final[_Chord] = ((48, 0.14), (55, 0.05), (60, 0.06))
_SHIMMER: Final[_Chord] = ((84, 0.03), (91, 0.022), (96, 0.012))
_HUM: Final[_Chord] = ((72, 0.024), (79, 0.014))

_STROKES: Final = {"bird": (8.0, 0.045), "fish": (6.0, 0.035), "boat": (8.0, 0.03)}
"""Subject to the band and level of what it does in its own cycle: wing beats, strokes, lapping water."""


def movement(
    world: World, attributes: Attributes, span: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The sound of the subject of `attributes` in the control frames `span`: float32 [F, 73] and [F, 16].

    Subjects that bounce, and none, are silent: `impacts` sounds the former.
    """
    tones = np.zeros((len(span), NOTES), np.float32)
    noise = np.zeros((len(span), BANDS), np.float32)
    if attributes.subject == NONE or attributes.motion == "bounces":
        return tones, noise
    time = (span + 1) * (PICTURE_RATE_HZ / FRAME_RATE_HZ)
    shown = np.arange(int(time[0]), int(time[-1]) + 2)
    path = [poses(world, attributes, int(picture))[0] for picture in shown]

    def curve(values: Sequence[float]) -> Curve:
        values_then: Curve = np.interp(time, shown, values)
        return values_then

    swing = curve([np.sin(2 * np.pi * pose.phase) for pose in path])
    if attributes.subject in _STROKES:
        band, level = _STROKES[attributes.subject]
        return tones, _noise(band, level * np.clip(swing, 0, 1) ** 2)
    crossing = np.cos(np.pi * (curve([np.clip(pose.x / WIDTH, 0, 1) for pose in path]) - 0.5)) ** 2
    match attributes.motion:
        case "pulses":
            beat = np.array([beat_phase(world, picture) for picture in time])
            tones = _chord(_HEARTBEAT, (0.5 + 0.5 * np.cos(2 * np.pi * beat)) ** 4)
        case "orbits":
            near = 0.5 + 0.5 * curve([pose.depth for pose in path])
            noise = _noise(7.5, 0.05 * near**2)
        case "drifts":
            noise = _noise(8.0, 0.04 * crossing)
        case "rolls":
            turn = curve([np.cos(pose.angle) for pose in path])
            noise = _noise(3.0, 0.055 * crossing * (0.75 + 0.25 * turn))
        case "spins":
            turn = curve([np.cos(2 * pose.angle) for pose in path])
            tones = _chord(_SHIMMER, (0.5 + 0.5 * turn) ** 2)
        case "floats":
            tones = _chord(_HUM, 0.5 - 0.5 * swing)  # loudest at the top
        case motion:
            raise ValueError(f"no sound for the motion {motion!r}: add it to movement")
    return tones, noise


def _noise(band: float, level: Curve) -> NDArray[np.float32]:
    noise: NDArray[np.float32] = level.astype(np.float32)[:, None] * spectrum(band, 1.5)
    return noise


def _chord(chord: _Chord, level: Curve) -> NDArray[np.float32]:
    tones = np.zeros((len(level), NOTES), np.float32)
    for note, gain in chord:
        tones[:, note - FIRST_NOTE] = gain * level
    return tones
