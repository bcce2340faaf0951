"""The sky under any air: gradient, sun, moon, stars and clouds that drift and are lit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air, air_of
from streamgen_export.pocket.world.screen import Plane, Screen, Scroll, f32, rgb, shine, smooth, stream_of, texture
from streamgen_export.pocket.world.view import View

HORIZON: Final = 58.0
"""Row at which open land meets the sky, in units."""
_KEPT: Final = 6
"""Painted skies that are kept, of all places together."""
_PERIOD: Final = 2
"""Width of the clouds in pictures, after which they repeat."""
_CLOUD_DEPTH: Final = 0.06
_STAR_GROUPS: Final = 3


@dataclass(frozen=True, eq=False)
class _Painted:
    """A sky under one air.

    Attributes:
        base: gradient, sun and moon, float32 [rows, W, 3].
        layers: (colour times coverage, rest of the back, units per second) of the clouds.
        sun: its glow and disc over the clouds, colour times coverage and rest of the back, float32 [h, w, 3] each.
        corner: first row and column of that.
    """

    base: Plane
    layers: tuple[tuple[Scroll, Scroll, float], ...]
    sun: tuple[Plane, Plane]
    corner: tuple[int, int]


class Sky:
    """A sky down to a horizon; everything in it follows the air continuously.

    Attributes:
        horizon: the row in units at which it ends; the rows below are filled with the colour found there.
        sun_x: where sun and moon stand, in units.
        side: 1 with the light on the right, -1 on the left.
    """

    def __init__(self, screen: Screen, key: str, variant: int, horizon: float = HORIZON) -> None:
        """`key` names clouds and stars, `variant` says on which side sun and moon stand."""
        self.horizon = horizon
        self.sun_x = screen.span * (0.75, 0.24, 0.63)[variant % 3]
        self.side = 1.0 if self.sun_x > screen.span / 2 else -1.0
        self._screen = screen
        self._rows = screen.row(horizon)
        moon = (self.sun_x, self.sun_row(air_of("night", "clear")))
        self._stars = _stars(screen, key, self._rows, moon)
        self._decks = (
            _heap(screen, f"{key} heap {variant}", self._rows, self.side),
            _deck(screen, f"{key} deck {variant}", self._rows, self.side),
        )

    def sun_row(self, air: Air) -> float:
        """Row of the middle of sun or moon, in units."""
        return self.horizon - 7.0 - (self.horizon - 22.0) * air.sun_up

    def draw(self, canvas: Plane, view: View) -> None:
        """Fill the canvas."""
        painted = _painted(self, view.air)
        rows, screen, air = self._rows, self._screen, view.air
        part = canvas[:rows]
        np.copyto(part, painted.base)
        canvas[rows:] = painted.base[-1, 0]
        if air.stars > 0.01:
            power = f32([0.72 + 0.28 * sin(0.9 * view.time_s + 2.1 * g) for g in range(_STAR_GROUPS)]) * air.stars
            light = f32((power @ self._stars.reshape(_STAR_GROUPS, -1)).reshape(self._stars.shape[1:]))
            part += cv2.merge((light, light, light))
        for colour, clear, speed in painted.layers:
            shift = view.shift(_CLOUD_DEPTH) + speed * view.time_s * screen.unit
            # Clouds move by less than a pixel a picture: without a share of the next column they would go in steps.
            column = floor(shift)
            share = shift - column
            left = _between_columns(clear, column, share)
            part *= cv2.merge((left, left, left))
            part += _between_columns(colour, column, share)
        paint, left = painted.sun
        if paint.size:
            top, start = painted.corner
            near = canvas[top : top + paint.shape[0], start : start + paint.shape[1]]
            near *= left
            near += paint

    def under(self, air: Air) -> _Painted:
        """What it looks like under an air."""
        sun, corner = self._sun(air)
        layers = tuple(deck.under(air, self._screen.width) for deck in self._decks if deck.amount(air) > 0.0)
        return _Painted(self._base(air), layers, sun, corner)

    def _base(self, air: Air) -> Plane:
        screen, rows = self._screen, self._rows
        stops = [
            (0.0, f32(air.zenith)),
            (0.52 * self.horizon, f32(air.middle)),
            (0.97 * self.horizon, f32(air.horizon)),
        ]
        base = np.repeat(screen.gradient(stops)[:rows], screen.width, axis=1)
        y = self.sun_row(air)
        light = f32(air.sun)
        seen = air.sun_seen + 0.42 * air.moon_seen
        if seen > 0.0:
            # The lower the sun, the wider it colours the horizon.
            low = 1.0 - air.sun_up
            across = ((screen.x - self.sun_x) / (46.0 + 44.0 * low)) ** 2
            down = ((screen.y[:rows] - y) / (30.0 - 8.0 * low)) ** 2
            shine(base, ((0.55 * seen) / (1.0 + across + down) ** 1.6)[..., None] * light)
        if air.sun_seen > 0.0:
            distance = np.sqrt((screen.x - self.sun_x) ** 2 + (screen.y[:rows] - y) ** 2)
            cover, face = self._disc(air, distance, _radius(air))
            base += cover[..., None] * (face - base)
        if air.moon_seen > 0.0:
            self._moon(base, y, air)
        return f32(base)

    def _moon(self, base: Plane, y: float, air: Air) -> None:
        screen, rows, radius = self._screen, self._rows, 6.4
        near = screen.halo(self.sun_x, y, radius * 1.7, 2.0)[:rows]
        shine(base, (0.55 * air.moon_seen * near)[..., None] * f32(air.sun))
        u, v = (screen.x - self.sun_x) / radius, (screen.y[:rows] - y) / radius
        limb = np.sqrt(np.clip(1.0 - u * u - v * v, 0.0, 1.0))
        seas = sum(
            depth * np.exp(-(((u - a) / size) ** 2 + ((v - b) / size) ** 2))
            for a, b, size, depth in ((-0.3, -0.25, 0.42, 1.0), (0.3, 0.1, 0.34, 0.8), (-0.05, 0.5, 0.26, 0.6))
        )
        face = rgb("#fff6df") * (0.84 + 0.16 * limb - 0.17 * np.clip(seas, 0, 1))[..., None]
        alpha = screen.disc(self.sun_x, y, radius)[:rows] * min(1.0, 1.3 * air.moon_seen)
        base += f32(alpha)[..., None] * (face - base)

    def _sun(self, air: Air) -> tuple[tuple[Plane, Plane], tuple[int, int]]:
        """The sun's disc and its near glow, and their corner."""
        if air.sun_seen <= 0.0:
            nothing = np.zeros((0, 0, 3), np.float32)
            return (nothing, nothing), (0, 0)
        screen, y, radius = self._screen, self.sun_row(air), _radius(air)
        reach = 8.0 * radius
        top, bottom = screen.row(max(y - reach, 0.0)), min(screen.row(y + reach), self._rows)
        left, right = screen.column(self.sun_x - reach), screen.column(self.sun_x + reach)
        distance = np.sqrt((screen.x[:, left:right] - self.sun_x) ** 2 + (screen.y[top:bottom] - y) ** 2)
        glow = (
            0.72 * air.sun_seen * smooth(reach, 0.3 * reach, distance) / (1 + (distance / (1.6 * radius)) ** 2) ** 1.3
        )
        cover, face = self._disc(air, distance, radius)
        halo, through = f32(glow)[..., None] * f32(air.sun), 0.35 * cover[..., None]
        return (f32(halo * (1.0 - through) + face * through), f32((1.0 - halo) * (1.0 - through))), (top, left)

    def _disc(self, air: Air, distance: Plane, radius: float) -> tuple[Plane, Plane]:
        """Coverage and colour [3] of the sun's disc, which loses its edge and its strength in cloud and mist."""
        cover = smooth(0.5, -0.5, (distance - radius) / (0.4 + 1.6 * (1.0 - air.sun_seen)))
        light = f32(air.sun)
        face = light + (np.float32(1.0) - light) * np.float32(0.5 + 0.36 * air.sun_up)
        return f32(cover * np.float32(air.sun_seen**0.7)), f32(face)


