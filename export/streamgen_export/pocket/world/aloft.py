"""Subjects of the air: balloon, lantern, kite and comet."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.outlines import curve, ellipse, ribbon
from streamgen_export.pocket.world.palette import flame, pale
from streamgen_export.pocket.world.screen import HEIGHT, Plane, f32, smooth
from streamgen_export.pocket.world.shading import Patch

_BALLOON_ROWS: Final = (-1.0, -0.97, -0.88, -0.72, -0.5, -0.24, 0.0, 0.22, 0.4, 0.54)
_BALLOON_HALF: Final = (0.0, 0.2, 0.42, 0.61, 0.73, 0.76, 0.69, 0.52, 0.33, 0.17)


def balloon(patch: Patch, colour: str) -> None:
    """A hot air balloon with its basket; every other gore is pale, and a band runs around it."""
    right = [(half, row) for row, half in zip(_BALLOON_ROWS, _BALLOON_HALF, strict=True)]
    left = [(-half, row) for half, row in reversed(right[1:])]
    for x in (-0.14, -0.05, 0.05, 0.14):
        patch.dab(ribbon([(x, 0.52), (0.9 * x, 0.78)], 0.022), "rope", 0.6)
    patch.glint((0.0, 0.6), 0.1, 0.5)
    flicker = 0.02 * sin(8 * pi * patch.pose.phase)
    patch.dab(curve([(0.0, 0.5 - flicker), (0.045, 0.63), (0.0, 0.68), (-0.045, 0.63)]), flame("orange"), 0.98)
    envelope = patch.mask(curve([*right, *left]))
    half = f32(np.interp(patch.v, _BALLOON_ROWS, _BALLOON_HALF)) + 1e-3
    across = np.clip(patch.u / half, -1.0, 1.0)
    nz = np.sqrt(1.0 - across * across)
    slope = np.clip((patch.v + 0.22) * 1.25, -1.0, 1.0)
    lx, ly, lz = patch.own_light
    bright = 0.16 + 0.86 * np.maximum(0.94 * lx * across + (0.3 + 0.5 * nz) * ly * slope + 0.85 * lz * nz, 0.0)
    # Cosines of 6 and 12 times the longitude, whose sine is `across`, turned a little.
    twice, turn = 1.0 - 2.0 * across * across, 3.6 * patch.pose.turn
    straight = twice * (4.0 * twice * twice - 3.0)
    sine = 2.0 * across * nz * (4.0 * twice * twice - 1.0)
    gores = straight * np.float32(cos(turn)) - sine * np.float32(sin(turn))
    # Cloth bulges between the seams.
    bright += 0.05 * np.abs(gores) - 0.02
    patch.paint(envelope, colour, bright)
    patch.paint(envelope.cut(0.92 * smooth(-0.12, 0.12, gores)), pale(colour), bright)
    band = smooth(-0.4, -0.37, patch.v) * smooth(-0.04, -0.07, patch.v)
    patch.paint(envelope.cut(band), colour, bright + 0.1)
    waves = smooth(-0.03, 0.0, 0.045 * (2.0 * gores * gores - 1.0) + 0.05 - np.abs(patch.v + 0.22))
    patch.paint(envelope.cut(0.9 * band * waves), "brass", bright)
    # The burner lights it from within, and the mouth is dark.
    warm = smooth(0.05, 0.52, patch.v) * nz
    patch.paint(envelope.cut(0.35 * warm), flame("orange"), 0.85)
    patch.fill([(-0.17, 0.5), (0.17, 0.5), (0.14, 0.56), (-0.14, 0.56)], "ink", 0.5, within=envelope, alpha=0.6)
    patch.glint((0.42 * lx - 0.1, -0.55), 0.24, 0.4, envelope)
    basket = patch.fill(
        curve(
            [
                (-0.15, 0.77),
                (0.15, 0.77),
                (0.15, 0.8),
                (0.125, 0.97),
                (0.1, 1.0),
                (-0.1, 1.0),
                (-0.125, 0.97),
                (-0.15, 0.8),
            ]
        ),
        "straw",
        0.72,
        plump=0.1,
    )
    for row in (0.84, 0.9, 0.96):
        patch.fill([(-0.16, row), (0.16, row), (0.16, row + 0.02), (-0.16, row + 0.02)], "wood", 0.4, within=basket)
    patch.dab([(-0.17, 0.755), (0.17, 0.755), (0.17, 0.8), (-0.17, 0.8)], "wood", 0.85)


def lantern(patch: Patch, colour: str) -> None:
    """A paper lantern that glows from the flame in it."""
    swing = 0.03 * sin(2 * pi * patch.pose.phase)
    body = patch.mask(
        curve(
            [
                *((-0.2, -0.98), (0.2, -0.98), (0.5, -0.86), (0.64, -0.5), (0.62, 0.0), (0.54, 0.5), (0.46, 0.74)),
                *((0.0, 0.8), (-0.46, 0.74), (-0.54, 0.5), (-0.62, 0.0), (-0.64, -0.5), (-0.5, -0.86)),
            ]
        )
    )
    u, v = patch.u, patch.v
    far = np.sqrt((u * 1.15) ** 2 + (0.62 * (v - 0.5)) ** 2)
    across = np.clip(np.abs(u) / (0.66 - 0.12 * np.maximum(v, 0.0)), 0.0, 1.0)
    square = across * across
    # Sine of 4 times the longitude, whose sine is `across`.
    ribs = np.abs(4.0 * across * np.sqrt(1.0 - square) * (1.0 - 2.0 * square))
    hoops = smooth(0.018, 0.045, np.abs(((v + 0.96) % 0.36) - 0.18))
    light = 1.16 - 0.86 * far - 0.16 * (1.0 - smooth(0.0, 0.28, ribs)) - 0.1 * (1.0 - hoops)
    # The thin edge of the paper is seen at a slant and looks darker.
    patch.paint(body, flame(colour), f32(light - 0.16 * square * square))
    ring = patch.fill(ellipse((0.0, 0.74), (0.47, 0.09)), flame(colour), 0.3)
    patch.fill(ellipse((0.0, 0.75), (0.4, 0.06)), flame("orange"), 0.95, within=ring)
    patch.dab(curve([(0.0, 0.48), (0.07, 0.68), (0.0, 0.77), (-0.07, 0.68)]), flame("yellow"), 1.25)
    patch.glint((0.0, 0.62), 0.3, 0.6)
    patch.dab(ribbon([(0.0, 0.82), (swing, 0.98)], 0.03), flame(colour), 0.4)
    patch.dab(
        curve([(swing - 0.03, 0.95), (swing + 0.03, 0.95), (2 * swing + 0.07, 1.16), (2 * swing - 0.07, 1.16)]),
        flame(colour),
        0.55,
    )


def kite(patch: Patch, colour: str) -> None:
    """A diamond of four cloths on a cross of spars, with a string to the ground and a tail of bows."""
    wave = 2 * pi * patch.pose.phase
    along = np.linspace(0.0, 1.0, 15)
    tail = np.stack(
        [
            -0.2 - 1.35 * along + 0.1 * np.sin(wave - 5.0 * along),
            0.92 + 0.75 * along + 0.2 * along**0.5 * np.sin(wave - 6.5 * along),
        ],
        axis=1,
    )
    tail[:, 0] += 0.2 * (1 - along) ** 2
    patch.dab(ribbon(tail, 0.045), pale(colour), 0.7)
    for k in (4, 8, 12):
        step = tail[k + 1] - tail[k - 1]
        lean = float(np.arctan2(step[1], step[0])) + pi / 2
        c, s = 0.17 * cos(lean), 0.17 * sin(lean)
        x, y = float(tail[k][0]), float(tail[k][1])
        for side in (-1, 1):
            tip = (x + side * c, y + side * s)
            wide = (-0.09 * sin(lean), 0.09 * cos(lean))
            patch.dab(
                [(x, y), (tip[0] + wide[0], tip[1] + wide[1]), (tip[0] - wide[0], tip[1] - wide[1])],
                colour,
                0.9 if side > 0 else 0.6,
            )
    top, right, low, left, middle = (0.0, -1.08), (0.74, -0.3), (0.0, 0.95), (-0.74, -0.3), (0.0, -0.3)
    whole = patch.fill([top, right, low, left], colour, 0.7)
    cloths = (
        (top, right, 0.98, colour),
        (right, low, 0.86, pale(colour)),
        (low, left, 0.62, colour),
        (left, top, 0.8, pale(colour)),
    )
    for a, b, bright, cloth in cloths:
        patch.fill([middle, a, b], cloth, bright, fall=0.2, within=whole)
    ripple = 0.5 + 0.5 * np.sin(7.0 * (patch.u + patch.v) - wave)
    patch.paint(whole.cut(0.13 * f32(ripple)), "eye", 1.1)
    for a, b in ((left, (0.0, -0.72)), ((0.0, -0.72), right), (right, (0.0, 0.3)), ((0.0, 0.3), left)):
        patch.fill(ribbon([a, b], 0.05), colour, 0.5, within=whole, alpha=0.7)
    inner = patch.mask([(0.0, -1.0), (0.68, -0.3), (0.0, 0.86), (-0.68, -0.3)])
    patch.paint(whole.without(inner), colour, 0.34, alpha=0.75)
    patch.dab(ribbon([top, low], 0.035), "wood", 0.8)
    patch.dab(ribbon([left, (0.0, -0.36), right], 0.035), "wood", 0.8)
    patch.glint((0.24, -0.5), 0.22, 0.22, whole)


def kite_string(x: float, y: float, radius: float) -> Plane:
    """Corners of the string that hangs from a kite to whoever holds it below the picture, in units of it: [9, 2]."""
    share = np.linspace(0.0, 1.0, 9)
    down = HEIGHT + 2.0 - y
    return f32(np.stack([x - 0.6 * down * share**1.5, y - 0.3 * radius + down * share], axis=1))


def comet(patch: Patch, colour: str) -> None:
    """A glowing head before a long tail that bends along its path."""
    bend = patch.pose.bend * patch.pose.radius
    everywhere = patch.everywhere
    u, v = patch.u, patch.v
    if abs(bend) > 1e-3:
        # Along and off a circle around (0, 1 / bend), which the head touches.
        off = np.hypot(u, v - 1.0 / bend) - 1.0 / bend
        behind = np.arctan2(-u, 1.0 / bend - v) / bend
    else:
        off, behind = v, -u
    length = 4.7
    share = np.clip(behind / length, 0.0, 1.0)
    ahead = smooth(-0.35, 0.3, behind) * smooth(1.0, 0.75, share)
    streaks = 0.82 + 0.18 * np.cos(17.0 * off / (0.5 + share)) * smooth(0.0, 0.3, share)
    for wide, strength, bright in ((0.66, 0.62, 0.46), (0.36, 0.75, 0.72), (0.14, 0.85, 1.06)):
        half = wide * (0.75 + 0.9 * share)
        fade = np.exp(-((off / half) ** 2)) * (1.0 - share) ** 1.3 * ahead
        patch.paint(everywhere.cut(f32(fade * streaks * strength)), flame(colour), bright)
    far = np.sqrt(u * u + v * v)
    patch.paint(
        everywhere.cut(f32(np.maximum(0.96 * np.exp(-((far / 0.66) ** 2)) - 0.04, 0.0))),
        flame(colour),
        f32(1.3 - 1.1 * far),
    )
    head = patch.fill(ellipse((0.0, 0.0), (0.42, 0.42)), flame(colour), 0.98)
    patch.paint(head, flame(colour), f32(1.36 - 0.9 * np.sqrt((u - 0.1) ** 2 + (v + 0.06) ** 2)))
    patch.glint((0.08, -0.06), 0.26, 0.9)
