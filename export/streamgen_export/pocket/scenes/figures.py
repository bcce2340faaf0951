"""The pictured subjects: boat, balloon, bird and fish."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import Plane, f32, mix, rgb, smooth
from streamgen_export.pocket.scenes.palette import Shades
from streamgen_export.pocket.scenes.shading import Frame, Paint, ellipse, inflated, polygon, shine, tone, toned

_WOOD: Final = rgb("#7a5230")
_BEAK: Final = rgb("#ffab2e")
_INK: Final = rgb("#15131c")


def _flat(frame: Frame, colour: Plane, distance: Plane) -> Paint:
    return Paint(f32(np.broadcast_to(colour, (*frame.u.shape, 3))), frame.cover(distance))


def boat(frame: Frame, shades: Shades) -> Paint:
    """A sailing boat; its keel is at the waterline."""
    local = frame.turned(frame.angle, 0.9)
    u, v = local.u, local.v
    belly = 0.5 + 0.35 * np.cos(2.2 * (u - 0.3))
    main = polygon(local, [(0.06, -1.85), (0.9, -0.52), (0.06, -0.52)])
    jib = polygon(local, [(-0.07, -1.65), (-0.07, -0.52), (-0.72, -0.52)])
    cloth = f32(0.78 + 0.22 * belly + 0.12 * (v + 1.2))
    sail = mix(toned(shades, cloth), shades.light, 0.42)
    paint = _flat(local, _WOOD, np.maximum(np.abs(u) - 0.045, np.abs(v + 1.1) - 0.82))
    paint = paint.under(Paint(sail, local.cover(jib - 0.03)))
    paint = paint.under(Paint(mix(sail, shades.base, 0.35), local.cover(main - 0.03)))
    hull = polygon(local, [(-1.02, -0.42), (1.12, -0.42), (0.72, 0.14), (-0.72, 0.14)]) - 0.03
    bright = 0.92 - 0.55 * smooth(-0.42, 0.12, v) + 0.14 * smooth(-0.3, -0.42, v)
    return paint.under(Paint(toned(shades, f32(bright)), local.cover(hull)))


def balloon(frame: Frame, shades: Shades) -> Paint:
    """A hot air balloon with its basket."""
    local = frame.turned(0.5 * frame.angle)
    u, v = local.u, local.v
    centre, radius, waist, neck = -0.29, 0.71, 0.1, 0.6
    wide = (radius**2 - (waist - centre) ** 2) ** 0.5
    cone = wide + (0.15 - wide) * (v - waist) / (neck - waist)
    around = np.sqrt(u * u + (v - centre) ** 2)
    bag = np.where(v < waist, around - radius, np.maximum((np.abs(u) - cone) * 0.75, v - neck))
    half = np.where(v < waist, np.sqrt(np.maximum(radius**2 - (v - centre) ** 2, 0.01)), np.maximum(cone, 0.1))
    across = np.clip(u / half, -1, 1)
    nz = np.sqrt(1 - across * across)
    slope = np.clip((v - centre) / radius, -1, 1)
    bright = tone(local, (f32(across * 0.9), f32(slope * 0.8), f32(nz * 0.8)))
    gores = smooth(-0.2, 0.2, f32(np.cos(7.0 * np.arcsin(across))))
    colour = toned(shades, f32(bright + 0.05))
    colour = mix(colour, mix(colour, shades.light, 0.6), (0.6 * gores)[..., None])
    colour = mix(colour, f32([1, 1, 1]), shine(local, (-0.25, -0.6), 0.2, 0.4))
    ropes = np.maximum(np.abs(np.abs(u) - 0.13) - 0.02, np.abs(v - 0.7) - 0.12)
    basket = np.maximum(np.abs(u) - 0.17, np.abs(v - 0.89) - 0.11)
    paint = _flat(local, rgb("#4a3626"), f32(ropes)).under(_flat(local, _WOOD, f32(basket)))
    return paint.under(Paint(colour, local.cover(f32(bag))))


def bird(frame: Frame, shades: Shades) -> Paint:
    """A plump bird flying to the right, flapping slowly."""
    local = frame.turned(frame.angle)
    lift = cos(2 * pi * frame.phase)
    body = ellipse(local, (0.0, 0.1), (0.74, 0.4))
    tail = polygon(local, [(-1.22, -0.16), (-0.45, -0.06), (-0.45, 0.24), (-1.18, 0.18)])
    head = ellipse(local, (0.66, -0.16), (0.33, 0.32))
    beak = polygon(local, [(0.9, -0.28), (1.28, -0.1), (0.9, 0.0)])
    shape = np.minimum(body, head)
    colour = toned(shades, tone(local, inflated(shape, 0.4)) + 0.05)
    belly = smooth(0.05, 0.5, local.v)
    colour = mix(colour, mix(shades.light, shades.base, 0.2), (0.55 * belly)[..., None])
    paint = _wing(local, shades, 0.85 * lift + 0.08, 0.22, 0.56)
    paint = paint.under(Paint(toned(shades, np.full_like(local.u, 0.6)), local.cover(tail - 0.04)))
    paint = paint.under(_flat(local, _BEAK, beak)).under(Paint(colour, local.cover(shape)))
    paint = paint.under(_flat(local, _INK, ellipse(local, (0.75, -0.22), (0.085, 0.085))))
    return paint.under(_wing(local, shades, lift, 0.0, 0.8))


def _wing(frame: Frame, shades: Shades, lift: float, shift: float, bright: float) -> Paint:
    """A wing that bends backwards to its tip; `lift` runs from -1, down, to 1, up."""
    up = (0.06 - frame.v) * (1 if lift >= 0 else -1)
    span = max(0.16, 0.98 * abs(lift))
    along = np.clip(up / span, 0.0, 1.0)
    bend = shift - 0.62 * along * along
    half = 0.36 * np.sqrt(np.maximum(1.0 - along * along, 0.0)) + 0.02
    distance = np.maximum((np.abs(frame.u - bend) - half) * 0.8, np.maximum(up - span, -0.16 - up))
    return Paint(toned(shades, bright + 0.28 * along), frame.cover(distance))


def fish(frame: Frame, shades: Shades) -> Paint:
    """A round fish swimming to the right; its tail swings slowly."""
    local = frame.turned(frame.angle, 0.2)
    swing = sin(2 * pi * frame.phase)
    body = ellipse(local, (0.12, 0.0), (0.86, 0.72))
    tail = polygon(local, [(-0.55, -0.1), (-0.55, 0.1), (-1.2, 0.55 + 0.16 * swing), (-1.2, -0.55 + 0.16 * swing)])
    notch = ellipse(local, (-1.34, 0.16 * swing), (0.3, 0.34))
    top = polygon(local, [(-0.35, -0.5), (0.05, -1.05), (0.45, -0.5)])
    bright = tone(local, inflated(body, 0.6)) + 0.06
    stripes = smooth(0.1, 0.5, np.sin(7.5 * (local.u + 0.06 * local.v) + 0.6)) * smooth(0.5, 0.25, local.u)
    colour = toned(shades, bright)
    colour = mix(colour, mix(colour, shades.light, 0.7), (0.75 * stripes)[..., None])
    fins = toned(shades, f32(0.62 + 0.1 * local.u))
    paint = Paint(fins, local.cover(np.maximum(tail - 0.06, -notch)))
    paint = paint.under(Paint(fins, local.cover(top - 0.03))).under(Paint(colour, local.cover(body)))
    side = polygon(local, [(0.1, 0.1), (-0.28, 0.4 + 0.1 * swing), (-0.25, 0.02 + 0.1 * swing)])
    paint = paint.under(Paint(toned(shades, np.full_like(local.u, 0.6)), local.cover(side - 0.04)))
    paint = paint.under(_flat(local, rgb("#ffffff"), ellipse(local, (0.55, -0.18), (0.19, 0.19))))
    return paint.under(_flat(local, _INK, ellipse(local, (0.6, -0.17), (0.1, 0.1))))
