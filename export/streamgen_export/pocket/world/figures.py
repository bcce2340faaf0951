"""Subjects with arms and legs: dancer, robot and creature."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from streamgen_export.pocket.world.outlines import Point, curve, ellipse, ribbon, rounded
from streamgen_export.pocket.world.palette import flame
from streamgen_export.pocket.world.screen import Plane
from streamgen_export.pocket.world.shading import Patch


def dancer(patch: Patch, colour: str) -> None:
    """A dancer in flowing clothes; `Patch.look` picks the skin."""
    pose = patch.pose
    skin = f"skin{patch.look % 4}"
    beat = pi * pose.beat  # a swing to one side lasts a beat
    across = cos(pose.turn)  # how much she faces us
    hip = 0.07 * sin(beat)
    step = sin(beat)
    # Legs: the one that carries her, and the one that swings.
    knee, foot = (0.12 * step + hip, 0.52), (0.34 * step + 0.04, 0.93 - 0.08 * abs(step))
    for points, bright in (
        ([(hip + 0.07 * step, 0.1), knee, foot, (foot[0] + 0.12 * step, foot[1] + 0.04)], 0.5),
        ([(hip - 0.06 * step, 0.1), (-0.06 * step, 0.55), (-0.1 * step, 0.97), (-0.02 * step, 1.0)], 0.8),
    ):
        patch.dab(ribbon(curve(points, False), np.interp(np.arange(19), (0, 8, 18), (0.2, 0.12, 0.07))), skin, bright)
    neck, chest = (0.5 * hip - 0.05 * step, -0.62), (0.4 * hip, -0.4)
    flare = 0.46 + 0.16 * abs(step) + (0.14 if pose.turn else 0.0)
    hem_x = -0.24 * cos(beat) if not pose.turn else 0.0
    arms = []
    for side in (-1, 1):
        lift = 0.5 + 0.5 * sin(beat + (0.0 if side > 0 else pi) + 0.6)
        reach = across if pose.turn else 1.0
        shoulder = (chest[0] + 0.13 * side * max(abs(reach), 0.5), -0.52)
        elbow = (shoulder[0] + side * reach * 0.3, -0.5 - 0.22 * lift)
        hand = (shoulder[0] + side * reach * (0.5 - 0.22 * lift), -0.42 - 0.56 * lift)
        arms.append(curve([shoulder, elbow, hand], False))
    _arm(patch, arms[0], skin, 0.5)
    # Hair flies against the swing.
    head = (neck[0] + 0.02 * step, -0.8)
    tail = curve(
        [
            (head[0], -0.92),
            (head[0] - 0.14, -0.86),
            (head[0] - 0.3 * step - 0.16, -0.62),
            (head[0] - 0.36 * step - 0.1, -0.5),
            (head[0] - 0.1, -0.66),
        ]
    )
    patch.fill(tail, "hair", 0.6, plump=0.06)
    scarf = np.linspace(0.0, 1.0, 10)
    flow = np.stack(
        [
            chest[0] - 0.05 - 0.85 * scarf * (0.55 + 0.45 * cos(beat)),
            -0.5 + 0.35 * scarf + 0.13 * np.sin(5 * scarf - 2 * beat) * scarf,
        ],
        axis=1,
    )
    patch.fill(ribbon(flow, 0.05 + 0.13 * scarf), colour, 0.95, plump=0.05, alpha=0.92)
    _skirt(patch, colour, (hip, -0.14), hem_x, flare)
    bodice = curve(
        [
            (chest[0] - 0.14, -0.58),
            (chest[0] + 0.14, -0.58),
            (chest[0] + 0.13, -0.36),
            (hip + 0.11, -0.12),
            (hip - 0.11, -0.12),
            (chest[0] - 0.13, -0.36),
        ]
    )
    patch.dab(
        [(neck[0] - 0.045, -0.76), (neck[0] + 0.045, -0.76), (chest[0] + 0.07, -0.54), (chest[0] - 0.07, -0.54)],
        skin,
        0.6,
    )
    torso = patch.fill(bodice, colour, 0.8, plump=0.12, relief=0.6)
    patch.dab(ribbon([(hip - 0.14, -0.15), (hip + 0.14, -0.15)], 0.06), "brass", 0.9)
    patch.glint((chest[0] - 0.04, -0.46), 0.1, 0.25, torso)
    patch.fill(ellipse(head, (0.105, 0.13)), skin, 0.82, plump=0.08)
    cap = curve(
        [
            (head[0] - 0.12, -0.76),
            (head[0] - 0.13, -0.88),
            (head[0], -0.97),
            (head[0] + 0.12, -0.9),
            (head[0] + 0.1, -0.84),
            (head[0] - 0.02, -0.86),
        ]
    )
    patch.fill(cap, "hair", 0.75, plump=0.06)
    patch.dab(ellipse((head[0] + 0.09, -0.92), (0.055, 0.055), corners=12), colour, 1.0)
    _arm(patch, arms[1], skin, 0.85)


def _arm(patch: Patch, line: Plane, skin: str, bright: float) -> None:
    patch.dab(ribbon(line, np.linspace(0.1, 0.055, len(line))), skin, bright)
    hand = line[-1]
    patch.dab(ellipse((float(hand[0]), float(hand[1])), (0.05, 0.05), corners=12), skin, bright)


def _skirt(patch: Patch, colour: str, waist: Point, hem_x: float, flare: float) -> None:
    """A wide skirt whose folds run around it as she turns."""
    pose = patch.pose
    share = np.linspace(-1.0, 1.0, 9)
    folds = 0.05 * np.sin(6.0 * share + 2 * pi * pose.beat / 2 - 3.0 * pose.turn)
    hem = [(hem_x + flare * s, 0.5 + 0.1 * (1 - s * s) + float(f)) for s, f in zip(share, folds, strict=True)]
    x, y = waist
    outline = curve(
        [
            (x + 0.11, y),
            (x + 0.3 * flare + 0.2 * hem_x + 0.08, y + 0.24),
            *reversed(hem),
            (x - 0.3 * flare + 0.2 * hem_x - 0.08, y + 0.24),
            (x - 0.11, y),
        ]
    )
    skirt = patch.fill(outline, colour, 0.72, fall=0.1, plump=0.14, relief=0.5)
    for k in range(4):
        place = (((k / 4 + pose.turn / (2 * pi) + 0.06 * sin(pi * pose.beat)) % 1.0) * 2 - 1) * 0.9
        depth = 1.0 - abs(place)
        top, low = (x + 0.08 * place, y + 0.04), (hem_x + flare * place, 0.62)
        fold = [top, (low[0] - 0.07, low[1]), (low[0] + 0.06, low[1])]
        patch.fill(fold, colour, 1.1 if k % 2 else 0.32, within=skirt, alpha=0.25 + 0.45 * depth)
    trim = [(a, b - 0.07) for a, b in hem] + [(a, b - 0.035) for a, b in reversed(hem)]
    patch.fill(trim, "brass", 0.95, within=skirt, alpha=0.85)


def robot(patch: Patch, colour: str) -> None:
    """A friendly robot with a screen for a face; its arms swing on the beat."""
    beat = pi * patch.pose.beat
    swing = sin(beat)
    for side in (-1, 1):
        leg = [(0.2 * side, 0.5), (0.22 * side, 0.84)]
        patch.fill(ribbon(leg, 0.16), "iron", 0.75, plump=0.06)
        shoe = curve(
            [
                (0.06 * side, 0.96),
                (0.1 * side, 0.82),
                (0.28 * side, 0.8),
                (0.42 * side, 0.92),
                (0.4 * side, 1.0),
                (0.08 * side, 1.0),
            ]
        )
        patch.fill(shoe, colour, 0.7, plump=0.1)
        lift = 0.5 + 0.5 * swing * side
        shoulder, elbow = (0.5 * side, -0.08), (0.76 * side, 0.12 - 0.22 * lift)
        hand = (0.74 * side + 0.06 * side * lift, 0.42 - 0.86 * lift)
        arm = curve([shoulder, elbow, hand], False)
        patch.fill(ribbon(arm, 0.13), "iron", 0.8, plump=0.06)
        patch.fill(ellipse(hand, (0.14, 0.14)), colour, 0.85, plump=0.1)
        patch.dab(ellipse(hand, (0.06, 0.06), corners=12), "iron", 0.5)
        patch.fill(ellipse(shoulder, (0.14, 0.14)), colour, 0.7, plump=0.1)
    body = patch.fill(rounded((0.0, 0.2), (0.46, 0.42), 0.16), colour, 0.74, plump=0.18, relief=0.62)
    panel = patch.fill(rounded((0.0, 0.2), (0.28, 0.24), 0.08), "paper", 0.7, fall=0.3, within=body)
    patch.fill(ribbon([(-0.2, 0.34), (0.2, 0.34)], 0.05), "iron", 0.6, within=panel)
    glow = 0.75 + 0.4 * (0.5 + 0.5 * cos(2 * beat))
    patch.dab(
        curve([(0.0, 0.27), (-0.14, 0.14), (-0.07, 0.04), (0.0, 0.09), (0.07, 0.04), (0.14, 0.14)]), flame(colour), glow
    )
    for x in (-0.38, 0.38):
        patch.dab(ellipse((x, 0.52), (0.035, 0.035), corners=10), "brass", 0.9)
    patch.fill([(-0.14, -0.3), (0.14, -0.3), (0.14, -0.18), (-0.14, -0.18)], "iron", 0.7, fall=0.4)
    tip = (0.05 * swing, -1.0)
    patch.dab(ribbon([(0.0, -0.84), tip], 0.045), "iron", 0.8)
    patch.dab(ellipse(tip, (0.08, 0.08), corners=16), flame(colour), glow)
    for side in (-1, 1):
        patch.fill(rounded((0.56 * side, -0.56), (0.07, 0.14), 0.05), "iron", 0.75, plump=0.05)
    head = patch.fill(rounded((0.0, -0.56), (0.54, 0.32), 0.2), colour, 0.8, plump=0.18, relief=0.62)
    face = patch.fill(rounded((0.0, -0.54), (0.42, 0.22), 0.14), "ink", 0.5, fall=-0.3, within=head)
    look = 0.04 * swing
    for x in (-0.18, 0.18):
        patch.fill(ellipse((x + look, -0.57), (0.085, 0.105)), flame("cyan"), 0.98, within=face)
        patch.fill(ellipse((x + look - 0.02, -0.6), (0.03, 0.035), corners=10), "eye", 1.2, within=face)
    smile = curve([(-0.1 + look, -0.43), (look, -0.39), (0.1 + look, -0.43)], False)
    patch.fill(ribbon(smile, 0.035), flame("cyan"), 0.95, within=face)
    patch.fill([(-0.5, -0.8), (-0.2, -0.8), (-0.36, -0.2), (-0.6, -0.2)], "eye", 1.1, within=face, alpha=0.12)
    patch.glint((-0.3, -0.78), 0.2, 0.5, head)


def creature(patch: Patch, colour: str) -> None:
    """A round, woolly creature with two horns, big eyes, and legs that step on the beat."""
    beat = pi * patch.pose.beat
    swing = sin(beat)
    for side in (-1, 1):
        lift = 0.1 * max(0.0, swing * side)
        patch.dab(ribbon([(0.26 * side, 0.6), (0.28 * side, 0.9 - lift)], 0.17), colour, 0.42)
        foot = curve(
            [
                (0.12 * side, 1.0 - lift),
                (0.14 * side, 0.88 - lift),
                (0.34 * side, 0.84 - lift),
                (0.54 * side, 0.95 - lift),
                (0.5 * side, 1.0 - lift),
            ]
        )
        patch.fill(foot, colour, 0.62, plump=0.1)
        horn = curve(
            [
                (0.26 * side, -0.66),
                (0.34 * side, -0.92),
                (0.56 * side, -1.06),
                (0.58 * side, -1.0),
                (0.52 * side, -0.74),
                (0.5 * side, -0.52),
            ]
        )
        patch.fill(horn, "straw", 0.85, plump=0.09, relief=0.6)
        up = 0.24 * swing * side
        arm = curve([(0.7 * side, 0.1), (0.94 * side, 0.18 - 0.6 * up), (1.02 * side, 0.24 - 1.6 * up)], False)
        patch.fill(ribbon(arm, 0.17), colour, 0.56, plump=0.07)
    around = np.arange(36) * (2 * pi / 36)
    wool = 1.0 + 0.022 * np.cos(12 * around)
    outline = curve(np.stack([0.86 * wool * np.sin(around), 0.03 - 0.8 * wool * np.cos(around)], axis=1))
    body = patch.fill(outline, colour, 0.7, fall=0.14, plump=0.5, relief=0.66)
    belly = ellipse((0.0, 0.4), (0.5, 0.36))
    patch.fill(belly, "paper", 0.8, plump=0.26, relief=0.3, within=body, alpha=0.6)
    for x, y in ((-0.6, -0.16), (0.62, -0.1), (-0.46, -0.52), (0.3, -0.62), (-0.1, -0.68), (0.68, 0.26), (-0.68, 0.24)):
        patch.fill(ellipse((x, y), (0.075, 0.06), corners=14), colour, 0.28, within=body, alpha=0.4)
    look = 0.035 * swing
    for x in (-0.27, 0.27):
        patch.fill(ellipse((x, -0.16), (0.25, 0.27)), "ink", 0.5, alpha=0.35)
        white = patch.fill(ellipse((x, -0.17), (0.23, 0.25)), "eye", 0.95, fall=0.4)
        patch.fill(ellipse((x + look, -0.14), (0.135, 0.155)), colour, 0.3, within=white)
        patch.fill(ellipse((x + look, -0.14), (0.09, 0.11)), "ink", 0.3, within=white)
        patch.dab(ellipse((x + look - 0.05, -0.2), (0.05, 0.055), corners=12), "eye", 1.2)
        patch.fill(ellipse((x * 1.9, 0.12), (0.1, 0.065)), "pink", 0.85, within=body, alpha=0.55)
    mouth = patch.fill(curve([(-0.2, 0.2), (0.0, 0.24), (0.2, 0.2), (0.12, 0.36), (-0.12, 0.36)]), "ink", 0.4)
    patch.fill(ellipse((0.0, 0.37), (0.09, 0.06)), "red", 0.8, within=mouth)
    patch.dab([(-0.07, 0.21), (0.0, 0.21), (-0.01, 0.27), (-0.06, 0.27)], "eye", 1.0)
    patch.glint((-0.34, -0.56), 0.24, 0.4, body)
