"""Houses, a church, towers and street lamps, painted into sheets; their lights are lit by `Air.lamps`."""

from __future__ import annotations

import numpy as np

from streamgen_export.pocket.world.layers import Sheet, Window
from streamgen_export.pocket.world.screen import Plane, f32, rgb, smooth, stream_of

_WALLS = ("#d8c7a8", "#c9a988", "#e2d8c6", "#b98f74")
_ROOFS = ("#8e4a38", "#7a4438", "#995b42", "#5f4a4c")
_TOWERS = ("#5d6a80", "#6b7288", "#505c74", "#7a7884", "#64707c")
_GLASS = "#39465a"


def box(window: Window, left: float, right: float, top: float, bottom: float) -> Plane:
    """Signed distance to a rectangle, negative inside: float32 [h, w]."""
    across = np.maximum(left - window.x, window.x - right)
    down = np.maximum(top - window.y, window.y - bottom)
    return f32(np.maximum(across, down))


def house(sheet: Sheet, key: str, x: float, foot: float, width: float, side: float) -> None:
    """A house with a gable roof, a chimney and lit windows; `x` is its middle, its end wall faces the light."""
    rng = stream_of(key)
    wall, roof = rgb(_WALLS[int(rng.integers(4))]), rgb(_ROOFS[int(rng.integers(4))])
    tall, rise = width * rng.uniform(0.40, 0.50), width * rng.uniform(0.36, 0.46)
    window = sheet.window(x - width, x + width, foot - tall - rise - 4, foot + 3)
    cover, flat = sheet.screen.cover, np.ones((len(window.y), 1), np.float32)
    across = (window.x - x) * side / width
    up = foot - tall - window.y
    share = np.clip(up / rise, 0.0, 1.0)
    top = foot - tall - rise
    stack = box(window, x - side * 0.2 * width - 0.7, x - side * 0.2 * width + 0.7, top - 1.2, top + 0.6 * rise)
    sheet.put(window, cover(stack), rgb("#7a4a3e"), 0.45, snow=f32((window.y < top - 0.3) * flat))
    sheet.put(
        window,
        cover(box(window, x - width / 2, x + width / 2, foot - tall, foot)),
        wall,
        f32(flat * np.where(across > 0.12, 0.80, 0.36)),
    )
    gable = np.maximum((np.abs(across - 0.31) - 0.19 * (1 - share)) * width, np.maximum(-up, up - rise))
    sheet.put(window, cover(f32(gable)), wall, 0.76)
    # The roof leans: both its ends move towards the gable's peak with height.
    slope = np.maximum(np.maximum(-0.54 + 0.19 * share - across, across - 0.12 - 0.19 * share) * width, -up - 0.5)
    sheet.put(
        window,
        cover(f32(np.maximum(slope, up - rise))),
        roof,
        f32(0.46 + 0.16 * share * np.ones_like(across)),
        snow=0.97,
    )
    verge = np.maximum(
        np.abs(np.abs(across - 0.31) - 0.19 * (1 - share) - 0.012) * width - 0.45,
        np.maximum(-up - 0.6, up - rise - 0.3),
    )
    sheet.put(window, cover(f32(verge)), f32(roof * 0.85), 0.7, snow=0.95)
    size = 0.07 * width
    for place in (-0.36, -0.10):
        _pane(sheet, x + place * width * side, foot - 0.55 * tall, size, 1.15 * size)
    peak = x + 0.31 * width * side
    _pane(sheet, peak, foot - 1.12 * tall, 0.75 * size, size)
    sheet.put(window, cover(box(window, peak - size, peak + size, foot - 2.9 * size, foot)), rgb("#4a3428"), 0.4)
    _spill(sheet, x, foot + 0.6, 0.62 * width, 0.42)


def church(sheet: Sheet, key: str, x: float, foot: float, height: float, side: float) -> None:
    """A church: a nave and a tower with a pointed roof."""
    width = 0.24 * height
    wall, roof = rgb("#d9cfbc"), rgb("#56606e")
    cover = sheet.screen.cover
    window = sheet.window(x - 1.2 * height, x + 1.2 * height, foot - height - 1, foot + 2)
    nave = 0.30 * height
    left, right = (x - 0.62 * height, x) if side > 0 else (x, x + 0.62 * height)
    sheet.put(window, cover(box(window, left, right, foot - nave, foot)), wall, 0.42)
    up = foot - nave - window.y
    middle, half = (left + right) / 2, (right - left) / 2
    gable = np.maximum(np.abs(window.x - middle) - half - 0.5 + 0.14 * up, np.maximum(-up - 0.3, up - 0.22 * height))
    sheet.put(window, cover(f32(gable)), roof, f32(0.5 + 0.015 * up), snow=1.0)
    for n in range(3):
        _arch(sheet, left + (n + 0.75) / 3.5 * (right - left), foot - 0.45 * nave, 0.030 * height)
    tall = 0.62 * height
    round_ = 0.62 + 0.3 * side * np.clip((window.x - x) / (0.5 * width), -1, 1)
    sheet.put(
        window,
        cover(box(window, x - width / 2, x + width / 2, foot - tall, foot)),
        wall,
        f32(round_ * np.ones_like(window.y)),
    )
    rise = foot - tall - window.y
    spire = np.maximum(np.abs(window.x - x) - 0.58 * width * (1 - rise / (height - tall)), -rise)
    spire_shade = np.where(side * (window.x - x) > 0, 0.8, 0.25) * np.ones_like(window.y)
    sheet.put(window, cover(f32(spire)), roof, f32(spire_shade), snow=f32(0.85 * np.ones_like(spire)))
    _arch(sheet, x, foot - 0.86 * tall, 0.034 * height)
    _arch(sheet, x, foot - 0.5 * tall, 0.026 * height)
    _spill(sheet, x, foot, 0.4 * height, 0.3)


