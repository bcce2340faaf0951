"""Things that shine by themselves: northern lights, flames, embers, rings of light and a planet."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.canvas import (
    Moment,
    Plane,
    Scroll,
    X,
    Y,
    f32,
    mix,
    rgb,
    screen,
    smooth,
    texture,
)
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH

_LEVELS = 256


def ramp(*codes: str) -> Plane:
    """A table of 256 colours that runs evenly through the given ones: float32 [256, 3]."""
    stops = [(HEIGHT * (i / (len(codes) - 1)), code) for i, code in enumerate(codes)]
    at = np.linspace(0, HEIGHT, _LEVELS)
    colours = np.stack([rgb(code) for _, code in stops])
    return f32(np.stack([np.interp(at, [row for row, _ in stops], colours[:, c]) for c in range(3)], axis=-1))


def _looked_up(table: Plane, values: Plane) -> Plane:
    return table[(np.clip(values, 0.0, 1.0) * (_LEVELS - 1)).astype(np.intp)]


class Aurora:
    """Curtains of light that wave slowly and are brightest along their lower edge."""

    def __init__(
        self, low: str, high: str, second_low: str, second_high: str, strength: float, bottom: int = 66
    ) -> None:
        """Colours of two curtains at their lower and upper ends."""
        self._rows = bottom
        self._curtains = (
            (34.0, 9.0, 26.0, rgb(low), rgb(high), 1.0),
            (50.0, 7.0, 20.0, rgb(second_low), rgb(second_high), 0.75),
        )
        self._strength = strength
        self._y = Y[:bottom]

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Add them to the sky."""
        t = moment.time_s
        sky = canvas[: self._rows]
        for index, (base, swing, length, low, high, gain) in enumerate(self._curtains):
            x = X[0] / WIDTH * 2 * pi
            edge = (
                base + swing * np.sin(1.1 * x + 0.35 * t + 2 * index) + 0.45 * swing * np.sin(2.3 * x - 0.5 * t + index)
            )
            rays = (
                0.62
                + 0.26 * np.sin(7.0 * x + 2.2 * np.sin(1.3 * x + 0.3 * t) + 0.7 * t)
                + 0.12 * np.sin(13.0 * x - 0.9 * t)
            )
            veil = 0.7 + 0.3 * np.sin(0.9 * x - 0.28 * t + 1.7 * index)
            above = (f32(edge) - self._y) * (1.0 / length)
            light = (
                np.exp(-np.maximum(above, 0.0) * 1.6)
                * smooth(-0.22, 0.1, above)
                * (self._strength * gain * rays * veil)
            )
            hue = np.clip(above * 0.7, 0.0, 1.0)[..., None]
            screen(sky, light[..., None] * (low + (high - low) * hue))


