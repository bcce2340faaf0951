"""The means of drawing: pixel grids, colours, gradients, soft edges and textures that scroll."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH

Plane: TypeAlias = NDArray[np.floating[Any]]
"""A field of float32; pictures are [96, 160, 3] with values from 0 to 1, display-referred."""

X: Final[Plane] = (np.arange(WIDTH, dtype=np.float32) + 0.5)[None, :]
Y: Final[Plane] = (np.arange(HEIGHT, dtype=np.float32) + 0.5)[:, None]


@dataclass(frozen=True)
class Moment:
    """When a picture is drawn.

    Attributes:
        time_s: time in the slow cycles of waves, clouds and light.
        picture: index within the clip.
        beat: share of the current beat that has passed, 0 to 1.
    """

    time_s: float
    picture: int
    beat: float


def rgb(code: str) -> Plane:
    """A colour from "#rrggbb": float32 [3], 0 to 1."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def f32(values: object) -> Plane:
    """Anything numeric as float32."""
    return np.asarray(values, dtype=np.float32)


def smooth(low: float, high: float, values: Plane) -> Plane:
    """A soft step from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) * (1.0 / (high - low)), 0.0, 1.0)
    step: Plane = t * t * (3.0 - 2.0 * t)
    return step


def mix(a: Plane, b: Plane, share: Plane | float) -> Plane:
    """`a` where share is 0, `b` where it is 1."""
    mixed: Plane = a + (b - a) * share
    return mixed


def gradient(stops: Sequence[tuple[float, str]]) -> Plane:
    """A vertical gradient through (row, colour) stops: float32 [96, 1, 3]."""
    rows = [row for row, _ in stops]
    colours = np.stack([rgb(code) for _, code in stops])
    return f32(np.stack([np.interp(Y[:, 0], rows, colours[:, c]) for c in range(3)], axis=-1)[:, None, :])


def filled(stops: Sequence[tuple[float, str]]) -> Plane:
    """A picture of a vertical gradient: float32 [96, 160, 3]."""
    return np.ascontiguousarray(np.broadcast_to(gradient(stops), (HEIGHT, WIDTH, 3)))


def over(canvas: Plane, colour: Plane, alpha: Plane) -> None:
    """Paint `colour` ([3] or like the canvas) over the canvas in place, with alpha [H, W]."""
    canvas += alpha[..., None] * (colour - canvas)


def screen(canvas: Plane, light: Plane) -> None:
    """Add light in place without ever exceeding white; `light` broadcasts to the canvas."""
    canvas += light * np.maximum(1.0 - canvas, 0.0)


def halo(x: float, y: float, radius: float, power: float = 2.0) -> Plane:
    """Light that falls off softly around a point, 1 in its centre: float32 [96, 160]."""
    distance = np.sqrt((X - x) ** 2 + (Y - y) ** 2) / radius
    return f32((1.0 + distance * distance) ** -power)


def disc(x: float, y: float, radius: float, edge: float = 1.2) -> Plane:
    """Coverage of a disc: float32 [96, 160]."""
    return 1.0 - smooth(radius - edge / 2, radius + edge / 2, np.sqrt((X - x) ** 2 + (Y - y) ** 2))


def stream_of(key: str) -> np.random.Generator:
    """The fixed random numbers that belong to a name: the same in every clip."""
    return np.random.default_rng(zlib.crc32(key.encode()))


def texture(key: str, rows: int, period: int, size: tuple[float, float], roughness: float = 1.0) -> Plane:
    """Smooth noise, periodic in both directions, of mean 0 and deviation 1: float32 [rows, period].

    Args:
        key: names the noise.
        rows: height.
        period: width.
        size: (width, height) in pixels of its largest features.
        roughness: how much of the finer features; 0.6 is silky, 1.4 rich.
    """
    white = np.fft.rfft2(stream_of(key).standard_normal((rows, period)))
    fy = np.fft.fftfreq(rows)[:, None] * size[1]
    fx = np.fft.rfftfreq(period)[None, :] * size[0]
    frequency = np.sqrt(fx**2 + fy**2)
    band = np.exp(-((frequency / (1.2 * roughness + 0.6)) ** 2)) / (1.0 + frequency) ** 2
    band[0, 0] = 0.0
    noise = np.fft.irfft2(white * band, s=(rows, period))
    return f32(noise / noise.std())


class Scroll:
    """A periodic layer that slides sideways under the picture at sub-pixel positions."""

    def __init__(self, layer: Plane) -> None:
        """Takes a layer [rows, period, ...]."""
        self.period = layer.shape[1]
        repeats = -(-(self.period + WIDTH + 1) // self.period)
        self._padded = np.ascontiguousarray(np.concatenate([layer] * repeats, axis=1)[:, : self.period + WIDTH + 1])

    def at(self, shift: float) -> Plane:
        """The layer moved to the left by `shift` pixels: [rows, 160, ...]."""
        shift = float(shift) % self.period
        column = int(shift)
        share = shift - column
        left = self._padded[:, column : column + WIDTH]
        right = self._padded[:, column + 1 : column + WIDTH + 1]
        moved: Plane = left + (right - left) * share
        return moved


def curve(key: str, base: float, height: float, waves: int = 3, longest: float = 150.0) -> Plane:
    """A ridge line that belongs to a name: the row at each column, float32 [160].

    Args:
        key: names the curve.
        base: mean row.
        height: how far it rises above and falls below.
        waves: how many sinusoids, each about half as long as the one before.
        longest: wavelength of the first one, in pixels.
    """
    rng = stream_of(key)
    total = np.zeros(WIDTH)
    for wave in range(waves):
        length = longest / 1.9**wave * rng.uniform(0.85, 1.15)
        total += 0.55**wave * np.sin(2 * np.pi * (X[0] / length + rng.random()))
    return f32(base + height * total / sum(0.55**wave for wave in range(waves)))
