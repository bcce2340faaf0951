"""Layers of land, periodic sideways: painted once as what they are made of, lit whenever the air changes, scrolled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.air import Air, Colour
from streamgen_export.pocket.world.screen import Plane, Screen, Scroll, f32, mix, smooth, texture
from streamgen_export.pocket.world.view import View

PERIOD: Final = 2.5
"""Width of a layer in pictures, after which it repeats."""
_KEPT: Final = 24
"""Lit layers that are kept, of all places together: two places, each before and after a change of the air."""
_SNOW: Final[Colour] = (0.93, 0.95, 1.0)
_LAMP: Final[Colour] = (1.0, 0.76, 0.40)
"""Of windows and lamps."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a sheet to paint in.

    Attributes:
        rows: of the sheet.
        columns: of the sheet, wrapped around its period.
        x: units, not wrapped: float32 [1, w].
        y: units: float32 [h, 1].
    """

    rows: slice
    columns: NDArray[np.intp]
    x: Plane
    y: Plane


class Sheet:
    """What a layer is made of, while it is painted from the back to the front.

    The fields are float32 [h, period]: `cover`, `shade` (share of the direct light that arrives), `snow` (where snow
    stays), `gloss` (where wet ground mirrors), `glow` (windows and lamps); `albedo` is [h, period, 3].
    """

    def __init__(self, screen: Screen, key: str, top: float, bottom: float, period: float = PERIOD) -> None:
        """An empty sheet from row `top` to row `bottom` in units, `period` pictures wide."""
        self.screen, self.key = screen, key
        self.first, self.end = screen.row(top), screen.row(bottom)
        self.columns = round(screen.width * period)
        self.span = self.columns / screen.unit
        self._grains: dict[str, Plane] = {}
        shape = (self.end - self.first, self.columns)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.cover, self.shade, self.snow, self.gloss, self.glow = (np.zeros(shape, np.float32) for _ in range(5))

    def window(self, left: float, right: float, top: float = 0.0, bottom: float = 96.0) -> Window:
        """The pixels between these columns and rows in units; columns wrap around."""
        first, end = max(self.screen.row(top), self.first), min(self.screen.row(bottom), self.end)
        places = np.arange(round(left * self.screen.unit), max(round(right * self.screen.unit), 0))
        x = f32((places + 0.5) / self.screen.unit)[None, :]
        rows = slice(first - self.first, max(end, first) - self.first)
        return Window(rows, places % self.columns, x, self.screen.y[first : max(end, first)])

    @property
    def whole(self) -> Window:
        """All of it."""
        return self.window(0.0, self.span)

    def noise(self, name: str, size: tuple[float, float], rough: float = 1.0) -> Plane:
        """Noise of mean 0 and deviation 1 for the whole sheet, periodic sideways: float32 [h, period]."""
        rows = self.end - self.first
        margin = round(size[1] * self.screen.unit)
        return texture(self.screen, f"{self.key} {name}", rows + margin, self.columns, size, rough)[:rows]

    def grain(self, name: str, size: tuple[float, float], rough: float = 1.0) -> Plane:
        """Like `noise`, made once and kept while the sheet is painted."""
        if name not in self._grains:
            self._grains[name] = self.noise(name, size, rough)
        return self._grains[name]

    def put(
        self,
        window: Window,
        cover: Plane,
        albedo: Plane,
        shade: Plane | float,
        *,
        snow: Plane | float = 0.0,
        gloss: Plane | float = 0.0,
        glow: Plane | float = 0.0,
    ) -> None:
        """Paint with coverage [h, w]; `albedo` is [3] or [h, w, 3], the others numbers or [h, w]."""
        if window.rows.stop <= window.rows.start or not len(window.columns):
            return
        part = (window.rows, window.columns)
        # Where nothing is painted yet the material counts in full: the edge against the sky stays clean.
        share = np.where(self.cover[part] < 0.01, np.float32(1.0), cover) * (cover > 0.0)
        old = self.albedo[part]
        self.albedo[part] = old + share[..., None] * (albedo - old)
        for field, value in ((self.shade, shade), (self.snow, snow), (self.gloss, gloss), (self.glow, glow)):
            before = field[part]
            field[part] = before + share * (value - before)
        self.cover[part] += cover * (1.0 - self.cover[part])

    def light(self, window: Window, amount: Plane) -> None:
        """Let a lamp shine on what is there, [h, w]."""
        part = (window.rows, window.columns)
        self.glow[part] = np.maximum(self.glow[part], amount)

    def darken(self, window: Window, amount: Plane) -> None:
        """Take away direct light, for shadows, [h, w] from 0 to 1."""
        part = (window.rows, window.columns)
        self.shade[part] *= 1.0 - amount


@dataclass(frozen=True, eq=False)
class _Lit:
    """A layer under one air: colour times coverage [h, period + W, 3], and what is left of the back [h, ...]."""

    colour: Scroll
    clear: Scroll


class Layer:
    """A painted sheet that is lit by the air and scrolls."""

    def __init__(
        self, sheet: Sheet, depth: float, *, far: float = 0.0, sink: float = 0.0, vapour: bool = False
    ) -> None:
        """Lengths in units.

        Args:
            sheet: what it is made of.
            depth: how fast it scrolls, 1 is the nearest ground.
            far: how much air lies before it: 0 near, 1 hills, 3 the last peaks.
            sink: how much more of it lies before its foot.
            vapour: it is made of cloud, with the colours of clouds instead of its own.
        """
        self._screen, self._depth, self._vapour = sheet.screen, depth, vapour
        self._first = sheet.first
        self._rows, self._columns = sheet.cover.shape
        self._albedo = [_packed(sheet.albedo[..., c]) for c in range(3)] if not vapour else []
        self._fields = {
            n: _packed(getattr(sheet, n))
            for n in ("shade", "snow", "gloss", "glow")
            if n == "shade" or getattr(sheet, n).any()
        }
        self._cover = _packed(sheet.cover)
        full = np.asarray(self._cover.min(axis=1) >= 254)
        # From this row down nothing behind it can be seen.
        self._solid = int(self._rows - np.argmin(full[::-1])) if not full.all() else 0
        down = np.linspace(0.0, 1.0, self._rows, dtype=np.float32)[:, None]
        self._air = far + sink * down * down

    def draw(self, canvas: Plane, view: View, drift: float = 0.0) -> None:
        """Paint it over the canvas, moved to the left by `drift` units besides the pan."""
        lit = _lit(self, view.air)
        shift = view.shift(self._depth) + drift * self._screen.unit
        colour, clear = lit.colour.at(shift), lit.clear.at(shift)
        end = self._first + self._rows
        if self._solid:
            part = canvas[self._first : self._first + self._solid]
            left = clear[: self._solid]
            part *= cv2.merge((left, left, left))
            part += colour[: self._solid]
        canvas[self._first + self._solid : end] = colour[self._solid :]

    def under(self, air: Air) -> _Lit:
        """What it looks like under an air."""
        width = self._screen.width
        shade = _unpacked(self._fields["shade"])
        snow, gloss, glow = (
            _unpacked(self._fields[name]) if name in self._fields and strength > 0.0 else None
            for name, strength in (("snow", air.lying), ("gloss", air.wet), ("glow", air.lamps))
        )
        cover = _unpacked(self._cover)
        # In weak light colours are hardly seen.
        dim = 0.55 * float(smooth(1.15, 0.55, f32(max(air.key) + max(air.ambient))))
        grey = f32(
            sum(_unpacked(plane) * np.float32(w) for plane, w in zip(self._albedo, (0.3, 0.5, 0.2), strict=False))
        )
        fog = f32(1.0 - np.exp(-air.distance * self._air))
        planes = []
        for c in range(3):
            if self._vapour:
                plane = air.cloud_shaded[c] + shade * np.float32(air.cloud_lit[c] - air.cloud_shaded[c])
            else:
                plane = _unpacked(self._albedo[c])
                if dim > 0.0:
                    plane += np.float32(dim) * (grey - plane)
                if snow is not None:
                    plane += snow * np.float32(air.lying) * (_SNOW[c] - plane)
                plane *= shade * np.float32(air.key[c]) + np.float32(air.ambient[c])
            if gloss is not None:
                plane *= 1.0 - np.float32(0.3 * air.wet) * gloss
                plane += gloss * np.float32(0.62 * air.wet) * (air.horizon[c] - plane)
            if glow is not None:
                plane += glow * np.float32(air.lamps) * np.maximum(_LAMP[c] * 1.02 - plane, 0.0)
            plane += fog * (air.haze[c] - plane)
            plane *= cover
            planes.append(f32(plane))
        return _Lit(Scroll(f32(cv2.merge(planes)), width), Scroll(1.0 - cover[: self._solid], width))


@lru_cache(maxsize=_KEPT)
def _lit(layer: Layer, air: Air) -> _Lit:
    return layer.under(air)


def towards_light(side: float) -> tuple[float, float]:
    """Direction (right, down) of the light that land is painted for; `side` is 1 with it on the right, -1 left."""
    return 0.62 * side, -0.78


def relief(height: Plane, side: float, strength: float = 0.5) -> Plane:
    """Share of the light that a bumpy surface of this height gets, about 0.5 in the mean, like `height`."""
    right, down = towards_light(side)
    across = np.roll(height, 1, axis=1) - np.roll(height, -1, axis=1)
    along = np.zeros_like(height)
    along[1:-1] = height[:-2] - height[2:]
    slope = right * across + down * along
    return f32(np.clip(0.5 + strength * slope / (2.0 * slope.std() + 1e-6), 0.0, 1.0))


def blended(codes: tuple[Plane, ...], share: Plane) -> Plane:
    """A colour between several, evenly spaced from share 0 to 1: float32 [..., 3]."""
    steps = len(codes) - 1
    found = np.broadcast_to(codes[0], (*share.shape, 3))
    for index in range(steps):
        found = mix(found, codes[index + 1], smooth(index / steps, (index + 1) / steps, share)[..., None])
    return f32(found)


def _packed(field: Plane) -> NDArray[np.uint8]:
    """0 to 1 as bytes: layers of many places are kept in memory."""
    packed: NDArray[np.uint8] = np.clip(field * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return packed


def _unpacked(field: NDArray[Any]) -> Plane:
    return f32(field * np.float32(1 / 255))
