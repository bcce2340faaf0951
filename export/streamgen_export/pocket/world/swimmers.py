"""Living subjects of the water: fish, whale and jellyfish."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from streamgen_export.pocket.world.outlines import curve, ellipse, ribbon
from streamgen_export.pocket.world.palette import pale
from streamgen_export.pocket.world.screen import Plane, f32, smooth
from streamgen_export.pocket.world.shading import Patch


def fish(patch: Patch, colour: str) -> None:
    """A round tropical fish that swims to the right; its tail swings."""
    swing = sin(2 * pi * patch.pose.phase)
    sway = 0.14 * swing
    tail = curve(
        [
            (-0.66, -0.1),
            (-0.92, -0.34),
            (-1.34, -0.68 + sway),
            (-1.38, -0.5 + sway),
            (-1.16, 0.0 + sway),
            (-1.38, 0.52 + sway),
            (-1.32, 0.7 + sway),
            (-0.92, 0.34),
            (-0.66, 0.1),
        ]
    )
    _fin(patch, colour, tail, (-0.6, 0.0), [(-1.3, y + sway) for y in (-0.5, -0.25, 0.0, 0.25, 0.5)], 0.62)
    dorsal = curve(
        [(0.5, -0.5), (0.34, -0.84), (0.0, -0.98), (-0.42, -0.86), (-0.66, -0.56 + 0.3 * sway), (-0.5, -0.3)]
    )
    _fin(patch, colour, dorsal, (0.1, 0.1), [(x, -1.0) for x in (0.5, 0.2, -0.1, -0.4, -0.7)], 0.7)
    anal = curve([(0.1, 0.56), (-0.2, 0.84), (-0.58, 0.78 + 0.3 * sway), (-0.6, 0.4)])
    _fin(patch, colour, anal, (0.0, 0.1), [(x, 1.0) for x in (0.0, -0.3, -0.6)], 0.56)
    outline = curve(
        [
            (1.18, 0.02),
            (1.04, -0.22),
            (0.72, -0.5),
            (0.2, -0.66),
            (-0.34, -0.48),
            (-0.7, -0.17),
            (-0.82, 0.0),
            (-0.7, 0.17),
            (-0.34, 0.5),
            (0.2, 0.66),
            (0.72, 0.5),
            (1.04, 0.26),
        ]
    )
    body = patch.fill(outline, colour, 0.72, fall=0.16, plump=0.4, relief=0.62)
    u, v = patch.u, patch.v
    scales = np.maximum(np.cos(11.0 * u + 5.5 * v), np.cos(11.0 * u - 5.5 * v))
    patch.paint(body.cut(0.24 * smooth(0.78, 0.98, scales) * smooth(0.62, 0.4, u)), colour, 1.15)
    for x, wide in ((0.42, 0.2), (-0.16, 0.2), (-0.6, 0.1)):
        stripe = curve(
            [
                (x - 0.1, -0.8),
                (x + wide - 0.1, -0.8),
                (x + wide + 0.04, 0.0),
                (x + wide - 0.1, 0.8),
                (x - 0.1, 0.8),
                (x + 0.04, 0.0),
            ]
        )
        band = patch.fill(stripe, pale(colour), 0.86, plump=0.3, relief=0.4, within=body)
        patch.fill(
            ribbon(curve([(x - 0.1, -0.8), (x + 0.04, 0.0), (x - 0.1, 0.8)], False), 0.035), colour, 0.2, within=band
        )
    belly = curve([(1.0, 0.3), (0.4, 0.38), (-0.6, 0.25), (-0.4, 0.9), (0.8, 0.9)])
    patch.fill(belly, "paper", 0.8, within=body, alpha=0.3)
    flap = 0.16 * swing
    side = curve([(0.34, 0.08), (0.1, 0.02), (-0.18, 0.2 + flap), (-0.12, 0.42 + flap), (0.16, 0.36)])
    _fin(patch, colour, side, (0.3, 0.12), [(-0.2, 0.24 + flap), (-0.1, 0.44 + flap), (0.1, 0.44)], 0.86)
    _eye(patch, (0.76, -0.14), 0.17, 0.04)
    patch.fill(ribbon(curve([(1.14, 0.1), (1.02, 0.16), (0.94, 0.13)], False), 0.03), "ink", 0.5, within=body)
    patch.glint((0.3, -0.46), 0.22, 0.5, body)


def _fin(
    patch: Patch, colour: str, outline: Plane, root: tuple[float, float], ends: list[tuple[float, float]], bright: float
) -> None:
    """A fin with rays that spread from its root."""
    fin = patch.fill(outline, colour, bright, fall=0.2, plump=0.06, relief=0.3)
    for end in ends:
        patch.fill(ribbon([root, end], [0.02, 0.045]), colour, bright + 0.34, within=fin, alpha=0.7)


def _eye(patch: Patch, at: tuple[float, float], size: float, ahead: float) -> None:
    x, y = at
    patch.fill(ellipse(at, (size * 1.12, size * 1.12)), "ink", 0.5, alpha=0.55)
    patch.fill(ellipse(at, (size, size)), "eye", 0.95, fall=0.3)
    patch.dab(ellipse((x + ahead, y), (0.62 * size, 0.66 * size)), "ink", 0.35)
    patch.dab(ellipse((x + ahead - 0.18 * size, y - 0.26 * size), (0.22 * size, 0.22 * size), corners=12), "eye", 1.2)


def whale(patch: Patch, colour: str) -> None:
    """A whale that swims to the right; its fluke beats slowly."""
    beat = sin(2 * pi * patch.pose.phase)
    y = 0.3 * beat
    outline = curve(
        [
            (1.9, 0.02),
            (1.72, -0.42),
            (1.2, -0.72),
            (0.5, -0.78),
            (-0.2, -0.62),
            (-0.9, -0.32 + 0.2 * y),
            (-1.5, -0.2 + 0.7 * y),
            (-1.8, -0.2 + y),
            (-1.8, -0.06 + y),
            (-1.5, 0.06 + 0.7 * y),
            (-0.9, 0.3 + 0.2 * y),
            (-0.2, 0.58),
            (0.6, 0.74),
            (1.3, 0.66),
            (1.76, 0.4),
        ]
    )
    far = curve(
        [
            (-1.66, -0.12 + y),
            (-1.9, -0.4 + 1.1 * y),
            (-2.16, -0.62 + 1.3 * y),
            (-2.22, -0.52 + 1.3 * y),
            (-2.02, -0.2 + 1.1 * y),
        ]
    )
    near = curve(
        [
            (-1.66, -0.16 + y),
            (-1.95, -0.1 + 1.1 * y),
            (-2.2, 0.14 + 1.25 * y),
            (-2.12, 0.24 + 1.25 * y),
            (-1.8, 0.1 + 1.1 * y),
        ]
    )
    patch.fill(far, colour, 0.5, plump=0.1)
    back = curve([(-0.46, -0.5), (-0.66, -0.74), (-0.86, -0.78), (-0.84, -0.34)])
    patch.fill(back, colour, 0.6, plump=0.08)
    body = patch.fill(outline, colour, 0.66, fall=0.12, plump=0.5, relief=0.66)
    patch.fill(near, colour, 0.78, plump=0.1)
    belly = curve(
        [(1.94, 0.1), (1.3, 0.16), (0.5, 0.3), (-0.4, 0.3), (-1.0, 0.22), (-0.4, 0.8), (0.6, 0.95), (1.6, 0.8)]
    )
    pale = patch.fill(belly, "paper", 0.78, plump=0.3, relief=0.5, within=body)
    for k in range(5):
        groove = curve([(1.8 - 0.12 * k, 0.22 + 0.11 * k), (1.0, 0.3 + 0.1 * k), (0.1, 0.36 + 0.09 * k)], False)
        patch.fill(ribbon(groove, 0.03), colour, 0.3, within=pale, alpha=0.55)
    for x, v, size in (
        (0.1, -0.52, 0.09),
        (-0.3, -0.36, 0.07),
        (0.5, -0.6, 0.06),
        (-0.7, -0.2, 0.06),
        (0.0, -0.2, 0.05),
    ):
        patch.fill(ellipse((x, v), (size * 1.3, size), corners=14), colour, 1.05, within=body, alpha=0.5)
    patch.fill(
        ribbon(curve([(1.92, 0.08), (1.5, 0.1), (1.16, 0.02)], False), [0.02, 0.04, 0.01] if False else 0.035),
        "ink",
        0.5,
        within=body,
        alpha=0.7,
    )
    _eye(patch, (1.1, -0.12), 0.1, 0.015)
    fin = curve(
        [
            (0.86, 0.3),
            (0.6, 0.62 - 0.3 * y),
            (0.2, 0.98 - 0.6 * y),
            (0.08, 0.94 - 0.6 * y),
            (0.2, 0.6 - 0.3 * y),
            (0.42, 0.26),
        ]
    )
    patch.fill(fin, colour, 0.66, plump=0.14, relief=0.5)
    patch.glint((0.9, -0.55), 0.42, 0.28, body)


def jellyfish(patch: Patch, colour: str) -> None:
    """A jellyfish whose bell opens and closes; clear at its rim, lit from within."""
    wave = 2 * pi * patch.pose.phase
    open_ = 0.5 + 0.5 * cos(wave)
    wide, low = 0.78 + 0.14 * open_, 0.1 - 0.14 * open_
    along = np.linspace(0.0, 1.0, 12)
    for k in range(7):  # thin tentacles, then broad arms
        start = wide * (-0.84 + 0.28 * k)
        x = start * (1.0 - 0.25 * along) + 0.13 * along * np.sin(wave - 5.0 * along + 1.3 * k)
        length = 1.15 + 0.25 * sin(2.1 * k)
        line = np.stack([x, low + length * along], axis=1)
        patch.fill(ribbon(line, 0.05 * (1.15 - along)), colour, 0.9, alpha=0.75)
    for k in range(3):
        x = (-0.24 + 0.24 * k) + 0.12 * along * np.sin(wave - 4.0 * along + 2.0 * k)
        line = np.stack([x, low - 0.1 + (0.98 + 0.1 * (k % 2)) * along], axis=1)
        frill = 0.2 * (1.1 - along) * (1.0 + 0.3 * np.sin(22.0 * along + k))
        patch.fill(ribbon(line, frill), "paper", 0.72, alpha=0.8)
        patch.fill(ribbon(line, 0.5 * frill), colour, 0.85, alpha=0.8)
    right = [(0.0, -1.0), (0.4 * wide, -0.95), (0.76 * wide, -0.74), (0.96 * wide, -0.38), (wide, low - 0.08)]
    hem = [(wide * (1 - 2 * s), low + (0.07 if i % 2 else -0.03)) for i, s in enumerate(np.linspace(0.03, 0.97, 9))]
    left = [(-x, y) for x, y in reversed(right[1:])]
    bell = patch.mask(curve([*right, *hem, *left]))
    patch.paint(bell, colour, 0.74, plump=0.4, relief=0.6, alpha=0.94)
    u, v = patch.u, patch.v
    core = np.exp(-((u / 0.42) ** 2 + ((v + 0.42) / 0.34) ** 2))
    patch.paint(bell.cut(0.55 * f32(core)), "paper", 1.0)
    square = np.minimum((u / (wide * 1.02)) ** 2, 1.0)
    ribs = smooth(0.0, 0.12, 16.0 * square * (1.0 - square) * (1.0 - 2.0 * square) ** 2)
    patch.paint(bell.cut(0.3 * (1.0 - ribs) * smooth(-1.0, -0.4, v)), colour, 1.15)
    for k in range(4):
        at = (-0.36 + 0.24 * k, -0.48 if k in (1, 2) else -0.42)
        patch.fill(ellipse(at, (0.1, 0.12)), colour, 0.3, within=bell, alpha=0.5)
    patch.paint(bell.cut(0.7 * smooth(low - 0.16, low - 0.02, v)), colour, 1.1)
    patch.glint((-0.32, -0.7), 0.24, 0.65, bell)
