"""A calm river through a green valley: hills, woods and meadows on the far bank, reeds and lilies on the near one."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.land_relief import crags, hill, peaks, ridge
from streamgen_export.pocket.world.land_trees import grove, hedge
from streamgen_export.pocket.world.layers import Layer, Sheet
from streamgen_export.pocket.world.precipitation import Precipitation
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, mix, rgb, smooth, stream_of
from streamgen_export.pocket.world.sea import open_air
from streamgen_export.pocket.world.sky import Sky
from streamgen_export.pocket.world.view import Lighting, View
from streamgen_export.pocket.world.water import Water

BANK: Final = 60.0
"""Row at which the water starts."""
_FAR_DEPTH, _HILL_DEPTH, _BANK_DEPTH, _NEAR_DEPTH = 0.06, 0.14, 0.38, 1.0


class River:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"river {variant}"
        self._sky = Sky(screen, key, variant, 52.0)
        side = self._sky.side
        self._layers = (_far(screen, key, side), _hills(screen, key, side), _bank(screen, key, side, variant))
        self._water = Water(screen, key, BANK, swell=0.42, mirror=1.12, flow=3.0, vanishing=44.0)
        self._near = _near_bank(screen, key, side)
        self._fall = Precipitation(screen, key)

    def sky(self, canvas: Plane, view: View) -> None:
        """The sky over the valley."""
        self._sky.draw(canvas, view)

    def land(self, canvas: Plane, view: View) -> None:
        """The valley and its image in the river."""
        for layer in self._layers:
            layer.draw(canvas, view)
        self._water.draw(canvas, view, self._sky.sun_x)
        self._fall.far(canvas, view)

    def before(self, canvas: Plane, view: View) -> None:
        """The near bank, and what falls before it."""
        self._near.draw(canvas, view)
        self._fall.near(canvas, view)

    def lighting(self, air: Air) -> Lighting:
        """Light from the sky; the calm river mirrors well."""
        return open_air(air, self._sky.side, mirror=0.7)


def _far(screen: Screen, key: str, side: float) -> Layer:
    sheet = Sheet(screen, key + " far", 12.0, BANK)
    line = crags(sheet, key + " peaks", 37.0, 14.0, 5)
    peaks(sheet, key, line, side, rock=("#4d5c6e", "#a9a89c"), cap=6.0, snowline=40.0)
    line = ridge(sheet, key + " foothills", 43.0, 4.5, (2, 5, 9), 0.6)
    hill(sheet, "foothills", line, ("#3e6650", "#5d8a5c", "#86a868"), side, grain=(14.0, 5.0), depth=14.0)
    return Layer(sheet, _FAR_DEPTH, far=1.5, sink=0.6)


def _hills(screen: Screen, key: str, side: float) -> Layer:
    sheet = Sheet(screen, key + " hills", 30.0, BANK)
    line = ridge(sheet, key + " hills", 46.5, 6.5, (2, 3, 7), 0.5)
    hill(sheet, "hills", line, ("#44753a", "#6fa048", "#a8c263"), side, grain=(18.0, 4.0), depth=18.0)
    rng = stream_of(key + " woods")
    for index in range(6):
        left = (index + rng.uniform(0.0, 0.5)) * sheet.span / 6
        wood = line + f32(2.0 + 4.0 * rng.random())
        hedge(sheet, f"{key} wood {index}", wood, left, left + rng.uniform(16, 34), 2.2, side, "hazy")
    return Layer(sheet, _HILL_DEPTH, far=0.7, sink=0.3)


def _bank(screen: Screen, key: str, side: float, variant: int) -> Layer:
    """Meadow, trees and reeds along the far bank."""
    sheet = Sheet(screen, key + " bank", 26.0, BANK, 2.0)
    line = ridge(sheet, key + " bank", 54.0, 1.8, (2, 3, 5), 0.6)
    hill(sheet, "bank", line, ("#3f7431", "#6ea03f", "#b2c85c"), side, grain=(16.0, 2.4), depth=9.0)
    rng = stream_of(key + " trees")
    kind = ("green", "olive", "green")[variant % 3]
    for index in range(7):
        left = (index + rng.uniform(0.05, 0.35)) * sheet.span / 7
        size = rng.uniform(11.0, 20.0)
        if index % 3 == 2:
            grove(sheet, f"{key} firs {index}", line + 1.0, left, left + 17, 13.0, side, "pine", 6.0)
        else:
            grove(sheet, f"{key} grove {index}", line + 1.2, left, left + 1.5 * size, size, side, kind, 0.8 * size)
        hedge(sheet, f"{key} bush {index}", line + 3.2, left + 20, left + 31, 2.0, side, "olive")
    edge = sheet.whole
    # Earth at the water's edge, reeds before it.
    shore = 58.4 + 0.5 * np.sin(2 * np.pi * 9 * edge.x / sheet.span)
    sheet.put(edge, screen.cover(f32(shore - edge.y)), rgb("#5a4c34"), 0.35, snow=0.5)
    for index in range(9):
        x = (index + rng.uniform(0.1, 0.9)) * sheet.span / 9
        for _ in range(11):
            _reed(sheet, x + rng.uniform(-6, 6), BANK + 0.3, rng.uniform(2.8, 6.0), rng.uniform(-1.0, 1.0), 0.32, rng)
    return Layer(sheet, _BANK_DEPTH, far=0.18)


def _near_bank(screen: Screen, key: str, side: float) -> Layer:
    """Grass, reeds and lilies at the lower edge."""
    sheet = Sheet(screen, key + " near", 74.0, HEIGHT, 1.6)
    rng = stream_of(key + " near")
    for index in range(4):
        x = (index + rng.uniform(0.2, 0.8)) * sheet.span / 4
        for leaf in range(5):
            lx, ly = x + rng.uniform(-11, 11), rng.uniform(84.5, 89.0)
            _lily(sheet, lx, ly, rng.uniform(2.6, 4.2), side, flower=leaf == 0)
    line = ridge(sheet, key + " near", 93.2, 2.4, (3, 4, 7), 0.7)
    hill(sheet, "near", line, ("#27501f", "#4a7a2c", "#7fa044"), side, grain=(9.0, 3.0), depth=6.0)
    for index in range(6):
        x = (index + rng.uniform(0.1, 0.9)) * sheet.span / 6
        tall = rng.uniform(9.0, 17.0)
        for blade in range(9):
            height = tall * rng.uniform(0.6, 1.0)
            _reed(sheet, x + rng.uniform(-5, 5), HEIGHT, height + 3, rng.uniform(-4, 4), 0.55, rng, tail=blade % 4 == 0)
    return Layer(sheet, _NEAR_DEPTH)


def _reed(
    sheet: Sheet,
    x: float,
    foot: float,
    height: float,
    lean: float,
    half: float,
    rng: np.random.Generator,
    *,
    tail: bool = False,
) -> None:
    """A blade, or a stem with a brown cat's tail."""
    part = sheet.window(x - abs(lean) - 2, x + abs(lean) + 2, foot - height - 1, foot)
    up = np.clip((foot - part.y) / height, 0, 1.02)
    away = part.x - x - lean * up * up
    wide = half * (1.0 - 0.85 * up) if not tail else half * (0.45 + 0.0 * up)
    cover = sheet.screen.cover(f32(np.abs(away) - wide)) * (up < 1.0)
    green = mix(rgb("#4f7a2c"), rgb("#a9b858"), rng.uniform(0.0, 1.0))
    sheet.put(part, f32(cover), f32(green), f32((0.35 + 0.6 * up) * np.ones_like(away)), snow=f32(0.5 * up + 0 * away))
    if tail:
        head = np.maximum(np.abs(away) - 0.72, np.abs(up - 0.88) * height - 1.9)
        sheet.put(part, sheet.screen.cover(f32(head)), rgb("#6b4426"), 0.6, snow=0.3)


