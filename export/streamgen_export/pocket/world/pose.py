"""Where one subject is in one picture, and how much room it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EXTENTS: Final[dict[str, tuple[float, float, float, float]]] = {
    "ball": (1.0, 1.0, 1.0, 1.0),
    "cube": (1.12, 1.12, 1.12, 1.12),
    "star": (1.2, 1.2, 1.2, 1.2),
    "heart": (1.1, 1.1, 1.05, 1.05),
    "ring": (1.0, 1.0, 1.0, 1.0),
    "pyramid": (1.2, 1.2, 1.1, 1.1),
    "balloon": (0.85, 0.85, 1.05, 1.05),
    "lantern": (0.75, 0.75, 1.1, 1.15),
    "kite": (1.9, 1.1, 1.15, 1.9),
    "bird": (1.7, 1.5, 1.35, 1.25),
    "butterfly": (1.35, 1.35, 1.15, 1.2),
    "boat": (1.1, 1.1, 1.1, 1.1),
    "paper_boat": (1.45, 1.45, 0.9, 1.05),
    "fish": (1.45, 1.35, 1.0, 0.95),
    "whale": (2.25, 2.0, 1.15, 1.05),
    "jellyfish": (1.0, 1.0, 1.0, 1.55),
    "spaceship": (1.75, 1.25, 0.8, 0.8),
    "comet": (5.2, 1.2, 1.2, 1.2),
    "train": (3.85, 3.75, 1.75, 1.05),
    "dancer": (1.05, 1.05, 1.08, 1.05),
    "robot": (1.0, 1.0, 1.1, 1.05),
    "creature": (1.1, 1.1, 1.1, 1.05),
}
"""How far a subject reaches to the left, right, up and down of its centre, unturned, in its radii."""


@dataclass(frozen=True)
class Pose:
    """Where one subject is in one picture. Lengths in units (a picture is 96 high), y grows downwards.

    Attributes:
        x: centre.
        y: centre.
        radius: half its height, before `stretch`.
        stretch: vertical scale; the horizontal one is its inverse, so that squashing keeps the area.
        angle: turn in the plane of the picture, in radians, clockwise.
        turn: turn about its own upright axis, in radians.
        facing: horizontal scale, 1 facing right, -1 left, between while it turns round; never 0.
        phase: where in its own slow cycle (wings, fins, waves) it is, 0 to 1.
        beat: beats of the music since the first bar began; whole on a beat. For what dances.
        bend: curvature of its path, radians per unit; positive to the right of its nose (clockwise).
        height: of its lowest point above the ground; negative where it is not above any ground.
        depth: 1 nearest, -1 furthest; the further one is drawn first.
        wet: whether what is below `WATERLINE` is hidden in water.
    """

    x: float
    y: float
    radius: float
    stretch: float = 1.0
    angle: float = 0.0
    turn: float = 0.0
    facing: float = 1.0
    phase: float = 0.0
    beat: float = 0.0
    bend: float = 0.0
    height: float = -1.0
    depth: float = 0.0
    wet: bool = False
