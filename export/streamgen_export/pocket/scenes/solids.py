"""The geometric subjects: ball, cube, star, triangle, heart and ring."""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import Plane, f32, mix, smooth
from streamgen_export.pocket.scenes.palette import Shades
from streamgen_export.pocket.scenes.shading import Frame, Paint, inflated, polygon, shine, tone, toned

_CUBE_HALF: Final = 0.68
_CUBE_YAW: Final = 0.62
_CUBE_ELEVATION: Final = 0.38


def ball(frame: Frame, shades: Shades) -> Paint:
    """A beach ball; its panels show that it rolls."""
    u, v = frame.u, frame.v
    square = u * u + v * v
    distance = np.sqrt(square) - 1.0
    nz = np.sqrt(np.maximum(1.0 - square, 0.0))
    bright = tone(frame, (u, v, nz))
    turned = frame.turned(frame.angle)
    panels = np.sin(3.0 * np.arctan2(turned.v + 0.25 * nz, turned.u + 0.35 * nz))
    colour = toned(shades, bright)
    pale = mix(colour, shades.light, 0.5) * (0.35 + 0.65 * bright)[..., None]
    colour = mix(colour, pale, (0.75 * smooth(-0.12, 0.12, panels))[..., None])
    lx, ly, _ = frame.light
    colour = mix(colour, f32([1, 1, 1]), shine(frame, (0.52 * lx, 0.52 * ly), 0.24, 0.75))
    return Paint(colour, frame.cover(distance))


def cube(frame: Frame, shades: Shades) -> Paint:
    """A cube seen from slightly above, turned about its vertical axis."""
    yaw = _CUBE_YAW + frame.angle
    c, s, down, up = cos(yaw), sin(yaw), sin(_CUBE_ELEVATION), cos(_CUBE_ELEVATION)

    def seen(x: float, y: float, z: float) -> tuple[float, float]:
        across, away = x * c + z * s, z * c - x * s
        return _CUBE_HALF * across, _CUBE_HALF * (y * up + away * down)

    corners = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
    faces = [([seen(x, -1.0, z) for x, z in corners], (0.0, -up, down))]
    for (ax, az), (bx, bz) in zip(corners, [*corners[1:], corners[0]], strict=True):
        nx, nz = (ax + bx) / 2, (az + bz) / 2
        across, away = nx * c + nz * s, nz * c - nx * s
        if away > 0.02:
            quad = [seen(bx, -1.0, bz), seen(ax, -1.0, az), seen(ax, 1.0, az), seen(bx, 1.0, bz)]
            faces.append((quad, (across, away * down, away * up)))
    total = np.zeros_like(frame.u)
    colour = np.zeros((*frame.u.shape, 3), np.float32)
    for points, normal in faces:
        cover = frame.cover(polygon(frame, points) - 0.02)
        lx, ly, lz = frame.light
        facing = max(0.0, lx * normal[0] + ly * normal[1] + lz * normal[2])
        bright = 0.26 + 0.5 * frame.ambient * (0.3 + 0.7 * abs(normal[2])) + 0.62 * facing
        # A little darker towards the ground, and a light line along the edges.
        face = toned(shades, f32(bright + 0.06 - 0.1 * frame.v))
        edge = smooth(-0.16, 0.0, polygon(frame, points))
        face = mix(face, shades.light, (0.22 * edge)[..., None])
        colour += cover[..., None] * face
        total += cover
    colour /= np.maximum(total, 1e-4)[..., None]
    return Paint(colour, np.minimum(total, 1.0))


def star(frame: Frame, shades: Shades) -> Paint:
    """A five-pointed star with bevelled arms."""
    local = frame.turned(frame.angle, 0.1)
    return _bevelled(local, shades, corners=5, outer=1.18, inner=0.62, slant=0.62)


def triangle(frame: Frame, shades: Shades) -> Paint:
    """An equilateral triangle with three facets, like a pyramid from above."""
    local = frame.turned(frame.angle, 0.34)
    return _bevelled(local, shades, corners=3, outer=1.28, inner=0.64, slant=0.5)


def _bevelled(frame: Frame, shades: Shades, *, corners: int, outer: float, inner: float, slant: float) -> Paint:
    sector = 2 * pi / corners
    radius = np.sqrt(frame.u * frame.u + frame.v * frame.v)
    angle = np.arctan2(frame.u, -frame.v)
    turn = np.round(angle / sector) * sector
    local = angle - turn
    x, y = radius * np.abs(np.sin(local)), radius * np.cos(local)
    ix, iy = inner * sin(sector / 2), inner * cos(sector / 2)
    length = sqrt(ix * ix + (outer - iy) ** 2)
    nx, ny = (outer - iy) / length, ix / length
    distance = nx * x + ny * (y - outer)
    # Both facets of an arm meet in a soft ridge.
    side = np.clip(local * radius * (frame.scale * 0.8), -1.0, 1.0)
    facet = turn + side * atan2(nx, ny)
    flat = sqrt(1 - slant * slant)
    normal = (slant * np.sin(facet), -slant * np.cos(facet), np.full_like(radius, flat))
    bright = tone(frame, normal) + 0.1
    edge = smooth(-0.13, -0.02, distance)
    colour = mix(toned(shades, f32(bright)), shades.light, (0.3 * edge)[..., None])
    return Paint(colour, frame.cover(f32(distance)))


def heart(frame: Frame, shades: Shades) -> Paint:
    """A plump heart. Distance after Inigo Quilez, "2D distance functions", heart."""
    local = frame.turned(frame.angle)
    size = 0.57
    x, y = np.abs(local.u) * size, 0.56 - local.v * size
    lobes = np.sqrt((x - 0.25) ** 2 + (y - 0.75) ** 2) - sqrt(2) / 4
    half = 0.5 * np.maximum(x + y, 0.0)
    lower = np.sqrt(np.minimum(x * x + (y - 1.0) ** 2, (x - half) ** 2 + (y - half) ** 2)) * np.sign(x - y)
    distance = f32(np.where(x + y > 1.0, lobes, lower) / size)
    colour = toned(shades, tone(local, inflated(distance, 0.75)) + 0.06)
    for side in (-0.45, 0.45):
        colour = mix(colour, f32([1, 1, 1]), shine(local, (side - 0.1, -0.52), 0.17, 0.55 if side < 0 else 0.25))
    return Paint(colour, local.cover(distance))


def ring(frame: Frame, shades: Shades) -> Paint:
    """A thick hoop with pale segments that show its turning."""
    u, v = frame.u, frame.v
    radius = np.sqrt(u * u + v * v)
    across = (radius - 0.72) * (1.0 / 0.28)
    distance = (np.abs(across) - 1.0) * 0.28
    outward = np.clip(across, -1.0, 1.0) / np.maximum(radius, 0.05)
    nz = np.sqrt(np.maximum(1.0 - across * across, 0.0))
    bright = tone(frame, (u * outward, v * outward, nz)) + 0.04
    turned = frame.turned(frame.angle)
    segments = smooth(0.55, 0.75, np.sin(3.0 * np.arctan2(turned.v, turned.u)))
    colour = toned(shades, bright)
    colour = mix(colour, mix(colour, shades.light, 0.65), (0.8 * segments)[..., None])
    gleam: Plane = (0.5 * smooth(0.9, 1.0, bright))[..., None]
    return Paint(mix(colour, f32([1, 1, 1]), gleam), frame.cover(distance))
