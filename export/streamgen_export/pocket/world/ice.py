"""Under the ice: a luminous cracked sheet overhead, cold turquoise water, light that falls through a hole."""

from __future__ import annotations

from math import pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import (
    Plane,
    Screen,
    Scroll,
    f32,
    mix,
    rgb,
    smooth,
    stream_of,
    texture,
)
from streamgen_export.pocket.world.seabed import rocks, silhouette
from streamgen_export.pocket.world.strip import add_glow, lay, premultiplied, toward
from streamgen_export.pocket.world.underwater import daylight
from streamgen_export.pocket.world.view import Lighting, View

_EDGE: Final = 25.0
"""Row at which the sheet is lost in the distance."""
_NEAR: Final = 6.0
"""Units before that over which it stops growing smaller."""
_SHEET_DEPTH: Final = 0.28
"""Of the sheet at the upper edge of the picture."""
_TILE: Final = (384, 192)
"""Width and height of the sheet's pattern, in texels."""
_TEXELS: Final = 2.6
_HOLE_ROW: Final = 9.0
_HOLE_SIZE: Final = (19.0, 5.2)
_HOLE_PERIOD: Final = 1.15
"""Pictures after which the hole comes back."""
_DAY: Final = (rgb("#c9f7f2"), rgb("#4cc3cc"), rgb("#1583a6"), rgb("#07406a"))
_NIGHT: Final = (rgb("#8fb8dc"), rgb("#245a92"), rgb("#0c2c5c"), rgb("#051230"))
"""Water below the sheet, in the upper part, half way down and at the bottom."""
_SKY_DAY, _SKY_NIGHT = rgb("#fbfff6"), rgb("#cfe2ff")
_MOTES: Final = 9
_MOTE_S: Final = 14.4


