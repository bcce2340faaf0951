"""What hits the ground or the water: a burst of noise and a body that rings, by the subject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from streamgen_export.pocket.world.motion import contacts
from streamgen_export.pocket.world.sound.controls import Mix
from streamgen_export.pocket.world.sound.loops import Loop, Timbre, spectrum
from streamgen_export.pocket.world.world import World

LENGTH: Final = 100
"""Control frames after which an impact has died away: 1 s."""
WIDTH: Final = 0.85
"""Balance of what is at the edge of the picture."""


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


_BOING = Timbre(((0, 1.0, 0.7), (12, 0.7, 1.0), (19, 0.35, 0.8)), 0.22)
_WOOD = Timbre(((0, 1.0, 1.0), (12, 0.35, 0.5), (24, 0.25, 0.4)), 0.09)
_STONE = Timbre(((0, 1.0, 1.0), (7, 0.4, 0.7), (19, 0.3, 0.4)), 0.07)
_GLASS = Timbre(((0, 1.0, 1.0), (12, 0.4, 0.6), (19, 0.35, 0.5), (28, 0.2, 0.4)), 0.4)
_SOFT = Timbre(((0, 1.0, 1.0), (12, 0.2, 0.6)), 0.2)
_METAL = Timbre(((0, 0.8, 1.0), (7, 0.5, 0.8), (19, 0.6, 0.9), (28, 0.4, 0.7)), 0.45)
_TIN = Timbre(((0, 1.0, 0.6), (6, 0.5, 0.5), (16, 0.5, 0.8), (23, 0.35, 0.6)), 0.2)
_WATER = Timbre(((0, 1.0, 0.6), (12, 0.4, 0.8)), 0.12)

STRIKES: Final[dict[str, Strike]] = {
    "ball": Strike(45, 0.22, _BOING, 6.5, 0.18, 0.05),
    "cube": Strike(50, 0.21, _WOOD, 8.0, 0.19, 0.045),
    "star": Strike(79, 0.19, _GLASS, 11.0, 0.145, 0.04),
    "heart": Strike(48, 0.22, _SOFT, 7.0, 0.18, 0.05),
    "ring": Strike(72, 0.17, _METAL, 10.5, 0.15, 0.045),
    "pyramid": Strike(55, 0.22, _STONE, 9.0, 0.18, 0.035),
    "robot": Strike(57, 0.16, _TIN, 9.5, 0.16, 0.04),
    "creature": Strike(52, 0.2, _SOFT, 5.5, 0.17, 0.06),
}
_SPLASHES: Final[dict[str, tuple[int, float]]] = {"fish": (62, 0.16), "whale": (43, 0.3)}
"""Subject that leaps to the note of its splash and the time after which the spray has fallen to 1/e."""


@cache
def strike(subject: str) -> Loop:
    """One impact, 1 s; the first frame is the loudest."""
    sound, how = Loop(1, LENGTH), STRIKES[subject]
    sound.strike(0, how.note, how.gain, how.timbre)
    sound.burst(0, spectrum(how.band, 2.4), how.level, how.decay_s)
    return sound.sealed()


@cache
def splash(subject: str) -> Loop:
    """One splash, 1 s: a slap, spray that falls back, a hollow body."""
    sound, (note, decay_s) = Loop(1, LENGTH), _SPLASHES[subject]
    sound.strike(0, note, 0.16, _WATER)
    sound.burst(0, spectrum(7.5, 2.4), 0.13, 0.5 * decay_s)
    sound.burst(0, spectrum(11.5, 1.8), 0.08, decay_s)
    return sound.sealed()


def add_impacts(mix: Mix, world: World) -> None:
    """Add every impact and splash of a clip; those before it are unknown and silent."""
    events = contacts(world)
    together: dict[int, int] = {}
    for event in events:
        together[event.picture] = together.get(event.picture, 0) + 1
    for event in events:
        # Several land together and are about as loud as one: their bands share one noise, so levels add up.
        gain = 1.0 / together[event.picture]
        if event.kind == "splash":
            sound, gain = splash(event.subject), gain * (0.6 if event.number % 2 else 1.0)
        else:
            shown = world.at(event.picture)
            sound, gain = strike(event.subject), gain * (0.6 if shown.motion == "dances" else 1.0)
        mix.add_once(sound, event.picture * world.format.frames_per_picture, gain, balance_at(event.x))


def balance_at(x: float) -> float:
    """Balance of what is at `x`, a share of the picture's width."""
    return WIDTH * min(max(2.0 * x - 1.0, -1.0), 1.0)
