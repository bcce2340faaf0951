"""The paths on which subjects move: every one repeats itself after a whole number of chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import atan2, cos, pi, sin, sqrt
from typing import Final

from streamgen_export.pocket.world.attributes import GROUNDLESS, Attributes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK
from streamgen_export.pocket.world.pose import EXTENTS, Pose
from streamgen_export.pocket.world.screen import GROUND, HEIGHT, WATERLINE
from streamgen_export.pocket.world.timeline import beat_length, beat_position
from streamgen_export.pocket.world.world import World

BOUNCE_CHUNKS: Final = {"slow": 7, "normal": 5, "fast": 4}
LEAP_CHUNKS: Final = {"slow": 10, "normal": 8, "fast": 6}
CROSSING_CHUNKS: Final = {"slow": 40, "normal": 28, "fast": 18}
TRAIN_CHUNKS: Final = {"slow": 48, "normal": 34, "fast": 22}
"""A train is so long that it would race past in the time of the other crossings."""
RISE_CHUNKS: Final = {"slow": 28, "normal": 20, "fast": 14}
CIRCLE_CHUNKS: Final = {"slow": 24, "normal": 18, "fast": 12}
FLOAT_CHUNKS: Final = {"slow": 16, "normal": 12, "fast": 8}
SPIN_CHUNKS: Final = {"slow": 20, "normal": 14, "fast": 10}
"""A pace to the chunks that a motion takes until it repeats itself."""

_BOUNCE_HEIGHTS: Final = {"slow": 36.0, "normal": 31.0, "fast": 24.0}
_HOP_HEIGHTS: Final = {"slow": 7.0, "medium": 5.0, "fast": 3.2}
_OWN_CHUNKS: Final[dict[str, dict[str, int]]] = {
    "bird": {"slow": 4, "normal": 3, "fast": 2},
    "butterfly": {"slow": 4, "normal": 3, "fast": 2},
    "fish": {"slow": 5, "normal": 4, "fast": 3},
    "whale": {"slow": 12, "normal": 9, "fast": 6},
    "jellyfish": {"slow": 9, "normal": 7, "fast": 5},
    "train": {"slow": 4, "normal": 3, "fast": 2},
    "kite": {"slow": 8, "normal": 6, "fast": 4},
}
"""Chunks that one beat of wings or fins, one turn of wheels, one wave of a tail takes; else as long as floating."""

_RADIUS: Final = 17.0
_SIZES: Final[dict[str, float]] = {
    "balloon": 1.3,
    "lantern": 1.08,
    "kite": 1.02,
    "bird": 1.3,
    "boat": 1.35,
    "paper_boat": 0.98,
    "fish": 1.02,
    "whale": 0.98,
    "comet": 0.8,
    "train": 0.84,
    "dancer": 1.28,
    "spaceship": 1.12,
    "jellyfish": 1.12,
    "robot": 1.1,
    "creature": 1.02,
}
"""Figures whose outline leaves much of their square empty are drawn larger."""
_FOLLOWING: Final = {"one": 0.0, "two": 60.0, "three": 50.0}
"""Units between several that cross the picture."""
_MARGIN: Final = 4.0
"""Units outside the picture in which a crossing or rising subject starts again, unseen."""
_AIR: Final = 45.0
"""Usual row of what is in the air."""
_SQUASH: Final = {0: 0.87, 1: 1.06, 2: 1.05, 3: 1.03}
"""Vertical stretch by the pictures between a picture and the nearest contact."""
_PULSE: Final = 0.2
_LEAPS: Final[dict[str, tuple[float, float, float]]] = {"fish": (32.0, 0.72, 26.0), "whale": (18.0, 0.57, 24.0)}
"""Units that the centre rises over the water, share of the period spent there, units that it moves to each side."""
_ALONG_THE_PATH: Final = frozenset({"comet", "spaceship"})
"""What turns its nose along the path that it circles on; others stay upright."""
HOPPING: Final = frozenset({"robot", "creature"})
_KEELS: Final = {"boat": 0.8, "paper_boat": 0.82}
"""How far below a boat's centre its waterline is, in its radii."""


def span_of(world: World) -> float:
    """Width of a picture in units."""
    return HEIGHT * world.format.width / world.format.height


def _leap(subject: str, period: int, since: int) -> tuple[float, float, float]:
    """Units to the right of its place, row and angle of what leaps, `since` pictures after its period began."""
    rise, over, across = _LEAPS[subject]
    share = (2 * since / period - 1) / over
    return across * share, WATERLINE - rise * (1 - share**2), atan2(2 * rise * share, across)


@lru_cache(maxsize=64)
def surfacing(subject: str, period: int, radius: float) -> tuple[int, int]:
    """Pictures after the start of a period in which the nose comes out of the water and falls back into it."""
    over = []
    for since in range(period):
        _, y, angle = _leap(subject, period, since)
        over.append(y + nose(subject, radius) * sin(angle) < WATERLINE)
    out = over.index(True)
    return out, over.index(False, out)


