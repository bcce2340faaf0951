"""Land in layers that get paler with distance: hills, dunes, mountains and trees, and light that wanders over them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from streamgen_export.pocket.scenes.canvas import Moment, Plane, Scroll, X, Y, f32, mix, over, rgb, smooth, texture
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH


class Land:
    """Opaque layers painted once, from the furthest to the nearest."""

    def __init__(self) -> None:
        self._colour = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        self._alpha = np.zeros((HEIGHT, WIDTH), np.float32)

    def _add(self, colour: Plane, cover: Plane) -> None:
        # Where nothing is painted yet the colour counts in full: the edge against the sky stays clean.
        over(self._colour, colour, np.where(self._alpha < 0.01, np.float32(1.0), cover))
        self._alpha += cover * (1.0 - self._alpha)

    def hill(self, ridge: Plane, crest: str, foot: str, depth: float, *, grain: str = "", rim: str = "") -> Land:
        """Add a hill.

        Args:
            ridge: its upper edge, float32 [160], row at each column.
            crest: colour at the ridge.
            foot: colour further down.
            depth: pixels over which the one becomes the other.
            grain: names a soft texture on it; none without.
            rim: colour of a thin line of light along the ridge; none without.
        """
        below = Y - ridge
        share = np.exp(-np.maximum(below, 0.0) / depth)
        # The side of a hill that faces left catches the light.
        slope = np.gradient(ridge)
        share = np.clip(share + 0.9 * np.clip(slope, -0.5, 0.5) * np.exp(-np.maximum(below, 0) / (2 * depth)), 0, 1)
        if grain:
            share = np.clip(share + 0.07 * texture(grain, HEIGHT, WIDTH, (34.0, 9.0), 0.9), 0, 1)
        colour = mix(rgb(foot), rgb(crest), f32(share)[..., None])
        if rim:
            colour = mix(colour, rgb(rim), f32(np.exp(-np.maximum(below, 0) / 1.6))[..., None])
        self._add(colour, smooth(-0.7, 0.7, below))
        return self

    def dune(self, ridge: Plane, lit: str, shaded: str, far: str, depth: float) -> Land:
        """Add a dune with a bright and a dark flank, meeting in a soft line that runs down from each crest."""
        below = Y - ridge
        columns = np.clip(X - 0.9 * np.maximum(below, 0) - 3, 0, WIDTH - 1)
        slope = np.interp(columns.ravel(), np.arange(WIDTH), np.gradient(ridge)).reshape(columns.shape)
        # Rows grow downwards: a positive slope falls to the right, away from a light on the left.
        shade = smooth(-0.06, 0.1, f32(slope)) * np.exp(-np.maximum(below, 0) / (2.4 * depth))
        colour = mix(rgb(lit), rgb(far), f32(1 - np.exp(-np.maximum(below, 0) / depth))[..., None])
        colour = mix(colour, rgb(shaded), f32(shade)[..., None])
        self._add(colour, smooth(-0.7, 0.7, below))
        return self

    def peaks(self, ridge: Plane, rock: str, snow: str, depth: float) -> Land:
        """Add mountains with lit and shaded faces; snow on top."""
        below = Y - ridge
        slope = f32(np.gradient(ridge))
        face = smooth(-0.35, 0.35, -slope + 0.25 * np.sin(0.35 * Y + 0.2 * X))
        cap = f32(np.exp(-np.maximum(below, 0) / depth))
        colour = mix(rgb(rock), rgb(snow), (cap * (0.45 + 0.55 * face))[..., None])
        self._add(colour, smooth(-0.7, 0.7, below))
        return self

    def pine(self, x: float, foot: float, height: float, colour: str, snow: str = "") -> Land:
        """Add a fir tree, with snow on its branches if a colour is given."""
        up = (foot - Y) / height
        tiers = 0.5 * (1 - up) + 0.12 * (1 - up) * np.cos(2 * np.pi * 3.0 * up)
        half = 0.62 * height * np.maximum(tiers, 0)
        cover = smooth(-0.7, 0.7, half - np.abs(X - x)) * smooth(-0.02, 0.04, up) * smooth(1.02, 0.98, up)
        paint = np.broadcast_to(rgb(colour), (HEIGHT, WIDTH, 3))
        if snow:
            load = smooth(0.1, 0.9, np.cos(2 * np.pi * 3.0 * up - 0.5)) * smooth(
                -0.55, 0.5, (x - X) / np.maximum(half, 1)
            )
            paint = mix(paint, rgb(snow), (0.8 * load)[..., None])
        self._add(f32(paint), f32(cover))
        return self

    def tree(self, x: float, foot: float, radius: float, lit: str, shaded: str) -> Land:
        """Add a round tree with its shadow on the grass."""
        shadow = np.exp(-(((X - x - 0.5 * radius) / (1.3 * radius)) ** 2) - ((Y - foot) / (0.25 * radius)) ** 2)
        self._colour *= (1 - 0.45 * f32(shadow))[..., None]
        trunk = (
            smooth(1.2, 0.4, np.abs(X - x)) * smooth(foot - 1.6 * radius, foot - radius, Y) * smooth(foot + 1, foot, Y)
        )
        self._add(rgb("#4a3626"), f32(trunk))
        for dx, dy, size in ((-0.45, -1.35, 0.75), (0.5, -1.3, 0.7), (0.0, -1.85, 0.8)):
            u, v = (X - x) / radius - dx, (Y - foot) / radius - dy
            distance = np.sqrt(u * u + v * v)
            light = smooth(-0.8, 0.7, f32(-0.5 * u - 0.8 * v) / size)
            self._add(
                mix(rgb(shaded), rgb(lit), light[..., None]),
                smooth(size + 0.7 / radius, size - 0.7 / radius, f32(distance)),
            )
        return self

    def cabin(self, x: float, foot: float, wall: str, roof: str, window: str) -> Land:
        """Add a small house with a lit window."""
        box = smooth(8.6, 7.4, np.abs(X - x)) * smooth(foot - 9.6, foot - 8.4, Y) * smooth(foot + 0.6, foot - 0.6, Y)
        self._add(rgb(wall), f32(box))
        rise = foot - 8.5 - Y
        gable = smooth(-0.6, 0.6, 10.5 - 1.25 * rise - np.abs(X - x)) * smooth(-0.6, 0.6, rise)
        self._add(rgb(roof), f32(gable))
        for dx in (-3.6, 3.6):
            pane = smooth(2.3, 1.3, np.abs(X - x - dx)) * smooth(2.5, 1.5, np.abs(Y - foot + 4.8))
            self._add(rgb(window), f32(pane))
        glow = np.exp(-(((X - x) / 16) ** 2) - ((Y - foot - 1) / 6) ** 2)
        self._colour += (0.4 * f32(glow) * self._alpha)[..., None] * rgb(window) * (1 - self._colour)
        return self

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas."""
        canvas *= self._clear
        canvas += self._premultiplied

    @cached_property
    def _clear(self) -> Plane:
        return 1.0 - self._alpha[..., None]

    @cached_property
    def _premultiplied(self) -> Plane:
        return self._colour * self._alpha[..., None]


class Wandering:
    """Patches of light and shadow that slide over the land below a row."""

    def __init__(self, key: str, top: int, strength: float, speed: float, size: tuple[float, float]) -> None:
        """`speed` in pixels per second to the left, `size` of the patches in pixels."""
        rows = HEIGHT - top
        fade = smooth(0, 12, np.arange(rows, dtype=np.float32)[:, None])
        self._top = top
        self._scroll = Scroll(f32(1.0 + strength * fade * np.tanh(texture(key, rows, 320, size, 0.5))))
        self._speed = speed

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Brighten and darken the canvas."""
        canvas[self._top :] *= self._scroll.at(self._speed * moment.time_s)[..., None]
