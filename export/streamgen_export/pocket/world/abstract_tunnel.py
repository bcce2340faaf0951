"""A flight through a tunnel of light."""

from __future__ import annotations

from math import pi
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.abstract_light import blended, lighting_in, pulse, scheme_of, surge, swell
from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, smooth
from streamgen_export.pocket.world.view import Lighting, View

SIDES: Final = 8
"""Of the tunnel's cross-section."""
_DEPTH = 44.0  # units from the centre at which the wall is one frame away
_BAR = 4  # frames until one looks the same again
_PER_FRAME = 96  # rows of the wall for one frame
_AROUND = 384  # columns of the wall for one turn
_AHEAD = 8  # frames that are seen


class Tunnel:
    """Frames and strips of light on the walls of a tunnel; each beat brings the next frame."""

    def __init__(self, screen: Screen, colour: str) -> None:
        """`colour` of the vocabulary, or "none"."""
        self._colour = colour
        x, y = screen.x - 0.5 * screen.span, screen.y - 0.5 * HEIGHT
        angle = np.arctan2(y, x) / (2 * pi) + 0.5
        # An octagon with round corners.
        facet = (((angle + 0.5 / SIDES) * SIDES) % 1.0 - 0.5) * (2 * pi / SIDES)
        flat = np.sqrt(x * x + y * y) * (0.75 * np.cos(facet) / np.cos(pi / SIDES * 0.5) + 0.25)
        radius = np.maximum(f32(flat), 0.5)
        away = np.minimum(_DEPTH / radius, np.float32(_AHEAD))
        self._rows = f32(away * _PER_FRAME)
        self._columns = f32((angle + 0.02 * away) * _AROUND)
        scheme = scheme_of(colour)
        self._wall = _wall(colour)
        # Far walls drown in the light at the end.
        self._near = f32(smooth(7.0, 0.8, away) * (0.78 + 0.22 * smooth(0.3, 1.4, away)))[..., None]
        end = np.exp(-((radius / 7.5) ** 1.3))
        self._end = f32(end)[..., None] * mix(scheme.light, scheme.glow, 0.5)
        self._haze = f32(np.exp(-radius / 15.0))[..., None] * mix(scheme.base, scheme.shade, 0.25)

    def sky(self, canvas: Plane, view: View) -> None:
        """Paint the tunnel over the whole canvas."""
        gone = surge(view.beat, 0.55)
        columns = self._columns + np.float32(_AROUND * (0.5 + 0.06 * swell(view.time_s, 60)))
        rows = self._rows + np.float32((gone % _BAR) * _PER_FRAME)
        cv2.remap(self._wall, columns, rows, cv2.INTER_LINEAR, dst=canvas, borderMode=cv2.BORDER_REPLICATE)
        canvas *= self._near
        beat = pulse(view.beat, 2.4)
        canvas += self._haze * np.float32(0.42 + 0.30 * beat)
        canvas += self._end * np.float32(0.55 + 0.30 * beat)
        np.minimum(canvas, 1.0, out=canvas)

    def land(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the tunnel."""

    def before(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the subjects."""

    def lighting(self, air: Air) -> Lighting:
        """Neutral light with a rim of the tunnel's colour."""
        return lighting_in(self._colour)


def _wall(colour: str) -> Plane:
    """Colour of the wall by (frames away, turns around): [12 * 96, 2 * 384 + 2, 3]; each bar looks the same."""
    scheme = scheme_of(colour)
    rows = _BAR * _PER_FRAME
    z = (np.arange(rows) / _PER_FRAME)[:, None]
    a = (np.arange(_AROUND) / _AROUND)[None, :]
    off = np.abs((z + 0.5) % 1.0 - 0.5)
    strong = np.where(np.round(z) % _BAR == 0, 1.0, 0.62)
    frame = np.exp(-((off / 0.035) ** 2)) * strong
    frame_glow = np.exp(-off / 0.13) * strong
    corner = np.abs((a * SIDES) % 1.0 - 0.5)
    strip = np.exp(-((corner / 0.035) ** 2)) * 0.8
    strip_glow = np.exp(-corner / 0.12)
    # Panels between strips and frames are lit from their edges and differ a little.
    rng = np.random.default_rng(5)
    panel = rng.uniform(0.55, 1.0, (_BAR, SIDES))
    lit = panel[np.floor(z[:, 0]).astype(int) % _BAR][:, np.floor(a[0] * SIDES + 0.5).astype(int) % SIDES]
    sheen = 0.5 + 0.5 * np.cos(2 * pi * (2.0 * a + 0.25 * z))
    across, along = 1.0 - 2.0 * np.abs((a * SIDES + 0.5) % 1.0 - 0.5), z % 1.0
    edges = (0.40 + 0.60 * (1.0 - across)) * (0.30 + 0.95 * along)
    hue = blended((0.0, scheme.accent), (0.45, scheme.base), (1.0, scheme.light))[(sheen * 255).astype(int)]
    wall = scheme.deep * 1.2 + (lit * lit * (0.25 + 0.75 * sheen) * edges)[..., None] * mix(scheme.shade, hue, 0.42)
    wall = wall + (0.42 * frame_glow + 0.26 * strip_glow)[..., None] * hue
    tubes = np.maximum(frame, 0.55 * strip)
    wall = wall + tubes[..., None] * mix(hue, scheme.glow, 0.38)
    around = np.concatenate([wall, wall, wall[:, :2]], axis=1)
    long = np.concatenate([around] * (1 + -(-_AHEAD // _BAR)) + [around[:2]], axis=0)
    return np.ascontiguousarray(f32(np.minimum(long, 1.0)))
