"""The geometric subjects: ball, cube, star, heart, ring and pyramid."""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.outlines import Point, curve, ellipse
from streamgen_export.pocket.world.palette import pale
from streamgen_export.pocket.world.screen import Plane, smooth
from streamgen_export.pocket.world.shading import Patch

_ELEVATION: Final = 0.4  # from which cube and pyramid are seen, in radians
_CUBE_HALF: Final = 0.7


def ball(patch: Patch, colour: str) -> None:
    """A beach ball; its pale panels show that it rolls."""
    u, v = patch.u, patch.v
    square = u * u + v * v
    nz = np.sqrt(np.maximum(1.0 - square, 0.0))
    lx, ly, lz = patch.own_light
    facing = np.maximum(lx * u + ly * v + lz * nz, 0.0)
    # Light from the ground brightens the lower edge again.
    bright = 0.06 + 0.96 * facing + 0.1 * np.maximum(v, 0.0) * (1.0 - nz)
    disc = patch.mask(ellipse((0, 0), (1.0, 1.0), corners=48))
    patch.paint(disc, colour, bright)
    across, down = u + 0.36 * nz, v + 0.27 * nz
    pole = across * across + down * down
    # sin(3 t) from the sine and cosine of t, times the cube of the distance from the pole.
    panels = down * (3.0 * across * across - down * down)
    panels /= pole * np.sqrt(pole) + 1e-4
    patch.paint(disc.cut(smooth(-0.08, 0.08, panels) * 0.94), pale(colour), bright)
    seams = smooth(0.12, 0.03, np.abs(panels))
    patch.paint(disc.cut(0.3 * seams), colour, 0.2)
    patch.fill(ellipse((-0.35, -0.26), (0.16, 0.16)), colour, 0.95, within=disc)
    patch.glint((0.56 * lx, 0.56 * ly), 0.2, 0.85, disc)
    patch.glint((0.44 * lx, 0.44 * ly), 0.46, 0.16, disc)


def cube(patch: Patch, colour: str) -> None:
    """A wooden block seen from slightly above, an inset panel in each of its faces."""
    yaw = 0.62 + patch.pose.turn
    corners = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
    faces = [([_seen(yaw, x, -1.0, z) for x, z in corners], (0.0, -cos(_ELEVATION), sin(_ELEVATION)))]
    for (ax, az), (bx, bz) in zip(corners, [*corners[1:], corners[0]], strict=True):
        nx, nz = (ax + bx) / 2, (az + bz) / 2
        across, away = nx * cos(yaw) + nz * sin(yaw), nz * cos(yaw) - nx * sin(yaw)
        if away > 0.02:
            quad = [_seen(yaw, bx, -1, bz), _seen(yaw, ax, -1, az), _seen(yaw, ax, 1, az), _seen(yaw, bx, 1, bz)]
            faces.append((quad, (across, away * sin(_ELEVATION), away * cos(_ELEVATION))))
    for points, _ in faces:  # the same tone below all seams between faces
        patch.dab(points, colour, 0.7)
    lx, ly, lz = patch.own_light
    for points, normal in faces:
        facing = max(0.0, lx * normal[0] + ly * normal[1] + lz * normal[2])
        bright = 0.14 + 0.86 * facing
        side = patch.fill(points, colour, bright + 0.1, fall=0.16)
        patch.fill(_inset(points, 0.86), colour, bright - 0.24, within=side)
        inner = patch.fill(_inset(points, 0.8), colour, bright + 0.02, fall=0.24, within=side)
        patch.fill(_inset(points, 0.42), colour, bright + 0.3, fall=0.1, within=inner)
        patch.fill(_inset(points, 0.34), colour, bright + 0.06, fall=0.16, within=inner)
    middle = np.mean(faces[0][0], axis=0)
    patch.glint((float(middle[0]) - 0.3, float(middle[1])), 0.3, 0.22)


def _seen(yaw: float, x: float, y: float, z: float) -> Point:
    """Where a corner of a cube is seen."""
    across, away = x * cos(yaw) + z * sin(yaw), z * cos(yaw) - x * sin(yaw)
    return _CUBE_HALF * across, _CUBE_HALF * (y * cos(_ELEVATION) + away * sin(_ELEVATION))


def _inset(points: list[Point], share: float) -> Plane:
    corners = np.asarray(points)
    middle = corners.mean(axis=0)
    shrunk: Plane = middle + share * (corners - middle)
    return shrunk


def star(patch: Patch, colour: str) -> None:
    """A five-pointed star with bevelled arms."""
    tips, notches = _star(1.16), _star(0.58, pi / 5)
    outline = np.stack([tips, notches], axis=1).reshape(10, 2)
    whole = patch.fill(outline, colour, 0.7)
    c, s = cos(patch.pose.angle), sin(patch.pose.angle)
    lx, ly, lz = patch.light
    for i in range(10):
        a, b = outline[i], outline[(i + 1) % 10]
        edge = b - a
        nx, ny = edge[1], -edge[0]
        length = float(np.hypot(nx, ny))
        nx, ny = 0.62 * nx / length, 0.62 * ny / length
        facing = max(0.0, lx * (c * nx - s * ny) + ly * (s * nx + c * ny) + lz * 0.78)
        patch.fill([(0.0, 0.0), tuple(a), tuple(b)], colour, 0.16 + 0.92 * facing, within=whole)
    patch.paint(whole, colour, 1.08, alpha=0.16)
    inner = patch.mask(outline * 0.8, whole)
    rim = whole.without(inner)
    patch.paint(rim, colour, 1.12, alpha=0.42)
    patch.glint((0.0, 0.0), 0.34, 0.3, whole)
    patch.glint((-0.3, -0.28), 0.14, 0.5, whole)