def lamp(sheet: Sheet, x: float, foot: float, height: float) -> None:
    """A street lamp and the light around it."""
    window = sheet.window(x - 0.9 * height, x + 0.9 * height, foot - height - 9, foot + 7)
    thick = max(0.36, 0.5 * sheet.screen.pixel)
    pole = np.maximum(np.abs(window.x - x) - thick, np.maximum(foot - height - window.y, window.y - foot))
    sheet.put(window, sheet.screen.cover(f32(pole)), rgb("#2b3038"), 0.35)
    head = np.hypot((window.x - x) / 1.15, window.y - foot + height + 1.2) - 1.3
    sheet.put(window, sheet.screen.cover(f32(head)), rgb("#e8dcc0"), 0.7, glow=1.0)
    _spill(sheet, x, foot + 1.0, 0.55 * height, 0.55)


def tower(
    sheet: Sheet, key: str, x: float, width: float, top: float, foot: float, side: float, *, panes: tuple[float, float]
) -> None:
    """A high building whose left edge is at `x`, with windows of a size (across, down) in a grid."""
    rng = stream_of(key)
    colour = rgb(_TOWERS[int(rng.integers(len(_TOWERS)))])
    window = sheet.window(x - 1, x + width + 1, top - 14, foot + 0.5)
    cover = sheet.screen.cover
    part = 0.34 * width
    seam = x + (width - part if side > 0 else part)
    lit = np.where(side * (window.x - seam) > 0, 0.86, 0.36)
    fall = lit * (1.04 - 0.30 * smooth(top, foot, window.y))
    style = int(rng.integers(4))
    if style == 0:
        crown = box(window, x + 0.2 * width, x + 0.8 * width, top - 5, top + 1)
        sheet.put(window, cover(crown), colour, f32(lit * np.ones_like(window.y)), snow=f32(window.y < top - 4.2))
    elif style == 1:
        mast = box(window, x + 0.5 * width - 0.3, x + 0.5 * width + 0.3, top - 11, top)
        sheet.put(window, cover(mast), rgb("#39404e"), 0.4)
    line = top + (0.55 * np.abs(window.x - x - width / 2) if style == 2 else 0.0) * np.ones_like(window.x)
    wall = np.maximum(np.maximum(x - window.x, window.x - x - width), np.maximum(line - window.y, window.y - foot))
    lying = f32((window.y - line < 0.9) * 1.0)
    sheet.put(window, cover(f32(wall)), colour, f32(fall), snow=lying)
    across, down = panes
    count = max(1, int((width - 1.2) / (1.9 * across)))
    gap = width / count
    rows = int((foot - top - 4.0) / (1.75 * down))
    for row in range(rows):
        y = top + 3.2 + row * 1.75 * down
        for column in range(count):
            on = rng.random() < 0.55
            centre = x + (column + 0.5) * gap
            _pane(sheet, centre, y, 0.5 * across, 0.5 * down, float(rng.uniform(0.65, 1.0)) if on else 0.0)


def _pane(sheet: Sheet, x: float, y: float, half: float, tall: float, glow: float = 1.0) -> None:
    near = sheet.window(x - half - 1, x + half + 1, y - tall - 1, y + tall + 1)
    sheet.put(near, sheet.screen.cover(box(near, x - half, x + half, y - tall, y + tall)), rgb(_GLASS), 0.6, glow=glow)


def _arch(sheet: Sheet, x: float, y: float, half: float) -> None:
    near = sheet.window(x - half - 1, x + half + 1, y - 3 * half - 1, y + 2 * half + 1)
    pane = np.minimum(box(near, x - half, x + half, y, y + 2 * half), np.hypot(near.x - x, near.y - y) - half)
    sheet.put(near, sheet.screen.cover(f32(pane)), rgb(_GLASS), 0.6, glow=0.95)


def _spill(sheet: Sheet, x: float, y: float, reach: float, amount: float) -> None:
    """Light that falls on what is around a lamp."""
    window = sheet.window(x - 2 * reach, x + 2 * reach, y - 0.9 * reach, y + 0.6 * reach)
    fall = np.exp(-(((window.x - x) / reach) ** 2) - ((window.y - y) / (0.34 * reach)) ** 2)
    part = (window.rows, window.columns)
    sheet.glow[part] = np.maximum(sheet.glow[part], amount * fall * sheet.cover[part])
