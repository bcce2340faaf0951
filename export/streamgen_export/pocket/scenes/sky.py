"""What is above the horizon: gradients, sun and moon with their glow, stars and clouds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamgen_export.pocket.scenes.canvas import (
    Moment,
    Plane,
    Scroll,
    X,
    Y,
    disc,
    f32,
    filled,
    halo,
    mix,
    rgb,
    screen,
    smooth,
    stream_of,
    texture,
)
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH


class Stars:
    """Stars at fixed places in three groups that twinkle slowly, out of step."""

    _GROUPS = 3

    def __init__(self, key: str, count: int, bottom: float, brightness: float = 1.0) -> None:
        """`key` names the constellation; it reaches down to row `bottom`."""
        rng = stream_of(key)
        self._layers = np.zeros((self._GROUPS, HEIGHT, WIDTH), np.float32)
        columns = max(1, round((count * WIDTH / bottom) ** 0.5))
        rows = -(-count // columns)
        for index in range(count):
            # A jittered lattice: no two stars melt into one blob.
            x = (index % columns + rng.uniform(0.15, 0.85)) * WIDTH / columns
            y = (index // columns + rng.uniform(0.15, 0.85)) * bottom / rows
            size = rng.uniform(0.75, 1.15)
            light = brightness * rng.uniform(0.45, 1.0) * float(np.clip(1.25 - y / bottom, 0.25, 1.0))
            spot = np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * size * size))
            self._layers[index % self._GROUPS] += f32(light * spot)
        self._flat = self._layers.reshape(self._GROUPS, -1)

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Add them to the canvas."""
        phases = 0.9 * moment.time_s + 2.1 * np.arange(self._GROUPS)
        light = f32(0.72 + 0.28 * np.sin(phases)) @ self._flat
        screen(canvas, np.minimum(light.reshape(HEIGHT, WIDTH, 1), 1.0))


class Clouds:
    """A layer of clouds that slides sideways, lit from one side."""

    def __init__(
        self,
        key: str,
        *,
        rows: int,
        size: tuple[float, float],
        cover: float,
        edge: float,
        lit: str,
        shaded: str,
        opacity: float,
        speed: float,
        top: float = -20.0,
        light_from: tuple[int, int] = (2, -3),
        roughness: float = 1.0,
        fade: float = 14.0,
        period: int = 320,
    ) -> None:
        """Lengths in pixels, `speed` in pixels per second.

        Args:
            key: names the clouds.
            rows: how far down they reach.
            size: (width, height) of the largest ones.
            cover: -1.5 few, 0 half, 1.5 closed.
            edge: softness of their rims, 0.3 crisp to 2 misty.
            lit: colour of the side towards the light.
            shaded: colour of the other side.
            opacity: 0 to 1.
            speed: to the left.
            top: row above which they thin out.
            light_from: direction of the light, in pixels.
            roughness: of the noise.
            fade: rows over which they thin out towards the bottom.
            period: width after which they repeat.
        """
        noise = texture(key, rows + 16, period, size, roughness)[:rows]
        y = Y[:rows] - 0.5
        density = noise + cover
        alpha = smooth(-edge / 2, edge / 2, density) * smooth(rows, rows - fade, y) * smooth(top - 8, top + 8, y)
        towards = np.roll(noise, (-light_from[1], -light_from[0]), (0, 1))
        light = smooth(-0.9, 0.9, noise - towards + 0.25 * (0.6 - density))
        colour = mix(rgb(shaded), rgb(lit), light[..., None])
        covered = f32(alpha * opacity)[..., None]
        self._rows = rows
        self._scroll = Scroll(np.concatenate([colour * covered, covered], axis=-1))
        self._speed = speed

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint them over the canvas."""
        layer = self._scroll.at(self._speed * moment.time_s)
        part = canvas[: self._rows]
        part *= 1.0 - layer[..., 3:]
        part += layer[..., :3]


def sky(stops: Sequence[tuple[float, str]]) -> Plane:
    """An empty sky."""
    return filled(stops)


class LowSun:
    """A sun near the horizon, bright enough to shine through the clouds in front of it."""

    def __init__(self, x: float, y: float, radius: float, *, colour: str, glow: str, bottom: int) -> None:
        """Lengths in pixels; it has set below row `bottom`."""
        self._bottom = bottom
        light = 0.5 * halo(x, y, radius * 2.6, 1.5) + 0.35 * halo(x, y, radius * 1.5, 2.0)
        self._light = (light[..., None] * rgb(glow))[:bottom]
        self._disc = (0.93 * disc(x, y, radius, 2.2))[:bottom, :, None]
        self._colour = rgb(colour)

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the clouds."""
        part = canvas[: self._bottom]
        screen(part, self._light)
        part += self._disc * (self._colour - part)


def add_sun(canvas: Plane, x: float, y: float, radius: float, colour: str, glow: str, reach: float) -> None:
    """Paint a sun with a wide and a narrow glow."""
    screen(canvas, halo(x, y, reach, 1.4)[..., None] * rgb(glow))
    screen(canvas, halo(x, y, radius * 1.9, 2.0)[..., None] * rgb(glow))
    canvas += disc(x, y, radius, 2.0)[..., None] * (rgb(colour) - canvas)


def add_moon(canvas: Plane, x: float, y: float, radius: float, glow: str, strength: float = 1.0) -> None:
    """Paint a full moon with its seas and a glow in the air around it."""
    screen(canvas, strength * 0.55 * halo(x, y, radius * 3.4, 1.5)[..., None] * rgb(glow))
    screen(canvas, strength * 0.75 * halo(x, y, radius * 1.5, 2.0)[..., None] * rgb(glow))
    u, v = (X - x) / radius, (Y - y) / radius
    limb = np.sqrt(np.clip(1.0 - u * u - v * v, 0.0, 1.0))
    seas = halo(x - 0.3 * radius, y - 0.25 * radius, radius * 0.55) + 0.8 * halo(
        x + 0.35 * radius, y + 0.2 * radius, radius * 0.4
    )
    face = rgb("#fff6df") * (0.86 + 0.14 * limb - 0.16 * np.clip(seas, 0, 1))[..., None]
    canvas += (strength * disc(x, y, radius, 1.6)[..., None]) * (face - canvas)
