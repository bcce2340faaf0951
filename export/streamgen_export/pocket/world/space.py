"""Deep space: stars, clouds of gas in three colours, and a large planet with rings that drifts slowly past."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin
from typing import Final

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
    shine,
    smooth,
    stream_of,
    texture,
)
from streamgen_export.pocket.world.strip import add_glow, bent, premultiplied, set_down, stack
from streamgen_export.pocket.world.view import Lighting, View

_LIGHT: Final = (-0.66, -0.42, 0.62)
"""Direction to the star that lights everything: right, down, towards the viewer."""
_GAS_DEPTH, _PLANET_DEPTH = 0.03, 0.05


@dataclass(frozen=True)
class Heavens:
    """What one variant of space looks like: colours, and where and how large the planet is, in units."""

    void: tuple[str, str]
    gas: tuple[str, str, str]
    bands: tuple[str, ...]
    ring: tuple[str, str]
    air: str
    x: float
    y: float
    radius: float
    tilt: float


HEAVENS: Final = (
    Heavens(
        ("#04061a", "#0a0c2c"),
        ("#2a50c8", "#7a2cc0", "#ff6a9a"),
        ("#6e3f2c", "#d09a62", "#f6d8a4", "#c07a4a", "#fbe7c0", "#a86440", "#e2b27c", "#74442f"),
        ("#f2dcb4", "#b08460"),
        "#ffc890",
        0.80,
        37.0,
        23.0,
        -0.36,
    ),
    Heavens(
        ("#070418", "#150a30"),
        ("#b42c9a", "#3a3ad8", "#ff9a5a"),
        ("#123a64", "#3f8fc4", "#a4def0", "#2f74b4", "#c8f2f4", "#3c86c8", "#7cc4e4", "#143c70"),
        ("#dce8ff", "#7c8cc8"),
        "#8adcff",
        0.34,
        45.0,
        26.0,
        0.30,
    ),
    Heavens(
        ("#03101c", "#061a2a"),
        ("#148a96", "#2a4cc0", "#a0f0c0"),
        ("#4c1c50", "#b0568c", "#f2a8b0", "#8c3a78", "#ffd0bc", "#a44a84", "#d880a0", "#56205c"),
        ("#ffd8d8", "#a86a9c"),
        "#ff9ad0",
        0.72,
        53.0,
        20.0,
        -0.22,
    ),
)


class Space:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        heavens = HEAVENS[variant % len(HEAVENS)]
        key = f"space {variant}"
        period = 2 * screen.width
        self._screen = screen
        self._far = Scroll(_far(screen, heavens, key, period), screen.width)
        self._near = Scroll(_gas(screen, key + " near", heavens.gas[2], 0.45, period), screen.width)
        self._planet = Planet(screen, heavens, key)
        self._stars = _bright_stars(key, 2 * screen.span)

    def sky(self, canvas: Plane, view: View) -> None:
        """Stars and gas."""
        canvas[:] = self._far.at(view.shift(_GAS_DEPTH))
        shine(canvas, self._near.at(view.shift(1.6 * _GAS_DEPTH) + 0.8 * view.time_s * self._screen.unit))
        span = 2 * self._screen.span
        for x, y, radius, colour, phase in self._stars:
            place = (x - view.pan * _GAS_DEPTH) % span
            strength = 0.78 + 0.22 * sin(0.9 * view.time_s + phase)
            add_glow(canvas, self._screen, (place, y), 5.0 * radius, colour * np.float32(0.24 * strength))
            add_glow(canvas, self._screen, (place, y), radius, colour * np.float32(strength))

    def land(self, canvas: Plane, view: View) -> None:
        """The planet."""
        self._planet.draw(canvas, view)

    def before(self, canvas: Plane, view: View) -> None:
        """Nothing is nearer than the subjects."""

    def lighting(self, air: Air) -> Lighting:
        """One star from the upper left, dark on the other side."""
        return Lighting(
            (_LIGHT[0], _LIGHT[1]), (1.0, 0.98, 0.94), 0.42, (0.66, 0.78, 1.0), (0.7, 0.75, 0.92), 0.06, glow=0.18
        )


class Planet:
    """A banded ball that turns slowly within its rings, each throwing its shadow on the other."""

    def __init__(self, screen: Screen, heavens: Heavens, key: str) -> None:
        radius, tilt = heavens.radius, heavens.tilt
        wide, high = 2.25 * radius, 1.32 * radius
        self._screen, self._heavens, self._wide, self._high = screen, heavens, wide, high
        columns, rows = 2 * int(wide * screen.unit) + 1, 2 * int(high * screen.unit) + 1
        u = f32((np.arange(columns) - columns // 2) / (radius * screen.unit))[None, :]
        v = f32((np.arange(rows) - rows // 2) / (radius * screen.unit))[:, None]
        across, down = u * cos(tilt) + v * sin(tilt), v * cos(tilt) - u * sin(tilt)
        distance = np.sqrt(u * u + v * v)
        soft = 0.75 * screen.pixel / radius
        cover = smooth(1 + soft, 1 - soft, distance)
        toward = np.sqrt(np.clip(1 - distance * distance, 0, 1))
        # The rings' plane is seen at a flat angle: the ball's pole leans towards the viewer a little.
        pole = 0.3
        up, out = down * cos(pole) - toward * sin(pole), toward * cos(pole) + down * sin(pole)
        self._turn, self._rows = 512, 192
        self._lon = f32(np.arctan2(across, out + 1e-3) * (self._turn / (2 * np.pi)))
        self._lat = f32((0.5 + np.arcsin(np.clip(up, -1, 1)) / np.pi) * (self._rows - 1))
        self._surface = Scroll(_bands(screen, heavens, key, self._rows, self._turn), self._turn)
        day = u * _LIGHT[0] + v * _LIGHT[1] + toward * _LIGHT[2]
        lit = 0.03 + 1.12 * smooth(-0.22, 1.0, day) * (0.82 + 0.18 * toward)

        reach = np.sqrt(across**2 + (down / sin(pole)) ** 2)
        ring_colour, ring_cover = _rings(heavens, key, f32(reach))
        # The ball's shadow lies on the rings away from the light; the rings' shadow is a dark band on the ball.
        side = across * 0.66 * cos(tilt) - (down / sin(pole)) * 0.5
        in_shadow = smooth(1.06, 0.9, np.abs(across * 0.5 + down / sin(pole) * 0.86)) * smooth(0.0, 0.3, side)
        ring_colour = ring_colour * (1.0 - 0.9 * in_shadow)[..., None]
        in_front = smooth(-0.02, 0.02, down)
        band = np.exp(-(((down - 0.3 * (0.42 + 0.5 * across) * np.sqrt(np.clip(1.05 - across**2, 0, 1))) / 0.1) ** 2))
        lit = lit * (1.0 - 0.5 * band * smooth(-0.3, 0.3, day))

        halo = np.exp(-np.maximum(distance - 1.0, 0.0) / 0.055) * smooth(-0.5, 0.7, u * _LIGHT[0] + v * _LIGHT[1])
        edge = np.exp(-np.maximum(1.0 - distance, 0.0) / 0.1) * cover * smooth(-0.1, 0.9, day)
        air_light = rgb(heavens.air) * (0.45 * halo * (1 - cover) + 0.55 * edge)[..., None]
        fade = smooth(0.0, 0.04, wide / radius - np.abs(u)) * smooth(0.0, 0.04, high / radius - np.abs(v))
        behind = premultiplied(f32(ring_colour), f32(ring_cover * (1 - in_front) * fade))
        behind[..., :3] += air_light * fade[..., None] * (1 - cover)[..., None]
        front = premultiplied(f32(ring_colour), f32(ring_cover * in_front * fade))
        ball = premultiplied(f32(0.55 * air_light * edge[..., None]), cover)
        ball[..., :3] = air_light * cover[..., None]
        self._still = stack(stack(behind, ball), front)
        self._weight = f32(lit * cover * (1 - front[..., 3]))[..., None]

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint it over the canvas; it leaves on one side and comes back on the other."""
        period = self._screen.span + 2 * self._wide
        x = (self._heavens.x * self._screen.span - view.pan * _PLANET_DEPTH + self._wide) % period - self._wide
        patch = self._still.copy()
        turned = 9.0 * view.time_s % self._turn
        whole = int(turned)
        # Read from a table that is twice as wide as a turn: no place of the ball then needs to wrap.
        surface = bent(self._surface.at(whole), self._lon + np.float32(0.5 * self._turn + turned - whole), self._lat)
        patch[..., :3] += surface * self._weight
        rows, columns = patch.shape[:2]
        set_down(canvas, patch, x * self._screen.unit - columns // 2, self._heavens.y * self._screen.unit - rows // 2)


def _table(codes: tuple[str, ...], entries: int) -> Plane:
    """Colours that run smoothly through the given ones: float32 [entries, 3]."""
    at = np.linspace(0, len(codes) - 1, entries)
    colours = np.stack([rgb(code) for code in codes])
    return f32(np.stack([np.interp(at, np.arange(len(codes)), colours[:, c]) for c in range(3)], axis=-1))


def _bands(screen: Screen, heavens: Heavens, key: str, rows: int, columns: int) -> Plane:
    """The ball's surface by latitude and longitude: float32 [rows, columns, 3]."""
    latitude = np.linspace(0, 1, rows)[:, None]
    scale = 1.0 / screen.unit
    swirl = texture(screen, key + " swirl", rows, columns, (120 * scale, 34 * scale), 1.2)
    fine = texture(screen, key + " fine", rows, columns, (170 * scale, 9 * scale), 1.0)
    place = latitude + (0.018 * swirl + 0.012 * fine) * np.sin(np.pi * latitude)
    index = np.clip(place, 0, 1) * 255
    surface = _table(heavens.bands, 256)[index.astype(np.intp)] * (1.0 + 0.05 * fine[..., None])
    spot = ((np.arange(columns)[None, :] - 0.3 * columns) / 26.0) ** 2 + ((latitude - 0.64) * rows / 9.0) ** 2
    surface += np.exp(-spot)[..., None] * 0.7 * (rgb(heavens.bands[0]) - surface)
    return f32(surface)


def _rings(heavens: Heavens, key: str, reach: Plane) -> tuple[Plane, Plane]:
    """Colour [h, w, 3] and coverage [h, w] of the rings by the distance from the centre, in radii of the ball."""
    knots = np.linspace(1.25, 2.2, 22)
    rng = stream_of(key + " rings")
    density = np.clip(0.62 + 0.26 * rng.standard_normal(22), 0.2, 0.95)
    density[[0, 1, -1, -2]] = 0.0
    density[2:5] *= 0.5
    density[14] = 0.02
    shade = np.clip(0.5 + 0.32 * rng.standard_normal(22), 0, 1)
    cover = f32(np.interp(reach, knots, density))
    share = f32(np.interp(reach, knots, shade))[..., None]
    return mix(rgb(heavens.ring[0]), rgb(heavens.ring[1]), share), cover


def _gas(screen: Screen, key: str, colour: str, strength: float, period: int) -> Plane:
    """Luminous gas: float32 [H, period, 3]."""
    thick = texture(screen, key, screen.height, period, (110.0, 60.0), 1.0)
    ridge = texture(screen, key + " ridge", screen.height, period, (60.0, 34.0), 0.8)
    light = smooth(-0.3, 2.4, thick) * (0.35 + 0.65 * np.exp(-np.abs(ridge) * 1.1))
    return f32((strength * light)[..., None] * rgb(colour))


def _far(screen: Screen, heavens: Heavens, key: str, period: int) -> Plane:
    """Sky, gas and the small stars: float32 [H, period, 3]."""
    layer = screen.gradient([(0, rgb(heavens.void[0])), (48, rgb(heavens.void[1])), (HEIGHT, rgb(heavens.void[0]))])
    layer = np.repeat(layer, period, axis=1)
    turn = 2 * np.pi * np.arange(period)[None, :] / period
    middle = 46 + 16 * np.sin(turn + 1.0) + 7 * np.sin(2 * turn)
    band = f32(np.exp(-(((screen.y - middle) / 30.0) ** 2)))
    for index, (colour, strength) in enumerate(zip(heavens.gas, (0.95, 1.0, 0.75), strict=True)):
        gas = _gas(screen, f"{key} gas {index}", colour, strength, period)
        layer += gas * (0.3 + 0.9 * band)[..., None] * (1 - layer)
    dust = smooth(0.3, 2.2, texture(screen, key + " dust", screen.height, period, (70.0, 30.0), 1.1)) * band
    layer *= 1.0 - 0.55 * dust[..., None]
    rng = stream_of(key + " stars")
    x = f32(np.arange(period) + 0.5) / screen.unit
    for _ in range(150):
        sx, sy = rng.uniform(3, period / screen.unit - 3), rng.uniform(1, HEIGHT - 1)
        size, warmth = rng.uniform(0.26, 0.5), rng.random()
        light = rng.uniform(0.35, 0.9) * mix(rgb("#a8c4ff"), rgb("#ffe6c8"), warmth)
        left, right = int((sx - 3) * screen.unit), int((sx + 3) * screen.unit) + 1
        top, bottom = screen.row(sy - 3), screen.row(sy + 3)
        square = (x[None, left:right] - sx) ** 2 + (screen.y[top:bottom] - sy) ** 2
        layer[top:bottom, left:right] += f32(np.exp(-square / size**2))[..., None] * f32(light)
    return np.minimum(layer, 1.0)


def _bright_stars(key: str, span: float) -> list[tuple[float, float, float, Plane, float]]:
    """Place, radius, colour and phase of the few large stars."""
    rng = stream_of(key + " bright")
    found = []
    for index in range(14):
        x, y = (index + rng.uniform(0.1, 0.9)) * span / 14, rng.uniform(4, HEIGHT - 6)
        colour = mix(rgb("#b4ccff"), rgb("#fff0d8"), rng.random())
        found.append((float(x), float(y), float(rng.uniform(0.9, 1.35)), f32(colour), float(rng.uniform(0, 6.28))))
    return found


def space(screen: Screen, variant: int) -> Space:
    """A ringed planet among stars."""
    return Space(screen, variant)
