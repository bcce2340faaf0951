"""Trees, painted into sheets: round ones, firs, trunks, bushes."""

from __future__ import annotations

import numpy as np

from streamgen_export.pocket.world.layers import Sheet, Window, blended, towards_light
from streamgen_export.pocket.world.screen import Plane, f32, rgb, smooth, stream_of

_LEAVES = {
    "green": ("#1f4d2a", "#3f7f38", "#7fb04a"),
    "olive": ("#33502a", "#647f38", "#a0a850"),
    "pine": ("#12352f", "#235345", "#457a58"),
    "hazy": ("#3a6a5c", "#568a6c", "#86b080"),
}
"""Dark, middle and light leaves of a kind of tree."""


def tree(sheet: Sheet, key: str, x: float, foot: float, height: float, side: float, leaves: str = "green") -> None:
    """A round tree: a crown of several lit balls of leaves on a trunk, and its shadow on the ground."""
    rng = stream_of(key)
    width = 0.42 * height
    _shadow(sheet, x - side * 0.35 * height, foot, 0.5 * height)
    window = sheet.window(x - 0.8 * height, x + 0.8 * height, foot - 1.1 * height, foot + 1.0)
    trunk = np.abs(window.x - x - 0.25 * np.sin(0.4 * (window.y - foot))) - 0.035 * height * (
        1.0 + 1.4 * np.exp((window.y - foot) / (0.06 * height))
    )
    trunk = np.maximum(trunk, np.maximum(window.y - foot - 0.2, foot - 0.6 * height - window.y))
    bark = 0.35 + 0.3 * side * np.clip((window.x - x) / (0.05 * height), -1, 1)
    sheet.put(window, sheet.screen.cover(f32(trunk)), rgb("#4d3a2c"), f32(np.broadcast_to(bark, trunk.shape)))
    balls = [(0.0, -0.78, 0.50), (-0.62, -0.50, 0.44), (0.62, -0.52, 0.44), (-0.34, -0.72, 0.46), (0.36, -0.76, 0.44)]
    balls += [(0.0, -0.46, 0.5), (-0.3, -0.42, 0.4), (0.34, -0.40, 0.4)]
    jitter = rng.uniform(-0.09, 0.09, (len(balls), 3))
    placed = [
        (x + (bx + a) * width * 1.05, foot + (by + 0.6 * b - 0.05) * height, (r + c) * width)
        for (bx, by, r), (a, b, c) in zip(balls, jitter, strict=True)
    ]
    leafy(sheet, key, window, placed, side, leaves)


def leafy(
    sheet: Sheet,
    key: str,
    window: Window,
    balls: list[tuple[float, float, float]],
    side: float,
    leaves: str,
    frost: float = 0.0,
) -> None:
    """Balls (x, y, radius) of leaves, the first ones behind, each lit on the side of the light.

    `frost` is how much snow clings to them everywhere, besides what lies on top.
    """
    right, down = towards_light(side)
    shape = np.broadcast(window.x, window.y).shape
    rough = _rough(sheet, window)
    top = min(y - r for _, y, r in balls)
    bottom = max(y + r for _, y, r in balls)
    for x, y, radius in balls:
        u, v = (window.x - x) / radius, (window.y - y) / radius
        distance = np.sqrt(u * u + v * v) + 0.10 * rough
        light = 0.46 + 0.44 * (u * right + v * down) + 0.10 * rough
        # Lower balls lie in the shade of those above.
        light = light * (1.12 - 0.5 * np.clip((window.y - top) / max(bottom - top, 1e-3), 0, 1))
        shade = f32(np.clip(light, 0.02, 1.0))
        albedo = blended(tuple(rgb(code) for code in _LEAVES[leaves]), f32(np.clip(0.1 + shade, 0, 1)))
        cover = sheet.screen.cover(f32((distance - 1.0) * radius))
        snow = frost + (0.95 - frost) * smooth(0.35, -0.45, f32(np.broadcast_to(v, shape) + 0.2 * rough))
        sheet.put(window, cover, albedo, shade, snow=snow)


