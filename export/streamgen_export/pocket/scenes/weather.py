"""Rain, snow and mist: coarse, translucent and on fixed tracks, so that the same few phases come again and again."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import Moment, Plane, Scroll, X, Y, f32, rgb, smooth, stream_of, texture
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, PICTURES_PER_CHUNK

_FALL: Final = 8.0
"""Pixels by which rain falls from one picture to the next."""
_TILE: Final = int(_FALL * PICTURES_PER_CHUNK)
"""Rows after which rain repeats: it looks the same in every chunk."""


class Rain:
    """Slanting streaks that fall one tile per chunk, in gusts that pass slowly."""

    def __init__(self, key: str, *, spacing: float, length: float, slant: float, strength: float, colour: str) -> None:
        """Lengths in pixels; `slant` is columns to the left per row."""
        rng = stream_of(key)
        u, v = X + slant * Y, Y
        tile = np.zeros((PICTURES_PER_CHUNK, HEIGHT, WIDTH), np.float32)
        reach = WIDTH + slant * HEIGHT
        for index in range(round(reach / spacing)):
            centre = (index + rng.uniform(0.25, 0.75)) * spacing
            start, light, width = rng.uniform(0, _TILE), rng.uniform(0.5, 1.0), rng.uniform(0.55, 0.85)
            across = light * np.exp(-((u - centre) ** 2) / (2 * width * width))
            for phase in range(PICTURES_PER_CHUNK):
                along = (v - start - _FALL * phase + _TILE / 2) % _TILE - _TILE / 2
                tile[phase] += f32(across * np.exp(-((2.0 * along / length) ** 4)))
        self._tile = strength * tile
        self._colour = rgb(colour)
        self._gusts = Scroll(f32(0.8 + 0.22 * texture(key + " gusts", HEIGHT, 320, (150.0, 120.0), 0.5)))

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas."""
        alpha = self._tile[moment.picture % PICTURES_PER_CHUNK] * self._gusts.at(26.0 * moment.time_s)
        canvas += alpha[..., None] * (self._colour - canvas)


class Snow:
    """Big soft flakes on a fixed lattice that sinks at a constant speed and sways."""

    def __init__(self, key: str, *, spacing: float, size: float, speed: float, strength: float) -> None:
        """`spacing` and `size` in pixels, `speed` in pixels per picture."""
        rng = stream_of(key)
        columns, rows = round(WIDTH / spacing), round(HEIGHT / spacing)
        layer = np.zeros((HEIGHT, WIDTH), np.float32)
        for row in range(rows):
            for column in range(columns):
                x = (column + 0.5 * (row % 2) + rng.uniform(0.2, 0.8)) * WIDTH / columns
                y = (row + rng.uniform(0.2, 0.8)) * HEIGHT / rows
                radius = size * rng.uniform(0.8, 1.2)
                dx = (X - x + WIDTH / 2) % WIDTH - WIDTH / 2
                dy = (Y - y + HEIGHT / 2) % HEIGHT - HEIGHT / 2
                layer = np.maximum(layer, f32(1.0 - smooth(radius - 0.9, radius + 0.9, np.sqrt(dx * dx + dy * dy))))
        self._scroll = Scroll(strength * layer)
        self._speed = speed

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas."""
        fallen = (self._speed * PICTURE_RATE_HZ * moment.time_s) % HEIGHT
        swayed = self._scroll.at(9.0 * np.sin(0.5 * moment.time_s) + 0.3 * fallen)
        row = int(fallen)
        share = fallen - row
        upper = np.concatenate([swayed[HEIGHT - row :], swayed[: HEIGHT - row]]) if row else swayed
        lower = np.concatenate([upper[-1:], upper[:-1]])
        alpha = upper + (lower - upper) * share
        canvas += alpha[..., None] * (1.0 - canvas)


class Mist:
    """A bank of mist that drifts sideways between two rows."""

    def __init__(self, key: str, *, top: float, bottom: float, strength: float, colour: str, speed: float) -> None:
        """Rows in pixels, `speed` in pixels per second to the left."""
        noise = texture(key, HEIGHT, 320, (110.0, 34.0), 0.7)
        depth = smooth(top - 12, (top + bottom) / 2, Y) * smooth(bottom + 12, (top + bottom) / 2, Y)
        self._scroll = Scroll(f32(strength * depth * smooth(-1.9, 1.3, noise)))
        self._colour = rgb(colour)
        self._speed = speed

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas."""
        alpha = self._scroll.at(self._speed * moment.time_s)
        canvas += alpha[..., None] * (self._colour - canvas)
