"""Where the subjects of a picture are, and when they touch ground or water: what picture and sound share."""

from __future__ import annotations

from math import cos
from typing import Final

from streamgen_export.pocket.world.attributes import GROUNDLESS, NONE, Attributes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK
from streamgen_export.pocket.world.paths import BOUNCE_CHUNKS, HOPPING, LEAP_CHUNKS, Mover, nose, span_of, surfacing
from streamgen_export.pocket.world.pose import EXTENTS, Pose
from streamgen_export.pocket.world.screen import GROUND, HEIGHT, WATERLINE
from streamgen_export.pocket.world.timeline import Event, beat_length
from streamgen_export.pocket.world.world import World

__all__ = ["EXTENTS", "Pose", "contacts", "poses", "recent_splashes"]

_PLACE_X: Final[dict[str, float]] = {"left": 0.27, "centre": 0.5, "right": 0.73}
_ROWS: Final[dict[str, tuple[tuple[float, ...], float]]] = {
    "one": ((0.5,), 1.0),
    "two": ((0.29, 0.71), 0.84),
    "three": ((0.2, 0.5, 0.8), 0.7),
}
"""Places of several across the picture, as shares of its width, and how much smaller they are."""


def poses(world: World, attributes: Attributes, picture: int) -> tuple[tuple[str, str, Pose], ...]:
    """Return (subject, colour, pose) of every subject that `attributes` show in a picture of `world`, left to right.

    `attributes` need not be those of that picture: while one segment fades into the next both are drawn.
    """
    a = attributes
    if a.subject == NONE:
        return ()
    if a.second != NONE:
        shares, size = _ROWS["two"]
        first, other = (shares[0], shares[1]) if a.side == "left" else (shares[1], shares[0])
        return (
            (a.subject, a.colour, Mover(world, a, a.subject, size, first, 0, 2).pose(picture)),
            (a.second, a.second_colour, Mover(world, a, a.second, size, other, 1, 2).pose(picture)),
        )
    shares, size = _ROWS[a.count]
    if a.count == "one":
        shares = (_PLACE_X[a.side],)
    return tuple(
        (a.subject, a.colour, Mover(world, a, a.subject, size, share, i, len(shares)).pose(picture))
        for i, share in enumerate(shares)
    )


def contacts(world: World) -> tuple[Event, ...]:
    """Touches of ground and water in a clip, in order, each in the exact picture in which it is seen.

    "contact": a subject that bounces, or hops as it dances, touches the ground; several do so together, one event
    each. "splash": a subject that leaps comes out of the water (odd `number`, softer) or falls back into it (even
    `number`). Places are shares of the picture's size.
    """
    span = span_of(world)
    found = []
    for picture in range(world.pictures):
        attributes = world.at(picture)
        if attributes.motion == "leaps":
            found.extend(_splashes(world, attributes, picture))
            continue
        number = _landing(world, attributes, picture)
        if number is None:
            continue
        for subject, _, pose in poses(world, attributes, picture):
            if attributes.motion == "bounces" or subject in HOPPING:
                found.append(Event("contact", picture, pose.x / span, GROUND / HEIGHT, subject, number))
    return tuple(found)


def _landing(world: World, attributes: Attributes, picture: int) -> int | None:
    """Number of the contact with the ground that happens in a picture, if one does."""
    a = attributes
    if a.motion == "bounces":
        number, since = divmod(picture - world.contact_phase, BOUNCE_CHUNKS[a.pace] * PICTURES_PER_CHUNK)
        return number if since == 0 else None
    if a.motion == "dances" and a.place not in GROUNDLESS:
        late = picture - world.beat_phase * PICTURES_PER_CHUNK
        number, since = divmod(late, beat_length(world, a.tempo))
        return number if since == 0 else None
    return None


def _splashes(world: World, attributes: Attributes, picture: int) -> list[Event]:
    """What crosses the surface in one picture."""
    period = LEAP_CHUNKS[attributes.pace] * PICTURES_PER_CHUNK
    number, since = divmod(picture - world.contact_phase, period)
    found = []
    for subject, _, pose in poses(world, attributes, picture):
        out, back = surfacing(subject, period, pose.radius)
        if since in (out, back):
            x = pose.x + nose(subject, pose.radius) * cos(pose.angle)
            counted = 2 * number + int(since == out)
            found.append(Event("splash", picture, x / span_of(world), WATERLINE / HEIGHT, subject, counted))
    return found


def recent_splashes(
    world: World, attributes: Attributes, picture: int, past: int = 12
) -> list[tuple[int, float, bool]]:
    """Splashes of the last pictures as (pictures since, place in units, whether something came out of the water)."""
    (subject, _, pose), *_ = poses(world, attributes, picture)
    period = LEAP_CHUNKS[attributes.pace] * PICTURES_PER_CHUNK
    ages = {(picture - world.contact_phase - touch) % period for touch in surfacing(subject, period, pose.radius)}
    return [
        (age, event.x * span_of(world), event.number % 2 == 1)
        for age in sorted(ages)
        if age < past
        for event in _splashes(world, attributes, picture - age)
    ]
