"""The closed vocabulary of the world: what can be seen and heard, and which combinations exist."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

NONE: Final = "none"

TIMES: Final = ("dawn", "day", "sunset", "night")
WEATHERS: Final = ("clear", "cloudy", "misty", "rain", "snow", "storm")
_ALL: Final = WEATHERS

OUTDOORS: Final[dict[str, tuple[str, ...]]] = {
    "meadow": _ALL,
    "forest": _ALL,
    "mountains": _ALL,
    "desert": ("clear", "cloudy", "misty", "storm"),
    "sea": ("clear", "cloudy", "misty", "rain", "storm"),
    "coast": _ALL,
    "river": _ALL,
    "village": _ALL,
    "city": _ALL,
    "clouds": ("clear", "cloudy", "storm"),
}
"""Places under a sky, with the weathers each can have; all four times of day exist in each."""
UNDER_WATER: Final = ("underwater", "ice")
"""Places with daylight or moonlight from above: times "day" and "night", no weather."""
ELSEWHERE: Final = ("space", "fire")
"""Places with no time of day and no weather."""
ABSTRACT: Final = ("rings", "waves", "tunnel", "mosaic")
"""Visuals of the music: they take a colour of their own when there is no subject, and move on the beat."""
PLACES: Final = (*OUTDOORS, *UNDER_WATER, *ELSEWHERE, *ABSTRACT)

HAPPENINGS: Final = (NONE, "fireworks", "aurora", "shooting_stars")

COLOURS: Final = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white")
STYLES: Final = ("natural", "watercolour", "ink", "neon", "pixel", "paper")
PALETTES: Final = ("natural", "warm", "cool", "pastel", "mono")
CAMERAS: Final = ("still", "left", "right", "zoom", "sway")
"""`left` and `right` pan without end, `zoom` goes slowly in and out, `sway` is held by hand."""
PACES: Final = ("slow", "normal", "fast")
MOODS: Final = (NONE, "calm", "joyful", "melancholy", "dreamy", "tense")
"""Of the music; "none" is no music, only the place."""
TEMPOS: Final = ("slow", "medium", "fast")
SIDES: Final = ("left", "centre", "right")
COUNTS: Final = ("one", "two", "three")

MOTIONS: Final[dict[str, tuple[str, ...]]] = {
    "ball": ("bounces", "rolls", "floats", "drifts", "circles", "pulses"),
    "cube": ("bounces", "spins", "floats", "drifts", "circles"),
    "star": ("bounces", "spins", "floats", "circles", "pulses"),
    "heart": ("bounces", "floats", "drifts", "pulses"),
    "ring": ("bounces", "rolls", "floats", "circles", "pulses"),
    "pyramid": ("bounces", "spins", "floats", "drifts", "circles"),
    "balloon": ("floats", "drifts", "rises"),
    "lantern": ("floats", "drifts", "rises"),
    "kite": ("floats", "drifts", "circles"),
    "bird": ("floats", "drifts", "circles"),
    "butterfly": ("floats", "drifts", "circles"),
    "boat": ("floats", "drifts"),
    "paper_boat": ("floats", "drifts"),
    "fish": ("floats", "drifts", "leaps"),
    "whale": ("floats", "drifts", "leaps"),
    "jellyfish": ("floats", "drifts", "rises", "pulses"),
    "spaceship": ("floats", "drifts", "circles", "rises"),
    "comet": ("drifts", "circles"),
    "train": ("drifts",),
    "dancer": ("dances", "spins"),
    "robot": ("dances", "bounces", "floats", "drifts"),
    "creature": ("dances", "bounces", "floats", "drifts"),
}
"""Subject to the ways in which it can move."""
SUBJECTS: Final = tuple(MOTIONS)
LONE: Final = frozenset({"train", "whale", "comet", "dancer", "spaceship", "paper_boat"})
"""Subjects that come alone: they are too large for two, or it would be odd."""
ALL_MOTIONS: Final = tuple(dict.fromkeys(motion for motions in MOTIONS.values() for motion in motions))

WATER_SURFACE: Final = frozenset({"sea", "coast", "river"})
"""Places with a water surface at `WATERLINE`; boats float there, fish and whales leap out of it."""
_DRY: Final = frozenset({"meadow", "forest", "mountains", "desert", "village", "city"})
_AIRY: Final = frozenset(OUTDOORS)
_SUBMERGED: Final = frozenset(UNDER_WATER)
_HOME: Final[dict[str, frozenset[str]]] = {
    "balloon": _AIRY,
    "lantern": _AIRY | {"rings", "waves"},
    "kite": _AIRY - {"forest"},
    "bird": _AIRY,
    "butterfly": _AIRY - {"clouds", "sea"} | {"mosaic"},
    "boat": WATER_SURFACE,
    "paper_boat": WATER_SURFACE,
    "fish": WATER_SURFACE | _SUBMERGED,
    "whale": frozenset({"sea", "coast", "underwater", "ice"}),
    "jellyfish": frozenset({"underwater", "ice", "space"}),
    "spaceship": _AIRY | {"space", "tunnel"},
    "comet": frozenset({"space", "clouds", "mountains", "desert"}),
    "train": _DRY,
    "dancer": _DRY | frozenset(ABSTRACT) | {"fire"},
    "robot": _DRY | frozenset(ABSTRACT) | {"space", "fire"},
    "creature": _DRY | frozenset(ABSTRACT) | {"underwater", "clouds", "fire"},
}
GROUNDLESS: Final = frozenset({"sea", "clouds", "space", *UNDER_WATER})
"""Places where nothing bounces or rolls. In the abstract ones there is a floor at `GROUND`, though none is drawn."""

_GROUNDED_MOTIONS: Final = frozenset({"bounces", "rolls"})
_PLACED_MOTIONS: Final = frozenset({"bounces", "floats", "pulses", "spins", "dances", "leaps", "rises"})
HELDOUT_SHARE: Final = 10  # one combination in this many is never trained on


@dataclass(frozen=True)
class Attributes:
    """What one chunk shows and sounds like. Every field takes its values from `VOCABULARY`.

    Without a subject `subject`, `motion`, `second` and `second_colour` are "none", `count` is "one", `side` is
    "centre", and so is `colour` "none" except in an abstract place, whose light then has that colour. With a second
    subject, `count` is "one", `side` says on which side of it the first one is ("left" or "right"), and both move
    alike. `count` "two" or "three" repeats the first subject.
    """

    place: str
    time: str = NONE
    weather: str = NONE
    happening: str = NONE
    subject: str = NONE
    colour: str = NONE
    motion: str = NONE
    count: str = "one"
    side: str = "centre"
    second: str = NONE
    second_colour: str = NONE
    pace: str = "normal"
    style: str = "natural"
    palette: str = "natural"
    camera: str = "still"
    mood: str = "calm"
    tempo: str = "medium"

    @property
    def combination(self) -> str:
        """What is held out as a whole: subject, colour and place, or time, weather, style and place."""
        if self.subject != NONE:
            return "|".join((self.place, self.subject, self.colour))
        return "|".join((self.place, self.time, self.weather, self.happening, self.style, self.colour))


VOCABULARY: Final[dict[str, tuple[str, ...]]] = {
    "place": PLACES,
    "time": (NONE, *TIMES),
    "weather": (NONE, *WEATHERS),
    "happening": HAPPENINGS,
    "subject": (NONE, *SUBJECTS),
    "colour": (NONE, *COLOURS),
    "motion": (NONE, *ALL_MOTIONS),
    "count": COUNTS,
    "side": SIDES,
    "second": (NONE, *(subject for subject in SUBJECTS if subject not in LONE)),
    "second_colour": (NONE, *COLOURS),
    "pace": PACES,
    "style": STYLES,
    "palette": PALETTES,
    "camera": CAMERAS,
    "mood": MOODS,
    "tempo": TEMPOS,
}
"""Attribute name to all its values, in a fixed order (the classes of the judge's classifiers)."""


def held_out(attributes: Attributes) -> bool:
    """Whether this combination belongs to the tenth that is kept for judging."""
    return zlib.crc32(attributes.combination.encode()) % HELDOUT_SHARE == 0


def times_of(place: str) -> tuple[str, ...]:
    """Times of day that a place can have."""
    if place in OUTDOORS:
        return TIMES
    return ("day", "night") if place in UNDER_WATER else (NONE,)


def weathers_of(place: str) -> tuple[str, ...]:
    """Weathers that a place can have."""
    return OUTDOORS.get(place, (NONE,))


def happenings_of(place: str, time: str, weather: str) -> tuple[str, ...]:
    """What can be going on in the sky."""
    found = [NONE]
    if place == "space":
        found.append("shooting_stars")
    if place in OUTDOORS and place != "clouds" and time == "night" and weather in ("clear", "cloudy", "snow"):
        found.append("fireworks")
        if weather == "clear":
            found.extend(("aurora", "shooting_stars"))
    return tuple(found)


def subjects_of(place: str) -> tuple[str, ...]:
    """Subjects that can appear in a place."""
    return tuple(subject for subject in SUBJECTS if place in _HOME.get(subject, frozenset(PLACES)))


def motions_of(place: str, subject: str) -> tuple[str, ...]:
    """Ways in which a subject can move in a place."""
    return tuple(
        motion
        for motion in MOTIONS[subject]
        if not (motion in _GROUNDED_MOTIONS and place in GROUNDLESS | WATER_SURFACE)
        and not (motion == "leaps" and place not in WATER_SURFACE)
        # In water a fish that floats is below the surface, where it cannot be seen.
        and not (motion != "leaps" and subject in ("fish", "whale") and place in WATER_SURFACE)
    )


def has_side(motion: str) -> bool:
    """Whether a subject with this motion stays on the left, in the centre or on the right."""
    return motion in _PLACED_MOTIONS


def possible(attributes: Attributes) -> bool:
    """Whether the world can show this combination."""
    a = attributes
    if a.time not in times_of(a.place) or a.weather not in weathers_of(a.place):
        return False
    if a.happening not in happenings_of(a.place, a.time, a.weather):
        return False
    if a.subject == NONE:
        plain = (a.motion, a.count, a.side, a.second, a.second_colour) == (NONE, "one", "centre", NONE, NONE)
        return plain and (a.colour != NONE) == (a.place in ABSTRACT)
    for subject in (a.subject, a.second):
        if subject != NONE and (subject not in subjects_of(a.place) or a.motion not in motions_of(a.place, subject)):
            return False
    if a.colour == NONE or (a.second == NONE) != (a.second_colour == NONE):
        return False
    if a.second != NONE:
        alone = LONE & {a.subject, a.second}
        return not alone and a.count == "one" and a.side != "centre" and has_side(a.motion)
    if a.count != "one":
        return a.side == "centre" and a.subject not in LONE
    return has_side(a.motion) or a.side == "centre"
