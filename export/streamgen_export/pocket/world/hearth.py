"""The fireplace: logs laid like a tent over a bed of coals, stones around it."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from streamgen_export.pocket.world.screen import Plane, Screen, f32, mix, rgb, smooth, stream_of, texture
from streamgen_export.pocket.world.strip import Spot, lay, polyline, premultiplied, stack
from streamgen_export.pocket.world.view import View


class Hearth:
    """Paint it in two parts, with the flames between."""

    def __init__(self, screen: Screen, key: str, x: float) -> None:
        self._screen, self._x = screen, x
        self._top, self._bottom = screen.row(50), screen.row(93)
        self._left, self._right = screen.column(x - 46), screen.column(x + 46)
        grid_x, grid_y = screen.x[:, self._left : self._right] - x, screen.y[self._top : self._bottom]
        back = (((-27, 84), (7, 58)), ((26, 84.5), (-6, 57)), ((2, 86), (1, 56)))
        front = (((-20, 86.5), (14, 77)), ((22, 87), (-12, 78.5)), ((-30, 85.5), (-6, 83)), ((31, 85.5), (8, 83)))
        rows, columns = self._bottom - self._top, self._right - self._left
        self._bark = texture(screen, key + " bark", rows, columns, (14.0, 5.0), 1.2)
        self._back = self._logs(grid_x, grid_y, back, 2.7)
        self._front = self._logs(grid_x, grid_y, front, 3.1)
        self._stones = self._ring(grid_x, grid_y, key)
        ridge = 79.0 + 5.2 * (grid_x / 25.0) ** 2
        self._heap = smooth(-0.4, 0.6, grid_y - ridge) * smooth(88.5, 86.5, grid_y) * smooth(31, 27, np.abs(grid_x))
        coals = texture(screen, key + " coals", rows, columns, (7.0, 4.0), 0.7)
        self._coals, self._coals_later = coals, texture(screen, key + " later", rows, columns, (7.0, 4.0), 0.7)
        self._heat = f32(0.62 - 0.32 * (np.abs(grid_x) / 28.0) ** 2)
        at = np.linspace(0, 4, 256)
        ramp = np.stack([rgb(code) for code in ("#1c0605", "#7a1405", "#ee4c08", "#ffae36", "#fff0b4")])
        self._table = f32(np.stack([np.interp(at, range(5), ramp[:, c]) for c in range(3)], axis=-1))

    def _part(self, canvas: Plane) -> Plane:
        return canvas[self._top : self._bottom, self._left : self._right]

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint the coals and what stands behind the flames."""
        part = self._part(canvas)
        lay(part, self._back)
        turn = 2 * pi * view.time_s / 5.76
        glow = self._heat + 0.16 * (self._coals * np.float32(cos(turn)) + self._coals_later * np.float32(sin(turn)))
        index = np.clip(glow * 255.0, 0, 255).astype(np.uint8)
        lay(part, premultiplied(np.take(self._table, index, axis=0), self._heap))

    def draw_front(self, canvas: Plane, flicker: np.float32) -> None:
        """Paint the logs and stones before the flames."""
        part = self._part(canvas)
        lay(part, self._front)
        lay(part, self._stones)

    def _logs(self, x: Plane, y: Plane, logs: tuple[tuple[Spot, Spot], ...], radius: float) -> Plane:
        """Round logs, dark with glowing edges where they face the fire: premultiplied [h, w, 4]."""
        layer = np.zeros((y.shape[0], x.shape[1], 4), np.float32)
        for start, end in logs:
            distance, along = polyline(x, y, (start, end))
            cover = self._screen.cover(distance - radius)
            (ax, ay), (bx, by) = start, end
            side = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / np.hypot(bx - ax, by - ay) / radius
            inward = np.clip(side * (1.0 if bx > ax else -1.0), -1, 1)
            round_ = np.sqrt(np.clip(1 - side**2, 0, 1))
            bark = np.clip(0.5 + 0.22 * self._bark, 0, 1)[..., None]
            colour = mix(rgb("#1c0f0b"), rgb("#5a3320"), bark) * (0.35 + 0.75 * round_)[..., None]
            hot = (smooth(0.05, 0.95, inward) * (0.45 + 0.55 * along) + 0.35 * smooth(0.5, 1.0, along))[..., None]
            colour = mix(f32(colour), rgb("#ff8a2c"), f32(np.clip(0.8 * hot, 0, 1)))
            layer = stack(layer, premultiplied(f32(colour), cover))
        return layer

    def _ring(self, x: Plane, y: Plane, key: str) -> Plane:
        """Stones in front of the fire, lit on the side that faces it."""
        layer = np.zeros((y.shape[0], x.shape[1], 4), np.float32)
        rng = stream_of(key + " stones")
        for angle in np.linspace(0.06, 0.94, 9):
            sx, sy = -39 * cos(pi * angle), 84.5 + 5.0 * sin(pi * angle)
            wide, high = rng.uniform(3.8, 5.2), rng.uniform(2.3, 3.0)
            u, v = (x - sx) / wide, (y - sy) / high
            cover = self._screen.cover((np.sqrt(u * u + v * v) - 1) * high)
            lit = np.clip(-0.6 * v - 0.55 * u * np.sign(sx) + 0.25, 0, 1)
            colour = rgb("#1c1618") + (lit * lit)[..., None] * rgb("#b4552a")
            layer = stack(layer, premultiplied(f32(colour), cover))
        return layer
