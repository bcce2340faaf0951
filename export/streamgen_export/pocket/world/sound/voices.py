"""The voices of figures that have one of their own, however they move: wings, fins, wheels, burners, songs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.sound.controls import Curve, Mix
from streamgen_export.pocket.world.sound.loops import spectrum
from streamgen_export.pocket.world.sound.path import Path

_PUFFS_PER_TURN: Final = 2
_WHISTLE: Final = ((76, 0.05), (79, 0.045), (84, 0.04), (88, 0.012), (91, 0.012))
_WHISTLE_AT: Final = (-0.5, -0.22)
"""Balance between which a train whistles, once a crossing."""
_SONG: Final = ((0.0, 55.0), (0.18, 62.0), (0.42, 60.0), (0.6, 64.0), (0.8, 57.0), (1.0, 55.0))
"""A whale's cycle to the note that it sings."""


@cache
def _shape(band: float, width: float = 1.5) -> NDArray[np.float32]:
    return spectrum(band, width)


def _presence(path: Path) -> Curve:
    """How much of a subject is heard where it is: never nothing while it may be in the picture."""
    crossing = path.attributes.motion in ("drifts", "rolls")
    return path.gain * (path.near if crossing else 0.6 + 0.4 * path.depth * (path.attributes.motion == "circles"))


def _part(path: Path, start: float, length: float) -> Curve:
    """A smooth hump over a part of a subject's own cycle."""
    share = ((path.cycles - start) % 1.0) / length
    hump: Curve = np.sin(np.pi * np.clip(share, 0.0, 1.0)) ** 2
    return hump


def _bird(mix: Mix, path: Path) -> None:
    """The air under a downstroke."""
    mix.add_noise(_shape(8.0), 0.08 * _presence(path) * np.clip(path.swing, 0, 1) ** 2, path.balance)


def _butterfly(mix: Mix, path: Path) -> None:
    """A flutter as the wings close, a glint as they open."""
    presence = _presence(path)
    mix.add_noise(_shape(12.0), 0.035 * presence * np.clip(path.swing, 0, 1) ** 2, path.balance)
    mix.add_chord(((91, 0.04), (96, 0.028)), presence * _part(path, 0.8, 0.35), path.balance)


def _fish(mix: Mix, path: Path) -> None:
    """A stroke of the tail, and a bubble after it."""
    presence = _presence(path)
    mix.add_noise(_shape(5.5), 0.065 * presence * np.clip(path.swing, 0, 1) ** 2, path.balance)
    mix.add_chord(((72, 0.04),), presence * _part(path, 0.55, 0.1), path.balance)
    mix.add_chord(((76, 0.034),), presence * _part(path, 0.65, 0.1), path.balance)


def _whale(mix: Mix, path: Path) -> None:
    """A song that glides from note to note, once a cycle, and water along its back."""
    places, notes = zip(*_SONG, strict=True)
    sung = np.interp(path.cycles % 1.0, places, notes)
    breath = np.sin(np.pi * (path.cycles % 1.0)) ** 2
    presence = (0.35 + 0.65 * path.near) * path.gain
    for note in range(55, 66):
        level = np.cos(np.pi / 2 * np.clip(sung - note, -1, 1)) ** 2
        if level.any():
            mix.add_chord(((note, 0.075), (note + 12, 0.02)), presence * breath * level, path.balance)
    mix.add_noise(_shape(3.0), 0.03 * presence * (0.5 + 0.5 * path.swing), path.balance)


def _jellyfish(mix: Mix, path: Path) -> None:
    """A shimmer that climbs as the bell closes."""
    presence = 0.3 + 0.7 * path.near
    for place, note in enumerate((79, 84, 88, 91)):
        mix.add_chord(((note, 0.04),), path.gain * presence * _part(path, 0.14 * place, 0.45), path.balance)
    mix.add_noise(_shape(6.0), 0.02 * path.gain * presence * _part(path, 0.0, 0.4), path.balance)


def _boat(mix: Mix, path: Path) -> None:
    """Water that laps at the hull, and wood that answers."""
    presence = path.gain * (0.3 + 0.7 * path.near)
    mix.add_noise(_shape(8.5), 0.05 * presence * np.clip(path.swing, 0, 1) ** 2, path.balance)
    mix.add_noise(_shape(11.0), 0.026 * presence * _part(path, 0.55, 0.3), path.balance)
    if path.subject == "boat":
        mix.add_chord(((50, 0.03), (57, 0.016)), presence * _part(path, 0.5, 0.08), path.balance)


