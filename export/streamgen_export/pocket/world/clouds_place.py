"""Above the clouds: a sea of billowing tops in several depths under an open sky."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streamgen_export.pocket.world.layers import Layer, Sheet, towards_light
from streamgen_export.pocket.world.open_land import OpenLand
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, smooth, stream_of
from streamgen_export.pocket.world.view import View

_DRIFT = 1.6
"""Units per second by which the nearest clouds drift by themselves."""


class AboveClouds(OpenLand):
    """Cloud tops below the viewer."""

    def __init__(self, screen: Screen, variant: int) -> None:
        """The shape of the clouds follows `variant`."""
        key = f"above clouds {variant}"
        super().__init__(screen, key, variant, 56.0)
        self._banks: list[tuple[Layer, float]] = []
        for name, row, height, radius, depth, far, end in (
            ("last", 52.0, 3.0, 3.4, 0.08, 1.6, 74.0),
            ("far", 58.0, 5.0, 6.0, 0.2, 0.8, 90.0),
            ("middle", 69.0, 7.0, 11.0, 0.45, 0.25, 96.0),
            ("near", 84.0, 5.0, 17.0, 1.0, 0.0, 96.0),
        ):
            sheet = Sheet(screen, f"{key} {name}", row - height - 1.8 * radius, end)
            _billows(sheet, f"{key} {name}", row, height, radius, self.side)
            self._banks.append((Layer(sheet, depth, far=far, sink=0.4, vapour=True), depth))

    def land(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        for layer, depth in self._banks:
            layer.draw(canvas, view, _DRIFT * depth * view.time_s)
        self._falling.far(canvas, _thin(view))

    def before(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        self._falling.near(canvas, _thin(view))


def _thin(view: View) -> View:
    """Up here less falls, and mist lies below."""
    air = view.air
    return replace(view, air=replace(air, rain=0.55 * air.rain, distance=min(air.distance, 0.3)))


def _billows(sheet: Sheet, key: str, row: float, height: float, radius: float, side: float) -> None:
    """Balls of cloud heaped up along a wavy line, the upper ones behind."""
    rng = stream_of(key)
    rough = sheet.noise("puffs", (1.1 * radius, 0.9 * radius), 1.5)
    span = sheet.span
    window = sheet.whole
    turn = 2 * np.pi * window.x[0] / span
    wave = sum(np.sin(k * turn + rng.uniform(0, 6.3)) / n for n, k in ((1.0, 3), (1.6, 5), (2.4, 8)))
    line = f32(row - height * 0.45 * wave)
    base = sheet.screen.cover(f32(line[None, :] + 1.0 * radius - window.y))
    sheet.put(window, base, rgb("#ffffff"), 0.5)
    # Further down only the next bank is seen.
    bottom = min(sheet.end / sheet.screen.unit + 1.2 * radius, row + height + 3.4 * radius)
    level = 0
    while row + level * 0.85 * radius - height < bottom:
        big = radius * (1.0 + 0.14 * level)
        count = max(3, round(span / (1.35 * big)))
        for index in range(count):
            x = (index + rng.uniform(0.1, 0.9) + 0.5 * (level % 2)) * span / count
            size = big * rng.uniform(0.7, 1.3)
            y = float(line[int(x / span * sheet.columns) % sheet.columns]) + level * 0.85 * radius + 0.5 * size
            _heap(sheet, rng, (x, y), size, side, rough)
        level += 1
    # Cloud has no hard edges within itself.
    sheet.shade[:] = cv2.GaussianBlur(sheet.shade, (0, 0), 0.06 * radius * sheet.screen.unit + 0.3)


def _heap(
    sheet: Sheet, rng: np.random.Generator, middle: tuple[float, float], size: float, side: float, rough: Plane
) -> None:
    """A dome of balls that fades out downwards."""
    right, down = towards_light(side)
    x, y = middle
    balls = [(0.62 * np.cos(a), -0.50 * np.sin(a), rng.uniform(0.36, 0.5)) for a in np.linspace(0.15, 3.0, 5)]
    balls += [(rng.uniform(-0.2, 0.2), -0.25, 0.62), (-0.4, 0.05, 0.45), (0.4, 0.05, 0.45)]
    for bx, by, share in balls:
        px, py, r = x + bx * size, y + by * size, share * size
        near = sheet.window(px - 1.3 * r, px + 1.3 * r, py - 1.3 * r, py + 1.3 * r)
        if not len(near.y):
            continue
        bumps = rough[near.rows, near.columns]
        u, v = (near.x - px) / r, (near.y - py) / r
        distance = np.sqrt(u * u + v * v) - 0.09 * bumps
        whole = (near.x - x) / size * right + (near.y - y + 0.25 * size) / size * down
        light = 0.50 + 0.52 * whole + 0.26 * (u * right + v * down) + 0.05 * bumps
        fade = smooth(0.35, -0.35, (near.y - y) / size)
        cover = sheet.screen.cover(f32((distance - 1.0) * r)) * smooth(1.0, 0.55, f32(distance)) ** 0.35 * fade
        sheet.put(near, f32(cover), rgb("#ffffff"), f32(np.clip(light, 0.0, 1.0)))
