"""The surface of water from a horizon down to the lower edge: waves in perspective, a mirror of what is above, glitter.

Waves are two periodic textures that move through one another, read in perspective, so that everything about them is
periodic in time and sideways.
"""

from __future__ import annotations

from math import pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, rgb, smooth, stream_of, texture
from streamgen_export.pocket.world.strip import toward
from streamgen_export.pocket.world.view import View

_TILE: Final = 256
"""Edge of the wave textures, in texels."""
_TEXELS: Final = 2.6
"""Texels per unit at the lower edge of the picture."""
_NEAR: Final = 9.0
"""Units below the horizon over which waves stop growing smaller with distance."""
_RINGS: Final = 11
_RING_S: Final = 1.92


def body_colours(air: Air) -> tuple[Plane, Plane]:
    """Colour of the water itself, far and near: float32 [3] each."""
    light = f32(air.ambient) + np.float32(0.55) * f32(air.key)
    deep = rgb("#127a94") * light * np.float32(0.66)
    sky = mix(f32(air.zenith), f32(air.middle), 0.25)
    near = mix(deep, sky, 0.35) * np.float32(0.78)
    grey = np.float32(near.mean()) * f32((0.72, 1.03, 1.10))
    near = mix(near, grey, 0.5 * air.clouds * air.wind)
    return mix(mix(f32(air.middle), near, 0.45), f32(air.haze), 0.25 + 0.45 * air.distance), near


