"""The headland of the coast: cliffs, grass, a lighthouse and its keeper's house, and their image in the water."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.breakers import height_of
from streamgen_export.pocket.world.layers import Layer, Sheet, relief
from streamgen_export.pocket.world.screen import Plane, Screen, Scroll, f32, mix, rgb, smooth
from streamgen_export.pocket.world.strip import Spot
from streamgen_export.pocket.world.view import View

BASE: Final = 63.0
"""Row at which it rises from the sea."""
DEPTH: Final = 0.12
"""Far enough that the lighthouse is in every picture for a long time while the camera pans."""
_PERIOD: Final = 1.25
_TOWER: Final = 27.0
"""Height of the lighthouse up to its lamp."""


class Headland:
    """Painted once, lit by the air, slides sideways slowly.

    Attributes:
        foot: where it meets the sea, float32 [1, period], 0 or 1.
    """

    def __init__(self, screen: Screen, key: str, variant: int, side: float) -> None:
        """`side` is 1 with the light on the right, -1 on the left."""
        self._screen = screen
        sheet = Sheet(screen, key + " headland", 2.0, BASE, _PERIOD)
        self._span = sheet.span
        place, self._facing = ((0.80, 1.0), (0.58, -1.0), (0.86, -1.0))[variant % 3]
        self._middle = place * screen.span
        part = sheet.whole
        # u runs from the cliff's edge landwards, whichever way the headland looks.
        away = (part.x - self._middle + 0.5 * sheet.span) % sheet.span - 0.5 * sheet.span
        u = f32(away * self._facing)
        rough = sheet.noise("rough", (7.0, 9.0), 1.4)
        edge = sheet.noise("edge", (12.0, 40.0), 1.2)[-1:]
        top = BASE - _height(u) + 0.9 * edge * smooth(0.5, 8.0, _height(u))
        crags = sheet.noise("crags", (3.6, 15.0), 1.2)
        # The rock steps out towards the sea in ledges.
        inside = screen.cover(f32(top - part.y + 0.22 * rough * smooth(0.0, 5.0, _height(u))), 1.3)
        strata = np.sin(f32(0.75 * part.y + 0.16 * u + 0.5 * rough))
        stone = mix(rgb("#5d5048"), rgb("#b39a7e"), f32(np.clip(0.45 + 0.22 * strata + 0.16 * crags, 0, 1))[..., None])
        stone = mix(f32(stone), rgb("#2c2a2c"), smooth(5.0, 0.5, BASE - part.y)[..., None] * np.float32(0.75))
        facing_light = 0.26 * np.float32(side * -self._facing) * smooth(6.0, -8.0, u + 20.0)
        shade = np.clip(relief(f32(crags + 0.6 * rough), side, 0.55) * 0.95 + facing_light, 0.03, 1.1)
        depth = part.y - top
        grass = smooth(3.4 + 0.8 * 1.0, 1.6, depth + 0.9 * rough) * smooth(5.0, 9.0, _height(u))
        green = mix(rgb("#4c7a34"), rgb("#93a84c"), f32(np.clip(0.5 + 0.25 * rough, 0, 1))[..., None])
        slope = smooth(-2.0, 14.0, u)  # landwards grass covers the whole slope
        grass = np.maximum(grass, slope * smooth(16.0, 6.0, depth + 2.2 * rough) * smooth(4.0, 10.0, BASE - part.y))
        colour = mix(f32(stone), f32(green), f32(grass)[..., None])
        shade = mix(f32(shade), f32(0.72 + 0.10 * rough), f32(0.8 * grass))
        ledge = smooth(0.55, 0.95, strata) * 0.55
        snow = np.maximum(0.95 * grass, ledge * smooth(2.0, 6.0, BASE - part.y))
        sheet.put(part, f32(inside), f32(colour), f32(shade), snow=f32(snow))
        self.foot = f32(_height(u) > 0.8)
        self.foot = f32(cv2.GaussianBlur(self.foot, (0, 0), 1.2 * screen.unit, borderType=cv2.BORDER_REPLICATE))
        self._lamp_u, self._ground = -11.0, BASE - float(_height(f32([[-11.0]]))[0, 0])
        _cottage(sheet, self._middle + self._facing * 5.5, BASE - float(_height(f32([[5.5]]))[0, 0]) + 0.9, side)
        _tower(sheet, self._middle + self._facing * self._lamp_u, self._ground + 0.8, side)
        self._layer = Layer(sheet, DEPTH, far=0.35)
        self._cover = Scroll(sheet.cover[screen.row(BASE - 30) - sheet.first :].copy(), screen.width)
        self._rows = self._cover.at(0).shape[0]

    def shift(self, view: View) -> float:
        """Units by which it has moved to the left."""
        return view.pan * DEPTH % self._span

    def along(self, layer: Scroll, view: View) -> Plane:
        """What is seen of a layer that moves with it."""
        return layer.at(view.shift(DEPTH))

    def place(self, u: float, view: View) -> float:
        """Column in units of a place on it, from half a period left of the picture to half right of it."""
        x = self._middle + self._facing * u - self.shift(view)
        margin = 0.5 * (self._span - self._screen.span)
        return (x + margin) % self._span - margin

    def lamp(self, view: View) -> Spot:
        """Where the lamp is, in units."""
        return self.place(self._lamp_u, view), self._ground - _TOWER + 1.6

    def surf(self, view: View) -> Iterator[tuple[float, float]]:
        """Columns at which waves break on it, with the height of the spray, in units."""
        for u, tall in ((-29.0, 20.0), (-15.0, 11.0), (8.0, 9.0)):
            yield self.place(u, view), tall

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint it over the canvas."""
        self._layer.draw(canvas, view)

    def reflect(self, canvas: Plane, view: View, wave: Plane) -> None:
        """Paint its image in the water below it, thrown about by the waves [rows, W]."""
        air = view.air
        strength = 0.62 * (1.0 - height_of(air)) * (1.0 - 0.4 * air.rain)
        if strength < 0.02:
            return
        screen = self._screen
        base = screen.row(BASE)
        rows = min(self._rows, screen.height - base)
        above = canvas[base - rows : base][::-1]
        source = np.concatenate([above, self.along(self._cover, view)[-rows:][::-1, :, None]], axis=2)
        throw = np.float32((0.5 + 0.8 * air.wind) * screen.unit)
        down = np.arange(rows, dtype=np.float32)[:, None]
        grow = throw * (0.5 + down * np.float32(0.05 / screen.unit * 2.7))
        across = np.arange(screen.width, dtype=np.float32)[None, :] + 0.5 * grow * wave[:rows]
        image = cv2.remap(source, across, down + grow * wave[:rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        red, green, blue, cover = cv2.split(image)
        share = cover * (np.float32(strength) * (1.0 - 0.6 * down / max(rows, 1)))
        clear = 1.0 - share
        part = canvas[base : base + rows]
        part *= cv2.merge((clear, clear, clear))
        part += cv2.merge((red, green, blue)) * cv2.merge((share, share, share)) * np.float32(0.86)


def _height(u: Plane) -> Plane:
    """Height of the land over the sea, u units landwards of its middle; the cliff looks to negative u."""
    cliff = smooth(-30.5, -22.5, u) * (20.0 + 5.0 * smooth(-24.0, -8.0, u))
    slope = 1.0 - smooth(-2.0, 44.0, u) ** 1.0
    rocks = 4.2 * np.exp(-(((u + 35.0) / 3.0) ** 2)) + 2.6 * np.exp(-(((u + 42.0) / 2.2) ** 2))
    rocks = rocks + 2.8 * np.exp(-(((u - 48.0) / 3.5) ** 2))
    return f32(cliff * slope + rocks - 0.25)


def _tower(sheet: Sheet, x: float, ground: float, side: float) -> None:
    """A white tower with red bands, a gallery and a lantern of glass under a dome."""
    screen = sheet.screen
    part = sheet.window(x - 9, x + 9)
    y, top = part.y, ground - _TOWER
    share = np.clip((ground - y) / (_TOWER - 4.0), 0, 1)
    half = 3.7 - 1.3 * share
    across = part.x - x
    round_ = np.clip(0.58 + 0.5 * side * across / 3.5, 0.12, 1.1)

    def box(left: float, right: float, upper: float, lower: float) -> Plane:
        middle, wide = 0.5 * (left + right), 0.5 * (right - left)
        high = 0.5 * (lower - upper)
        distance = np.maximum(np.abs(across - middle) - wide, np.abs(y - 0.5 * (upper + lower)) - high)
        return screen.cover(f32(distance))

    wall = screen.cover(f32(np.maximum(np.abs(across) - half, np.maximum(top + 4.0 - y, y - ground - 1.0))))
    red = smooth(0.48, 0.52, f32(0.5 + 0.5 * np.sin((ground - y) * (2 * np.pi / 11.0) - 1.2)) * np.ones_like(across))
    colour = mix(rgb("#f4f1ea"), rgb("#c83c34"), red[..., None])
    sheet.put(part, wall, f32(colour), f32(round_ * np.ones_like(y)))
    for up in (6.5, 12.0, 17.5):
        pane = box(-0.55, 0.55, ground - up - 1.0, ground - up + 0.8)
        sheet.put(part, pane, rgb("#3a4250"), 0.3, glow=1.0)
    glass = box(-1.7, 1.7, top + 0.2, top + 3.2)
    sheet.put(part, glass, rgb("#cfe2e6"), f32(round_ * np.ones_like(y)), glow=1.0)
    for bar in (-1.7, 0.0, 1.7):
        sheet.put(part, box(bar - 0.18, bar + 0.18, top, top + 3.2), rgb("#3c3a40"), 0.5)
    sheet.put(part, box(-3.5, 3.5, top + 3.1, top + 4.1), rgb("#4a4448"), f32(round_ * np.ones_like(y)), snow=0.4)
    dome = screen.cover(f32(np.maximum(np.hypot(across / 2.3, (y - top - 0.3) / 2.6) * 2.4 - 2.4, y - top - 0.3)))
    sheet.put(part, dome, rgb("#b8342e"), f32(round_ * np.ones_like(y)), snow=0.7)
    sheet.put(part, box(-0.2, 0.2, top - 4.2, top - 2.0), rgb("#3c3a40"), 0.5)


def _cottage(sheet: Sheet, x: float, ground: float, side: float) -> None:
    """The keeper's white house with a red roof."""
    screen = sheet.screen
    part = sheet.window(x - 9, x + 9)
    across, y = part.x - x, part.y
    flat = np.ones_like(across + y)
    wall = screen.cover(f32(np.maximum(np.abs(across) - 5.6, np.maximum(ground - 4.6 - y, y - ground - 2.0))))
    sheet.put(part, wall, rgb("#efe6d6"), f32(0.74 * flat))
    roof_edge = np.maximum(
        np.abs(across) - 6.4 - 0.5 * (y - ground + 4.4), np.maximum(ground - 8.0 - y, y - ground + 4.2)
    )
    sheet.put(part, screen.cover(f32(roof_edge)), rgb("#a8483a"), f32((0.7 + 0.12 * side) * flat), snow=0.95)
    chimney = screen.cover(f32(np.maximum(np.abs(across - 2.6) - 0.8, np.maximum(ground - 9.8 - y, y - ground + 6.0))))
    sheet.put(part, chimney, rgb("#8c5a48"), f32(0.6 * flat), snow=0.0)
    for place in (-3.2, 0.2, 3.4):
        pane = screen.cover(f32(np.maximum(np.abs(across - place) - 0.8, np.abs(y - ground + 2.3) - 0.95)))
        sheet.put(part, pane, rgb("#46525e"), 0.3, glow=1.0)