class Flames:
    """Three layers of pointed tongues, each brighter and lower than the one behind it."""

    _BASE: Final = 91.0
    _LAYERS: Final = ((1.0, 4.6, 0.0, 1.0), (0.76, 5.6, 2.1, 0.82), (0.48, 6.6, 4.0, 0.64))
    """Height, tongues per unit, phase and width of each layer."""

    def __init__(self, colours: tuple[str, ...], height: float, glow: str, glow_strength: float) -> None:
        """`colours` are pairs (tip, foot) of each layer from the back, `height` in pixels."""
        self._tips = [rgb(code) for code in colours[::2]]
        self._feet = [rgb(code) for code in colours[1::2]]
        self._glow = rgb(glow)
        away = ((X - 80) / 92) ** 2 + ((Y - 80) / 66) ** 2
        self._halo = f32(glow_strength / (1 + 2.2 * away) ** 1.6)[..., None]
        self._up = np.maximum(self._BASE - Y, 0.0) * (1.0 / height)
        self._centre = (X - 80.0) / 66.0

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint them over the canvas."""
        t = moment.time_s
        flicker = 1.0 + 0.05 * sin(4.1 * t) + 0.04 * sin(2.7 * t + 1.0)
        screen(canvas, self._halo * (flicker * self._glow))
        up = self._up
        layers = zip(self._LAYERS, self._tips, self._feet, strict=True)
        for index, ((height, tongues, phase, width), tip, foot) in enumerate(layers):
            sway = (0.03 + 0.12 * up) * np.sin(4.0 * up - 2.6 * t + phase) + 0.05 * np.sin(
                1.6 * up - 1.3 * t + 2 * phase
            )
            x = self._centre + sway
            turn = tongues * x + 0.7 * sin(0.8 * t + phase) + 0.5 * phase
            ridge = 1.0 - np.abs(np.sin(turn))
            second = 1.0 - np.abs(np.sin(1.7 * turn + 0.9 * t))
            across = np.minimum((x * (1.0 / width)) ** 2, 1.0)
            reach = height * flicker * (1.0 - across) * (0.42 + 0.42 * ridge + 0.16 * second) + 0.02
            heat = 1.0 - up / reach
            colour = tip + (foot - tip) * smooth(0.05, 0.75, heat)[..., None]
            edge = smooth(0.0, 0.2, heat) * smooth(1.0, 0.9, across)
            canvas += ((0.94 - 0.04 * index) * edge)[..., None] * (colour - canvas)


class Embers:
    """A bed of coals that glow and darken slowly, and a few logs."""

    def __init__(self, key: str, top: float, dark: str, hot: str, strength: float) -> None:
        """`top` is the row at which the heap begins in its middle."""
        x = (X - 80.0) / 74.0
        ridge = top + 11.0 * x * x + 1.4 * np.sin(0.31 * X) + 0.9 * np.sin(0.17 * X + 1)
        self._cover = smooth(-0.8, 0.8, f32(Y - ridge))[..., None]
        self._coals = f32(texture(key, HEIGHT, WIDTH, (20.0, 10.0), 0.8))
        self._second = f32(texture(key + " second", HEIGHT, WIDTH, (26.0, 12.0), 0.8))
        self._heat = f32(strength * np.exp(-((Y - ridge - 4) ** 2) / 150.0) * (1 - 0.55 * np.minimum(x * x, 1)))
        self._table = ramp("#0a0405", dark, hot, "#ffb347", "#fff0b0")

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint them over the canvas."""
        t = moment.time_s
        turn = 0.45 * t
        glow = self._coals * cos(turn) + self._second * sin(turn)
        heat = self._heat * (0.5 + 0.2 * glow + 0.05 * sin(1.7 * t))
        canvas += self._cover * (_looked_up(self._table, heat) - canvas)


