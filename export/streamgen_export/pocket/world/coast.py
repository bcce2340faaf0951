"""A headland with a lighthouse in the sea: its lamp turns at night and in bad weather, waves break on its rocks."""

from __future__ import annotations

from math import cos, exp, pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.breakers import Breakers, height_of
from streamgen_export.pocket.world.headland import BASE, Headland
from streamgen_export.pocket.world.layers import Layer, Sheet, relief
from streamgen_export.pocket.world.precipitation import Precipitation
from streamgen_export.pocket.world.screen import Plane, Screen, Scroll, f32, mix, rgb, smooth
from streamgen_export.pocket.world.sea import HORIZON, open_air
from streamgen_export.pocket.world.sky import Sky
from streamgen_export.pocket.world.strip import Spot, add_glow, toward
from streamgen_export.pocket.world.view import Lighting, View
from streamgen_export.pocket.world.water import Water

_TURN_S: Final = 7.2
"""In which the lamp turns once: 30 chunks."""
_BEHIND: Final = 3
"""How many layers of storm waves are behind the headland."""
_SURF_S: Final = 3.84
_LAMP: Final = rgb("#ffe9b0")


class Coast:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"coast {variant}"
        self._screen = screen
        self._sky = Sky(screen, key, variant, HORIZON)
        self._far = _far_coast(screen, key)
        self._water = Water(screen, key, HORIZON)
        self._breakers = Breakers(screen, key, HORIZON)
        self._headland = Headland(screen, key, variant, self._sky.side)
        self._beam = Beam(screen)
        self._fall = Precipitation(screen, key)
        foot = self._headland.foot
        self._foot = Scroll(foot, screen.width)

    def sky(self, canvas: Plane, view: View) -> None:
        """The sky down to the horizon."""
        self._sky.draw(canvas, view)

    def land(self, canvas: Plane, view: View) -> None:
        """The far coast, water, headland and lighthouse."""
        self._far.draw(canvas, view)
        wave = self._water.draw(canvas, view, self._sky.sun_x)
        self._breakers.draw(canvas, view, 0, _BEHIND)
        self._headland.draw(canvas, view)
        self._headland.reflect(canvas, view, wave[self._screen.row(BASE) - self._water.top :])
        self._foam(canvas, view)
        self._light(canvas, view)
        self._breakers.draw(canvas, view, _BEHIND)
        self._fall.far(canvas, view)

    def before(self, canvas: Plane, view: View) -> None:
        """The nearest wave in a storm, and what falls near."""
        self._breakers.draw_front(canvas, view)
        self._fall.near(canvas, view)

    def lighting(self, air: Air) -> Lighting:
        """Light from the sky."""
        return open_air(air, self._sky.side, mirror=0.5)

    def _light(self, canvas: Plane, view: View) -> None:
        air = view.air
        if air.lamps < 0.02:
            return
        spot = self._headland.lamp(view)
        dark = 1.0 - 0.6 * min(1.0, sum(air.horizon) / 2.4)
        angle = 2 * pi * view.time_s / _TURN_S
        self._beam.draw(canvas, spot, angle, air.lamps * (0.35 + 0.65 * max(air.distance, 0.8 * air.rain)) * dark)
        # Brightest when it looks at us.
        facing = exp(-3.0 * (1.0 - sin(angle))) + exp(-3.0 * (1.0 + sin(angle)))
        strength = np.float32(air.lamps * (0.55 + 0.45 * facing))
        add_glow(canvas, self._screen, spot, 13.0 + 17.0 * facing, _LAMP * (strength * np.float32(0.5)))
        add_glow(canvas, self._screen, spot, 3.6, _LAMP * strength * np.float32(1.5))

    def _foam(self, canvas: Plane, view: View) -> None:
        """White water along the foot of the rocks; in a storm it leaps up them."""
        screen, air = self._screen, view.air
        storm = height_of(air)
        foot = self._headland.along(self._foot, view)
        high = 0.9 + 2.6 * storm
        top, bottom = screen.row(BASE - 5 - 6 * storm), screen.row(BASE + 4 + 3 * storm)
        turn = 2 * pi * (view.time_s / _SURF_S)
        lap = np.sin(f32(0.16 * (screen.x + self._headland.shift(view))) + np.float32(turn))
        middle = BASE + 0.3 - 0.35 * lap - 1.2 * storm
        near = np.exp(-(((screen.y[top:bottom] - middle) / np.float32(high * 0.8)) ** 2))
        colour = np.minimum(mix(f32(air.horizon), f32(air.ambient) + f32(air.key), 0.5), 1.0)
        toward(canvas[top:bottom], f32(colour), f32((0.55 + 0.35 * storm) * foot * near * (0.75 + 0.25 * lap)))
        if storm <= 0.0:
            return
        for index, (x, tall) in enumerate(self._headland.surf(view)):
            age = (view.time_s / _SURF_S + 0.37 * index) % 1.0
            _spray(canvas, screen, (x, BASE), age, tall, f32(colour), storm)