def _lily(sheet: Sheet, x: float, y: float, wide: float, side: float, *, flower: bool) -> None:
    """A floating leaf, with or without a flower."""
    part = sheet.window(x - wide - 1, x + wide + 1, y - 4, y + 2)
    u, v = (part.x - x) / wide, (part.y - y) / (0.3 * wide)
    notch = smooth(0.1, 0.22, f32(np.abs(u - 0.15) - 0.2 * np.clip(v, -1, 0) * -1.0))
    cover = sheet.screen.cover(f32((np.sqrt(u * u + v * v) - 1) * 0.3 * wide)) * np.where(v < -0.1, notch, 1.0)
    shade = np.clip(0.62 + 0.22 * side * u - 0.12 * v, 0, 1)
    sheet.put(part, f32(cover), mix(rgb("#2f6b33"), rgb("#7fae4a"), f32(shade)[..., None]), f32(shade), snow=0.6)
    if not flower:
        return
    for petal in (-1.0, 1.0, -0.5, 0.5, 0.0):
        px, tall = x + 1.25 * petal, 2.5 - 0.9 * abs(petal)
        q = np.hypot((part.x - px) / 0.85, (part.y - (y - 0.35 - 0.45 * tall)) / (0.55 * tall))
        pink = mix(rgb("#fff2f6"), rgb("#f08ab0"), 0.25 + 0.5 * abs(petal))
        sheet.put(part, sheet.screen.cover(f32((q - 1) * 0.7)), f32(pink), 0.9)


def river(screen: Screen, variant: int) -> River:
    """A river through a valley."""
    return River(screen, variant)
