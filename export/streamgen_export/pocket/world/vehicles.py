"""Subjects that carry people: boat, paper boat, spaceship and train."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.outlines import Point, curve, ellipse, ribbon
from streamgen_export.pocket.world.palette import flame, pale
from streamgen_export.pocket.world.shading import Patch


def boat(patch: Patch, colour: str) -> None:
    """A sailing boat; its waterline is at 0.8."""
    swell = 0.03 * sin(2 * pi * patch.pose.phase)
    mast = 0.06
    patch.dab(ribbon([(mast, 0.6), (mast, -1.02)], [0.07, 0.04]), "wood", 0.8)
    flag = [
        (mast, -1.04),
        (mast - 0.16, -1.0 + swell),
        (mast - 0.3, -0.95 - swell),
        (mast - 0.14, -0.92),
        (mast, -0.93),
    ]
    patch.dab(flag, colour, 0.9)
    main = curve(
        [
            (0.12, -0.96),
            (0.13, -0.94),
            (0.52 + swell, -0.42),
            (0.82, 0.26),
            (0.8, 0.31),
            (0.45, 0.36),
            (0.13, 0.33),
            (0.11, -0.3),
        ]
    )
    sail = patch.fill(main, colour, 0.92, fall=0.12, plump=0.34, relief=0.4)
    for k in range(1, 5):
        y = -0.96 + 0.27 * k
        patch.fill(
            ribbon(curve([(0.1, y), (0.4, y + 0.02), (0.9, y - 0.06)], False), 0.022),
            colour,
            0.4,
            within=sail,
            alpha=0.6,
        )
    patch.fill([(0.1, -0.2), (0.9, -0.26), (0.95, -0.06), (0.1, 0.0)], pale(colour), 0.95, within=sail, alpha=0.9)
    patch.glint((0.3, -0.35), 0.3, 0.25, sail)
    jib = curve(
        [
            (-0.02, -0.86),
            (-0.03, -0.84),
            (-0.06, -0.2),
            (-0.02, 0.34),
            (-0.1, 0.37),
            (-0.5, 0.32),
            (-0.82, 0.34),
            (-0.8, 0.3),
            (-0.42 - swell, -0.18),
        ]
    )
    fore = patch.fill(jib, colour, 1.0, fall=0.15, plump=0.3, relief=0.4)
    for k in range(1, 4):
        y = -0.75 + 0.32 * k
        patch.fill(ribbon([(-0.9, y + 0.14), (0.0, y)], 0.02), colour, 0.4, within=fore, alpha=0.5)
    patch.fill([(-0.9, 0.0), (0.0, -0.12), (0.0, 0.06), (-0.9, 0.18)], pale(colour), 0.95, within=fore, alpha=0.9)
    patch.dab(ribbon([(0.1, 0.36), (0.86, 0.33)], 0.04), "wood", 0.9)
    hull = curve(
        [
            (-1.04, 0.43),
            (-0.98, 0.42),
            (0.0, 0.5),
            (0.92, 0.4),
            (0.99, 0.41),
            (0.9, 0.72),
            (0.72, 0.96),
            (0.0, 1.02),
            (-0.6, 0.98),
            (-0.88, 0.7),
        ]
    )
    patch.fill([(-0.34, 0.5), (-0.3, 0.32), (0.24, 0.32), (0.3, 0.5)], "paper", 0.8, fall=0.2)
    for x in (-0.2, 0.0, 0.18):
        patch.dab(ellipse((x, 0.41), (0.05, 0.05)), "glass", 0.7)
    body = patch.fill(hull, colour, 0.72, fall=0.5, plump=0.18, relief=0.3)
    patch.fill(ribbon(curve([(-1.1, 0.46), (0.0, 0.55), (1.05, 0.43)], False), 0.07), "paper", 0.95, within=body)
    patch.fill(
        ribbon(curve([(-1.1, 0.64), (0.0, 0.72), (1.05, 0.6)], False), 0.03), colour, 0.25, within=body, alpha=0.7
    )
    patch.fill(ribbon(curve([(-1.1, 0.84), (0.0, 0.9), (1.05, 0.82)], False), 0.1), colour, 0.1, within=body)


def paper_boat(patch: Patch, colour: str) -> None:
    """A boat folded from one sheet of paper; its waterline is at 0.82."""
    bow, stern, keel_l, keel_r = (1.38, -0.28), (-1.38, -0.28), (-0.78, 0.98), (0.78, 0.98)
    peak = (0.0, -0.82)
    patch.dab([stern, (0.0, 0.22), (-0.62, 0.5)], colour, 0.36)  # the inside of the far wall
    patch.dab([bow, (0.0, 0.22), (0.62, 0.5)], colour, 0.3)
    patch.dab([peak, (0.56, 0.3), (0.0, 0.5), (-0.56, 0.3)], colour, 0.9)
    left = patch.fill([peak, (0.02, 0.5), (-0.6, 0.34)], colour, 1.0, fall=0.3)
    right = patch.fill([peak, (0.6, 0.34), (0.0, 0.5)], colour, 0.6, fall=0.25)
    patch.fill(ribbon([peak, (0.0, 0.5)], 0.03), colour, 1.2, alpha=0.8)
    front: tuple[Point, ...] = (stern, (-0.5, 0.16), (0.0, 0.34), (0.5, 0.16), bow, keel_r, keel_l)
    hull = patch.fill(front, colour, 0.86, fall=0.2)
    patch.fill([stern, (-0.5, 0.16), (0.0, 0.34), (-0.3, 0.98), keel_l], colour, 0.98, fall=0.34, within=hull)
    patch.fill([bow, (0.5, 0.16), (0.0, 0.34), (0.34, 0.98), keel_r], colour, 0.62, fall=0.3, within=hull)
    patch.fill([(0.0, 0.34), (0.34, 0.98), (-0.3, 0.98)], colour, 0.8, fall=0.3, within=hull)
    edge = [stern, (-0.5, 0.16), (0.0, 0.34), (0.5, 0.16), bow]
    patch.fill(ribbon(edge, 0.05), "eye", 1.0, within=hull, alpha=0.75)
    patch.fill(ribbon([(0.0, 0.34), (-0.3, 0.98)], 0.025), colour, 1.2, within=hull, alpha=0.7)
    patch.fill(ribbon([(0.0, 0.34), (0.34, 0.98)], 0.025), colour, 0.2, within=hull, alpha=0.5)
    # Lines of writing show through.
    for mask, slant in ((left, -0.1), (right, 0.12)):
        for k in range(3):
            y = -0.28 + 0.17 * k
            patch.fill(ribbon([(-0.5, y - slant), (0.5, y + slant)], 0.02), colour, 0.3, within=mask, alpha=0.25)


def spaceship(patch: Patch, colour: str) -> None:
    """A rocket with its nose to the right, portholes, fins and a flame."""
    beat = 0.5 + 0.5 * sin(8 * pi * patch.pose.phase)
    for wide, length, ink, bright in (
        (0.25, 1.0, colour, 0.62),
        (0.19, 0.78, "orange", 0.9),
        (0.1, 0.5, "yellow", 1.25),
    ):
        end = -0.72 - length * (0.84 + 0.16 * beat)
        patch.fill(
            curve([(-0.7, -wide), (-0.9, -1.02 * wide), (end, 0.0), (-0.9, 1.02 * wide), (-0.7, wide)]),
            flame(ink),
            bright,
            alpha=0.9,
        )
    patch.fill([(-0.84, -0.2), (-0.68, -0.24), (-0.68, 0.24), (-0.84, 0.2)], "iron", 0.7, fall=0.5)
    for side in (-1, 1):
        fin = curve(
            [
                (-0.12, 0.3 * side),
                (-0.36, 0.58 * side),
                (-0.86, 0.74 * side),
                (-0.94, 0.66 * side),
                (-0.74, 0.4 * side),
                (-0.66, 0.16 * side),
            ]
        )
        patch.fill(fin, colour, 0.56 if side > 0 else 0.8, plump=0.12)
    body = curve(
        [
            (1.18, 0.0),
            (1.04, -0.15),
            (0.72, -0.31),
            (0.2, -0.41),
            (-0.35, -0.38),
            (-0.74, -0.25),
            (-0.74, 0.25),
            (-0.35, 0.38),
            (0.2, 0.41),
            (0.72, 0.31),
            (1.04, 0.15),
        ]
    )
    hull = patch.fill(body, colour, 0.76, plump=0.3, relief=0.62)
    nose = patch.mask(curve([(1.3, -0.5), (0.68, -0.5), (0.6, 0.0), (0.68, 0.5), (1.3, 0.5)]), hull)
    patch.paint(nose, pale(colour), 0.86, plump=0.24, relief=0.6)
    rear = patch.mask([(-0.3, -0.6), (-0.3, 0.6), (-0.9, 0.6), (-0.9, -0.6)], hull)
    patch.paint(rear, pale(colour), 0.8, plump=0.24, relief=0.6)
    band = patch.mask(curve([(0.56, -0.5), (0.5, 0.0), (0.56, 0.5), (0.48, 0.5), (0.42, 0.0), (0.48, -0.5)]), hull)
    patch.paint(band, "brass", 0.8, plump=0.2)
    for x in (-0.26, -0.34):
        patch.fill(ribbon([(x, -0.5), (x, 0.5)], 0.02), "iron", 0.6, within=hull, alpha=0.7)
    for x, size in ((0.2, 0.155), (-0.12, 0.11)):
        patch.fill(ellipse((x, 0.0), (size, size)), "brass", 0.85, plump=0.06)
        pane = patch.fill(ellipse((x, 0.0), (0.72 * size, 0.72 * size)), "glass", 0.66, fall=0.5)
        patch.fill(ellipse((x + 0.03, -0.04), (0.28 * size, 0.22 * size)), "eye", 1.2, within=pane)
    patch.fill(
        curve([(-0.3, 0.0), (-0.5, -0.07), (-0.98, -0.05), (-1.0, 0.05), (-0.5, 0.07)]), colour, 0.95, plump=0.06
    )
    _, ly, _ = patch.own_light
    patch.glint((0.55, 0.3 * ly), 0.2, 0.5, hull)
    patch.glint((0.0, 0.32 * ly), 0.16, 0.4, hull)


_COUPLING: Final = 0.6
_WAGONS: Final = ((-3.55, -1.75), (-1.55, 0.25))


def train(patch: Patch, colour: str) -> None:
    """A small steam locomotive with two wagons, going to the right; its wheels stand on 1.0."""
    turn = 2 * pi * patch.pose.phase
    _smoke(patch)
    patch.dab([(-3.4, _COUPLING), (3.3, _COUPLING), (3.3, 0.74), (-3.4, 0.74)], "iron", 0.45)
    for left, right in _WAGONS:
        _wagon(patch, colour, left, right)
    _engine(patch, colour)
    for x in (-3.2, -2.1, -1.2, -0.1):
        _wheel(patch, x, 0.78, 0.22, turn * 1.7)
    for x in (0.78, 1.44):
        _wheel(patch, x, 0.68, 0.32, turn)
    for x in (2.16, 2.74):
        _wheel(patch, x, 0.79, 0.21, turn * 1.5)
    dx, dy = 0.17 * cos(turn), 0.17 * sin(turn)
    patch.dab(ribbon([(0.78 + dx, 0.68 + dy), (1.44 + dx, 0.68 + dy), (2.5, 0.66)], 0.07), "brass", 0.9)


def _smoke(patch: Patch) -> None:
    """Puffs that swell and fade behind the chimney."""
    count = 5
    for k in reversed(range(count)):
        age = (k + patch.pose.phase) / count
        x, y, size = 2.42 - 3.5 * age, -0.98 - 0.42 * age**0.6, 0.16 + 0.34 * age
        alpha = 0.78 * (1.0 - age) ** 0.8 * min(1.0, 5 * age)
        patch.fill(ellipse((x, y), (1.25 * size, size)), "paper", 0.72, plump=0.3, relief=0.5, alpha=alpha)
        patch.fill(
            ellipse((x + 0.7 * size, y + 0.22 * size), (0.7 * size, 0.6 * size)), "paper", 0.8, plump=0.2, alpha=alpha
        )


def _wagon(patch: Patch, colour: str, left: float, right: float) -> None:
    body = patch.fill([(left, -0.42), (right, -0.42), (right, 0.62), (left, 0.62)], colour, 0.72, fall=0.4)
    patch.fill([(left, 0.18), (right, 0.18), (right, 0.25), (left, 0.25)], "brass", 0.9, within=body)
    patch.fill([(left, 0.52), (right, 0.52), (right, 0.62), (left, 0.62)], colour, 0.15, within=body)
    step = (right - left) / 4
    for k in range(4):
        x = left + (k + 0.5) * step
        pane = [(x - 0.13, -0.25), (x + 0.13, -0.25), (x + 0.13, 0.05), (x - 0.13, 0.05)]
        patch.dab([(a + np.sign(a - x) * 0.04, b + (0.04 if b > 0 else -0.04)) for a, b in pane], colour, 0.2)
        patch.fill(pane, flame("yellow"), 0.78, fall=-0.3)
    roof = curve(
        [
            (left - 0.1, -0.4),
            (left, -0.56),
            (left + 0.4, -0.64),
            (right - 0.4, -0.64),
            (right, -0.56),
            (right + 0.1, -0.4),
        ]
    )
    patch.fill(roof, "iron", 0.75, plump=0.14, relief=0.5)


def _engine(patch: Patch, colour: str) -> None:
    patch.fill([(2.9, 0.5), (3.2, 0.52), (3.62, 0.96), (2.9, 0.96)], "iron", 0.6, fall=0.3)
    for x in (3.05, 3.2, 3.36):
        patch.dab(ribbon([(3.0 + 0.3 * (x - 3.05), 0.54), (x + 0.05, 0.95)], 0.035), "iron", 0.95)
    boiler = patch.fill(
        curve(
            [
                (1.3, -0.36),
                (1.6, -0.38),
                (2.9, -0.38),
                (3.06, -0.28),
                (3.1, 0.12),
                (3.06, 0.52),
                (2.9, 0.58),
                (1.3, 0.58),
            ]
        ),
        colour,
        0.7,
        plump=0.3,
        relief=0.66,
    )
    for x in (1.7, 2.28, 2.84):
        patch.fill(ribbon([(x, -0.5), (x, 0.7)], 0.06), "brass", 0.85, within=boiler)
    patch.fill([(2.2, -0.34), (2.28, -0.86), (2.56, -0.86), (2.64, -0.34)], "iron", 0.6, plump=0.12)
    patch.fill(curve([(2.16, -1.04), (2.68, -1.04), (2.6, -0.84), (2.24, -0.84)]), "iron", 0.8, plump=0.1)
    patch.fill(ellipse((1.78, -0.42), (0.18, 0.2)), "brass", 0.85, plump=0.14)
    patch.dab(ellipse((3.1, -0.02), (0.1, 0.2)), flame("yellow"), 1.1)
    cab = patch.fill([(0.5, -0.78), (1.44, -0.78), (1.44, 0.62), (0.5, 0.62)], colour, 0.74, fall=0.36)
    patch.fill([(0.5, 0.14), (1.44, 0.14), (1.44, 0.22), (0.5, 0.22)], "brass", 0.9, within=cab)
    patch.dab([(0.66, -0.6), (1.28, -0.6), (1.28, 0.02), (0.66, 0.02)], colour, 0.18)
    patch.fill([(0.71, -0.55), (1.23, -0.55), (1.23, -0.03), (0.71, -0.03)], flame("yellow"), 0.78, fall=-0.3)
    patch.fill(
        curve([(0.34, -0.74), (0.46, -0.9), (0.96, -0.98), (1.48, -0.9), (1.6, -0.74)]), "iron", 0.75, plump=0.14
    )
    patch.dab([(0.4, 0.5), (3.1, 0.5), (3.1, 0.64), (0.4, 0.64)], colour, 0.4)


def _wheel(patch: Patch, x: float, y: float, radius: float, turn: float) -> None:
    patch.fill(ellipse((x, y), (radius, radius)), "iron", 0.4, plump=0.08)
    patch.dab(ellipse((x, y), (0.74 * radius, 0.74 * radius)), "brass", 0.55)
    for k in range(3):
        c, s = 0.7 * radius * cos(turn + k * pi / 3), 0.7 * radius * sin(turn + k * pi / 3)
        patch.dab(ribbon([(x - c, y - s), (x + c, y + s)], 0.05), "iron", 0.5)
    patch.dab(ellipse((x, y), (0.26 * radius, 0.26 * radius), corners=12), "brass", 0.95)
