"""The means of drawing at any size: pixel grids in units, colours, gradients, soft edges, textures that scroll.

Lengths are in **units**: a picture is 96 units high whatever its pixels, its width follows (168 at 448x256), y grows
downwards. Colours are float32 from 0 to 1, display-referred. Edges are antialiased over about a pixel, textures have
detail down to the pixel, so more pixels show more, not the same enlarged.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating[Any]]
"""A field of float32."""

HEIGHT: Final = 96.0
"""Of every picture, in units."""
GROUND: Final = 84.0
"""Row on which subjects land, roll and cast their shadow."""
WATERLINE: Final = 76.0
"""Row at which a boat meets the water."""


@dataclass(frozen=True)
class Screen:
    """Pixels of a picture and where they lie in units."""

    width: int
    height: int

    @property
    def unit(self) -> float:
        """Pixels per unit."""
        return self.height / HEIGHT

    @property
    def span(self) -> float:
        """Width of a picture in units."""
        return self.width / self.unit

    @cached_property
    def x(self) -> Plane:
        """Horizontal place of every column's middle, float32 [1, W]."""
        return f32((np.arange(self.width) + 0.5) / self.unit)[None, :]

    @cached_property
    def y(self) -> Plane:
        """Vertical place of every row's middle, float32 [H, 1]."""
        return f32((np.arange(self.height) + 0.5) / self.unit)[:, None]

    @property
    def pixel(self) -> float:
        """Edge of a pixel in units."""
        return 1.0 / self.unit

    def row(self, y: float) -> int:
        """Index of the first row at or below `y` units, held within the picture."""
        return min(max(round(y * self.unit), 0), self.height)

    def column(self, x: float) -> int:
        """Index of the first column at or right of `x` units, held within the picture."""
        return min(max(round(x * self.unit), 0), self.width)

    def blank(self) -> Plane:
        """A black picture: float32 [H, W, 3]."""
        return np.zeros((self.height, self.width, 3), np.float32)

    def gradient(self, stops: Sequence[tuple[float, Plane]]) -> Plane:
        """A vertical gradient through (row in units, colour [3]) stops: float32 [H, 1, 3]."""
        rows = [row for row, _ in stops]
        colours = np.stack([colour for _, colour in stops])
        return f32(np.stack([np.interp(self.y[:, 0], rows, colours[:, c]) for c in range(3)], axis=-1)[:, None, :])

    def halo(self, x: float, y: float, radius: float, power: float = 2.0) -> Plane:
        """Light that falls off softly around a point, 1 in its centre: float32 [H, W]."""
        square = ((self.x - x) ** 2 + (self.y - y) ** 2) * (1.0 / radius**2)
        return f32((1.0 + square) ** -power)

    def disc(self, x: float, y: float, radius: float) -> Plane:
        """Coverage of a disc: float32 [H, W]."""
        return self.cover(np.sqrt((self.x - x) ** 2 + (self.y - y) ** 2) - radius)

    def cover(self, distance: Plane, soft: float = 1.0) -> Plane:
        """Coverage from a signed distance in units (negative inside); the edge is `soft` pixels wide."""
        half = 0.5 * soft * self.pixel
        return smooth(half, -half, distance)


def rgb(code: str) -> Plane:
    """A colour from "#rrggbb": float32 [3]."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def f32(values: object) -> Plane:
    """Anything numeric as float32."""
    return np.asarray(values, dtype=np.float32)


def smooth(low: float, high: float, values: Plane) -> Plane:
    """A soft step from 0 at `low` to 1 at `high`; `high` may be the smaller one."""
    t = np.clip((values - low) * (1.0 / (high - low)), 0.0, 1.0)
    step: Plane = t * t * (3.0 - 2.0 * t)
    return step


def mix(a: Plane, b: Plane, share: Plane | float) -> Plane:
    """`a` where share is 0, `b` where it is 1."""
    mixed: Plane = a + (b - a) * share
    return mixed


def over(canvas: Plane, colour: Plane, alpha: Plane) -> None:
    """Paint `colour` ([3] or like the canvas) over the canvas in place, with alpha [h, w]."""
    canvas += alpha[..., None] * (colour - canvas)


def shine(canvas: Plane, light: Plane) -> None:
    """Add light in place without ever exceeding white; `light` broadcasts to the canvas."""
    canvas += light * np.maximum(1.0 - canvas, 0.0)


def stream_of(key: str) -> np.random.Generator:
    """The fixed random numbers that belong to a name: the same in every clip and at every size."""
    return np.random.default_rng(zlib.crc32(key.encode()))


def texture(screen: Screen, key: str, rows: int, columns: int, size: tuple[float, float], rough: float = 1.0) -> Plane:
    """Smooth noise, periodic in both directions, of mean 0 and deviation 1: float32 [rows, columns].

    Args:
        screen: for its pixels per unit.
        key: names the noise.
        rows: height in pixels.
        columns: width, and period, in pixels.
        size: (width, height) in units of its largest features.
        rough: how much of the finer features; 0.6 is silky, 1.4 rich.
    """
    white = np.fft.rfft2(stream_of(key).standard_normal((rows, columns)))
    fy = np.fft.fftfreq(rows)[:, None] * size[1] * screen.unit
    fx = np.fft.rfftfreq(columns)[None, :] * size[0] * screen.unit
    frequency = np.sqrt(fx**2 + fy**2)
    band = np.exp(-((frequency / (1.2 * rough + 0.6)) ** 2)) / (1.0 + frequency) ** 2
    band[0, 0] = 0.0
    noise = np.fft.irfft2(white * band, s=(rows, columns))
    return f32(noise / noise.std())


class Scroll:
    """A layer, periodic sideways, that slides under the picture by whole pixels."""

    def __init__(self, layer: Plane, width: int) -> None:
        """Takes a layer [rows, period, ...] and the width of the picture in pixels."""
        self.period = layer.shape[1]
        self._width = width
        repeats = -(-(self.period + width) // self.period)
        self._padded = np.ascontiguousarray(np.concatenate([layer] * repeats, axis=1)[:, : self.period + width])

    def at(self, shift: float) -> Plane:
        """The layer moved to the left by `shift` pixels, rounded: [rows, width, ...], a view."""
        column = round(shift) % self.period
        return self._padded[:, column : column + self._width]