def fir(sheet: Sheet, key: str, x: float, foot: float, height: float, side: float, leaves: str = "pine") -> None:
    """A fir with tiers of hanging branches, snow on them in winter."""
    rng = stream_of(key)
    half = height * rng.uniform(0.24, 0.30)
    tiers = 5 if height > 14 else 4
    _shadow(sheet, x - side * 0.25 * height, foot, 0.32 * height)
    window = sheet.window(x - 1.3 * half, x + 1.3 * half, foot - height, foot + 1.0)
    up = (foot - window.y) / height
    stem = np.maximum(np.abs(window.x - x) - 0.022 * height, np.maximum(-up, up - 0.2) * height)
    sheet.put(window, sheet.screen.cover(f32(stem)), rgb("#3d2e26"), 0.3)
    rough = _rough(sheet, window)
    for tier in range(tiers):
        low = 0.10 + 0.72 * (tier / tiers) ** 0.9
        high = min(1.0, low + 0.36 - 0.02 * tier)
        share = np.clip((up - low) / (high - low), -0.2, 1.0)
        wide = half * (1.0 - 0.86 * (tier / tiers)) * (1.0 - share) ** 0.85
        u = (window.x - x) / np.maximum(wide, 0.05)
        # Branches hang: the lower edge of a tier is lower at its ends.
        hang = low - 0.028 * np.minimum(u * u, 1.4) + 0.012 * np.cos(9.0 * u + tier)
        distance = np.maximum(np.abs(window.x - x) - wide, (hang - up) * height) + 0.05 * np.minimum(half, wide) * rough
        light = np.clip(0.42 + 0.40 * side * np.clip(u, -1, 1) + 0.34 * (share - 0.35) + 0.1 * rough, 0.03, 1.0)
        albedo = blended(tuple(rgb(code) for code in _LEAVES[leaves]), f32(np.clip(light, 0, 1)))
        snow = 0.95 * smooth(0.02, 0.34, f32(share + 0.14 * rough + 0.12 * side * np.clip(u, -1, 1)))
        sheet.put(window, sheet.screen.cover(f32(distance)), albedo, f32(light), snow=snow)


def grove(
    sheet: Sheet, key: str, line: Plane, left: float, right: float, size: float, side: float, kind: str, step: float
) -> None:
    """Trees close together along a line of the land, [period] rows, between two columns."""
    rng = stream_of(key)
    count = max(1, round((right - left) / step))
    for index in range(count):
        x = left + (index + rng.uniform(0.2, 0.8)) * (right - left) / count
        foot = float(line[round(x * sheet.screen.unit) % sheet.columns]) + 0.08 * size + rng.uniform(0.0, 0.12) * size
        tall = size * rng.uniform(0.7, 1.15)
        if kind in ("pine", "fir"):
            fir(sheet, f"{key} {index}", x, foot, tall * 1.25, side)
        else:
            tree(sheet, f"{key} {index}", x, foot, tall, side, kind)


def hedge(sheet: Sheet, key: str, line: Plane, left: float, right: float, size: float, side: float, kind: str) -> None:
    """A band of leaves along a line of the land, as a wood looks from afar."""
    rng = stream_of(key)
    unit = sheet.screen.unit
    x = left
    balls = []
    while x < right:
        share = min(1.0, (x - left) / 8.0 + 0.35, (right - x) / 8.0 + 0.35)
        radius = size * rng.uniform(0.7, 1.2) * share
        balls.append((x, float(line[round(x * unit) % sheet.columns]) - 0.35 * radius, radius))
        x += 0.95 * radius
    for index in range(0, len(balls), 6):
        part = balls[index : index + 6]
        edge = 1.3 * max(r for _, _, r in part)
        window = sheet.window(part[0][0] - edge, part[-1][0] + edge, min(y for _, y, _ in part) - edge, 96.0)
        leafy(sheet, f"{key} {index}", window, part, side, kind)


def _shadow(sheet: Sheet, x: float, foot: float, half: float) -> None:
    window = sheet.window(x - 2 * half, x + 2 * half, foot - 0.5 * half, foot + 0.6 * half)
    fall = ((window.x - x) / half) ** 2 + ((window.y - foot) / (0.17 * half)) ** 2
    sheet.darken(window, f32(0.62 * np.exp(-fall)))


def _rough(sheet: Sheet, window: Window) -> Plane:
    """Unevenness of leaves in a window, of deviation 1: float32 [h, w]."""
    return f32(sheet.grain("leaves", (3.4, 2.8), 1.5)[window.rows, window.columns])


def tuft(sheet: Sheet, key: str, x: float, foot: float, height: float, side: float, colours: tuple[str, str]) -> None:
    """A fan of blades of grass, dark at the foot and light at the tips."""
    rng = stream_of(key)
    window = sheet.window(x - 1.3 * height, x + 1.3 * height, foot - 1.1 * height, foot + 0.6)
    up = np.clip((foot - window.y) / height, -0.2, 1.2)
    dark, light = (rgb(code) for code in colours)
    for blade in range(11):
        lean, tall = rng.uniform(-0.75, 0.75), rng.uniform(0.6, 1.0)
        share = np.clip(up / tall, 0.0, 1.0)
        middle = x + (blade - 5) * 0.11 * height + lean * height * 0.55 * share**1.7
        distance = np.maximum(np.abs(window.x - middle) - 0.10 * height * (1.0 - share), (up - tall) * height)
        distance = np.maximum(distance, -up * height)
        shade = np.clip(0.34 + 0.5 * share + 0.1 * side * lean, 0, 1) * np.ones_like(distance)
        colour = f32(dark + (light - dark) * share[..., None] * np.ones((1, len(window.x[0]), 1), np.float32))
        sheet.put(window, sheet.screen.cover(f32(distance)), colour, f32(shade), snow=0.93)
