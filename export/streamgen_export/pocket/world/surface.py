"""What a subject does to water: reflection, waterline, foam and splashes; and how light is laid over a picture."""

from __future__ import annotations

from math import pi
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.pose import Pose
from streamgen_export.pocket.world.screen import WATERLINE, Plane, Screen, f32, smooth
from streamgen_export.pocket.world.shading import Patch
from streamgen_export.pocket.world.view import Lighting

_SPLASH_PICTURES: Final = 12
_DROPS: Final = 4


def window(screen: Screen, x: float, y: float, wide: float, tall: float) -> tuple[slice, slice]:
    """Rows and columns of the picture within `wide` and `tall` units of a point."""
    return (
        slice(screen.row(y - tall), screen.row(y + tall)),
        slice(screen.column(x - wide), screen.column(x + wide)),
    )


def grey(plane: Plane) -> Plane:
    """A plane as [h, w, 3]; multiplying by that is several times as fast as by [h, w, 1]."""
    return f32(cv2.merge((plane, plane, plane)))


def coloured(plane: Plane, colour: Plane) -> Plane:
    """A plane times a colour, [h, w, 3]."""
    red, green, blue = colour
    return f32(cv2.merge((plane * red, plane * green, plane * blue)))


def veil(part: Plane, colour: Plane, alpha: Plane) -> None:
    """Paint a colour over a part of the picture, with alpha [h, w]."""
    if not alpha.size:
        return
    part *= grey(1.0 - alpha)
    part += coloured(alpha, colour)


def reflect(canvas: Plane, patch: Patch, screen: Screen, row: float, strength: float, time_s: float) -> None:
    """Paint the subject upside down below a row, broken by ripples."""
    first = screen.row(row)
    rows = np.arange(first, screen.height)
    y = (rows - first) / screen.unit
    ripple = np.sin(1.9 * y - 2.6 * time_s) * (0.25 + 0.045 * y)
    source = np.round(2 * row * screen.unit - rows - 1 - patch.rows.start + ripple * screen.unit).astype(np.intp)
    inside = np.flatnonzero((source >= 0) & (source < patch.shape[0]))
    if not inside.size:
        return
    inside = np.arange(inside[0], inside[-1] + 1)
    source = np.clip(source[inside], 0, patch.shape[0] - 1)
    broken = 0.62 + 0.3 * np.sin(1.9 * y[inside] - 2.6 * time_s + 0.8)
    fade = f32(strength * broken * np.exp(-y[inside] / 17.0))[:, None]
    part = canvas[first + inside[0] : first + inside[-1] + 1, patch.columns]
    alpha = patch.cover[source] * (fade * np.float32(1 / 255))
    part *= grey(1.0 - alpha)
    part += patch.colour[source] * (fade[..., None] * np.float32(0.88 / 255))


def sink(patch: Patch, screen: Screen, time_s: float) -> None:
    """Hide what is below the waves."""
    x = screen.x[:, patch.columns]
    waves = np.float32(WATERLINE) + 0.5 * np.sin(0.21 * x + 1.7 * time_s) + 0.3 * np.sin(0.47 * x - 2.3 * time_s)
    dry = np.clip((waves - screen.y[patch.rows]) * np.float32(screen.unit * 0.6) + 0.5, 0.0, 1.0)
    patch.cover = (patch.cover * dry).astype(np.uint8)
    patch.colour = (patch.colour * grey(dry)).astype(np.uint8)


def foam(canvas: Plane, screen: Screen, pose: Pose, subject: str, lighting: Lighting, time_s: float) -> None:
    """A light line where a hull meets the water."""
    half = 0.95 * pose.radius * (1.0 if subject == "boat" else 0.92)
    rows, columns = window(screen, pose.x, WATERLINE + 0.6, 1.5 * half, 3.5)
    x, y = screen.x[:, columns], screen.y[rows]
    waves = np.float32(WATERLINE + 0.5) + 0.5 * np.sin(0.21 * x + 1.7 * time_s) + 0.3 * np.sin(0.47 * x - 2.3 * time_s)
    along = np.abs(x - pose.x) * np.float32(1 / half)
    alpha = np.exp(-(((y - waves) * np.float32(1.25)) ** 2)) * np.exp(-(along**6)) * np.float32(0.6)
    part = canvas[rows, columns]
    veil(part, 0.45 * f32(lighting.key) + 0.5, alpha)


def splash(canvas: Plane, screen: Screen, lighting: Lighting, x: float, age: int, out: bool) -> None:
    """A crown of spray that rises and falls, and a ring that widens on the water; smaller as something comes out."""
    share = (age + 1) / (_SPLASH_PICTURES + 1)
    size = 0.66 if out else 1.0
    high = 17.0 * size * 4 * (0.14 + 0.86 * share) * (1 - share)
    wide = (6.0 + 13.0 * share) * size
    rows = slice(screen.row(WATERLINE - 1.4 * high - 2), screen.row(WATERLINE + 0.5 * wide))
    columns = slice(screen.column(x - 1.5 * wide), screen.column(x + 1.5 * wide))
    across = (screen.x[:, columns] - np.float32(x)) * np.float32(1 / wide)
    down = screen.y[rows] - np.float32(WATERLINE)
    if not across.size or not down.size:
        return
    ring = np.sqrt(across * across + (down * np.float32(1 / (0.26 * wide))) ** 2)
    foam = np.exp(-(((ring - 1.0) * np.float32(0.3 * wide)) ** 2)) * np.float32(0.8 * (1 - share))
    # A mound of spray with three soft crests, lower towards its sides.
    lean = across * np.float32(1 / 0.72)
    crests = 0.5 + 0.5 * np.cos(lean * np.float32(3 * pi))
    top = np.maximum(1.0 - lean * lean, 0.0) * (0.62 + 0.38 * crests)
    up = np.maximum(down * np.float32(-1 / high), 0.0)
    spray = smooth(0.0, 0.45, top - up) * (down < 0.6) * np.float32(0.8 * (1 - share) ** 0.7)
    drops = np.zeros(spray.shape, np.uint8)
    for k in range(_DROPS):
        side = (k + 0.5) / _DROPS * 2 - 1
        right = x + 1.25 * wide * side * (0.4 + 0.6 * share)
        below = WATERLINE - high * (1.35 - 0.7 * abs(side)) - 0.5
        middle = (right * screen.unit - 0.5 - columns.start, below * screen.unit - 0.5 - rows.start)
        radius = (0.9 + 1.0 * (1 - share)) * size * screen.unit
        at = (round(middle[0] * 16), round(middle[1] * 16))
        cv2.circle(drops, at, max(round(radius * 16), 8), 255, -1, cv2.LINE_AA, 4)
    spray = np.maximum(spray, drops * np.float32(0.85 / 255 * (1 - share) ** 0.5))
    veil(canvas[rows, columns], 0.42 * f32(lighting.key) + 0.56, f32(np.maximum(foam, spray)))