def _spray(canvas: Plane, screen: Screen, spot: Spot, age: float, tall: float, colour: Plane, strength: float) -> None:
    """One plume of spray that shoots up and falls back; a few large soft puffs."""
    for puff in range(5):
        side = (puff - 2) / 2
        rise = tall * (1.0 - 0.35 * side * side) * 4.0 * age * (1.0 - age)
        x, y = spot[0] + side * (3.0 + 9.0 * age), spot[1] - rise
        radius = 3.2 + 5.0 * age
        left, right = screen.column(x - 2 * radius), screen.column(x + 2 * radius)
        top, bottom = screen.row(y - 2.6 * radius), screen.row(y + 2.6 * radius)
        if left >= right or top >= bottom:
            continue
        u = (screen.x[:, left:right] - x) * np.float32(1 / radius)
        v = (screen.y[top:bottom] - y) * np.float32(0.75 / radius)
        light = smooth(1.0, 0.0, np.sqrt(u * u + v * v) * np.float32(0.72))
        fade = min(1.0, 6 * age) * (1.0 - age) ** 0.8
        toward(canvas[top:bottom, left:right], colour, f32(0.75 * strength * fade * light))


class Beam:
    """Two opposite beams of light that turn around an upright axis; computed at half the size."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._rows = screen.row(BASE + 8) // 2 * 2
        self._x, self._y = screen.x[:, ::2], screen.y[: self._rows : 2]

    def draw(self, canvas: Plane, spot: Spot, angle: float, strength: float) -> None:
        """Add them to the canvas."""
        across, down = cos(angle), sin(angle)
        x, y = self._x - np.float32(spot[0]), self._y - np.float32(spot[1])
        light = np.zeros((y.shape[0], x.shape[1]), np.float32)
        for side in (1.0, -1.0):
            # Turned towards us it opens wide and drops a little, turned away it narrows.
            facing = side * down
            along = x * np.float32(side * across) + y * np.float32(0.10 * facing)
            off = y * np.float32(abs(across)) - x * np.float32(side * 0.10 * facing * side * np.sign(across))
            wide = 0.9 + np.maximum(along, 0.0) * np.float32(0.085 + 0.05 * facing)
            reach = 20.0 + 95.0 * abs(across)
            beam = np.exp(-((off / wide) ** 2)) * smooth(-0.5, 3.0, along) * np.exp(-np.abs(along) / reach)
            light += beam * np.float32((0.8 + 0.2 * facing) * min(1.0, 2.5 * abs(across)))
        full = cv2.resize(light, (self._screen.width, self._rows), interpolation=cv2.INTER_LINEAR)
        toward(canvas[: self._rows], _LAMP, f32(np.minimum(full * np.float32(strength), 0.85)))


def _far_coast(screen: Screen, key: str) -> Layer:
    """A low line of hills on the horizon."""
    sheet = Sheet(screen, key + " far", 34.0, HORIZON, 1.6)
    part = sheet.whole
    turn = 2 * pi * part.x / sheet.span
    ridge = 45.6 - 3.2 * np.sin(turn + 0.6) - 1.4 * np.sin(3 * turn + 2.0) - 0.7 * np.sin(7 * turn)
    ridge = ridge + 9.0 * smooth(0.0, 0.8, f32(-np.sin(turn + 1.5)))
    rough = sheet.noise("rough", (16.0, 8.0), 1.2)
    sheet.put(part, screen.cover(f32(ridge - part.y), 1.5), rgb("#5f7d62"), relief(rough, 1.0, 0.4), snow=0.8)
    return Layer(sheet, 0.06, far=1.5)


def coast(screen: Screen, variant: int) -> Coast:
    """A headland with a lighthouse."""
    return Coast(screen, variant)
