"""When things happen in a clip and where its subjects are: the clock that picture and sound share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi, sin, sqrt
from typing import Final

from streamgen_export.pocket.scenes.attributes import NONE, Attributes
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, World

WIDTH: Final = 160
HEIGHT: Final = 96
GROUND_Y: Final = 84.0
"""Row on which subjects land, roll and cast their shadow, in pixels from the top."""
WATERLINE_Y: Final = 76.0
"""Row at which a boat meets the water."""

BEAT_CHUNKS: Final = 2
BEATS_PER_BAR: Final = 3
BEAT_PICTURES: Final = BEAT_CHUNKS * PICTURES_PER_CHUNK

# All periods are whole numbers of chunks, so that a model that sees chunks sees the same few phases again and again.
_ORBIT_PICTURES = 48
_CROSSING_PICTURES = 72
_FLOAT_PICTURES = 40
_SPIN_PICTURES = 60
_FLAP_PICTURES = 12

_PLACE_X: Final[dict[str, float]] = {"left": 44.0, "centre": 80.0, "right": 116.0}
_TWIN_OFFSET = 28.0  # px from the centre to each of two subjects
_FOLLOWING = 60.0  # px between two subjects that cross the picture
_AIR_Y = 46.0
_MARGIN = 24.0  # px outside the picture in which a crossing subject turns round unseen
_ORBIT_RADII = (33.0, 15.0)
_BOUNCE_HEIGHTS: Final[dict[int, float]] = {16: 27.0, 20: 34.0}
_SQUASH = 0.8
_PULSE = 0.2
_TWIN_SIZE = 0.86
_SIZES: Final[dict[str, float]] = {"balloon": 1.22, "boat": 1.15, "bird": 1.12}
"""Figures whose outline leaves much of their square empty are drawn larger."""


@dataclass(frozen=True)
class Pose:
    """Where one subject is in one picture. Lengths in pixels, y grows downwards.

    Attributes:
        x: centre.
        y: centre.
        radius: half its height, before `stretch`.
        stretch: vertical scale; the horizontal one is its inverse, so that squashing keeps the area.
        angle: turn about the axis that the motion turns it about, in radians, clockwise.
        phase: where in its own slow cycle (wings, fins, rocking) it is, 0 to 1.
        height: of its lowest point above the ground; negative where it is not above any ground.
        depth: 1 nearest, -1 furthest; the further one is drawn first.
    """

    x: float
    y: float
    radius: float
    stretch: float = 1.0
    angle: float = 0.0
    phase: float = 0.0
    height: float = -1.0
    depth: float = 0.0


def contacts(world: World) -> tuple[int, ...]:
    """Pictures at which a bouncing subject touches the ground; with two subjects both do, together."""
    first = world.bounce_phase % world.bounce_period
    pictures = range(first, world.chunks * PICTURES_PER_CHUNK, world.bounce_period)
    return tuple(p for p in pictures if world.attributes[p // PICTURES_PER_CHUNK].motion == "bounces")


def beats(world: World) -> tuple[int, ...]:
    """Pictures at which a beat starts."""
    return _starts(world, BEAT_CHUNKS)


def bars(world: World) -> tuple[int, ...]:
    """Pictures at which a bar starts; every bar starts on a beat."""
    return _starts(world, BEAT_CHUNKS * BEATS_PER_BAR)


def _starts(world: World, every: int) -> tuple[int, ...]:
    return tuple(c * PICTURES_PER_CHUNK for c in range(world.chunks) if (c - world.beat_phase) % every == 0)


def beat_phase(world: World, picture: float) -> float:
    """Share of the current beat that has passed, 0 at its start and below 1."""
    return ((picture - world.beat_phase * PICTURES_PER_CHUNK) / BEAT_PICTURES) % 1.0


def poses(world: World, attributes: Attributes, picture: int) -> tuple[Pose, ...]:
    """Poses of the subjects of `attributes` in a picture of `world`: none, the first, or the first and the second.

    `attributes` need not be those of that picture: while one segment fades into the next both are drawn.
    """
    if attributes.subject == NONE:
        return ()
    if attributes.second == NONE:
        return (_pose(world, attributes, attributes.subject, picture, _PLACE_X[attributes.place], 0),)
    twins = _side_by_side(world)
    return (
        _pose(twins, attributes, attributes.subject, picture, WIDTH / 2 - _TWIN_OFFSET, 0),
        _pose(twins, attributes, attributes.second, picture, WIDTH / 2 + _TWIN_OFFSET, 1),
    )


def _side_by_side(world: World) -> World:
    """The same world with the smaller subjects that leave room for two."""
    return replace(world, radius=world.radius * _TWIN_SIZE)


def _pose(world: World, attributes: Attributes, subject: str, picture: int, x: float, index: int) -> Pose:
    radius = world.radius * _SIZES.get(subject, 1.0)
    swing = 2 * pi * (picture / _FLOAT_PICTURES + world.cycle)
    own = (picture / (_FLAP_PICTURES if subject in ("bird", "fish") else _FLOAT_PICTURES) + world.cycle) % 1.0
    centred = Pose(x, _AIR_Y, radius, phase=own)
    match attributes.motion:
        case "bounces":
            return _bouncing(world, centred, picture)
        case "orbits":
            return _orbiting(centred, picture / _ORBIT_PICTURES + world.cycle + 0.5 * index)
        case "rolls":
            x = _crossing(world, picture, index)
            return replace(centred, x=x, y=GROUND_Y - radius, angle=x / radius, height=0.0)
        case "drifts":
            x = _crossing(world, picture, index)
            if subject == "boat":
                return replace(centred, x=x, y=WATERLINE_Y - radius + 1.2 * sin(swing), angle=0.05 * sin(swing - 1.2))
            y = _AIR_Y + 3.0 * sin(swing)
            return replace(centred, x=x, y=y, angle=0.08 * sin(swing), height=GROUND_Y - y - radius)
        case "floats":
            if subject == "boat":
                return replace(centred, y=WATERLINE_Y - radius + 1.6 * sin(swing), angle=0.07 * sin(swing - 1.2))
            y = _AIR_Y + 6.0 * sin(swing)
            return replace(centred, y=y, angle=0.06 * sin(swing + 1.0), height=GROUND_Y - y - radius)
        case "pulses":
            grown = radius * (1 + _PULSE * cos(2 * pi * beat_phase(world, picture)))
            return replace(centred, radius=grown, height=GROUND_Y - _AIR_Y - grown)
        case "spins":
            angle = 2 * pi * (picture / _SPIN_PICTURES + world.cycle)
            return replace(centred, angle=angle, height=GROUND_Y - _AIR_Y - radius)
        case motion:
            raise ValueError(f"no pose for the motion {motion!r}: add it to _pose")


def _crossing(world: World, picture: int, index: int) -> float:
    span = WIDTH + 2 * _MARGIN
    return (picture / _CROSSING_PICTURES * span + world.cycle * span - index * _FOLLOWING) % span - _MARGIN


def _bouncing(world: World, pose: Pose, picture: int) -> Pose:
    period = world.bounce_period
    since = (picture - world.bounce_phase) % period
    share = since / period
    height = _BOUNCE_HEIGHTS.get(period, 27.0 * sqrt(period / 16)) * 4 * share * (1 - share)
    from_contact = min(since, period - since)
    stretch = {0: _SQUASH, 1: 1.06, 2: 1.05, 3: 1.03}.get(from_contact, 1.0)
    return replace(pose, y=GROUND_Y - height - pose.radius * stretch, stretch=stretch, height=height)


def _orbiting(pose: Pose, turns: float) -> Pose:
    across, down = _ORBIT_RADII
    depth = sin(2 * pi * turns)
    y = _AIR_Y + 2 + down * depth
    radius = pose.radius * (0.92 + 0.1 * depth)
    return replace(
        pose,
        x=WIDTH / 2 + across * cos(2 * pi * turns),
        y=y,
        radius=radius,
        depth=depth,
        height=GROUND_Y + 4 * depth - y - radius,
    )
