"""What happens in one clip, sampled before anything is drawn or sounded."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import (
    ABSTRACT,
    CAMERAS,
    COLOURS,
    LONE,
    MOODS,
    NONE,
    OUTDOORS,
    PACES,
    PALETTES,
    PLACES,
    SIDES,
    STYLES,
    SUBJECTS,
    TEMPOS,
    Attributes,
    happenings_of,
    has_side,
    held_out,
    motions_of,
    possible,
    subjects_of,
    times_of,
    weathers_of,
)
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, Format

CLIP_CHUNKS: Final = 12
VARIANTS: Final = 3
"""Shapes of the land that each place comes in."""

_SUBJECT_SHARE = 0.75
_HAPPENING_SHARE = 0.16
_COUNT_SHARE = 0.14
_SECOND_SHARE = 0.12
_CHANGE_SHARE = 0.55
_PLAIN: Final = {"style": 0.5, "palette": 0.7, "camera": 0.5, "pace": 0.6}
"""Share of clips in which these have their plain value, the first of the vocabulary (the middle one of `pace`)."""
_RARELY: Final = ("place", "happening", "motion", "style", "palette", "camera", "mood", "tempo", "pace")
_CHANGING: Final = (*_RARELY, *(2 * ("time", "weather", "subject", "colour")))
"""What can change in a clip, as often as it is named here."""
_FIRST_CHANGE = 3
_CHUNKS_AFTER_CHANGE = 4


@dataclass(frozen=True)
class World:
    """Everything that picture, sound and captions of one clip are made from."""

    seed: int
    format: Format
    attributes: tuple[Attributes, ...]
    """One per chunk; changes only where a new segment starts."""
    variant: int
    """Shape of the land, below `VARIANTS`."""
    offset_s: float
    """Where in their slow cycles waves, clouds and light are at the clip's start."""
    size: float
    """Factor on the usual size of subjects, about 1."""
    cycle: float
    """Where in its path a moving subject starts, 0 to 1."""
    contact_phase: int
    """Picture by which bounces, leaps and everything that repeats by itself is late."""
    beat_phase: int
    """Chunks by which the beat is late."""

    @property
    def chunks(self) -> int:
        """Length of the clip in chunks."""
        return len(self.attributes)

    @property
    def pictures(self) -> int:
        """Length of the clip in pictures."""
        return self.chunks * PICTURES_PER_CHUNK

    def at(self, picture: int) -> Attributes:
        """What one picture shows."""
        return self.attributes[picture // PICTURES_PER_CHUNK]

    @property
    def segments(self) -> tuple[tuple[int, int, Attributes], ...]:
        """(first chunk, end chunk, attributes) of each stretch in which nothing changes."""
        starts = [i for i in range(self.chunks) if i == 0 or self.attributes[i] != self.attributes[i - 1]]
        ends = [*starts[1:], self.chunks]
        return tuple((a, b, self.attributes[a]) for a, b in zip(starts, ends, strict=True))


def changed_fields(before: Attributes, after: Attributes) -> tuple[str, ...]:
    """Names of the attributes that differ."""
    return tuple(field.name for field in fields(after) if getattr(before, field.name) != getattr(after, field.name))


def sample_world(seed: int, form: Format, *, heldout: bool = False, chunks: int = CLIP_CHUNKS) -> World:
    """Sample the world of a clip; a pure function of its arguments.

    With `heldout` everything shown is a held-out combination, without it nothing is.
    """
    if chunks < 1:
        raise ValueError(f"chunks must be at least 1, got {chunks}")
    rng = np.random.default_rng([seed, int(heldout), 0x90C4E7])
    first = sample_attributes(rng, heldout=heldout)
    attributes = [first] * chunks
    last_change = chunks - _CHUNKS_AFTER_CHANGE
    if last_change >= _FIRST_CHANGE and rng.random() < _CHANGE_SHARE:
        boundary = int(rng.integers(_FIRST_CHANGE, last_change + 1))
        attributes[boundary:] = [change(rng, first, heldout=heldout)] * (chunks - boundary)
    return World(
        seed=seed,
        format=form,
        attributes=tuple(attributes),
        variant=int(rng.integers(VARIANTS)),
        offset_s=float(rng.uniform(0, 60)),
        size=float(rng.uniform(0.92, 1.12)),
        cycle=float(rng.random()),
        contact_phase=int(rng.integers(240)),
        beat_phase=int(rng.integers(12)),
    )


def sample_attributes(rng: np.random.Generator, *, heldout: bool = False) -> Attributes:
    """Any possible attributes, all held out or none; subjects are equally frequent, and so are places without one."""
    while True:
        subject = _pick(rng, SUBJECTS) if rng.random() < _SUBJECT_SHARE else NONE
        places = tuple(p for p in PLACES if subject == NONE or motions_in(p, subject))
        plain = _under_a_sky(rng, Attributes(_pick(rng, places)))
        plain = replace(
            plain,
            pace="normal" if rng.random() < _PLAIN["pace"] else _pick(rng, PACES),
            style=_mostly_plain(rng, "style", STYLES),
            palette=_mostly_plain(rng, "palette", PALETTES),
            camera=_mostly_plain(rng, "camera", CAMERAS),
            mood=_pick(rng, MOODS),
            tempo=_pick(rng, TEMPOS),
        )
        attributes = _without_subject(rng, plain) if subject == NONE else _with_subject(rng, plain, subject)
        if possible(attributes) and held_out(attributes) == heldout:
            return attributes


def change(rng: np.random.Generator, now: Attributes, *, heldout: bool = False) -> Attributes:
    """Return `now` with one or two attributes replaced; all held out or none."""
    while True:
        new = now
        for what in rng.permutation(_CHANGING)[: 1 + int(rng.random() < 0.3)]:
            new = _replace_one(rng, new, str(what))
        if new != now and possible(new) and held_out(new) == heldout:
            return new


def subjects_in(place: str) -> tuple[str, ...]:
    """Subjects that can appear and move in a place."""
    return tuple(subject for subject in subjects_of(place) if motions_of(place, subject))


def motions_in(place: str, subject: str) -> tuple[str, ...]:
    """Ways in which a subject can move in a place; none where it cannot appear."""
    return motions_of(place, subject) if subject in subjects_of(place) else ()


def _pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _mostly_plain(rng: np.random.Generator, name: str, values: tuple[str, ...]) -> str:
    return values[0] if rng.random() < _PLAIN[name] else _pick(rng, values)


def _under_a_sky(rng: np.random.Generator, attributes: Attributes) -> Attributes:
    place = attributes.place
    time, weather = _pick(rng, times_of(place)), _pick(rng, weathers_of(place))
    if rng.random() < _HAPPENING_SHARE:
        clear_night = ("night", "clear") if place in OUTDOORS else (time, weather)
        seen = happenings_of(place, *clear_night)[1:]
        if seen:
            return replace(attributes, time=clear_night[0], weather=clear_night[1], happening=_pick(rng, seen))
    return replace(attributes, time=time, weather=weather)


def _without_subject(rng: np.random.Generator, now: Attributes) -> Attributes:
    colour = _pick(rng, COLOURS) if now.place in ABSTRACT else NONE
    gone = {"subject": NONE, "motion": NONE, "second": NONE, "second_colour": NONE}
    return replace(now, **gone, colour=colour, count="one", side="centre")


def _with_subject(rng: np.random.Generator, plain: Attributes, subject: str) -> Attributes:
    choice = subjects_in(plain.place)
    motion = _pick(rng, motions_of(plain.place, subject))
    side = _pick(rng, SIDES) if has_side(motion) else "centre"
    shown = replace(plain, subject=subject, colour=_pick(rng, COLOURS), motion=motion, side=side, count="one")
    shown = replace(shown, second=NONE, second_colour=NONE)
    if subject in LONE:
        return shown
    draw = rng.random()
    if draw < _COUNT_SHARE:
        return replace(shown, count=_pick(rng, ("two", "three")), side="centre")
    if draw < _COUNT_SHARE + _SECOND_SHARE and has_side(motion):
        partners = tuple(s for s in choice if s not in LONE and motion in motions_of(plain.place, s))
        colours = tuple(colour for colour in COLOURS if colour != shown.colour)
        second, colour = _pick(rng, partners), _pick(rng, colours)
        return replace(shown, side=_pick(rng, ("left", "right")), second=second, second_colour=colour)
    return shown


def _replace_one(rng: np.random.Generator, now: Attributes, what: str) -> Attributes:
    """`now` with one thing changed, which may be impossible: the caller asks."""
    match what:
        case "place":
            place = _pick(rng, tuple(p for p in PLACES if p != now.place))
            moved = replace(now, place=place, happening=NONE)
            if now.time not in times_of(place):
                moved = replace(moved, time=_pick(rng, times_of(place)))
            if now.weather not in weathers_of(place):
                moved = replace(moved, weather=_pick(rng, weathers_of(place)))
            return moved if now.subject != NONE else _without_subject(rng, moved)
        case "time":
            return replace(now, time=_pick(rng, times_of(now.place)), happening=NONE)
        case "weather":
            return replace(now, weather=_pick(rng, weathers_of(now.place)), happening=NONE)
        case "happening":
            return replace(now, happening=_pick(rng, happenings_of(now.place, now.time, now.weather)))
        case "subject":
            if now.subject == NONE:
                return _with_subject(rng, now, _pick(rng, subjects_in(now.place)))
            if rng.random() < 0.2:
                return _without_subject(rng, now)
            subject = _pick(rng, subjects_in(now.place))
            motions = motions_of(now.place, subject)
            motion = now.motion if now.motion in motions else _pick(rng, motions)
            turned = replace(now, subject=subject, motion=motion)
            if subject in LONE or not has_side(motion):
                turned = replace(turned, count="one", second=NONE, second_colour=NONE, side="centre")
            return turned
        case "colour" if now.colour != NONE:
            return replace(now, colour=_pick(rng, tuple(c for c in COLOURS if c != now.second_colour)))
        case "motion" if now.subject != NONE:
            motion = _pick(rng, motions_of(now.place, now.subject))
            return replace(now, motion=motion) if has_side(motion) else replace(now, motion=motion, side="centre")
        case "style":
            return replace(now, style=_pick(rng, STYLES))
        case "palette":
            return replace(now, palette=_pick(rng, PALETTES))
        case "camera":
            return replace(now, camera=_pick(rng, CAMERAS))
        case "mood":
            return replace(now, mood=_pick(rng, MOODS))
        case "tempo" if now.mood != NONE:
            return replace(now, tempo=_pick(rng, TEMPOS))
        case "pace" if now.subject != NONE:
            return replace(now, pace=_pick(rng, PACES))
    return now