class Rings:
    """Rings of light that leave the centre on every beat."""

    _SPACING: Final = 25.0  # px that a ring travels in one beat

    def __init__(self, colour: str, deep: str, brightness: float) -> None:
        """`colour` of the rings, `deep` of the dark between them."""
        x, y = (X - 80.0), (Y - 48.0) * 1.12
        self._radius = f32(np.sqrt(x * x + y * y))
        self._angle = f32(np.arctan2(y, x))
        self._colour = rgb(colour)
        self._deep = rgb(deep)
        fade = np.exp(-self._radius / 88.0)
        self._fade = f32(brightness * fade)
        self._back = f32(self._deep * (0.45 + 0.75 * np.exp(-self._radius / 50.0))[..., None])
        self._core = f32(np.exp(-((self._radius / 17.0) ** 2)))

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint them over the whole canvas."""
        t = moment.time_s
        wobble = 1.8 * np.sin(3.0 * self._angle + 0.6 * t) + 1.2 * np.sin(5.0 * self._angle - 0.4 * t)
        turns = (self._radius + wobble * smooth(4.0, 30.0, self._radius)) * (1.0 / self._SPACING) - moment.beat
        wave = 0.5 + 0.5 * np.cos(2 * pi * turns)
        ring = wave * wave * wave * self._fade
        pulse = 0.55 + 0.45 * cos(2 * pi * moment.beat)
        light = ring + (0.8 * pulse) * self._core * self._fade
        canvas[:] = self._back
        screen(canvas, np.minimum(light * 1.15, 1.0)[..., None] * self._colour)
        screen(canvas, (0.55 * np.maximum(light - 0.45, 0.0))[..., None])


class Planet:
    """A ringed planet with slow bands of cloud."""

    def __init__(
        self, x: float, y: float, radius: float, bands: tuple[str, ...], ring: str, tilt: float = -0.32
    ) -> None:
        """Centre and radius in pixels, `bands` from pole to pole."""
        left, right = max(0, int(x - 2.3 * radius)), min(WIDTH, int(x + 2.3 * radius) + 1)
        top, bottom = max(0, int(y - 1.5 * radius)), min(HEIGHT, int(y + 1.5 * radius) + 1)
        self._window = (slice(top, bottom), slice(left, right))
        u, v = (X[:, left:right] - x) / radius, (Y[top:bottom] - y) / radius
        across, down = u * cos(tilt) + v * sin(tilt), v * cos(tilt) - u * sin(tilt)
        distance = np.sqrt(u * u + v * v)
        self._cover = smooth(1 + 0.7 / radius, 1 - 0.7 / radius, f32(distance))
        height = np.sqrt(np.clip(1 - distance * distance, 0, 1))
        light = np.clip(0.62 * -u - 0.45 * v + 0.62 * height, 0, 1) ** 0.8
        self._shade = f32(0.05 + 1.08 * light)[..., None]
        self._latitude, self._longitude = f32(down), f32(np.arctan2(across, height + 0.05))
        self._table = ramp(*bands)
        reach = np.sqrt(across**2 + (down / 0.27) ** 2)
        strength = smooth(1.28, 1.4, f32(reach)) * smooth(2.15, 1.95, f32(reach))
        strength *= 0.62 + 0.38 * np.cos(11.0 * reach)
        behind = f32(self._cover * (down < 0))
        shadow = 1 - 0.85 * smooth(1.1, 0.8, f32(np.hypot(across - 0.9, down / 0.3 * 0.3 - 0.35)))
        self._ring = f32(0.85 * strength * (1 - behind))[..., None]
        self._ring_colour = f32(rgb(ring) * shadow[..., None])
        rim = np.exp(-(((distance - 1.0) / 0.14) ** 2)) * np.clip(-0.7 * u - 0.5 * v, 0, 1)
        self._rim = f32(0.55 * rim)[..., None] * mix(rgb(bands[1]), rgb("#ffffff"), 0.4)

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas."""
        part = canvas[self._window]
        swirl = 0.07 * np.sin(3.0 * self._longitude + 0.22 * moment.time_s + 4.0 * self._latitude)
        surface = _looked_up(self._table, 0.5 + 0.5 * self._latitude + swirl * (1 - self._latitude**2)) * self._shade
        part += self._cover[..., None] * (surface - part)
        screen(part, self._rim)
        part += self._ring * (self._ring_colour - part)


class Nebula:
    """Luminous clouds of two colours that drift through one another."""

    def __init__(self, key: str, colours: tuple[str, str], strength: float) -> None:
        """`key` names the clouds."""
        self._layers = []
        for index, colour in enumerate(colours):
            noise = texture(f"{key} {index}", HEIGHT, 320, (120.0, 66.0), 0.75)
            band = np.exp(-(((Y - 50 - 10 * index) / 44.0) ** 2))
            light = strength * smooth(-0.5, 2.0, noise) * band
            self._layers.append((Scroll(f32(light)), rgb(colour), 3.2 - 5.0 * index))

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Add them to the canvas."""
        for layer, colour, speed in self._layers:
            screen(canvas, layer.at(speed * moment.time_s)[..., None] * colour)
