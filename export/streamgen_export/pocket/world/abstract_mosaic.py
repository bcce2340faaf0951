"""Kaleidoscopic tiles that turn and change on the beat."""

from __future__ import annotations

from math import cos, pi, sin, sqrt
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.abstract_light import blended, lighting_in, pulse, scheme_of, surge
from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, smooth, texture
from streamgen_export.pocket.world.view import Lighting, View

TILE: Final = 34.0
"""Units from one tile's centre to the next of its row."""
_GLASS = 512  # pixels of the picture in the kaleidoscope
_SCALE = 6.0  # its pixels per unit
_TURN_BEATS = 16  # until everything is as it was


class Mosaic:
    """Hexagons, each a kaleidoscope that looks into the same picture; waves of brightness go out on the beat."""

    def __init__(self, screen: Screen, colour: str) -> None:
        """`colour` of the vocabulary, or "none"."""
        self._colour = colour
        self._period = round(TILE * screen.unit)
        columns = screen.width + self._period
        x = ((np.arange(columns) + 0.5 - screen.width / 2) / self._period)[None, :]
        y = ((screen.y - 0.5 * HEIGHT) / TILE)[:, :]
        u, v, edge = _folded(x, y)
        self._u, self._v = f32(u * TILE * _SCALE), f32(v * TILE * _SCALE)
        self._glass = _glass(colour)
        lead = smooth(0.035, 0.0, f32(edge)) * 0.75
        bevel = 0.72 + 0.28 * smooth(0.0, 0.16, f32(edge))
        self._shade = f32(bevel * (1.0 - lead))
        radius = np.sqrt((screen.x - 0.5 * screen.span) ** 2 + (screen.y - 0.5 * HEIGHT) ** 2)
        self._radius = f32(radius / 60.0)

    def sky(self, canvas: Plane, view: View) -> None:
        """Paint the tiles over the whole canvas."""
        start = round(view.shift(0.5)) % self._period
        seen = slice(start, start + view.screen.width)
        u, v = self._u[:, seen], self._v[:, seen]
        gone = surge(view.beat, 0.7)
        turn = 2 * pi * gone / _TURN_BEATS
        a, b = cos(turn), sin(turn)
        middle = 0.5 * _GLASS
        # The picture turns under the tiles about a point beside them, so what they show changes as well.
        x, y = middle + 0.16 * _GLASS * cos(2 * turn), middle + 0.16 * _GLASS * sin(turn)
        lit = cv2.remap(
            self._glass,
            a * u - b * v + np.float32(x),
            b * u + a * v + np.float32(y),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        wave = 0.80 + 0.42 * np.exp(-((self._radius - np.float32(2.9 * (view.beat % 1.0) - 0.6)) ** 2) * 9.0)
        wave *= self._shade[:, seen]
        wave *= np.float32((0.92 + 0.08 * pulse(view.beat)) / 255.0)
        np.multiply(lit, wave[..., None], out=canvas)
        np.minimum(canvas, 1.0, out=canvas)

    def land(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the tiles."""

    def before(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the subjects."""

    def lighting(self, air: Air) -> Lighting:
        """Neutral light with a rim of the tiles' colour."""
        return lighting_in(self._colour)


def _folded(x: Plane, y: Plane) -> tuple[Plane, Plane, Plane]:
    """Fold the plane into one mirrored twelfth of a hexagon: its two coordinates and the distance to the tile's edge.

    Lengths are in tiles; the lattice has the period 1 in x.
    """
    high = sqrt(3.0)
    one_x, one_y = x - np.round(x), y - high * np.round(y / high)
    two_x, two_y = x - np.floor(x) - 0.5, y - high * (np.floor(y / high) + 0.5)
    first = one_x**2 + one_y**2 < two_x**2 + two_y**2
    hx, hy = np.where(first, one_x, two_x), np.where(first, one_y, two_y)
    angle = np.arctan2(hy, hx)
    part = np.abs((angle + pi / 6) % (pi / 3) - pi / 6)
    radius = np.hypot(hx, hy)
    return radius * np.cos(part), radius * np.sin(part), 0.5 - radius * np.cos(part)


def _glass(colour: str) -> NDArray[np.uint8]:
    """The picture in the kaleidoscope, periodic: uint8 [512, 512, 3]."""
    scheme = scheme_of(colour)
    size = Screen(_GLASS, _GLASS)
    one = texture(size, "mosaic one", _GLASS, _GLASS, (38.0, 38.0), 0.4)
    two = texture(size, "mosaic two", _GLASS, _GLASS, (25.0, 25.0), 0.4)
    table = blended(
        (0.0, scheme.deep),
        (0.22, scheme.shade),
        (0.42, scheme.base),
        (0.58, scheme.accent),
        (0.8, scheme.light),
        (1.0, scheme.base),
    )
    folds = one * 0.17 + 0.54
    colours = table[np.clip(folds * 255, 0, 255).astype(int)]
    # Contours of a second field cut the glass into panes with bright edges.
    panes = two * 1.2
    off = np.abs(panes - np.round(panes))
    step = 0.72 + 0.28 * np.cos(2 * pi * np.round(panes) / 3.0)
    line = np.exp(-((off - 0.5) ** 2) / 0.012)
    glass = colours * (step * (0.75 + 0.5 * off))[..., None]
    glass = glass + (0.55 * line)[..., None] * mix(scheme.light, scheme.glow, 0.3)
    return np.ascontiguousarray(np.clip(glass * 255, 0, 255).astype(np.uint8))
