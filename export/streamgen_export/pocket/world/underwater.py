"""Under water: light falls in shafts into blue-green depth, weed sways over rocks and coral, bubbles rise."""

from __future__ import annotations

from math import pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import (
    HEIGHT,
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
from streamgen_export.pocket.world.seabed import corals, floor, rocks, silhouette
from streamgen_export.pocket.world.strip import bent, lay, premultiplied, stack, toward
from streamgen_export.pocket.world.view import Lighting, View

_FAR_DEPTH, _MID_DEPTH, _NEAR_DEPTH = 0.15, 0.35, 1.0
_DAY: Final = (rgb("#b8fff0"), rgb("#2fc0cc"), rgb("#0c6fa4"), rgb("#06305f"))
_NIGHT: Final = (rgb("#7fb4e0"), rgb("#1c4c8c"), rgb("#0a2253"), rgb("#040d28"))
"""Water just below the surface, in the upper part, half way down and at the bottom."""
_BUBBLES: Final = 7
_BUBBLE_S: Final = 9.6


def daylight(air: Air) -> float:
    """How much day there is, 0 by moonlight to 1."""
    return min(max(air.sun_seen, 0.0), 1.0)


class Shafts:
    """Shafts of light that fan out from a place above the picture and move slowly; computed at half the size."""

    def __init__(self, screen: Screen, x: float, y: float, reach: float, sources: float = 0.0) -> None:
        """From (`x`, `y`) in units; they fade over `reach` units. `sources` widens the place they come from."""
        self._size = (screen.width, screen.height)
        grid_x, grid_y = screen.x[:, ::2], screen.y[::2]
        slope = (grid_x - x) / (grid_y - y + 1e-3)
        self._levels = 512
        self._low, self._high = float(slope.min()), float(slope.max())
        scaled = (slope - self._low) * ((self._levels - 1) / (self._high - self._low))
        self._index = scaled.astype(np.intp)
        self._slopes = f32(np.linspace(self._low, self._high, self._levels))
        fade = np.exp(-np.maximum(grid_y, 0) / reach) * (1.0 if not sources else smooth(2.4, 0.3, np.abs(slope)))
        self._fade = f32(np.broadcast_to(fade, slope.shape))

    def light(self, time_s: float) -> Plane:
        """Brightness: float32 [H, W], 0 to about 1."""
        s, t = self._slopes, np.float32(time_s)
        wave = np.sin(9.0 * s + 0.5 * t) + 0.8 * np.sin(15.0 * s - 0.7 * t + 1.0) + 0.6 * np.sin(25.0 * s + 0.6 * t + 2)
        profile = smooth(-0.3, 2.1, f32(wave))
        small = np.take(profile, self._index) * self._fade
        light: Plane = f32(cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR))
        return light