class Ice:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"ice {variant}"
        self._screen = screen
        self._rows = screen.row(_EDGE)
        y = screen.y[: self._rows]
        scale = (_EDGE + _NEAR) / (_EDGE - y + _NEAR)
        self._across = f32((screen.x - 0.5 * screen.span) * scale * _TEXELS)
        down = -_TEXELS * (_EDGE + _NEAR) * 1.5 * np.log(_EDGE - y + _NEAR)
        self._down = np.repeat(f32(down % _TILE[1]), screen.width, axis=1)
        self._sheet = _sheet(key)
        self._far_share = smooth(8.0, _EDGE - 1.0, y)
        self._hole_depth = _SHEET_DEPTH * (_EDGE - _HOLE_ROW + _NEAR) / (_EDGE + _NEAR)
        self._hole_x = (0.82, 0.66, 0.95)[variant % 3] * screen.span
        self._keels = Scroll(_keels(screen, key), screen.width)
        self._far = Scroll(rocks(screen, key + " far", 80.0, 9.0, 3), screen.width)
        self._near = Scroll(rocks(screen, key + " near", 91.0, 8.0, 3), screen.width)

    def _colours(self, air: Air) -> tuple[Plane, Plane, Plane, Plane]:
        day = daylight(air)
        below, upper, middle, bottom = (mix(n, d, day) for n, d in zip(_NIGHT, _DAY, strict=True))
        return below, upper, middle, bottom

    def _hole(self, view: View) -> float:
        """Column of the hole's middle, in units."""
        period = _HOLE_PERIOD * self._screen.span
        margin = 0.5 * (period - self._screen.span)
        return (self._hole_x - view.pan * self._hole_depth + margin) % period - margin

    def sky(self, canvas: Plane, view: View) -> None:
        """Water, the sheet and its hole, and the light that comes through."""
        screen, day = self._screen, daylight(view.air)
        below, upper, middle, bottom = self._colours(view.air)
        canvas[:] = screen.gradient(
            [(_EDGE, below), (34, mix(below, upper, 0.62)), (46, upper), (68, middle), (95, bottom)]
        )
        slide = np.float32(view.pan * _SHEET_DEPTH * _TEXELS % _TILE[0])
        pattern = cv2.remap(self._sheet, self._across + slide, self._down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        part = canvas[: self._rows]
        body, white, dark = cv2.split(pattern)
        tone = mix(f32((0.24, 0.42, 0.66)), f32((0.50, 0.84, 0.90)), day)
        pale = mix(f32((0.62, 0.76, 0.95)), f32((0.93, 1.0, 1.0)), day)
        part[:] = tone
        toward(part, pale, f32(np.clip(0.42 + 0.2 * body, 0.0, 1.0)))
        toward(part, mix(tone, bottom, 0.45), f32(0.55 * dark))
        toward(part, np.minimum(pale * np.float32(1.08), 1.0), f32(0.85 * white))
        toward(part, below, f32(np.broadcast_to(self._far_share, body.shape)))
        self._opening(canvas, self._hole(view), day)
        keels = self._keels.at(view.shift(0.22))
        light = np.append(mix(f32((0.42, 0.6, 0.86)), f32((0.86, 1.0, 1.0)), day), np.float32(1))
        lay(canvas[: keels.shape[0]], keels * f32(light))
        self._shafts(canvas, view, mix(_SKY_NIGHT, _SKY_DAY, day), 0.34 + 0.22 * day)

    def _opening(self, canvas: Plane, x: float, day: float) -> None:
        """The hole: bright sky within a rim of thick ice."""
        screen = self._screen
        wide, high = _HOLE_SIZE
        left, right = screen.column(x - 2.2 * wide), screen.column(x + 2.2 * wide)
        bottom = screen.row(_HOLE_ROW + 2.6 * high)
        if left >= right:
            return
        u, v = (screen.x[:, left:right] - x) / wide, (screen.y[:bottom] - _HOLE_ROW) / high
        angle = np.arctan2(v, u)
        radius = np.sqrt(u * u + v * v) * (1.0 + 0.05 * np.sin(3 * angle + 1) + 0.04 * np.sin(7 * angle))
        part = canvas[:bottom, left:right]
        sky = mix(_SKY_NIGHT * np.float32(0.92), _SKY_DAY, day)
        toward(part, sky, f32(0.62 * np.exp(-np.maximum(radius - 1.0, 0.0) / 0.42)))
        toward(part, mix(rgb("#123c70"), rgb("#3fb4c8"), day), f32(0.8 * np.exp(-(((radius - 1.08) / 0.1) ** 2))))
        toward(part, np.minimum(sky * np.float32(1.1), 1.0), smooth(1.04, 0.94, f32(radius)))

    def _shafts(self, canvas: Plane, view: View, colour: Plane, strength: float) -> None:
        """Light from the hole, in a fan; computed at half the size."""
        screen, t = self._screen, np.float32(view.time_s)
        x, y = screen.x[:, ::2] - np.float32(self._hole(view)), screen.y[::2]
        slope = x / (y + np.float32(26.0))
        wave = np.sin(16.0 * slope + 0.5 * t) + 0.8 * np.sin(27.0 * slope - 0.6 * t + 1.0) + 0.3
        light = (0.45 + 0.55 * smooth(-0.9, 1.6, wave)) * smooth(0.62, 0.22, np.abs(slope))
        light = light * (np.exp(-np.maximum(y - _HOLE_ROW, 0.0) / 52.0) * smooth(_HOLE_ROW - 3.0, _HOLE_ROW + 9.0, y))
        full = cv2.resize(f32(light), (screen.width, screen.height), interpolation=cv2.INTER_LINEAR)
        toward(canvas, colour, full * np.float32(strength))

    def land(self, canvas: Plane, view: View) -> None:
        """Rocks on the ground, far below."""
        _, _, middle, bottom = self._colours(view.air)
        silhouette(canvas, self._far.at(view.shift(0.2)), mix(middle, bottom, 0.62), 0.75)
        silhouette(canvas, self._near.at(view.shift(0.6)), mix(bottom, f32((0, 0, 0)), 0.25), 0.9)

    def before(self, canvas: Plane, view: View) -> None:
        """Motes that hang in the water."""
        light = mix(f32((0.55, 0.75, 1.0)), f32((0.85, 1.0, 1.0)), daylight(view.air))
        span = self._screen.span + 12
        for index in range(_MOTES):
            rng = stream_of(f"mote {index}")
            place, phase, size = (float(v) for v in rng.uniform((0, 0, 0.7), (1, 6.28, 1.3)))
            age = (view.time_s / _MOTE_S + index / _MOTES) % 1.0
            x = ((index + place) * span / _MOTES + 3.0 * sin(4 * pi * age + phase) - 0.9 * view.pan) % span - 6
            y = 34.0 + 56.0 * age
            add_glow(canvas, self._screen, (x, y), 2.6 * size, light * np.float32(0.55 * sin(pi * age)))

    def lighting(self, air: Air) -> Lighting:
        """Cold light from above."""
        if daylight(air) > 0.5:
            return Lighting((0.1, -0.9), (0.92, 1.0, 1.0), 0.54, (0.85, 1.0, 1.0), (0.42, 0.82, 0.88), 0.28, glow=0.04)
        return Lighting((0.1, -0.9), (0.76, 0.88, 1.0), 0.46, (0.6, 0.8, 1.0), (0.26, 0.46, 0.8), 0.32, glow=0.14)


def _sheet(key: str) -> Plane:
    """The pattern of the ice, periodic both ways: thickness, bright cracks, dark cracks: float32 [rows, columns, 3]."""
    columns, rows = _TILE
    rng = stream_of(key + " cells")
    x, y = np.arange(columns, dtype=np.float32)[None, :], np.arange(rows, dtype=np.float32)[:, None]
    texels = Screen(columns, 256)
    bend = texture(texels, key + " bend", rows, columns, (34.0, 20.0), 1.1)
    first = np.full((rows, columns), 1e9, np.float32)
    second, value = first.copy(), np.zeros((rows, columns), np.float32)
    for index in range(20):
        px = (index % 5 + 0.5 * (index // 5 % 2) + rng.uniform(0.1, 0.9)) * columns / 5
        py = (index // 5 + rng.uniform(0.1, 0.9)) * rows / 4
        dx = (x - np.float32(px) + columns / 2) % columns - columns / 2
        dy = ((y - np.float32(py) + rows / 2) % rows - rows / 2) * np.float32(1.3)
        distance = np.sqrt(dx * dx + dy * dy) + np.float32(2.2) * bend
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        value = np.where(nearer, np.float32(rng.uniform(-1, 1)), value)
        first = np.where(nearer, distance, first)
    gap = second - first
    cloud = texture(texels, key + " cloud", rows, columns, (40.0, 26.0), 1.0)
    white = np.exp(-((gap / 2.6) ** 2)) + 0.5 * smooth(1.2, 2.6, cloud)
    dark = smooth(13.0, 1.0, gap)
    pattern = f32(np.stack([0.9 * value + cloud, np.minimum(white, 1), dark], axis=-1))
    wide = np.pad(pattern, ((4, 4), (4, 4), (0, 0)), mode="wrap")
    return np.ascontiguousarray(cv2.GaussianBlur(wide, (0, 0), 1.0)[4:-4, 4:-4])


def _keels(screen: Screen, key: str) -> Plane:
    """Blocks of ice that hang down from the sheet: premultiplied float32 [rows, period, 4]."""
    rows, period = screen.row(46), round(1.5 * screen.width)
    y, x = screen.y[:rows], f32((np.arange(period) + 0.5) / screen.unit)[None, :]
    span = period / screen.unit
    rng = stream_of(key + " keels")
    line = np.full((1, period), 17.0, np.float32)
    facet = np.zeros((1, period), np.float32)
    for index in range(7):
        middle, wide = (index + rng.uniform(0.2, 0.8)) * span / 7, rng.uniform(6, 14)
        deep = rng.uniform(5, 17) if index % 2 else rng.uniform(2, 6)
        away = (x - middle + 0.5 * span) % span - 0.5 * span
        tip = 17.0 + deep * np.clip(1 - np.abs(away) / wide, 0, 1) ** 0.8
        facet = np.where(tip > line, np.clip(away / wide, -1, 1), facet)
        line = np.maximum(line, f32(tip))
    rough = texture(screen, key + " keel", rows, period, (5.0, 9.0), 1.2)
    cover = screen.cover(f32(y - line + 0.35 * rough), 1.6) * smooth(13.0, 20.0, y)
    light = np.clip(0.62 + 0.26 * np.sign(facet) * np.minimum(np.abs(facet) * 6, 1) * -1 + 0.05 * rough, 0, 1)
    light = light + 0.5 * np.exp(-np.maximum(line - y, 0) / 0.8)
    colour = mix(rgb("#3fa6bc"), rgb("#e6fdff"), f32(np.clip(light, 0, 1))[..., None])
    return premultiplied(f32(colour), f32(cover * (0.55 + 0.35 * smooth(30.0, 17.0, y))))


def ice(screen: Screen, variant: int) -> Ice:
    """Water under a sheet of ice."""
    return Ice(screen, variant)