@lru_cache(maxsize=_KEPT)
def _painted(sky: Sky, air: Air) -> _Painted:
    return sky.under(air)


class _Deck:
    """Clouds of one kind: their density and how much light reaches them, for a high and for a low sun."""

    def __init__(self, density: Plane, high: Plane, low: Plane, *, speed: float, closed: bool, edge: float) -> None:
        """`closed` clouds come as the sky closes, the others are the fair ones."""
        self._density, self._high, self._low = density, high, low
        self._speed, self._closed, self._edge = speed, closed, edge

    def amount(self, air: Air) -> float:
        """How much of them there is, 0 to 1."""
        if self._closed:
            return float(np.clip((air.clouds - 0.36) / 0.6, 0.0, 1.0))
        return float(np.clip(air.clouds / 0.26, 0.0, 1.0) * np.clip((0.98 - air.clouds) / 0.25, 0.0, 1.0))

    def under(self, air: Air, width: int) -> tuple[Scroll, Scroll, float]:
        """(colour times coverage, rest of the back, units per second)."""
        amount = self.amount(air)
        if self._closed:
            level = 1.5 - 3.2 * amount
            strength = min(1.0, 1.6 * amount)
        else:
            level, strength = 0.16 - 0.3 * air.clouds, amount
        alpha = smooth(level, level + self._edge, self._density) * np.float32(0.96 * strength)
        light = self._low + (self._high - self._low) * np.float32(air.sun_up)
        colour = [
            f32((air.cloud_shaded[c] + light * np.float32(air.cloud_lit[c] - air.cloud_shaded[c])) * alpha)
            for c in range(3)
        ]
        return Scroll(f32(cv2.merge(colour)), width), Scroll(f32(1.0 - alpha), width), self._speed


