"""Silken ribbons of light that flow and twist with the music."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.abstract_light import Scheme, lighting_in, pulse, scheme_of, surge, swell
from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.filters import blurred, reduced, resized
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, shine
from streamgen_export.pocket.world.view import Lighting, View

_THREADS = 5  # that a ribbon is woven of
_PERIOD = 168.0  # units after which the ribbons' course repeats
_BLOOM = np.float32(0.6)


@dataclass(frozen=True)
class _Ribbon:
    """One ribbon, spanned between two curves.

    Attributes:
        row: about which it flows, in units.
        rise: how far it goes up and down.
        wide: half of its greatest width.
        waves: of its course across one period of the picture.
        twists: times that its two edges cross in it.
        speed: periods per beat.
        strength: of its light.
        hue: 0 accent, 1 base, 2 light.
        depth: with which it pans.
    """

    row: float
    rise: float
    wide: float
    waves: int
    twists: int
    speed: float
    strength: float
    hue: int
    depth: float


_RIBBONS: Final = (
    _Ribbon(33.0, 12.0, 25.0, 1, 1, 0.055, 0.80, 0, 0.12),
    _Ribbon(64.0, 11.0, 24.0, 1, 2, 0.075, 0.95, 1, 0.25),
    _Ribbon(50.0, 16.0, 15.0, 1, 2, 0.10, 1.15, 2, 0.45),
)


class Waves:
    """Three ribbons over one another, the nearest the fastest; they move on with each beat."""

    def __init__(self, screen: Screen, colour: str) -> None:
        """`colour` of the vocabulary, or "none"."""
        self._colour = colour
        scheme = scheme_of(colour)
        low = mix(scheme.deep, scheme.shade, 0.55)
        back = screen.gradient([(0.0, scheme.deep), (48.0, low), (HEIGHT, scheme.deep * 0.6)])
        self._back = np.ascontiguousarray(np.broadcast_to(back, (screen.height, screen.width, 3)))
        self._turns = f32(screen.x[0] * (2 * pi / _PERIOD))
        self._tables = [_silk(scheme, ribbon.hue) for ribbon in _RIBBONS]

    def sky(self, canvas: Plane, view: View) -> None:
        """Paint the ribbons over the whole canvas."""
        canvas[:] = self._back
        for index in range(len(_RIBBONS)):
            self._weave(canvas, index, view)
        screen = view.screen
        bloom = _BLOOM * blurred(reduced(canvas, 4), 0.25 * 3.0 * screen.unit)
        shine(canvas, resized(bloom, screen.height, screen.width))

    def _weave(self, canvas: Plane, index: int, view: View) -> None:
        """Add one ribbon to the canvas."""
        screen, ribbon = view.screen, _RIBBONS[index]
        beat = pulse(view.beat, 2.2)
        gone = 2 * pi * ribbon.speed * surge(view.beat, 0.6)
        x = self._turns + np.float32((view.pan * ribbon.depth * 2 * pi / _PERIOD) % (2 * pi))
        t = view.time_s
        rise = ribbon.rise * (1.0 + 0.14 * beat)
        course = np.sin(ribbon.waves * x + gone + 2.1 * index) + 0.30 * np.sin(
            (2 * ribbon.waves + 1) * x - 0.7 * gone + 1.3 * swell(t, 50, 0.3 * index)
        )
        middle = ribbon.row + rise * course
        turn = ribbon.twists * x + 1.6 * gone + 1.4 * np.sin(x - gone) + 1.9 * index
        # The edges cross where the ribbon twists; its threads lie closer there, and so it is brighter.
        half = ribbon.wide * np.sin(turn)
        half = np.where(half < 0, -1.0, 1.0) * np.maximum(np.abs(half), 1.9)
        top, bottom = float((middle - np.abs(half)).min()), float((middle + np.abs(half)).max())
        rows = slice(screen.row(top - 1.0), screen.row(bottom + 1.0))
        across = (screen.y[rows] - f32(middle)[None, :]) * f32(120.0 / half)[None, :] + np.float32(128.0)
        place = np.clip(across, 0.0, 255.0).astype(np.uint8)
        lit = cv2.applyColorMap(place, self._tables[index])
        dense = np.minimum(0.62 + 2.4 / (np.abs(half) + 1.2), 1.7) * (0.82 + 0.18 * np.sin(2 * x - gone))
        gain = f32(dense * (ribbon.strength * (0.82 + 0.18 * beat) / 255.0))[None, :, None]
        shine(canvas[rows], np.minimum(lit * gain, 1.0))

    def land(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the ribbons."""

    def before(self, canvas: Plane, view: View) -> None:
        """Nothing lies before the subjects."""

    def lighting(self, air: Air) -> Lighting:
        """Neutral light with a rim of the ribbons' colour."""
        return lighting_in(self._colour)


def _silk(scheme: Scheme, hue: int) -> NDArray[np.uint8]:
    """Colour across a ribbon, nothing at both ends: uint8 [256, 1, 3]."""
    u = (np.arange(256) - 128.0) / 120.0
    base = (scheme.accent, scheme.base, mix(scheme.base, scheme.light, 0.4))[hue]
    inside = np.clip(1.0 - u * u, 0.0, 1.0)
    edge = np.exp(-(((np.abs(u) - 0.94) / 0.055) ** 2))
    threads = 0.5 + 0.5 * np.cos(pi * _THREADS * u)
    body = inside**0.4 * (0.22 + 0.50 * (0.5 + 0.5 * u) ** 2) + 0.12 * threads**2 * inside
    body = body * (np.abs(u) < 1.0)
    light = body[:, None] * base + edge[:, None] * mix(base, scheme.glow, 0.35) * 0.75
    light[[0, -1]] = 0.0
    return np.ascontiguousarray(np.clip(light * 255, 0, 255).astype(np.uint8)[:, None])
