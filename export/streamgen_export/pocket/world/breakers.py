"""High waves in layers, the nearest in front, that roll sideways with foam on their crests."""

from __future__ import annotations

from functools import lru_cache
from math import pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, Scroll, f32, mix, rgb, smooth, texture
from streamgen_export.pocket.world.strip import bent, lay
from streamgen_export.pocket.world.view import View
from streamgen_export.pocket.world.water import body_colours

_LAYERS: Final = 6
FRONT: Final = 1
"""How many of the nearest layers are before the subjects."""
_LIGHTEST, _HEAVIEST = 0.45, 0.9
"""Wind at which the first of them rise, and at which they have their full height."""


def height_of(air: Air) -> float:
    """Height of the breakers, 0 to 1."""
    share = min(max((air.wind - _LIGHTEST) / (_HEAVIEST - _LIGHTEST), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


class Breakers:
    """Layers of waves from a horizon to the lower edge."""

    def __init__(self, screen: Screen, key: str, horizon: float) -> None:
        self._layers = [_Breaker(screen, f"{key} breaker {index}", horizon, index) for index in range(_LAYERS)]

    def draw(self, canvas: Plane, view: View, first: int = 0, end: int = _LAYERS - FRONT) -> None:
        """Paint those behind the subjects, or some of them from the back."""
        for layer in self._layers[first:end]:
            layer.draw(canvas, view)

    def draw_front(self, canvas: Plane, view: View) -> None:
        """Paint those before the subjects."""
        for layer in self._layers[-FRONT:]:
            layer.draw(canvas, view)


class _Breaker:
    """One layer: a wave train whose crests and foam move together."""

    def __init__(self, screen: Screen, key: str, horizon: float, index: int) -> None:
        share = index / (_LAYERS - 1)
        self._screen, self._index, self._share = screen, index, share
        self._base = horizon + 2.5 + (HEIGHT - horizon - 11.5) * share**1.35
        self._height = 1.5 + 5.5 * share
        waves = (12, 9, 7, 6, 5, 4)[index]
        self._period = round(1.5 * screen.width)
        span = self._period / screen.unit
        self._depth = 0.12 + 0.88 * share
        self._speed = 5.0 + 7.0 * share
        self._first = screen.row(self._base - 2.4 * self._height)
        gap = (HEIGHT - horizon) * (0.10 + 0.35 * share)
        # Painted as far down as the crest of the next layer can leave it uncovered.
        self._last = screen.height if index == _LAYERS - 1 else screen.row(self._base + 1.5 * self._height + gap)
        self._fades = index < _LAYERS - 1
        y = screen.y[self._first : self._last]
        x = f32((np.arange(self._period) + 0.5) / screen.unit)[None, :]
        turn = f32(2 * pi * waves / span) * x
        turn = turn + 0.7 * np.sin(2 * pi * x / span * 2 + index) + 0.45 * np.sin(2 * pi * x / span * 3 + 2.1 * index)
        tall = 0.95 + 0.3 * np.sin(2 * pi * x / span + 1.7 * index) + 0.2 * np.sin(2 * pi * x / span * 5 + 1.1 * index)
        # The train runs to the left: its front, left of the crest, is steeper than its back.
        lean = turn + 0.6 * np.cos(turn) - 0.45
        crest = np.exp(0.85 * (np.cos(lean) - 1.0))
        line = self._base + self._height * (0.55 - 1.5 * crest * tall)
        below = f32(y - line)
        depth = np.maximum(below, 0.0)
        rough = texture(screen, key + " foam", len(y), self._period, (9.0 + 10 * share, 2.5 + 3 * share), 1.1)
        veins = texture(screen, key + " veins", len(y), self._period, (13.0 + 15 * share, 2.0 + 3.5 * share), 1.0)
        cover = screen.cover(-below, 1.5)
        peak = f32(np.clip(crest * tall, 0, 1.3))
        front = np.clip(-np.sin(lean), -1, 1)
        # White water spills down the front of the high crests, a thin line of it lies on all others.
        spill = self._height * (0.16 + smooth(0.45, 1.0, peak) * (0.35 + 0.75 * np.clip(front + 0.35, 0, 1)))
        foam = smooth(1.15, 0.35, depth / spill + 0.34 * rough) * smooth(0.1, 0.55, peak)
        lace = np.exp(-3.4 * np.abs(veins)) * np.exp(-depth / (1.5 * self._height + 1.5))
        spume = f32(np.clip(0.95 * foam + 0.5 * lace, 0, 1) * (0.5 + 0.45 * share**0.5))
        fall = np.exp(-depth / (1.25 * self._height))
        through = f32(0.62 * fall * peak * (0.6 + 0.4 * front))
        shade = f32(np.clip(0.70 + 0.50 * fall + 0.05 * veins - 0.16 * front * (1 - fall), 0.2, 1.5))
        if self._fades:
            tail = smooth(float(y[-1, 0]), float(y[-1, 0]) - 0.5 * gap, y)
            cover = f32(cover * tail)
        # Shares of the water's own colour, of light through it, of foam, and of all together.
        own = shade * (1 - through) * (1 - spume)
        self._parts = f32(
            np.stack([own, through * (1 - spume), spume, np.ones_like(cover)], axis=-1) * cover[..., None]
        )
        rows = len(y)
        self._margin = 2
        self._across = np.repeat(np.arange(screen.width, dtype=np.float32)[None, :] + self._margin, rows, axis=0)
        self._down = np.repeat(np.arange(rows, dtype=np.float32)[:, None], screen.width, axis=1)
        self._lit = lru_cache(maxsize=2)(self._light)

    def _light(self, air: Air) -> Scroll:
        """The layer in an air's light: scrolls float32 [rows, W, 4]."""
        far, near = body_colours(air)
        share = np.float32(self._share)
        light = f32(air.ambient) + np.float32(0.6) * f32(air.key)
        light = np.float32(0.12) + np.float32(0.90) * light
        deep = mix(near, rgb("#2b6f7c") * light, 0.6) * np.float32(0.82)
        colour = mix(mix(f32(air.haze), far, 0.5), deep, min(1.7 * self._share + 0.3, 1.0))
        through = mix(colour, rgb("#5fd0bc") * light, 0.7)
        white = np.minimum(mix(rgb("#eef6f8") * light * np.float32(1.3), f32(air.horizon), 0.25), 1.0)
        # The colour of every place is a sum of four, so all are lit by one product with a matrix.
        haze = np.float32(0.55 * air.distance) * (1 - share) ** 2
        matrix = np.zeros((4, 4), np.float32)
        matrix[:3, :3] = (1.0 - haze) * np.stack([colour, through, white])
        matrix[3, :3], matrix[3, 3] = haze * f32(air.haze), 1.0
        layer = f32((self._parts.reshape(-1, 4) @ matrix).reshape(self._parts.shape))
        return Scroll(layer, self._screen.width + 2 * self._margin)

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint it over the canvas, as high as the wind makes it."""
        risen = height_of(view.air)
        if risen <= 0.0:
            return
        unit, t = self._screen.unit, view.time_s
        shift = view.shift(self._depth) + self._speed * t * unit
        whole = round(shift)
        part = canvas[self._first : self._last]
        x = self._screen.x
        place = f32((x + np.float32(whole % self._period / unit)) * np.float32(2 * pi * 2 / (self._period / unit)))
        heave = np.float32(0.45 * self._height) * np.sin(place + np.float32(1.1 * t + 1.7 * self._index))
        heave = heave + np.float32(
            0.25 * self._height * sin(0.9 * t + 2.0 * self._index) + 1.6 * (1 - risen) * self._height
        )
        across = self._across + np.float32(shift - whole)
        layer = bent(self._lit(view.air).at(whole), across, self._down - heave * np.float32(unit))
        lay(part, layer, min(1.0, 2.0 * risen))
