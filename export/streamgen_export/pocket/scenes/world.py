"""What happens in one clip, sampled before anything is drawn or sounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.attributes import (
    COLOURS,
    LIGHTS,
    MOODS,
    NONE,
    PLACES,
    Attributes,
    has_place,
    held_out,
    motions_of,
    possible,
    subjects_of,
)

PICTURES_PER_CHUNK: Final = 4
PICTURE_RATE_HZ: Final = 12.5
SAMPLE_RATE_HZ: Final = 24_000
SAMPLES_PER_PICTURE: Final = 1920
SAMPLES_PER_CHUNK: Final = SAMPLES_PER_PICTURE * PICTURES_PER_CHUNK

_SUBJECT_SHARE = 0.72
_SECOND_SHARE = 0.11
_CHANGE_SHARE = 0.45
_BOUNCE_SHARE = 0.4
_FIRST_CHANGE, _LAST_CHANGE = 2, 7
_BOUNCE_PERIODS = (16, 20)  # pictures: 0.78 and 0.625 Hz, a whole number of chunks
_TWINS = ("ball", "cube", "star", "triangle", "heart", "bird", "fish")


@dataclass(frozen=True)
class World:
    """Everything that picture, sound and captions of one clip are made from."""

    seed: int
    attributes: tuple[Attributes, ...]
    """One per chunk; changes only where a new segment starts."""
    offset_s: float
    """Where in their slow cycles waves, clouds and light are at the clip's start."""
    radius: float
    """Half the subject's height, in pixels."""
    bounce_period: int
    """Pictures from one contact with the ground to the next."""
    bounce_phase: int
    """Picture of the first contact."""
    cycle: float
    """Where in its path a drifting or orbiting subject starts, 0 to 1."""
    beat_phase: int
    """Chunks by which the beat is late."""

    @property
    def chunks(self) -> int:
        """Length of the clip in chunks."""
        return len(self.attributes)

    @property
    def segments(self) -> tuple[tuple[int, int, Attributes], ...]:
        """(first chunk, end chunk, attributes) of each stretch in which nothing changes."""
        starts = [i for i in range(self.chunks) if i == 0 or self.attributes[i] != self.attributes[i - 1]]
        ends = [*starts[1:], self.chunks]
        return tuple((a, b, self.attributes[a]) for a, b in zip(starts, ends, strict=True))


def sample_world(seed: int, *, heldout: bool = False, chunks: int = 10) -> World:
    """Sample the world of a clip; a pure function of its arguments.

    With `heldout` every (scene, subject, colour, motion) shown is a held-out one, without it none is.
    """
    if chunks < 1:
        raise ValueError(f"chunks must be at least 1, got {chunks}")
    rng = np.random.default_rng([seed, int(heldout), 0x5CE7E5])
    first = _sample(rng, heldout)
    attributes = [first] * chunks
    last_change = min(_LAST_CHANGE, chunks - 2)
    if last_change >= _FIRST_CHANGE and rng.random() < _CHANGE_SHARE:
        boundary = int(rng.integers(_FIRST_CHANGE, last_change + 1))
        attributes[boundary:] = [_change(rng, first, heldout)] * (chunks - boundary)
    period = int(rng.choice(_BOUNCE_PERIODS))
    return World(
        seed=seed,
        attributes=tuple(attributes),
        offset_s=float(rng.uniform(0, 60)),
        radius=float(rng.uniform(15.5, 19.0)),
        bounce_period=period,
        bounce_phase=int(rng.integers(period)),
        cycle=float(rng.random()),
        beat_phase=int(rng.integers(6)),
    )


def _allowed(attributes: Attributes, heldout: bool) -> bool:
    return possible(attributes) and all(held_out(c) == heldout for c in attributes.combinations)


def _pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _motion(rng: np.random.Generator, scene: str, subject: str) -> str:
    motions = motions_of(scene, subject)
    if "bounces" in motions and rng.random() < _BOUNCE_SHARE:
        return "bounces"
    return _pick(rng, motions)


def _with_subject(rng: np.random.Generator, plain: Attributes) -> Attributes:
    subject = _pick(rng, subjects_of(plain.scene))
    motion = _motion(rng, plain.scene, subject)
    place = _pick(rng, PLACES) if has_place(motion) else "centre"
    shown = replace(plain, subject=subject, colour=_pick(rng, COLOURS), motion=motion, place=place)
    if rng.random() >= _SECOND_SHARE or subject not in _TWINS or motion == "rolls":
        return shown
    partners = tuple(s for s in _TWINS if s in subjects_of(plain.scene) and motion in motions_of(plain.scene, s))
    colours = tuple(colour for colour in COLOURS if colour != shown.colour)
    return replace(shown, place="centre", second=_pick(rng, partners), second_colour=_pick(rng, colours))


def _without_subject(rng: np.random.Generator, attributes: Attributes) -> Attributes:
    colour = _pick(rng, COLOURS) if attributes.scene == "pulses" else NONE
    return Attributes(attributes.scene, attributes.light, colour=colour, mood=attributes.mood)


def _sample(rng: np.random.Generator, heldout: bool) -> Attributes:
    while True:
        scene = _pick(rng, tuple(LIGHTS))
        plain = Attributes(scene, _pick(rng, LIGHTS[scene]), mood=_pick(rng, MOODS))
        if heldout or rng.random() < _SUBJECT_SHARE:
            attributes = _with_subject(rng, plain)
        else:
            attributes = _without_subject(rng, plain)
        if _allowed(attributes, heldout):
            return attributes


def _change(rng: np.random.Generator, now: Attributes, heldout: bool) -> Attributes:
    """Return `now` with one or two attributes replaced."""
    while True:
        count = 1 + int(rng.random() < 0.35)
        new = now
        for what in rng.permutation(("scene", "light", "subject", "colour", "motion", "mood"))[:count]:
            new = _replace_one(rng, new, str(what), heldout)
        if new != now and _allowed(new, heldout):
            return new


def _replace_one(rng: np.random.Generator, now: Attributes, what: str, heldout: bool) -> Attributes:
    if what == "scene":
        scene = _pick(rng, tuple(s for s in LIGHTS if s != now.scene))
        moved = replace(now, scene=scene, light=_pick(rng, LIGHTS[scene]))
        return moved if now.subject != NONE else _without_subject(rng, moved)
    if what == "light":
        return replace(now, light=_pick(rng, LIGHTS[now.scene]))
    if what == "mood":
        return replace(now, mood=_pick(rng, MOODS))
    if what == "colour" and now.colour != NONE:
        return replace(now, colour=_pick(rng, tuple(c for c in COLOURS if c != now.second_colour)))
    if now.subject == NONE:
        return _with_subject(rng, now) if what == "subject" else now
    if what == "motion":
        motion = _motion(rng, now.scene, now.subject)
        return replace(now, motion=motion, place=now.place if has_place(motion) else "centre")
    if what == "subject":
        if not heldout and rng.random() < 0.2:
            return _without_subject(rng, now)
        subject = _pick(rng, subjects_of(now.scene))
        motions = motions_of(now.scene, subject)
        motion = now.motion if now.motion in motions else _pick(rng, motions)
        return replace(now, subject=subject, motion=motion, place=now.place if has_place(motion) else "centre")
    return now
