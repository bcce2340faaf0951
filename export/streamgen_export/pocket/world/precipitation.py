"""Rain, snow and mist: few, large and soft, on fixed tracks, so that the same phases come again and again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Colour
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, Scroll, f32, smooth, stream_of, texture
from streamgen_export.pocket.world.view import View

_TILE: Final = 32.0
"""Units after which rain repeats downwards."""
_FALL_S: Final = 0.24
"""Seconds in which it falls so far: rain looks the same in every chunk."""
_RAIN: Final = ((0.16, 9.0, 15.0, 0.30), (0.16, 15.0, 22.0, 0.34), (0.46, 7.0, 19.0, 0.30), (0.46, 13.0, 26.0, 0.32))
"""(columns to the left per row, units between streaks, length, strength) of rain far, near, storm far, near."""
_SNOW: Final = ((15.0, 0.75, 12.5, 0.72), (27.0, 1.55, 20.0, 0.88))
"""(units between flakes, their radius, units per second, strength), far and near."""
_WHITE: Final[Colour] = (0.97, 0.98, 1.0)


@dataclass(frozen=True, eq=False)
class _Streaks:
    """Rain of one kind, larger than the picture by a tile in each direction it moves: float32 [H + tile, ...]."""

    field: Plane
    slant: float

    def at(self, screen: Screen, time_s: float) -> Plane:
        """What is seen of it: float32 [H, W], a view."""
        fallen = (time_s / _FALL_S % 1.0) * _TILE
        down, across = round((_TILE - fallen) * screen.unit), round(self.slant * fallen * screen.unit)
        return self.field[down : down + screen.height, across : across + screen.width]


class Precipitation:
    """What falls and drifts before a place, driven by the air alone."""

    def __init__(self, screen: Screen, key: str) -> None:
        """`key` names the place; rain and flakes are the same in all of them."""
        self._screen = screen
        self._late = float(stream_of(key).uniform(0.0, 60.0))

    def far(self, canvas: Plane, view: View) -> None:
        """Between the land and its subjects."""
        self._mist(canvas, view, 0)
        self._fall(canvas, view, 0)

    def near(self, canvas: Plane, view: View) -> None:
        """Before the subjects."""
        self._mist(canvas, view, 1)
        self._fall(canvas, view, 1)

    def _fall(self, canvas: Plane, view: View, near: int) -> None:
        air, screen = view.air, self._screen
        if air.rain > 0.01:
            storm = float(np.clip((air.wind - 0.4) / 0.6, 0.0, 1.0))
            # Rain catches the light of the sky behind it.
            colour = _between(air.horizon, _WHITE, 0.45)
            for kind, share in ((near, 1.0 - storm), (2 + near, storm)):
                if share > 0.0:
                    streaks = _streaks(screen, kind)
                    veil(canvas, colour, streaks.at(screen, view.time_s) * np.float32(air.rain * share))
        if air.snow > 0.01:
            veil(canvas, _between(air.horizon, _WHITE, 0.72), self._flakes(view, near) * np.float32(air.snow))

    def _flakes(self, view: View, near: int) -> Plane:
        screen, (_, _, speed, _) = self._screen, _SNOW[near]
        field = _flakes(screen, near)
        time_s = view.time_s + self._late
        fallen = time_s * speed % HEIGHT
        sway = 3.2 * sin(0.55 * time_s) + 0.25 * speed * time_s + view.pan * (0.4 + 0.6 * near)
        rows = field.at(sway * screen.unit)
        down = round((HEIGHT - fallen) * screen.unit)
        return rows[down : down + screen.height]

    def _mist(self, canvas: Plane, view: View, near: int) -> None:
        air, screen = view.air, self._screen
        amount = float(np.clip((air.distance - 0.32) / 0.6, 0.0, 1.0))
        if amount <= 0.01:
            return
        first, bank = _bank(screen, near)
        shift = (view.pan * (0.4 + 0.6 * near) + (3.0 + 2.5 * near) * view.time_s) * screen.unit
        alpha = bank.at(shift) * np.float32(amount)
        veil(canvas[first : first + alpha.shape[0]], _between(air.haze, _WHITE, 0.12 * (1.0 - air.stars)), alpha)


def veil(canvas: Plane, colour: Colour, alpha: Plane) -> None:
    """Paint one colour over the canvas in place, with alpha [h, w]: `screen.over`, but faster."""
    clear = f32(1.0 - alpha)
    canvas *= cv2.merge((clear, clear, clear))
    canvas += cv2.merge([f32(alpha * np.float32(c)) for c in colour])


def _between(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


@lru_cache(maxsize=8)
def _streaks(screen: Screen, kind: int) -> _Streaks:
    slant, spacing, length, strength = _RAIN[kind]
    rng = stream_of(f"rain {kind}")
    rows = screen.height + round(_TILE * screen.unit) + 1
    columns = screen.width + round(slant * _TILE * screen.unit) + 1
    x = f32((np.arange(columns) + 0.5) / screen.unit)[None, :]
    y = f32((np.arange(rows) + 0.5) / screen.unit)[:, None]
    u = x + slant * y
    field = np.zeros((rows, columns), np.float32)
    reach = float(u.max())
    for index in range(int(reach / spacing)):
        centre = (index + rng.uniform(0.25, 0.75)) * spacing
        start, light, width = rng.uniform(0, _TILE), rng.uniform(0.5, 1.0), rng.uniform(0.28, 0.5)
        width = max(width, 0.6 * screen.pixel)
        along = (y - start + _TILE / 2) % _TILE - _TILE / 2
        # A streak is brightest at its head.
        body = np.exp(-((2.0 * along / length) ** 4)) * (0.45 + 0.55 * smooth(-0.5 * length, 0.5 * length, along))
        near = np.abs(u - centre) < 5 * width
        field[near] += (light * body * np.exp(-((u - centre) ** 2) / (2 * width * width)))[near]
    return _Streaks(f32(strength * np.minimum(field, 1.0)), slant)


@lru_cache(maxsize=4)
def _flakes(screen: Screen, near: int) -> Scroll:
    """Soft flakes on a lattice, periodic in both directions: twice as high as the picture."""
    spacing, size, _, strength = _SNOW[near]
    rng = stream_of(f"snow {near}")
    columns, rows = round(screen.span / spacing), round(HEIGHT / spacing)
    field = np.zeros((screen.height, screen.width), np.float32)
    for row in range(rows):
        for column in range(columns):
            x = (column + 0.5 * (row % 2) + rng.uniform(0.2, 0.8)) * screen.span / columns
            y = (row + rng.uniform(0.2, 0.8)) * HEIGHT / rows
            radius = max(size * rng.uniform(0.75, 1.25), 0.7 * screen.pixel)
            dx = (screen.x - x + screen.span / 2) % screen.span - screen.span / 2
            dy = (screen.y - y + HEIGHT / 2) % HEIGHT - HEIGHT / 2
            field = np.maximum(field, smooth(1.35 * radius, 0.35 * radius, np.sqrt(dx * dx + dy * dy)))
    return Scroll(f32(strength * np.concatenate([field, field])), screen.width)


@lru_cache(maxsize=4)
def _bank(screen: Screen, near: int) -> tuple[int, Scroll]:
    """A bank of mist, and its first row: far over the foot of the hills, near on the ground."""
    top, middle, bottom, strength = ((44.0, 60.0, 80.0, 0.62), (74.0, 90.0, 112.0, 0.42))[near]
    first, end = screen.row(top), screen.row(min(bottom, HEIGHT))
    y = screen.y[first:end]
    columns = 2 * screen.width
    noise = texture(screen, f"mist {near}", screen.height, columns, (74.0, 20.0), 0.8)[: end - first]
    depth = smooth(top, middle, y) * smooth(bottom, middle, y)
    return first, Scroll(f32(strength * depth * smooth(-1.9, 1.3, noise)), screen.width)
