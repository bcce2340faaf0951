"""Living subjects of the air: bird and butterfly."""

from __future__ import annotations

from math import cos, pi

from streamgen_export.pocket.world.outlines import curve, ellipse, ribbon
from streamgen_export.pocket.world.shading import Patch


def bird(patch: Patch, colour: str) -> None:
    """A bird that flies to the right, flapping slowly."""
    lift = cos(2 * pi * patch.pose.phase)
    _wing(patch, colour, 0.8 * lift + 0.12, (0.3, -0.06), 0.4)
    for k in range(4):
        y = -0.1 + 0.09 * k
        tip = (-1.5 + 0.07 * abs(k - 1.5), 0.02 + 0.16 * k - 0.05 * lift)
        patch.dab(
            curve([(-0.5, 0.0), (-1.0, y - 0.05), tip, (-1.0, y + 0.1), (-0.5, 0.18)]), colour, 0.5 + 0.1 * (k % 2)
        )
    patch.fill(curve([(1.0, -0.3), (1.1, -0.29), (1.36, -0.14), (1.1, -0.1), (0.98, -0.1)]), "beak", 0.85, fall=0.5)
    outline = curve(
        [
            (1.1, -0.24),
            (1.0, -0.42),
            (0.8, -0.47),
            (0.55, -0.36),
            (0.1, -0.26),
            (-0.5, -0.12),
            (-0.85, 0.0),
            (-0.5, 0.22),
            (0.0, 0.37),
            (0.5, 0.32),
            (0.86, 0.1),
            (1.04, -0.08),
        ]
    )
    body = patch.fill(outline, colour, 0.74, plump=0.3, relief=0.6)
    belly = curve([(0.98, -0.1), (0.5, 0.02), (0.0, 0.08), (-0.6, 0.1), (-0.4, 0.5), (0.5, 0.5), (0.95, 0.2)])
    patch.fill(belly, "paper", 0.9, fall=0.2, within=body, alpha=0.82)
    patch.fill(
        curve([(0.74, -0.34), (0.98, -0.34), (1.12, -0.22), (0.98, -0.16), (0.8, -0.2)]),
        colour,
        0.25,
        within=body,
        alpha=0.6,
    )
    patch.dab(ellipse((0.88, -0.27), (0.085, 0.085), corners=16), "eye", 1.0)
    patch.dab(ellipse((0.9, -0.27), (0.06, 0.06), corners=16), "ink", 0.3)
    patch.glint((0.88, -0.3), 0.04, 0.9)
    _wing(patch, colour, lift, (-0.02, -0.06), 0.74)


def _wing(patch: Patch, colour: str, lift: float, root: tuple[float, float], bright: float) -> None:
    """A wing of long feathers below short ones; `lift` runs from -1, down, to 1, up."""
    x, y = root
    up = -1.18 * lift if abs(lift) > 0.16 else (-0.19 if lift >= 0 else 0.19)
    turned = bright + 0.16 * (1.0 if lift > 0 else -0.4)

    def at(chord: float, span: float) -> tuple[float, float]:
        return x + chord - 0.34 * span * span, y + up * span

    for k in range(7):  # from the body outwards
        share = k / 6
        a, b = at(0.3 - 0.1 * share, 0.25 + 0.45 * share), at(-0.1 - 0.1 * share, 0.1 + 0.45 * share)
        tip = at(-0.72 - 0.12 * share + 0.36 * share * share, 0.22 + 0.84 * share)
        patch.dab(
            curve([a, at(-0.3, 0.42 + 0.55 * share), tip, at(-0.5, 0.08 + 0.62 * share), b]),
            colour,
            turned - 0.2 + 0.06 * (k % 2) + 0.1 * share,
        )
    cover = curve(
        [
            at(0.42, 0.0),
            at(0.44, 0.3),
            at(0.34, 0.7),
            at(0.16, 0.98),
            at(-0.06, 0.8),
            at(-0.26, 0.46),
            at(-0.34, 0.1),
            at(-0.1, -0.06),
        ]
    )
    top = patch.fill(cover, colour, turned + 0.14, plump=0.16, relief=0.4)
    bar = curve([at(0.2, 0.06), at(0.16, 0.5), at(0.1, 0.84), at(0.0, 0.7), at(-0.1, 0.4), at(-0.14, 0.06)])
    patch.fill(bar, "paper", 0.9, within=top, alpha=0.4)


_UPPER = (
    (0.06, -0.12),
    (0.3, -0.66),
    (0.76, -0.98),
    (1.16, -0.94),
    (1.22, -0.62),
    (1.0, -0.22),
    (0.6, 0.02),
    (0.1, 0.06),
)
_LOWER = ((0.06, 0.02), (0.56, 0.06), (0.88, 0.26), (0.92, 0.6), (0.7, 0.92), (0.46, 0.94), (0.24, 0.6), (0.06, 0.3))


def butterfly(patch: Patch, colour: str) -> None:
    """A butterfly from above, its wings opening and closing."""
    fold = 0.62 + 0.36 * cos(2 * pi * patch.pose.phase)
    for side in (-1, 1):
        wide = side * (fold if side > 0 else 0.88 * fold + 0.1)
        shade = 0.1 * (1 - fold) * side
        for points, bright in ((_LOWER, 0.66), (_UPPER, 0.8)):
            outline = curve(points) * (wide, 1.0)
            wing = patch.fill(outline, "ink", 0.5)
            middle = outline.mean(axis=0)
            inner = patch.fill(middle + 0.85 * (outline - middle), colour, bright + shade, fall=0.3, within=wing)
            patch.fill(
                middle + 0.5 * (outline - middle) + (-0.08 * wide, 0.0),
                colour,
                bright + 0.3 + shade,
                fall=0.2,
                within=inner,
            )
            for end in points[2:6]:
                vein = ribbon([(0.05 * wide, 0.0), (end[0] * wide, end[1])], 0.022)
                patch.fill(vein, "ink", 0.4, within=inner, alpha=0.55)
            for x, y in points[2:6]:
                spot = (float(middle[0] + 0.9 * (x * wide - middle[0])), float(middle[1] + 0.9 * (y - middle[1])))
                patch.fill(ellipse(spot, (0.055 * abs(wide), 0.055), corners=12), "eye", 0.95, within=wing)
        eye = (0.78 * wide, -0.58)
        patch.dab(ellipse(eye, (0.15 * abs(wide), 0.15)), "ink", 0.4)
        patch.dab(ellipse(eye, (0.09 * abs(wide), 0.09)), "paper", 0.95)
        feeler = curve([(0.02 * side, -0.46), (0.12 * side, -0.8), (0.3 * side, -1.02)], closed=False)
        patch.dab(ribbon(feeler, 0.03), "ink", 0.5)
        patch.dab(ellipse((0.3 * side, -1.02), (0.045, 0.045), corners=12), "ink", 0.6)
    patch.fill(
        curve(
            [
                (0.0, -0.56),
                (0.09, -0.46),
                (0.07, -0.3),
                (0.1, -0.1),
                (0.07, 0.3),
                (0.0, 0.66),
                (-0.07, 0.3),
                (-0.1, -0.1),
                (-0.07, -0.3),
                (-0.09, -0.46),
            ]
        ),
        "ink",
        0.7,
        plump=0.07,
        relief=0.7,
    )
