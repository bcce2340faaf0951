"""The sea: a mirror of the sky broken by waves, the glitter of sun or moon, and high storm waves."""

from __future__ import annotations

from math import sin
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import Moment, Plane, X, Y, f32, gradient, rgb, smooth
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH


class Water:
    """Calm water from a horizon down to the lower edge of the picture; paint it after the sky."""

    def __init__(
        self,
        horizon: int,
        *,
        colours: tuple[str, str],
        crest: str,
        mirror: float,
        swell: float,
        glitter: str = "#ffffff",
        glitter_x: float = 80.0,
        sparkle: float = 0.0,
    ) -> None:
        """Paints nothing yet.

        Args:
            horizon: row at which it starts.
            colours: far and near.
            crest: light on the waves.
            mirror: how much of the sky it shows, 0 to 1.
            swell: strength of the waves, 0 to 1.
            glitter: colour of the path of light below sun or moon.
            glitter_x: column of that path.
            sparkle: its strength, 0 to 1.
        """
        rows = np.arange(horizon, HEIGHT)
        depth = f32(rows - horizon + 0.5)[:, None]
        self._horizon = horizon
        self._base = f32(gradient([(horizon, colours[0]), (HEIGHT, colours[1])])[horizon:])
        self._mirrored = np.clip(horizon - 1 - (rows - horizon) * 0.92, 0, None).astype(np.intp)
        self._reflect = f32(mirror * (1.0 - 0.55 * depth / depth[-1]))[..., None]
        self._crest, self._glitter = rgb(crest), rgb(glitter)
        far = np.log(depth + 3.0)
        ray = (X - WIDTH / 2) / (0.45 * depth + 8.0)
        self._phases = (9.0 * far + 0.8 * ray, 13.0 * far - 1.1 * ray + 1.0, 6.0 * far + 2.3 * ray + 2.0)
        self._swell = swell * smooth(0.0, 10.0, depth)
        self._away = (X - glitter_x) / (5.0 + 0.3 * depth)
        self._sparkle = f32(sparkle * (0.55 + 0.45 * np.exp(-depth / 12.0)))

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the lower part of the canvas."""
        t = moment.time_s
        first, second, third = self._phases
        wave = np.sin(first - 1.5 * t) + 0.7 * np.sin(second - 2.1 * t) + 0.6 * np.sin(third - 1.0 * t)
        sea = self._base + (canvas[self._mirrored] - self._base) * self._reflect
        light = self._swell * smooth(0.35, 2.0, wave)
        sea *= 1.0 - 0.22 * (self._swell * smooth(-0.2, -1.9, wave))[..., None]
        sea += (0.55 * light)[..., None] * (self._crest - sea)
        if self._sparkle.any():
            away = self._away + 0.45 * wave
            path = self._sparkle * np.exp(-away * away) * smooth(-1.1, 0.7, wave)
            sea += path[..., None] * (self._glitter - sea)
        canvas[self._horizon :] = sea


class Breakers:
    """High waves in layers, the nearest in front, rolling sideways with foam on their crests."""

    _LAYERS: Final = 4

    def __init__(self, horizon: int, *, far: str, near: str, foam: str, through: str) -> None:
        """Starts at row `horizon`; colours of the furthest and nearest wave, of foam and of light through a crest."""
        shares = np.linspace(0, 1, self._LAYERS)
        self._bases = [horizon + 3 + (HEIGHT - horizon - 12) * float(share) ** 1.25 for share in shares]
        self._heights = [2.0 + 4.2 * float(share) for share in shares]
        self._lengths = [44.0 + 40.0 * float(share) for share in shares]
        self._colours = [rgb(far) + (rgb(near) - rgb(far)) * np.float32(share) for share in shares]
        self._foam = rgb(foam)
        self._through = rgb(through)
        self._horizon = horizon

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint them over the lower part of the canvas."""
        t = moment.time_s
        canvas[self._horizon :] = self._colours[0] * 0.92
        for index, (base, height, length) in enumerate(zip(self._bases, self._heights, self._lengths, strict=True)):
            turn = 2 * np.pi / length * X[0] + (1.25 + 0.12 * index) * t + 1.9 * index
            slow = 0.5 * np.sin(0.5 * turn + 0.4 * t)
            crest = (
                base - height * (np.cos(turn + slow) + 0.32 * np.cos(2 * (turn + slow))) + 0.8 * sin(0.8 * t + index)
            )
            top = max(self._horizon, int(crest.min()) - 1)
            below = Y[top:] - f32(crest)
            cover = smooth(-0.7, 0.7, below)[..., None]
            fall = np.exp(-np.maximum(below, 0.0) / (3.0 + 3.0 * height))
            peak = smooth(-0.2, 1.0, np.cos(turn + slow))
            lace = 0.5 + 0.5 * np.sin(0.9 * below - 0.21 * X + 2.0 * np.sin(0.09 * X + 0.7 * t) + 1.2 * index)
            foam = np.exp(-np.maximum(below, 0.0) / (0.9 + 0.3 * height)) * (0.15 + 0.85 * peak)
            foam += 0.3 * peak * lace * np.exp(-((below - 1.6 * height) ** 2) / (1.1 * height) ** 2)
            wave = self._colours[index] * (0.66 + 0.5 * fall)[..., None]
            wave += (0.45 * peak * fall)[..., None] * (self._through - wave)
            wave += (0.8 * np.minimum(foam, 1.0))[..., None] * (self._foam - wave)
            canvas[top:] += cover * (wave - canvas[top:])