@lru_cache(maxsize=8)
def _star(radius: float, late: float = 0.0) -> Plane:
    around = np.arange(5) * (2 * pi / 5) + late
    return np.stack([radius * np.sin(around), 0.08 - radius * np.cos(around)], axis=1)


_HALF_HEART: Final = curve(
    [(0.0, -0.58), (0.28, -0.92), (0.68, -0.93), (0.98, -0.6), (1.0, -0.2), (0.78, 0.22), (0.42, 0.6), (0.0, 1.0)],
    False,
)
_HEART: Final = np.concatenate([_HALF_HEART, _HALF_HEART[::-1] * (-1.0, 1.0)])


def heart(patch: Patch, colour: str) -> None:
    """A plump, glossy heart."""
    body = patch.fill(_HEART, colour, 0.66, fall=0.22, plump=0.5, relief=0.62)
    rim = patch.mask(_HEART * 0.9 + (0.0, -0.01), body)
    patch.paint(body.without(rim), colour, 0.28, alpha=0.3)
    x = -1 if patch.own_light[0] < 0 else 1
    gloss = curve([(x * 0.78, -0.36), (x * 0.7, -0.66), (x * 0.42, -0.78), (x * 0.58, -0.6), (x * 0.66, -0.38)])
    patch.fill(gloss, "eye", 1.2, within=body, alpha=0.72)
    patch.glint((x * 0.42, -0.42), 0.5, 0.24, body)
    patch.glint((-x * 0.5, -0.55), 0.24, 0.3, body)


def ring(patch: Patch, colour: str) -> None:
    """A thick hoop with pale segments that show its turning."""
    u, v = patch.u, patch.v
    radius = np.sqrt(u * u + v * v)
    across = np.clip((radius - 0.71) * (1.0 / 0.29), -1.0, 1.0)
    outer, inner = patch.mask(ellipse((0, 0), (1, 1), corners=48)), patch.mask(ellipse((0, 0), (0.42, 0.42)))
    hoop = outer.without(inner)
    outward = across / np.maximum(radius, 0.05)
    nz = np.sqrt(np.maximum(1.0 - across * across, 0.0))
    lx, ly, lz = patch.own_light
    facing = np.maximum(outward * (lx * u + ly * v) + lz * nz, 0.0)
    patch.paint(hoop, colour, 0.08 + 0.94 * facing)
    square = u * u
    # sin(4 t) from the sine and cosine of t.
    wave = 4.0 * u * v * (square - v * v) / np.maximum(radius**4, 1e-3)
    patch.paint(hoop.cut(smooth(0.42, 0.6, wave)), pale(colour), 0.06 + 0.94 * facing)
    patch.paint(hoop.cut(0.4 * smooth(0.3, 0.42, wave) * smooth(0.6, 0.45, wave)), colour, 0.25 * facing)
    patch.paint(hoop.cut(0.75 * smooth(0.9, 1.0, facing)), "eye", 1.2)


def pyramid(patch: Patch, colour: str) -> None:
    """A square pyramid of stone courses with a bright tip, seen from slightly above."""
    yaw = 0.5 + patch.pose.turn
    base = [_seen_base(yaw, x, z) for x, z in ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))]
    tip = (0.0, -1.02)
    lx, ly, lz = patch.own_light
    sides = []
    for a, b in zip(base, [*base[1:], base[0]], strict=True):
        # A side is seen if its corners go clockwise.
        if (a[0] - tip[0]) * (b[1] - tip[1]) - (a[1] - tip[1]) * (b[0] - tip[0]) > 0.01:
            nx, nz = (a[0] + b[0]) * 0.62, (a[1] + b[1]) * 0.5 - 0.66
            facing = max(0.0, 0.8 * lx * nx - 0.35 * ly + 1.6 * lz * nz)
            sides.append((a, b, facing))
    for a, b, _ in sides:
        patch.dab([tip, b, a], colour, 0.7)
    courses = 6
    for a, b, facing in sides:
        side = patch.fill([tip, b, a], colour, 0.02 + 0.72 * facing)
        for k in range(courses):
            top, low = k / courses, (k + 0.86) / courses
            quad = [_between(tip, a, top), _between(tip, b, top), _between(tip, b, low), _between(tip, a, low)]
            patch.fill(quad, colour, 0.3 + 0.8 * facing - 0.03 * k + 0.03 * (k % 2), within=side)
        patch.fill([tip, _between(tip, b, 0.2), _between(tip, a, 0.2)], "brass", 0.4 + 0.8 * facing, within=side)
    patch.glint((tip[0], tip[1] + 0.16), 0.16, 0.6)


def _seen_base(yaw: float, x: float, z: float) -> Point:
    across, away = x * cos(yaw) + z * sin(yaw), z * cos(yaw) - x * sin(yaw)
    return 0.82 * across, 0.66 + 0.82 * 0.36 * away


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
