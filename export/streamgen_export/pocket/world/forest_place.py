"""A forest: a clearing between trunks in several depths, and shafts of light where the sun comes through."""

from __future__ import annotations

import cv2
import numpy as np

from streamgen_export.pocket.world.land_relief import hill, ridge
from streamgen_export.pocket.world.land_trees import fir, hedge, leafy, tree
from streamgen_export.pocket.world.layers import Layer, Sheet
from streamgen_export.pocket.world.open_land import OpenLand
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, shine, smooth, stream_of, texture
from streamgen_export.pocket.world.view import View

_MOSS = ("#244f2a", "#3f7334", "#7c9c48")


class Forest(OpenLand):
    """Trunks, ferns and moss around a clearing."""

    def __init__(self, screen: Screen, variant: int) -> None:
        """Where the trees stand follows `variant`."""
        key = f"forest {variant}"
        super().__init__(screen, key, variant, 64.0)
        side, rng = self.side, stream_of(f"{key} trees")
        sheet = Sheet(screen, f"{key} last", 14, 76)
        line = ridge(sheet, f"{key} last", 62, 1.5, (3, 7), 0.5)
        hill(sheet, "last", line, _MOSS, side, depth=12)
        for index in range(34):
            x, tall = (index + rng.uniform(0.2, 0.8)) * sheet.span / 34, rng.uniform(22.0, 40.0)
            if rng.random() < 0.65:
                fir(sheet, f"{key} last {index}", x, 63.0 + rng.uniform(0, 1.5), tall, side)
            else:
                tree(sheet, f"{key} last {index}", x, 63.0 + rng.uniform(0, 1.5), 0.85 * tall, side, "hazy")
        self.add(Layer(sheet, 0.12, far=1.6, sink=0.8))

        sheet = Sheet(screen, f"{key} far", 0, 84)
        line = ridge(sheet, f"{key} far", 66, 1.6, (3, 7), 0.5)
        hill(sheet, "far", line, _MOSS, side, depth=16)
        for index in range(17):
            x = (index + rng.uniform(0.2, 0.8)) * sheet.span / 17
            _trunk(sheet, f"{key} far {index}", x, 68.0 + rng.uniform(0, 2.0), 1.3 + rng.uniform(0, 0.6), side)
        _canopy(sheet, f"{key} far", 7.0, 6.5, side, "hazy")
        hedge(sheet, f"{key} ferns far", line + 3.0, 0, sheet.span, 2.0, side, "hazy")
        self.add(Layer(sheet, 0.25, far=0.8, sink=0.5))
        self._shafts = _Shafts(screen, key, side)

        sheet = Sheet(screen, f"{key} middle", 0, 92)
        line = ridge(sheet, f"{key} middle", 71, 1.8, (2, 5), 0.5)
        hill(sheet, "middle", line, _MOSS, side, depth=18)
        for index in range(7):
            x = (index + rng.uniform(0.15, 0.85)) * sheet.span / 7
            _trunk(sheet, f"{key} middle {index}", x, 74.0 + rng.uniform(0, 2.0), 2.3 + rng.uniform(0, 0.9), side)
            hedge(sheet, f"{key} fern {index}", line + 4.0, x + 5, x + 15, 2.6, side, "olive")
        _canopy(sheet, f"{key} middle", 1.5, 8.0, side, "green")
        self._middle = Layer(sheet, 0.5, far=0.3, sink=0.2)

        sheet = Sheet(screen, f"{key} near", 0, 96)
        line = ridge(sheet, f"{key} near", 78, 1.6, (2, 5), 0.5)
        hill(sheet, "near", line, ("#2b5428", "#4a7a34", "#86a648"), side, grain=(16, 3.5), depth=30, gloss=0.35)
        for index, x in enumerate((22.0, 214.0)):
            _trunk(sheet, f"{key} near {index}", x, 84.0, 4.6, side)
            hedge(sheet, f"{key} bush {index}", line + 5.0, x - 16, x + 20, 3.4, side, "green")
        self._near = Layer(sheet, 1.0)

    def land(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        for layer in self._layers:
            layer.draw(canvas, view)
        self._middle.draw(canvas, view)
        self._shafts.draw(canvas, view)
        self._near.draw(canvas, view)
        self._falling.far(canvas, view)


def _trunk(sheet: Sheet, key: str, x: float, foot: float, half: float, side: float) -> None:
    """A trunk that leaves the picture at the top, with roots, bark and two boughs."""
    rng = stream_of(key)
    window = sheet.window(x - 6 * half, x + 6 * half, 0.0, foot + 1.2 * half)
    up = foot - window.y
    lean = rng.uniform(-0.03, 0.03)
    middle = x + lean * up + 0.16 * half * np.sin(0.09 * up + rng.uniform(0, 6))
    wide = half * (0.86 + 1.1 * np.exp(-np.maximum(up, 0) / (1.1 * half)) + 0.10 * np.sin(0.2 * up + rng.uniform(0, 6)))
    u = (window.x - middle) / wide
    roots = 0.35 * half * np.sin(3.2 * u + rng.uniform(0, 6)) + 0.5 * half * (1 - u * u)
    distance = np.maximum(np.abs(window.x - middle) - wide, -up - roots)
    bark = np.clip(0.6 * sheet.grain("bark", (1.5, 16.0), 1.0)[window.rows, window.columns], -1.0, 1.0)
    shade = np.clip(0.30 + 0.46 * side * u + 0.12 * bark, 0.02, 1.0)
    albedo = rgb("#4b382b") + (rgb("#80674e") - rgb("#4b382b")) * np.clip(0.5 + 0.5 * bark, 0, 1)[..., None]
    moss = smooth(8.0 * half, 0.0, f32(up)) * smooth(0.4, -0.5, f32(side * u)) * 0.8
    albedo = albedo + f32(moss)[..., None] * (rgb("#4f7038") - albedo)
    snow = 0.9 * smooth(0.55, 0.95, f32(-side * u)) + 0.9 * smooth(2.0, -1.0, f32(up))
    sheet.put(window, sheet.screen.cover(f32(distance)), f32(albedo), f32(shade), snow=f32(np.minimum(snow, 0.9)))
    _shade_ground(sheet, x - side * 3 * half, foot + 0.4 * half, 4.0 * half)


def _shade_ground(sheet: Sheet, x: float, y: float, reach: float) -> None:
    window = sheet.window(x - 2 * reach, x + 2 * reach, y, y + reach)
    fall = ((window.x - x) / reach) ** 2 + ((window.y - y) / (0.16 * reach)) ** 2
    sheet.darken(window, f32(0.4 * np.exp(-fall)))


def _canopy(sheet: Sheet, key: str, row: float, radius: float, side: float, leaves: str) -> None:
    """Leaves that hang into the picture from above, open in places."""
    rng = stream_of(f"{key} canopy")
    count = round(sheet.span / (0.9 * radius))
    for index in range(count):
        x = (index + rng.uniform(0.1, 0.9)) * sheet.span / count
        opening = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * x / sheet.span + rng.uniform(-0.3, 0.3))
        y = row - 1.5 * radius * opening + rng.uniform(-0.3, 0.2) * radius
        size = radius * rng.uniform(0.75, 1.15)
        window = sheet.window(x - 1.3 * size, x + 1.3 * size, 0.0, max(y + 1.3 * size, 0.5))
        if len(window.y):
            leafy(sheet, f"{key} leaves {index}", window, [(x, y, size)], side, leaves, frost=0.6)