class Underwater:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"underwater {variant}"
        self._screen = screen
        self._source = (0.3, 0.62, 0.5)[variant % 3] * screen.span
        self._shafts = Shafts(screen, self._source, -46.0, 46.0)
        self._far = Scroll(rocks(screen, key + " far", 60.0, 10.0, 3), screen.width)
        self._mid = Scroll(rocks(screen, key + " mid", 76.0, 12.0, 4), screen.width)
        self._floor = floor(screen, key)
        self._floor_scroll = Scroll(self._floor, screen.width)
        self._coral = Scroll(corals(screen, key), screen.width)
        self._weed = Weed(screen, key + " weed", 9, (20.0, 44.0), top=34.0, dark=False)
        self._near = Weed(screen, key + " near", 5, (18.0, 40.0), top=50.0, dark=True)
        self._caustic = texture(screen, key + " caustic", screen.height // 2, screen.width, (26.0, 8.0), 0.6)
        self._surface = Surface(screen, key)

    def _colours(self, air: Air) -> tuple[Plane, Plane, Plane, Plane]:
        day = daylight(air)
        top, upper, middle, bottom = (mix(n, d, day) for n, d in zip(_NIGHT, _DAY, strict=True))
        return top, upper, middle, bottom

    def sky(self, canvas: Plane, view: View) -> None:
        """Open water with the light in it, and the furthest rocks."""
        top, upper, middle, bottom = self._colours(view.air)
        canvas[:] = self._screen.gradient([(0, upper), (16, mix(upper, middle, 0.35)), (54, middle), (92, bottom)])
        self._surface.draw(canvas, view, top)
        silhouette(canvas, self._far.at(view.shift(_FAR_DEPTH)), mix(middle, bottom, 0.25), 0.55)
        shafts = self._shafts.light(view.time_s) * np.float32(0.30 + 0.22 * daylight(view.air))
        toward(canvas, top, shafts)

    def land(self, canvas: Plane, view: View) -> None:
        """Rocks, sand, coral and weed."""
        _, _, middle, bottom = self._colours(view.air)
        day = daylight(view.air)
        silhouette(canvas, self._mid.at(view.shift(_MID_DEPTH)), mix(middle, bottom, 0.72), 0.85)
        light = mix(f32((0.22, 0.34, 0.6)), f32((0.62, 0.92, 0.92)), day)
        first = self._screen.height - self._floor.shape[0]
        sand = self._floor_scroll.at(view.shift(0.8))
        part = canvas[first:]
        wave = self._ripple(view)
        colour = sand[..., :3] * (light * (0.78 + np.float32(0.5 * (0.4 + 0.6 * day)) * wave[..., None]))
        haze = smooth(16.0, 0.0, self._screen.y[first:] - self._screen.y[first])[..., None] * 0.75
        colour += haze * (mix(middle, bottom, 0.5) - colour)
        part += sand[..., 3:] * (colour - part)
        coral = self._coral.at(view.shift(0.8))
        lay(canvas[self._screen.height - coral.shape[0] :], coral * np.append(light, np.float32(1)))
        self._weed.draw(canvas, view, 0.8, np.append(light, np.float32(1)))

    def _ripple(self, view: View) -> Plane:
        """Bright net of light on the floor: float32 [rows, W], 0 to 1."""
        rows = self._floor.shape[0]
        one = Scroll(self._caustic[:rows], self._screen.width).at(view.shift(0.8) + 6.0 * view.time_s)
        two = Scroll(self._caustic[-rows:], self._screen.width).at(view.shift(0.8) - 5.0 * view.time_s)
        return f32(np.exp(-1.6 * np.abs(one + two)))

    def before(self, canvas: Plane, view: View) -> None:
        """Near weed and bubbles."""
        _, _, middle, bottom = self._colours(view.air)
        self._near.draw(canvas, view, _NEAR_DEPTH, np.append(mix(bottom, middle, 0.12), np.float32(1)))
        top = mix(self._colours(view.air)[0], f32((1, 1, 1)), 0.3)
        for index in range(_BUBBLES):
            _bubble(canvas, self._screen, view, index, top)

    def lighting(self, air: Air) -> Lighting:
        """Soft light from above, everything bathed in the colour of the water."""
        if daylight(air) > 0.5:
            return Lighting((0.1, -0.9), (0.86, 1.0, 0.95), 0.55, (0.7, 1.0, 0.95), (0.30, 0.78, 0.85), 0.30, glow=0.04)
        return Lighting((0.1, -0.9), (0.7, 0.86, 1.0), 0.46, (0.5, 0.75, 1.0), (0.22, 0.42, 0.78), 0.34, glow=0.16)


class Surface:
    """The surface seen from below: a band of moving light at the upper edge."""

    def __init__(self, screen: Screen, key: str) -> None:
        self._rows = screen.row(15)
        self._one = Scroll(texture(screen, key + " s1", self._rows, screen.width, (34.0, 4.0), 0.7), screen.width)
        self._two = Scroll(texture(screen, key + " s2", self._rows, screen.width, (26.0, 3.4), 0.7), screen.width)
        self._fade = smooth(15.0, 0.0, screen.y[: self._rows])
        self._unit = screen.unit

    def draw(self, canvas: Plane, view: View, light: Plane) -> None:
        """Paint it over the upper edge of the canvas."""
        move = 3.0 * view.time_s * self._unit
        wave = self._one.at(view.shift(0.4) + move) + self._two.at(view.shift(0.4) - 0.7 * move)
        glow = self._fade * (0.35 + 0.65 * np.exp(-1.1 * np.abs(wave)))
        part = canvas[: self._rows]
        toward(part, light, f32(glow))


class Weed:
    """Ribbons of weed, rooted in the floor, that sway more the higher they reach."""

    def __init__(
        self, screen: Screen, key: str, count: int, height: tuple[float, float], top: float, *, dark: bool
    ) -> None:
        self._screen, self._first = screen, screen.row(top)
        period = round(1.4 * screen.width)
        rows = screen.height - self._first
        y = screen.y[self._first :]
        x = f32((np.arange(period) + 0.5) / screen.unit)[None, :]
        span = period / screen.unit
        layer = np.zeros((rows, period, 4), np.float32)
        rng = stream_of(key)
        for index in range(count):
            middle = (index + rng.uniform(0.2, 0.8)) * span / count
            for _ in range(3 if not dark else 2):
                tall, lean, turn = rng.uniform(*height), rng.uniform(-7, 7), rng.uniform(0, 6.28)
                root = middle + rng.uniform(-5, 5)
                up = np.clip((HEIGHT - y) / tall, 0, 1)
                centre = root + lean * up * up + 1.6 * np.sin(0.22 * (HEIGHT - y) + turn) * up
                away = (x - centre + 0.5 * span) % span - 0.5 * span
                half = (2.1 if not dark else 2.7) * (1 - up**3) * (0.75 + 0.25 * np.sin(0.9 * (HEIGHT - y) + turn))
                cover = f32(screen.cover(np.abs(away) - half) * (up < 1))
                if dark:
                    colour = np.broadcast_to(f32((1, 1, 1)), (*cover.shape, 3))
                else:
                    green = mix(rgb("#0f5a46"), rgb("#7ad06a"), f32(rng.uniform(0.15, 0.8)))
                    shade = (0.55 + 0.75 * up) * (1.1 - 0.5 * np.abs(away / np.maximum(half, 0.2)).clip(0, 1))
                    colour = f32(green * f32(shade)[..., None])
                layer = stack(layer, premultiplied(f32(colour), cover))
        self._margin = round(5 * screen.unit)
        self._layer = Scroll(layer, screen.width + 2 * self._margin)
        columns = np.arange(screen.width, dtype=np.float32)[None, :] + np.float32(self._margin)
        self._across = np.repeat(columns, rows, axis=0)
        self._down = np.repeat(np.arange(rows, dtype=np.float32)[:, None], screen.width, axis=1)
        self._swing = f32(screen.unit * 4.2 * np.clip((HEIGHT - y) / 40.0, 0, 1) ** 1.4)

    def draw(self, canvas: Plane, view: View, depth: float, light: Plane) -> None:
        """Paint it over the canvas; `light` [4] multiplies its colour and coverage."""
        shift = view.shift(depth)
        # The phase follows the weed, not the picture: sideways by what has scrolled past.
        turn = (self._screen.x + np.float32(shift % self._layer.period / self._screen.unit)) * np.float32(
            2 * pi * 3 / (self._layer.period / self._screen.unit)
        )
        rise = self._screen.y[self._first :] * np.float32(0.07)
        bend = self._swing * np.sin(turn + rise + np.float32(2 * pi * (view.time_s / 5.76 % 1.0)))
        lay(canvas[self._first :], bent(self._layer.at(shift - self._margin), self._across + bend, self._down) * light)


def _bubble(canvas: Plane, screen: Screen, view: View, index: int, light: Plane) -> None:
    rng = stream_of(f"bubble {index}")
    place, phase, size = rng.uniform(0, 1), rng.uniform(0, 6.28), rng.uniform(1.5, 3.4)
    span = screen.span + 20
    age = (view.time_s / _BUBBLE_S + index / _BUBBLES) % 1.0
    x = (place * span + 3.2 * sin(2 * pi * age * 2 + phase) - view.pan * 0.8) % span - 10
    y = 100.0 - 112.0 * age
    radius = size * (0.8 + 0.4 * age)
    left, right = screen.column(x - radius - 1), screen.column(x + radius + 1)
    top, bottom = screen.row(y - radius - 1), screen.row(y + radius + 1)
    if left >= right or top >= bottom:
        return
    u, v = (screen.x[:, left:right] - x) / radius, (screen.y[top:bottom] - y) / radius
    distance = np.sqrt(u * u + v * v)
    inside = smooth(1 + 0.5 * screen.pixel / radius, 1 - 0.5 * screen.pixel / radius, distance)
    shade = inside * (0.10 + 0.62 * distance**4)
    shine = np.exp(-((u + 0.38) ** 2 + (v + 0.42) ** 2) / 0.07)
    part = canvas[top:bottom, left:right]
    part += f32(np.clip(shade + 0.9 * shine * inside, 0, 0.9))[..., None] * (light - part)


def underwater(screen: Screen, variant: int) -> Underwater:
    """The sea from below its surface."""
    return Underwater(screen, variant)
