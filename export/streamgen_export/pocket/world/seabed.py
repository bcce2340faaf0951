"""The bottom of the sea: ridges of rock, rippled sand, coral."""

from __future__ import annotations

from math import pi
from typing import Final

import numpy as np

from streamgen_export.pocket.world.screen import Plane, Screen, f32, mix, rgb, stream_of, texture
from streamgen_export.pocket.world.strip import premultiplied, stack, toward

_FLOOR: Final = 82.0
"""Row at which the sand starts."""
_CORALS: Final = ("#ff6a6a", "#ff9a4a", "#e85ab4", "#f2c84a", "#a86af0")


def rocks(screen: Screen, key: str, base: float, height: float, waves: int) -> Plane:
    """Coverage of a ridge of rocks from a little above its peaks to the lower edge: float32 [rows, period]."""
    period = round(1.5 * screen.width)
    first = screen.row(base - 2.4 * height)
    turn = 2 * pi * np.arange(period)[None, :] / period
    rng = stream_of(key)
    ridge = np.full((1, period), base)
    for wave in range(1, 3 * waves):
        ridge = ridge - height / wave**0.75 * np.abs(np.sin(wave * turn / 2 * 2 + rng.uniform(0, 6.28))) * 0.55
    return f32(screen.cover(f32(ridge + 0.35 * height - screen.y[first:]), 2.0))


def floor(screen: Screen, key: str) -> Plane:
    """Sand with low ripples: premultiplied float32 [rows, period, 4]."""
    first, period = screen.row(_FLOOR - 5), round(1.4 * screen.width)
    rows = screen.height - first
    turn = 2 * pi * np.arange(period)[None, :] / period
    ridge = _FLOOR + 1.6 * np.sin(2 * turn) + 1.0 * np.sin(5 * turn + 1)
    cover = screen.cover(f32(ridge - screen.y[first:]), 2.0)
    grain = texture(screen, key + " sand", rows, period, (22.0, 3.0), 0.9)
    value = 0.86 + 0.05 * grain
    layer = np.empty((rows, period, 4), np.float32)
    layer[..., :3] = value[..., None] * rgb("#e8d8a8")
    layer[..., 3] = cover
    return layer


def corals(screen: Screen, key: str) -> Plane:
    """Rocks with coral on them: premultiplied float32 [rows, period, 4]."""
    first, period = screen.row(56), round(1.4 * screen.width)
    y, x = screen.y[first:], f32((np.arange(period) + 0.5) / screen.unit)[None, :]
    span = period / screen.unit
    rough = texture(screen, key + " rock", len(y), period, (12.0, 9.0), 1.2)
    layer = np.zeros((len(y), period, 4), np.float32)
    rng = stream_of(key + " corals")
    for index in range(5):
        middle = (index + rng.uniform(0.15, 0.85)) * span / 5
        away = (x - middle + 0.5 * span) % span - 0.5 * span
        for k in range(5):
            colour = rgb(_CORALS[int(rng.integers(len(_CORALS)))])
            offset, size = rng.uniform(-13, 13), rng.uniform(3.6, 6.5)
            layer = stack(layer, _fan(screen, away - offset, y, 88.0 - 0.2 * k, size, colour, rng))
        wide, high = rng.uniform(12, 19), rng.uniform(6, 11)
        u, v = away / wide, (y - 92.0) / high
        radius = np.sqrt(u * u + v * v) + 0.05 * rough
        cover = screen.cover(f32((radius - 1) * high))
        lit = np.clip(-v * 0.75 + 0.12 * rough + 0.1, 0.05, 1)
        colour = mix(rgb("#1d3648"), rgb("#8fa694"), f32(lit)[..., None])
        layer = stack(layer, premultiplied(f32(colour), f32(cover)))
    return layer


def _fan(
    screen: Screen, away: Plane, y: Plane, root: float, size: float, colour: Plane, rng: np.random.Generator
) -> Plane:
    """A coral: a bush of round knobs, lit from above."""
    cover = np.zeros(np.broadcast(away, y).shape, np.float32)
    shade = np.zeros_like(cover)
    for _ in range(7):
        angle, reach = rng.uniform(-1.2, 1.2), rng.uniform(0.45, 1.0) * size * 1.5
        cx, cy, knob = np.sin(angle) * reach, root - np.cos(angle) * reach, rng.uniform(0.28, 0.5) * size
        u, v = (away - cx) / knob, (y - cy) / knob
        one = screen.cover(f32((np.sqrt(u * u + v * v) - 1) * knob))
        lit = f32(np.clip(0.62 - 0.42 * v - 0.18 * u, 0.2, 1.1))
        shade += one * (lit - shade)
        cover = np.maximum(cover, one)
    return premultiplied(f32(colour * shade[..., None]), cover)


def silhouette(canvas: Plane, cover: Plane, colour: Plane, strength: float) -> None:
    """Paint coverage [rows, W] in one colour, down to the lower edge."""
    first = canvas.shape[0] - cover.shape[0]
    toward(canvas[first:], colour, np.float32(strength) * cover)
