"""How a solid catches the light: coordinates around a subject, soft edges and three-tone shading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, sin, sqrt

import numpy as np

from streamgen_export.pocket.scenes.canvas import Plane, f32, mix, smooth
from streamgen_export.pocket.scenes.motion import Pose
from streamgen_export.pocket.scenes.palette import Shades


@dataclass(frozen=True, eq=False)
class Frame:
    """The surroundings of a subject in its own units: its half height is 1, v grows downwards.

    Attributes:
        u: across, float32 [h, w].
        v: down, float32 [h, w].
        scale: pixels per unit.
        angle: turn of the subject, in radians.
        phase: of its own slow cycle, 0 to 1.
        light: direction towards the light (right, down, to the viewer), of length 1, turned like u and v.
        ambient: brightness of what faces away from the light.
    """

    u: Plane
    v: Plane
    scale: float
    angle: float
    phase: float
    light: tuple[float, float, float]
    ambient: float

    def turned(self, angle: float, centre: float = 0.0) -> Frame:
        """The same frame as seen by something turned clockwise about (0, `centre`), which becomes its origin."""
        c, s = cos(angle), sin(angle)
        u, v = self.u, self.v - centre
        lx, ly, lz = self.light
        light = (c * lx + s * ly, c * ly - s * lx, lz)
        return Frame(c * u + s * v, c * v - s * u, self.scale, self.angle, self.phase, light, self.ambient)

    def cover(self, distance: Plane) -> Plane:
        """Coverage of a shape from its signed distance in units, negative inside: a soft edge of 1.3 pixels."""
        return smooth(0.65, -0.65, distance * self.scale)


@dataclass(frozen=True, eq=False)
class Paint:
    """A painted shape.

    Attributes:
        colour: float32 [h, w, 3].
        cover: float32 [h, w], 0 to 1.
    """

    colour: Plane
    cover: Plane

    def under(self, other: Paint) -> Paint:
        """Both, the other one in front."""
        total = other.cover + self.cover * (1.0 - other.cover)
        share = other.cover / np.maximum(total, 1e-4)
        return Paint(mix(self.colour, other.colour, share[..., None]), total)


def light_from(towards: tuple[float, float]) -> tuple[float, float, float]:
    """A unit direction towards a light that also stands a little in front of the picture."""
    x, y = towards
    depth = 0.75
    length = sqrt(x * x + y * y + depth * depth)
    return x / length, y / length, depth / length


def tone(frame: Frame, normal: tuple[Plane, Plane, Plane]) -> Plane:
    """Brightness of a surface from its normal (right, down, to the viewer): float32 [h, w], 0 to 1."""
    lx, ly, lz = frame.light
    facing = np.clip(lx * normal[0] + ly * normal[1] + lz * normal[2], 0.0, 1.0)
    bright: Plane = frame.ambient + (1.0 - frame.ambient) * facing
    return bright


def toned(shades: Shades, brightness: Plane) -> Plane:
    """A colour at a brightness: dark at 0.3, itself around 0.75, light at 1.05; float32 [h, w, 3]."""
    low = mix(shades.dark, shades.base, smooth(0.3, 0.78, brightness)[..., None])
    return mix(low, shades.light, (0.55 * smooth(0.82, 1.08, brightness))[..., None])


def shine(frame: Frame, at: tuple[float, float], size: float, strength: float) -> Plane:
    """A soft highlight in units: float32 [h, w, 1]."""
    square = ((frame.u - at[0]) ** 2 + (frame.v - at[1]) ** 2) * (1.0 / (size * size))
    return (strength * np.exp(-square * square))[..., None]


def inflated(distance: Plane, thickness: float) -> tuple[Plane, Plane, Plane]:
    """Normals of a cushion from its signed distance in units, flat further inside than `thickness`."""
    if min(distance.shape) < 2:  # a sliver at the picture's edge has no slope to take
        level = np.zeros_like(distance)
        return level, level, np.ones_like(distance)
    dv, du = np.gradient(distance)
    length = np.sqrt(du * du + dv * dv) + 1e-6
    height = np.clip(-distance * (1.0 / thickness), 0.0, 1.0)
    rim = np.sqrt(np.maximum(1.0 - height * (2.0 - height) * 0.96, 0.0))
    return f32(rim * du / length), f32(rim * dv / length), f32(np.sqrt(np.maximum(1.0 - rim * rim, 0.0)))


def polygon(frame: Frame, points: Sequence[tuple[float, float]]) -> Plane:
    """Signed distance in units to a convex polygon whose corners go clockwise on the screen."""
    distance: Plane | None = None
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        length = hypot(bx - ax, by - ay) or 1.0
        nx, ny = (by - ay) / length, (ax - bx) / length
        side = nx * (frame.u - ax) + ny * (frame.v - ay)
        distance = side if distance is None else np.maximum(distance, side)
    assert distance is not None
    return distance


def ellipse(frame: Frame, centre: tuple[float, float], half: tuple[float, float]) -> Plane:
    """Approximate signed distance in units to an upright ellipse."""
    x, y = (frame.u - centre[0]) * (1.0 / half[0]), (frame.v - centre[1]) * (1.0 / half[1])
    distance: Plane = (np.sqrt(x * x + y * y) - 1.0) * min(half)
    return distance


def framed(x: Plane, y: Plane, pose: Pose, towards: tuple[float, float], ambient: float) -> Frame:
    """The frame of a pose on the pixels of a patch: x float32 [1, w], y float32 [h, 1]."""
    shape = (y.shape[0], x.shape[1])
    u = np.broadcast_to((x - pose.x) * (pose.stretch / pose.radius), shape)
    v = np.broadcast_to((y - pose.y) * (1.0 / (pose.radius * pose.stretch)), shape)
    return Frame(u, v, pose.radius, pose.angle, pose.phase, light_from(towards), ambient)
