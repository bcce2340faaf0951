"""Soft sounds of subjects that move without hitting anything, read off the same poses that are drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import GROUNDLESS, Attributes
from streamgen_export.pocket.world.sound.controls import Mix
from streamgen_export.pocket.world.sound.loops import spectrum
from streamgen_export.pocket.world.sound.path import Path, paths
from streamgen_export.pocket.world.sound.voices import VOICES
from streamgen_export.pocket.world.world import World

_HEARTBEAT: Final = ((48, 0.14), (55, 0.05), (60, 0.06))
_STEP: Final = ((48, 0.12), (55, 0.05))
_HUMS: Final = {"ball": 69, "cube": 67, "star": 79, "heart": 64, "ring": 76, "pyramid": 72}
"""Note of what hums as it floats: C major pentatonic."""
_LANDING: Final = frozenset({"robot", "creature"})


def add_movement(mix: Mix, world: World, attributes: Attributes, span: NDArray[np.int64]) -> None:
    """Add the sound of the subjects of `attributes` in the control frames `span`.

    What bounces or leaps is silent between: `impacts` sounds it.
    """
    if attributes.motion in ("bounces", "leaps"):
        return
    for path in paths(world, attributes, span):
        voice = _by_motion(path) or VOICES.get(path.subject) or _MOTIONS[attributes.motion]
        voice(mix, path)


def _by_motion(path: Path) -> Callable[[Mix, Path], None] | None:
    """Motions that sound alike whatever moves."""
    motion = path.attributes.motion
    if motion == "pulses":
        return _pulse
    if motion == "dances":
        if path.subject in _LANDING and path.attributes.place not in GROUNDLESS:
            return _nothing  # `impacts` sounds its hops
        return _dance
    return None


@cache
def _shape(band: float, width: float = 1.5) -> NDArray[np.float32]:
    return spectrum(band, width)


def _nothing(mix: Mix, path: Path) -> None:
    pass


def _pulse(mix: Mix, path: Path) -> None:
    """A heart that beats with the music."""
    level = (0.5 + 0.5 * np.cos(2 * np.pi * (path.since_beat + 1) / path.beat)) ** 4
    mix.add_chord(_HEARTBEAT, path.gain * level, path.balance)


def _dance(mix: Mix, path: Path) -> None:
    """A step on every beat."""
    mix.add_chord(_STEP, path.gain * np.exp(-path.since_beat / 7.0), path.balance)
    mix.add_noise(_shape(9.0), path.gain * 0.06 * np.exp(-path.since_beat / 3.5), path.balance)


def _drift(mix: Mix, path: Path) -> None:
    mix.add_noise(_shape(8.0), path.gain * 0.05 * path.near**1.5, path.balance)


def _roll(mix: Mix, path: Path) -> None:
    """A rumble that is loudest once a turn."""
    turn = 0.75 + 0.25 * np.cos(path.turn)
    mix.add_noise(_shape(3.0), path.gain * 0.07 * path.near * turn, path.balance)
    mix.add_noise(_shape(8.5), path.gain * 0.02 * path.near * turn, path.balance)


def _circle(mix: Mix, path: Path) -> None:
    """A rush of air when it passes near."""
    mix.add_noise(_shape(7.5), path.gain * 0.055 * (0.5 + 0.5 * path.depth) ** 2, path.balance)


def _spin(mix: Mix, path: Path) -> None:
    """A glitter twice a turn."""
    level = (0.5 + 0.5 * np.cos(2 * path.turn)) ** 2
    mix.add_chord(((84, 0.05), (91, 0.036), (96, 0.02)), path.gain * level, path.balance)


def _float(mix: Mix, path: Path) -> None:
    """A hum, loudest at the top."""
    note = _HUMS.get(path.subject, 72)
    level = np.clip((path.height - 0.44) / 0.18, 0.0, 1.0)
    mix.add_chord(((note, 0.045), (note + 7, 0.026)), path.gain * level, path.balance)


_MOTIONS: Final[dict[str, Callable[[Mix, Path], None]]] = {
    "drifts": _drift,
    "rolls": _roll,
    "circles": _circle,
    "spins": _spin,
    "floats": _float,
    "rises": _drift,
}