class Water:
    """Water from a horizon down to the lower edge of the picture; paint it after what it mirrors."""

    def __init__(
        self,
        screen: Screen,
        key: str,
        horizon: float,
        *,
        swell: float = 1.0,
        mirror: float = 1.0,
        flow: float = 0.0,
        vanishing: float | None = None,
    ) -> None:
        """Paints nothing yet.

        Args:
            screen: the picture.
            key: names the waves.
            horizon: row in units at which the water starts.
            swell: height of the waves, 1 for the open sea.
            mirror: how clearly it shows what is above, 1 for the open sea.
            flow: units per second by which all of it moves to the left at the lower edge of the picture.
            vanishing: row of the true horizon where a bank hides it.
        """
        vanishing = horizon if vanishing is None else vanishing
        self._screen, self._swell, self._mirror, self._flow = screen, swell, mirror, flow
        self.top = screen.row(horizon)
        depth = f32(screen.y[self.top :] - vanishing)
        deepest = HEIGHT - vanishing
        rows, columns = len(depth), screen.width
        self._depth = depth
        # Texels per unit: perspective makes waves narrower with distance, but never finer than the pixels can show.
        scale = _TEXELS * (deepest + _NEAR) / (depth + _NEAR)
        self._across = f32((screen.x - 0.5 * screen.span) * scale)
        down = _TEXELS * (deepest + _NEAR) * 1.35 * np.log(depth + _NEAR)
        self._down = np.repeat(f32(down), columns, axis=1)
        texels = Screen(_TILE, round(HEIGHT * _TEXELS))
        self._one = texture(texels, key + " one", _TILE, _TILE, (24.0, 6.5), 0.8)
        self._two = texture(texels, key + " two", _TILE, _TILE, (13.0, 4.5), 0.8)
        self._pixels_across = np.repeat(np.arange(columns, dtype=np.float32)[None, :], rows, axis=0)
        mirrored = self.top - 1 - np.arange(rows, dtype=np.float32)[:, None] * min(1.0, (self.top - 1) / rows)
        self._pixels_down = np.repeat(mirrored, columns, axis=1)
        # How far a wave throws the mirror image up and down: nearer waves more.
        self._throw = f32(screen.unit * (0.5 + 0.13 * depth))
        self._flat = smooth(-2.0, 12.0, depth)
        self._share = f32((screen.y[self.top :] - horizon) / (HEIGHT - horizon))
        self._rings = Rings(screen, key, horizon)

    def waves(self, view: View) -> Plane:
        """Height of the waves below the horizon: float32 [rows, W], about -2 to 2."""
        # Speeds never depend on the wind: a change of it would throw the waves far.
        t, unit = view.time_s, _TEXELS
        # Sideways the whole plane slides rigidly with the camera.
        slide = (view.pan + self._flow * t) * unit
        first = cv2.remap(
            self._one,
            self._across + np.float32((slide + 2.2 * unit * t) % _TILE),
            self._down - np.float32(3.4 * unit * t % _TILE),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        second = cv2.remap(
            self._two,
            self._across + np.float32((slide - 3.0 * unit * t) % _TILE),
            self._down - np.float32(2.2 * unit * t % _TILE),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        wave: Plane = first + np.float32(0.8) * second
        return wave

    def draw(self, canvas: Plane, view: View, light_x: float) -> Plane:
        """Paint it over the lower part of the canvas, with the glitter of a light at column `light_x` units.

        Returns the height of its waves, as `waves` does.
        """
        air = view.air
        wave = self.waves(view)
        rough = np.float32(min(1.0, (0.32 + 0.9 * air.wind) * self._swell))
        part = canvas[self.top :]
        far, near = body_colours(air)
        body = mix(far, near, smooth(0.0, 0.75, self._share)[..., None])
        image = cv2.remap(
            canvas[: self.top],
            self._pixels_across + (np.float32(0.25) * rough * self._throw) * wave,
            self._pixels_down + (rough * self._throw) * wave,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # Faces that lean away show the water itself, flat ones the sky.
        clear = (
            self._mirror * (0.80 - 0.36 * self._share) * (1.0 - 0.35 * air.rain) * (1.0 - 0.5 * max(air.wind - 0.3, 0))
        )
        strength = np.clip(clear * (1.0 + (0.30 * rough) * wave), 0.0, 0.94)
        strength = f32(strength)
        np.subtract(image, body, out=part)
        part *= cv2.merge((strength, strength, strength))
        part += body
        self._facets(part, wave, air, rough)
        if air.rain > 0.02:
            self._rings.draw(canvas, view)
        self._glitter(part, wave, air, light_x)
        return wave

    def _facets(self, part: Plane, wave: Plane, air: Air, rough: np.float32) -> None:
        """Light on the crests and shade in the troughs."""
        crest = mix(f32(air.horizon), f32(air.key), 0.35)
        light = (np.float32(0.42) * rough) * self._flat * smooth(0.5, 2.1, wave)
        shade = (np.float32(0.34) * rough) * self._flat * smooth(-0.3, -2.0, wave)
        clear = 1.0 - shade
        part *= cv2.merge((clear, clear, clear))
        toward(part, crest, light)

    def _glitter(self, part: Plane, wave: Plane, air: Air, x: float) -> None:
        seen = max(air.sun_seen, 0.85 * air.moon_seen)
        if seen < 0.02:
            return
        # A low light lays a narrow bright path, a high one a wide field of sparks.
        low = 1.0 - min(max(air.sun_up, 0.0), 1.0)
        wide = 4.0 + (0.22 + 0.30 * (1 - low)) * self._depth + 5.0 * (1 - low)
        away = (self._screen.x - np.float32(x)) / wide + 0.30 * wave
        path = np.exp(-away * away)
        spark = smooth(0.5 - 0.9 * low, 1.6 - 0.6 * low, wave)
        haze = 0.35 * np.exp(-self._share * 10.0)
        light = np.float32(seen) * path * (f32(0.95 * spark) * (0.75 + 0.25 * low) + haze * (0.4 + 0.6 * low))
        colour = mix(f32(air.sun), f32((1, 1, 1)), 0.35)
        toward(part, colour, np.minimum(light, 1.0))


class Rings:
    """The rings of large drops, each at a place of its own, one after the other."""

    def __init__(self, screen: Screen, key: str, horizon: float) -> None:
        self._screen = screen
        rng = stream_of(key + " rings")
        span = 1.2 * screen.span
        self._span = span
        self._drops = []
        for index in range(_RINGS):
            depth = (HEIGHT - horizon) * (0.2 + 0.75 * ((index * 0.618) % 1.0))
            x = (index + float(rng.uniform(0.2, 0.8))) * span / _RINGS
            self._drops.append((x, horizon + depth, depth / (HEIGHT - horizon), index * 0.382 % 1.0))

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint them over the water."""
        screen = self._screen
        colour = mix(f32(view.air.horizon), f32((1, 1, 1)), 0.25)
        for x, y, near, phase in self._drops:
            age = (view.time_s / _RING_S + phase) % 1.0
            place = (x - view.pan * near) % self._span
            wide = (1.5 + 8.5 * age) * (0.3 + 0.7 * near)
            high = 0.3 * wide
            left, right = screen.column(place - wide - 1), screen.column(place + wide + 1)
            top, bottom = screen.row(y - high - 1), screen.row(y + high + 1)
            if left >= right or top >= bottom:
                continue
            u, v = (screen.x[:, left:right] - place) / wide, (screen.y[top:bottom] - y) / high
            away = (np.sqrt(u * u + v * v) - 0.86) * np.float32(wide / 0.62)
            strength = 0.75 * view.air.rain * sin(pi * min(age * 1.15, 1.0)) * (1.0 - age)
            part = canvas[top:bottom, left:right]
            part += (np.float32(strength) * np.exp(-away * away))[..., None] * (colour - part)