def nose(subject: str, radius: float) -> float:
    """Units from the centre of what leaps to its nose."""
    return 0.94 * EXTENTS[subject][1] * radius


@dataclass(frozen=True)
class Mover:
    """One subject of several in a world.

    Attributes:
        world: of the clip.
        attributes: that it is shown by.
        subject: what it is.
        size: factor on its size; several are smaller.
        share: its usual place across the picture, as a share of the width.
        index: which of them it is, from 0.
        count: how many there are.
    """

    world: World
    attributes: Attributes
    subject: str
    size: float
    share: float
    index: int
    count: int

    def pose(self, picture: int) -> Pose:
        """Where it is in a picture."""
        radius = _RADIUS * self.world.size * self.size * _SIZES.get(self.subject, 1.0)
        own = _OWN_CHUNKS.get(self.subject, FLOAT_CHUNKS)[self.attributes.pace]
        phase = (picture / (own * PICTURES_PER_CHUNK) + self.world.cycle + 0.37 * self.index) % 1.0
        beat = beat_position(self.world, self.attributes.tempo, picture)
        x = self.share * span_of(self.world)
        centred = Pose(x, _AIR, radius, phase=phase, beat=beat)
        moves: dict[str, Callable[[Pose, int], Pose]] = {
            "bounces": self._bouncing,
            "rolls": self._rolling,
            "floats": self._floating,
            "drifts": self._drifting,
            "rises": self._rising,
            "circles": self._circling,
            "spins": self._spinning,
            "pulses": self._pulsing,
            "dances": self._dancing,
            "leaps": self._leaping,
        }
        return moves[self.attributes.motion](centred, picture)

    @property
    def _grounded(self) -> bool:
        return self.attributes.place not in GROUNDLESS

    def _above_ground(self, pose: Pose) -> Pose:
        """The pose with its height, if there is any ground below it."""
        down = EXTENTS[self.subject][3] if self.subject in ("kite", "jellyfish") else 1.0
        lowest = pose.y + down * pose.radius * pose.stretch
        return replace(pose, height=max(GROUND - lowest, 0.0)) if self._grounded else pose

    def _cycle(self, chunks: dict[str, int], picture: int) -> float:
        """Periods that have passed."""
        return picture / (chunks[self.attributes.pace] * PICTURES_PER_CHUNK) + self.world.cycle

    def _swing(self, picture: int) -> float:
        """Angle of a slow swing; several swing one after the other."""
        return 2 * pi * (self._cycle(FLOAT_CHUNKS, picture) + self.index / max(self.count, 1))

    def _bouncing(self, pose: Pose, picture: int) -> Pose:
        period = BOUNCE_CHUNKS[self.attributes.pace] * PICTURES_PER_CHUNK
        since = (picture - self.world.contact_phase) % period
        share = since / period
        height = _BOUNCE_HEIGHTS[self.attributes.pace] * 4 * share * (1 - share)
        stretch = _SQUASH.get(min(since, period - since), 1.0)
        angle = 2 * pi * ((picture - self.world.contact_phase) / (4 * period)) if self.subject == "ball" else 0.0
        y = GROUND - height - pose.radius * stretch
        return replace(pose, y=y, stretch=stretch, height=height, angle=angle)

    def _rolling(self, pose: Pose, picture: int) -> Pose:
        x = self._crossing(pose, picture)
        return replace(pose, x=x, y=GROUND - pose.radius, angle=x / pose.radius, height=0.0)

    def _floating(self, pose: Pose, picture: int) -> Pose:
        swing = self._swing(picture)
        if self.subject in _KEELS:
            return self._rocking(pose, swing)
        angle = 0.06 * sin(swing + 1.0) - (pi / 2 if self.subject == "spaceship" else 0.0)
        return self._above_ground(replace(pose, y=pose.y + 5.5 * sin(swing), angle=angle, turn=0.35 * sin(swing)))

    def _drifting(self, pose: Pose, picture: int) -> Pose:
        swing = self._swing(picture)
        pose = replace(pose, x=self._crossing(pose, picture))
        if self.subject in _KEELS:
            return self._rocking(pose, swing)
        if self.subject == "train":
            return replace(pose, y=GROUND - pose.radius, height=0.0)
        if self.subject == "comet":  # falls a little as it crosses
            slope = 0.16
            return replace(pose, y=40.0 + slope * (pose.x - span_of(self.world) / 2), angle=atan2(slope, 1.0))
        return self._above_ground(
            replace(pose, y=pose.y + 3.5 * sin(swing), angle=0.07 * sin(swing + 1.0), turn=0.3 * sin(swing))
        )

    def _rocking(self, pose: Pose, swing: float) -> Pose:
        """On the waves."""
        y = WATERLINE - _KEELS[self.subject] * pose.radius + 1.3 * sin(swing)
        return replace(pose, y=y, angle=0.06 * sin(swing - 1.2), wet=True)

    def _rising(self, pose: Pose, picture: int) -> Pose:
        _, _, up, down = self._reach(pose)
        whole = HEIGHT + up + down + 2 * _MARGIN
        risen = (self._cycle(RISE_CHUNKS, picture) - 0.27 * self.index) % 1.0
        swing = 4 * pi * risen
        y = HEIGHT + up + _MARGIN - whole * risen
        angle = 0.05 * sin(swing + 1.0) - (pi / 2 if self.subject == "spaceship" else 0.0)
        # Nearer to us than the ground that it rises past, so it casts no shadow there.
        return replace(pose, x=pose.x + 4.0 * sin(swing), y=y, angle=angle)

    def _circling(self, pose: Pose, picture: int) -> Pose:
        """On a wide ellipse, nearest below; what turns its nose flies a loop instead."""
        turns = 2 * pi * (self._cycle(CIRCLE_CHUNKS, picture) + self.index / max(self.count, 1))
        span = span_of(self.world)
        across, down = 0.25 * span, (22.0 if self.subject in _ALONG_THE_PATH else 13.0)
        x, y = span / 2 + across * cos(turns), _AIR + down * sin(turns)
        if self.subject in _ALONG_THE_PATH:
            dx, dy = -across * sin(turns), down * cos(turns)
            # The ellipse's own curvature would make a tail curl and uncurl: that of the circle as large as it instead.
            return replace(pose, x=x, y=y, angle=atan2(dy, dx), bend=1.0 / sqrt(across * down))
        depth = sin(turns)
        facing = max(-1.0, min(1.0, -2.0 * depth))
        if self.subject not in ("bird",):
            facing = 1.0
        elif abs(facing) < 0.36:
            facing = 0.36 if facing >= 0 else -0.36
        size = 0.9 * (1.0 + 0.1 * depth)
        near = replace(pose, x=x, y=y, radius=pose.radius * size, depth=depth, facing=facing, turn=turns)
        return self._above_ground(near)

    def _spinning(self, pose: Pose, picture: int) -> Pose:
        turn = 2 * pi * (self._cycle(SPIN_CHUNKS, picture) + self.index / max(self.count, 1))
        if self.subject == "dancer":
            y = GROUND - pose.radius if self._grounded else pose.y
            return self._above_ground(replace(pose, y=y, turn=turn))
        if self.subject == "star":
            return self._above_ground(replace(pose, angle=turn))
        return self._above_ground(replace(pose, turn=turn))

    def _pulsing(self, pose: Pose, picture: int) -> Pose:
        swell = (0.5 + 0.5 * cos(2 * pi * pose.beat)) ** 2
        return self._above_ground(replace(pose, radius=pose.radius * (0.94 + _PULSE * swell)))

    def _dancing(self, pose: Pose, picture: int) -> Pose:
        """Steps from side to side over four beats; robots and creatures hop from beat to beat."""
        late = picture - self.world.beat_phase * PICTURES_PER_CHUNK
        length = beat_length(self.world, self.attributes.tempo)
        since = late % length
        share = since / length
        step = sin(2 * pi * pose.beat / 4)
        x, lean = pose.x + 3.0 * step, 0.05 * sin(2 * pi * pose.beat / 2)
        height, stretch = 0.0, 1.0
        if self.subject in HOPPING:
            height = _HOP_HEIGHTS[self.attributes.tempo] * 4 * share * (1 - share)
            stretch = {0: 0.9, 1: 1.02}.get(min(since, length - since), 1.0)
            lean = 0.09 * sin(pi * pose.beat)
        y = GROUND - height - pose.radius * stretch if self._grounded else pose.y - height
        return replace(pose, x=x, y=y, angle=lean, stretch=stretch, height=height if self._grounded else -1.0)

    def _leaping(self, pose: Pose, picture: int) -> Pose:
        """Out of the water and back on a parabola, its nose along the path; deep below for the rest of the time."""
        period = LEAP_CHUNKS[self.attributes.pace] * PICTURES_PER_CHUNK
        size = self.size if self.count > 1 else 1.0
        x, y, angle = _leap(self.subject, period, (picture - self.world.contact_phase) % period)
        return replace(pose, x=pose.x + size * x, y=y, angle=angle, wet=True)

    def _reach(self, pose: Pose) -> tuple[float, float, float, float]:
        """Units to the left, right, up and down of the centre."""
        left, right, up, down = (pose.radius * reach for reach in EXTENTS[self.subject])
        if self.subject == "spaceship" and self.attributes.motion == "rises":
            return up, down, right, left
        return left, right, up, down

    def _crossing(self, pose: Pose, picture: int) -> float:
        """Horizontal place on the way from left to right."""
        left, right, _, _ = self._reach(pose)
        group = _FOLLOWING["two" if self.count == 2 else "three" if self.count == 3 else "one"]
        whole = span_of(self.world) + left + right + 2 * _MARGIN
        chunks = TRAIN_CHUNKS if self.subject == "train" else CROSSING_CHUNKS
        return (self._cycle(chunks, picture) * whole - self.index * group) % whole - right - _MARGIN
