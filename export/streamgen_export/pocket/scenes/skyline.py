"""A town at night: towers with lit windows, and their reflection on a wet quay."""

from __future__ import annotations

from math import sin
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import Moment, Plane, f32, gradient, mix, rgb, stream_of
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH

_WINDOWS: Final = ("#ffd58a", "#ffc46b", "#ffe9bd", "#9fd8ff")


class Skyline:
    """Towers with windows that go on and off slowly, and their reflection on a wet quay."""

    QUAY: Final = 74

    def __init__(self, key: str, *, glow: str, haze: float) -> None:
        """`glow` is the colour of the haze between the towers, `haze` its strength from 0 to 1."""
        self._colour = np.zeros((self.QUAY, WIDTH, 3), np.float32)
        self._alpha = np.zeros((self.QUAY, WIDTH), np.float32)
        self._lights = np.zeros((3, self.QUAY, WIDTH), np.float32)
        self._warm = np.zeros((self.QUAY, WIDTH, 3), np.float32)
        rng = stream_of(key)
        y = np.arange(self.QUAY, dtype=np.float32)[:, None]
        plan = ((40, 12, "#27304f", 10, 15, 0.25), (36, 20, "#161c36", 13, 19, 0.6), (52, 10, "#0a0e1f", 16, 24, 1.0))
        for base, rise, code, narrow, wide, bright in plan:
            x = -float(rng.uniform(0, 8))
            paint = mix(
                rgb(code), rgb(glow), (haze * (1 - 0.6 * bright)) * f32(np.clip((y - 8) / 70, 0, 1) ** 1.4)[..., None]
            )
            while x < WIDTH:
                width = float(rng.uniform(narrow, wide))
                top = int(base - rise * rng.uniform(-0.6, 1.0))
                left, right = max(0, int(x)), min(WIDTH, int(x + width))
                x += width + float(rng.uniform(0, 3))
                if right > left:
                    self._tower(top, left, right, paint, bright, rng)
        self._clear = (1 - self._alpha)[..., None]
        self._premultiplied = self._colour * self._alpha[..., None]
        self._rows = np.clip(self.QUAY - 1 - 2.4 * np.arange(HEIGHT - self.QUAY), 0, None).astype(np.intp)
        self._flat = self._lights.reshape(3, -1)
        self._quay = gradient([(self.QUAY, "#1a2036"), (HEIGHT, "#0b0e1a")])[self.QUAY :]
        depth = np.arange(HEIGHT - self.QUAY, dtype=np.float32)[:, None]
        self._depth = depth
        self._wet = f32(0.62 - 0.018 * depth)[..., None]

    def _tower(self, top: int, left: int, right: int, paint: Plane, bright: float, rng: np.random.Generator) -> None:
        """Add one tower in front of those already there; `bright` is the strength of its windows."""
        self._colour[top:, left:right] = paint[top:]
        edge = self._colour[top:, left : left + 1]
        edge += 0.10 * (1 - edge)
        self._alpha[top:, left:right] = 1.0
        self._lights[:, top:, left:right] = 0.0
        for row in range(top + 3, self.QUAY - 4, 6):
            for column in range(left + 2, right - 3, 5):
                if rng.random() < 0.55:
                    group = int(rng.integers(3))
                    self._lights[group, row : row + 3, column : column + 2] = 0.35 + 0.65 * bright
                    self._warm[row : row + 3, column : column + 2] = rgb(_WINDOWS[int(rng.integers(4))])

    def _smeared(self, town: Plane) -> Plane:
        """The town as a wet floor shows it: lights drawn out into vertical streaks."""
        rows = town.shape[0]
        bands = town[rows % 9 :].reshape(-1, 9, WIDTH, 3).mean(axis=1)
        streaks: Plane = 1.5 * bands[(np.arange(rows) * (len(bands) - 1)) // (rows - 1)]
        return streaks

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the sky."""
        t = moment.time_s
        town = canvas[: self.QUAY]
        town *= self._clear
        town += self._premultiplied
        phases = (0.55 * t, 0.4 * t + 2.1, 0.7 * t + 4.2)
        power = f32([0.5 + 0.5 * float(np.tanh(2.2 * sin(p) + 1.0)) for p in phases])
        light = (power @ self._flat).reshape(self.QUAY, WIDTH)
        town += light[..., None] * (self._warm - town)
        shift = np.round(1.3 * np.sin(0.55 * self._depth[:, 0] - 1.3 * t)).astype(np.intp)
        columns = np.clip(np.arange(WIDTH)[None, :] + shift[:, None], 0, WIDTH - 1)
        mirrored = self._smeared(town)[self._rows[:, None], columns]
        # A wet floor smears lights downwards: average over neighbouring columns.
        mirrored = 0.5 * mirrored + 0.25 * (np.roll(mirrored, 1, 1) + np.roll(mirrored, -1, 1))
        canvas[self.QUAY :] = self._quay + self._wet * mirrored