def _radius(air: Air) -> float:
    """Of the sun's disc, in units: it looks larger near the horizon."""
    return 4.8 + 1.8 * (1.0 - air.sun_up)


def _between_columns(layer: Scroll, column: int, share: float) -> Plane:
    return f32(cv2.addWeighted(layer.at(column), 1.0 - share, layer.at(column + 1), share, 0.0))


def _stars(screen: Screen, key: str, rows: int, moon: tuple[float, float]) -> Plane:
    """Stars in groups that twinkle out of step, none before the moon: float32 [3, rows, W]."""
    rng = stream_of(f"{key} stars")
    layers = np.zeros((_STAR_GROUPS, rows, screen.width), np.float32)
    bottom = rows / screen.unit
    columns, lines = round(screen.span / 15), round(bottom / 12)
    for index in range(columns * lines):
        # A jittered lattice: no two stars melt into one blob.
        x = (index % columns + rng.uniform(0.12, 0.88)) * screen.span / columns
        y = (index // columns + rng.uniform(0.12, 0.88)) * bottom / lines
        size, light = rng.uniform(0.26, 0.52), rng.uniform(0.4, 1.0) * float(np.clip(1.2 - y / bottom, 0.2, 1.0))
        size = max(size, 0.7 * screen.pixel)
        if np.hypot(x - moon[0], y - moon[1]) < 10.0:
            continue
        top, end = screen.row(y - 4 * size), min(screen.row(y + 4 * size) + 1, rows)
        left, right = screen.column(x - 4 * size), screen.column(x + 4 * size) + 1
        square = (screen.x[:, left:right] - x) ** 2 + (screen.y[top:end] - y) ** 2
        layers[index % _STAR_GROUPS, top:end, left:right] += f32(light * np.exp(-square / (2 * size * size)))
    return np.minimum(layers, 1.0)


def _lowered(field: Plane, rows: int) -> Plane:
    """The field moved down by some rows; what comes in repeats the edge."""
    index = np.clip(np.arange(field.shape[0]) - rows, 0, field.shape[0] - 1)
    return f32(field[index])


def _lights(density: Plane, screen: Screen, side: float) -> tuple[Plane, Plane]:
    """Share of light on clouds of this density from a high and from a low sun on a side."""

    def lit(right: float, down: float, bias: float, blur: float) -> Plane:
        soft = f32(cv2.GaussianBlur(density, (0, 0), blur * screen.unit, borderType=cv2.BORDER_REFLECT))
        moved = np.roll(_lowered(soft, -round(down * screen.unit)), -round(right * screen.unit), 1)
        return smooth(-0.75, 0.75, soft - moved + bias - 0.12 * soft)

    return lit(1.6 * side, -3.2, 0.12, 0.7), lit(3.6 * side, 2.0, 0.06, 1.7)


def _heap(screen: Screen, key: str, rows: int, side: float) -> _Deck:
    """Fair-weather clouds: round heaps on flat bases, large ones above and small ones towards the horizon."""
    columns = _PERIOD * screen.width
    span = columns / screen.unit
    rng = stream_of(key)
    x = f32((np.arange(columns) + 0.5) / screen.unit)[None, :]
    y = screen.y[:rows]
    density = np.full((rows, columns), -1.0, np.float32)
    # (row of the base, half width, number) from the nearest to the last.
    for base, half, number in ((21.0, 20.0, 3), (34.0, 14.0, 4), (45.0, 8.5, 5)):
        for index in range(number):
            centre = (index + rng.uniform(0.2, 0.8)) * span / number
            foot = base + rng.uniform(-3.5, 3.5)
            puffs = [(share, 0.22 + 0.30 * (1 - share * share), 0.55) for share in np.linspace(-0.85, 0.85, 6)]
            puffs += [(rng.uniform(-0.4, 0.0), 0.40, 1.15), (rng.uniform(0.0, 0.4), 0.36, 1.3)]
            for share, size, lift in puffs:
                px, radius = centre + half * share + rng.uniform(-1.0, 1.0), half * size * rng.uniform(0.85, 1.12)
                across = (x - px + span / 2) % span - span / 2
                lump = 1.0 - (across * across + (y - foot + lift * radius) ** 2) / radius**2
                lump = np.minimum(lump, (foot + 0.4 - y) * (2.6 / half))
                density = np.maximum(density, np.maximum(lump, -1.0))
    density += 0.17 * texture(screen, key, rows, columns, (11.0, 8.0), 1.5)
    density = f32(density * smooth(rows / screen.unit, rows / screen.unit - 8, y))
    high, low = _lights(density, screen, side)
    return _Deck(density, high, low, speed=1.1, closed=False, edge=0.34)


def _deck(screen: Screen, key: str, rows: int, side: float) -> _Deck:
    """Clouds that close the sky: large rolls above, flat bands towards the horizon."""
    columns = _PERIOD * screen.width
    y = screen.y[:rows] * (HORIZON / (rows / screen.unit))
    sizes = ((84.0, 34.0, 1.15), (60.0, 15.0, 1.0), (46.0, 6.0, 0.8))
    noises = [texture(screen, f"{key} {n}", rows, columns, (a, b), c) for n, (a, b, c) in enumerate(sizes)]
    upper, lower = smooth(16.0, 30.0, y), smooth(32.0, 48.0, y)
    weights = (1.0 - upper, upper * (1.0 - lower), upper * lower)
    norm = np.sqrt(sum(w * w for w in weights))
    density = f32(sum(w * n for w, n in zip(weights, noises, strict=True)) / norm)
    high, low = _lights(density, screen, side)
    return _Deck(density, high, low, speed=2.2, closed=True, edge=1.3)
