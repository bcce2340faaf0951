"""The closed vocabulary of the training world: what can be seen and heard, and which combinations exist."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

NONE: Final = "none"

LIGHTS: Final[dict[str, tuple[str, ...]]] = {
    "meadow": ("clear", "cloudy", "golden"),
    "night_hills": ("clear", "misty"),
    "sea": ("clear", "stormy", "night"),
    "sunset": ("golden", "cloudy"),
    "city": ("clear", "misty"),
    "rain": ("cloudy", "stormy"),
    "snow": ("cloudy", "night"),
    "fire": ("bright", "dim"),
    "aurora": ("clear", "bright"),
    "space": ("clear", "misty"),
    "desert": ("clear", "golden", "night"),
    "pulses": ("bright", "dim"),
}
"""Scene to the weather or light it can have; the first one is the plain form of the scene."""

MOTIONS: Final[dict[str, tuple[str, ...]]] = {
    "ball": ("bounces", "orbits", "drifts", "floats", "pulses", "rolls"),
    "cube": ("bounces", "orbits", "drifts", "floats", "spins"),
    "star": ("bounces", "orbits", "floats", "pulses", "spins"),
    "triangle": ("bounces", "orbits", "drifts", "floats", "spins"),
    "heart": ("bounces", "drifts", "floats", "pulses"),
    "ring": ("bounces", "orbits", "floats", "pulses", "rolls"),
    "boat": ("drifts", "floats"),
    "balloon": ("drifts", "floats"),
    "bird": ("drifts", "floats", "orbits"),
    "fish": ("bounces", "drifts", "floats"),
}
"""Subject to the ways in which it can move."""

COLOURS: Final = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white")
MOODS: Final = ("calm", "joyful", "melancholy", "dreamy", "tense")
PLACES: Final = ("left", "centre", "right")

_WATER = frozenset({"sea", "sunset"})
_OPEN_AIR = frozenset(LIGHTS) - {"fire", "space", "pulses"}
_GROUNDLESS = frozenset({"space", "pulses"})
_GROUNDED_MOTIONS = frozenset({"bounces", "rolls"})
_PLACED_MOTIONS = frozenset({"bounces", "floats", "pulses", "spins"})
_HOME: Final[dict[str, frozenset[str]]] = {
    "boat": _WATER,
    "fish": _WATER,
    "balloon": _OPEN_AIR,
    "bird": _OPEN_AIR,
}

VOCABULARY: Final[dict[str, tuple[str, ...]]] = {
    "scene": tuple(LIGHTS),
    "light": tuple(dict.fromkeys(light for lights in LIGHTS.values() for light in lights)),
    "subject": (NONE, *MOTIONS),
    "colour": (NONE, *COLOURS),
    "motion": (NONE, *dict.fromkeys(motion for motions in MOTIONS.values() for motion in motions)),
    "mood": MOODS,
    "place": PLACES,
    "second": (NONE, *MOTIONS),
    "second_colour": (NONE, *COLOURS),
}
"""Attribute name to all its values, in a fixed order (the classes of the judge's classifiers)."""

HELDOUT_SHARE: Final = 10  # one combination in this many is never trained on


@dataclass(frozen=True)
class Attributes:
    """What one chunk shows and sounds like. Every field takes its values from `VOCABULARY`.

    Without a subject, `subject`, `motion`, `second` and `second_colour` are "none", and so is `colour`
    except in "pulses", whose waves then have that colour. A second subject has the motion of the first.
    """

    scene: str
    light: str
    subject: str = NONE
    colour: str = NONE
    motion: str = NONE
    mood: str = "calm"
    place: str = "centre"
    second: str = NONE
    second_colour: str = NONE

    @property
    def combinations(self) -> tuple[tuple[str, str, str, str], ...]:
        """(scene, subject, colour, motion) of each subject: the unit that is held out."""
        shown = []
        if self.subject != NONE:
            shown.append((self.scene, self.subject, self.colour, self.motion))
        if self.second != NONE:
            shown.append((self.scene, self.second, self.second_colour, self.motion))
        return tuple(shown)


def held_out(combination: tuple[str, str, str, str]) -> bool:
    """Whether a (scene, subject, colour, motion) belongs to the 10 % kept for judging."""
    return zlib.crc32("|".join(combination).encode()) % HELDOUT_SHARE == 0


def subjects_of(scene: str) -> tuple[str, ...]:
    """Subjects that can appear in `scene`."""
    return tuple(subject for subject in MOTIONS if scene in _HOME.get(subject, LIGHTS))


def motions_of(scene: str, subject: str) -> tuple[str, ...]:
    """Ways in which `subject` can move in `scene`; nothing bounces or rolls where there is no ground."""
    motions = MOTIONS[subject]
    if scene in _GROUNDLESS:
        return tuple(motion for motion in motions if motion not in _GROUNDED_MOTIONS)
    return motions


def has_place(motion: str) -> bool:
    """Whether a subject with this motion stays on the left, in the centre or on the right."""
    return motion in _PLACED_MOTIONS


def possible(attributes: Attributes) -> bool:
    """Whether the world can show this combination."""
    if attributes.light not in LIGHTS[attributes.scene]:
        return False
    for subject in (attributes.subject, attributes.second):
        if subject == NONE:
            continue
        if subject not in subjects_of(attributes.scene):
            return False
        if attributes.motion not in motions_of(attributes.scene, subject):
            return False
    return has_place(attributes.motion) or attributes.place == "centre"