def _train(mix: Mix, path: Path) -> None:
    """Puffs with the turning wheels, rails that rumble, a whistle on the way in."""
    stroke = (path.cycles * _PUFFS_PER_TURN) % 1.0
    accent = np.where((path.cycles % 1.0) < 1.0 / _PUFFS_PER_TURN, 1.0, 0.7)
    mix.add_noise(_shape(8.5, 2.0), 0.14 * path.gain * path.near * accent * np.exp(-4.5 * stroke), path.balance)
    mix.add_noise(_shape(2.5), 0.06 * path.gain * path.near, path.balance)
    start, end = _WHISTLE_AT
    share = np.clip((path.balance - start) / (end - start), 0.0, 1.0)
    mix.add_chord(_WHISTLE, path.gain * np.clip(4 * np.sin(np.pi * share), 0, 1) * (path.near > 0), path.balance)


def _balloon(mix: Mix, path: Path) -> None:
    """A burner that roars for a third of each cycle; the cords of a small one creak no louder."""
    flame = np.clip(3 * np.sin(np.pi * np.clip((path.cycles % 1.0) / 0.35, 0, 1)), 0, 1)
    presence = path.gain * (0.35 + 0.65 * path.near)
    mix.add_noise(_shape(5.0, 1.8), 0.06 * presence * flame, path.balance)
    mix.add_noise(_shape(11.0), 0.018 * presence * flame, path.balance)


def _lantern(mix: Mix, path: Path) -> None:
    """A warm glow: two notes that breathe in turn."""
    presence = path.gain * (0.35 + 0.65 * path.near)
    mix.add_chord(((67, 0.05), (79, 0.014)), presence * (0.5 + 0.5 * path.swing), path.balance)
    mix.add_chord(((72, 0.04),), presence * (0.5 - 0.5 * path.swing), path.balance)


def _kite(mix: Mix, path: Path) -> None:
    """Cloth that flutters six times a cycle."""
    flutter = 0.55 + 0.45 * np.sin(12 * np.pi * path.cycles)
    gust = 0.4 + 0.6 * _part(path, 0.0, 1.0)
    presence = path.gain * (0.3 + 0.7 * path.near)
    mix.add_noise(_shape(9.5), 0.05 * presence * gust * flutter, path.balance)


def _spaceship(mix: Mix, path: Path) -> None:
    """An engine that hums a fifth, and thrust."""
    presence = path.gain * (0.3 + 0.7 * path.near)
    throb = 0.8 + 0.2 * np.sin(8 * np.pi * path.cycles)
    mix.add_chord(((45, 0.05), (52, 0.038), (57, 0.018)), presence * throb, path.balance)
    thrust = 0.045 if path.attributes.motion == "rises" else 0.03
    mix.add_noise(_shape(5.5, 2.0), thrust * presence, path.balance)


def _comet(mix: Mix, path: Path) -> None:
    """A rush that passes, with glitter in its tail."""
    near = path.near if path.attributes.motion == "drifts" else 0.35 + 0.65 * path.near
    mix.add_noise(_shape(9.5, 1.8), 0.05 * path.gain * near**1.5, path.balance)
    for place, note in enumerate((96, 91, 88)):
        mix.add_chord(((note, 0.022),), path.gain * near * _part(path, place / 3, 0.4), path.balance)


def _dancer(mix: Mix, path: Path) -> None:
    """A skirt that sweeps round, twice a turn, and a chime with it."""
    sweep = (0.5 + 0.5 * np.cos(2 * path.turn)) ** 2
    mix.add_noise(_shape(10.5), 0.03 * path.gain * sweep, path.balance)
    mix.add_chord(((84, 0.03), (91, 0.02)), path.gain * sweep, path.balance)


def _robot(mix: Mix, path: Path) -> None:
    """A servo's hum, and two blips a cycle."""
    presence = path.gain * (0.25 + 0.75 * path.near)
    mix.add_chord(((48, 0.03), (60, 0.012)), presence * (0.6 + 0.4 * path.swing), path.balance)
    mix.add_chord(((84, 0.05), (96, 0.012)), presence * _part(path, 0.1, 0.08), path.balance)
    mix.add_chord(((79, 0.05), (91, 0.012)), presence * _part(path, 0.2, 0.08), path.balance)


def _creature(mix: Mix, path: Path) -> None:
    """It coos: up a third, once a cycle."""
    presence = path.gain * (0.25 + 0.75 * path.near)
    mix.add_chord(((69, 0.07), (81, 0.014)), presence * _part(path, 0.1, 0.14), path.balance)
    mix.add_chord(((72, 0.075), (84, 0.016)), presence * _part(path, 0.2, 0.22), path.balance)


VOICES: Final[dict[str, Callable[[Mix, Path], None]]] = {
    "bird": _bird,
    "butterfly": _butterfly,
    "fish": _fish,
    "whale": _whale,
    "jellyfish": _jellyfish,
    "boat": _boat,
    "paper_boat": _boat,
    "train": _train,
    "balloon": _balloon,
    "lantern": _lantern,
    "kite": _kite,
    "spaceship": _spaceship,
    "comet": _comet,
    "dancer": _dancer,
    "robot": _robot,
    "creature": _creature,
}
"""Subject to its voice; those that are missing sound by how they move."""
