"""Rings of light that leave the centre on every beat."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.abstract_light import blended, lighting_in, pulse, scheme_of, surge, swell
from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, smooth
from streamgen_export.pocket.world.view import Lighting, View

SPACING: Final = 22.0
"""Units that a ring travels in one beat."""
_BAR = 4  # rings until one looks the same again
_PER_RING = 96  # columns of the table for one ring
_FAR = 112.0  # units from the centre at the end of the table
_ROWS = 128  # of the table, from the centre outwards


class Rings:
    """Terraces of light around a centre that pulses; each beat sends out a ring, each bar a strong one."""

    def __init__(self, screen: Screen, colour: str) -> None:
        """`colour` of the vocabulary, or "none"."""
        self._colour = colour
        self._screen = screen
        x, y = screen.x - 0.5 * screen.span, (screen.y - 0.5 * HEIGHT) * 1.04
        radius = np.sqrt(x * x + y * y)
        self._radius = f32(radius)
        angle = np.arctan2(y, x)
        free = smooth(6.0, 34.0, f32(radius))
        lobes = ((3, 1.9), (5, 1.3), (7, 0.7))
        waves = [(size * free, k * angle) for k, size in lobes]
        self._lobes = [(f32(size * np.cos(turn)), f32(size * np.sin(turn))) for size, turn in waves]
        self._table = _table(colour, int(_FAR / SPACING) + 3 + _BAR)
        scheme = scheme_of(colour)
        self._core = np.exp(-((self._radius / 11.0) ** 2))[..., None] * mix(scheme.light, scheme.glow, 0.35)
        self._halo = np.exp(-self._radius / 17.0)[..., None] * scheme.base
        self._rows = f32(self._radius * ((_ROWS - 1) / _FAR))

    def sky(self, canvas: Plane, view: View) -> None:
        """Paint the rings over the whole canvas."""
        t = view.time_s
        radius = self._radius.copy()
        for i, (even, odd) in enumerate(self._lobes):
            radius += swell(t, 34 - 6 * i, 0.2 * i) * even
            radius += swell(t, 34 - 6 * i, 0.2 * i + 0.25) * odd
        gone = surge(view.beat, 0.62)
        # What is whole of the way gone only changes which ring is which.
        radius *= np.float32(_PER_RING / SPACING)
        radius += np.float32((_BAR + 1 - gone % _BAR) * _PER_RING)
        cv2.remap(self._table, radius, self._rows, cv2.INTER_LINEAR, dst=canvas, borderMode=cv2.BORDER_REPLICATE)
        beat = pulse(view.beat, 2.6)
        canvas += self._core * np.float32(0.35 + 0.65 * beat)
        canvas += self._halo * np.float32(0.16 + 0.34 * beat)
        np.minimum(canvas, 1.0, out=canvas)

    def land(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the rings."""

    def before(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the subjects."""

    def lighting(self, air: Air) -> Lighting:
        """Neutral light with a rim of the rings' colour."""
        return lighting_in(self._colour)


def _table(colour: str, rings: int) -> Plane:
    """Colour by (distance from the centre, place within the succession of rings): [128, rings * 96, 3]."""
    scheme = scheme_of(colour)
    f = (np.arange(rings * _PER_RING) % _PER_RING) / _PER_RING
    number = (np.arange(rings * _PER_RING) // _PER_RING) % _BAR
    r = np.linspace(0.0, 1.0, _ROWS)[:, None]
    # A tube of light at f = 0; outside of it dark, and inside a terrace that it lights from its edge.
    off = np.minimum(f, 1.0 - f)
    strength = np.where(np.round(f + number) % _BAR == 0, 1.0, 0.60)
    tube = np.exp(-((off / 0.034) ** 2)) * strength
    glow = np.exp(-off / 0.11) * strength
    terrace = np.exp(-(1.0 - f) / 0.36) * (0.45 + 0.55 * strength)
    second = np.exp(-(((f - 0.55) / 0.022) ** 2)) * 0.22
    fade = np.exp(-1.15 * r) * (0.35 + 0.65 * np.minimum(r / 0.12, 1.0))
    hues = blended((0.0, scheme.light), (0.22, scheme.base), (0.62, scheme.base), (1.0, scheme.accent), size=_ROWS)[
        :, None
    ]
    deep = scheme.deep * (0.7 + 0.9 * np.exp(-3.0 * r))[..., None]
    table = deep + (1.05 * terrace * fade)[..., None] * mix(scheme.shade, hues, 0.36)
    table = table + ((0.66 * glow + second) * fade)[..., None] * hues
    table = table + (tube * np.minimum(1.3 * fade, 1.0))[..., None] * mix(hues, scheme.glow, 0.5)
    return np.ascontiguousarray(f32(np.minimum(table, 1.0)))