class _Shafts:
    """Beams of light that fall slanting through the trees and swell slowly."""

    def __init__(self, screen: Screen, key: str, side: float) -> None:
        self._end = screen.row(86.0)
        y = screen.y[: self._end]
        u = screen.x + side * 0.55 * y
        columns = np.arange(screen.width * 3)
        noise = texture(screen, f"{key} shafts", 1, len(columns), (26.0, 1.0), 0.8)[0]
        index = np.round(u * screen.unit).astype(np.intp) % len(columns)
        self._fields = tuple(
            f32(smooth(0.1, 1.7, np.roll(noise, shift)[index]) * smooth(0.0, 14.0, y) * smooth(86.0, 52.0, y))
            for shift in (0, len(columns) // 2)
        )

    def draw(self, canvas: Plane, view: View) -> None:
        """Add them."""
        air = view.air
        strength = 0.62 * air.sun_seen + 0.3 * air.moon_seen
        if strength < 0.02:
            return
        first = 0.5 + 0.5 * np.sin(0.35 * view.time_s)
        field = self._fields[0] * np.float32(strength * first) + self._fields[1] * np.float32(strength * (1 - first))
        light = f32(cv2.merge([f32(field * np.float32(c)) for c in air.sun]))
        shine(canvas[: self._end], light)
