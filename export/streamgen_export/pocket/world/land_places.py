"""The open places on land: meadow, mountains, desert and village; and the table of all places on land."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from streamgen_export.pocket.world.city_place import City
from streamgen_export.pocket.world.clouds_place import AboveClouds
from streamgen_export.pocket.world.forest_place import Forest
from streamgen_export.pocket.world.land_buildings import church, house, lamp
from streamgen_export.pocket.world.land_relief import crags, dune, hill, peaks, ridge
from streamgen_export.pocket.world.land_trees import fir, grove, hedge, tree, tuft
from streamgen_export.pocket.world.layers import Layer, Sheet, blended
from streamgen_export.pocket.world.open_land import OpenLand, sanded
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, smooth, stream_of
from streamgen_export.pocket.world.view import Place, View

_GRASS: Final = ("#33692c", "#5b9a3a", "#94c452")
_FIELD: Final = ("#4b8038", "#7fa646", "#c4b95c")
_FAR_GRASS: Final = ("#4a7c50", "#6c9c5c", "#98b868")
_ALPINE: Final = ("#3a6638", "#5f8c46", "#96ae5e")


def meadow(screen: Screen, variant: int) -> Place:
    """Green hills with woods and single trees."""
    key = f"meadow {variant}"
    place = OpenLand(screen, key, variant)
    side = place.side
    sheet = Sheet(screen, f"{key} last", 40, 72)
    line = ridge(sheet, f"{key} last", 52, 6, (3, 5, 11), 0.5)
    hill(sheet, "last", line, ("#5a8a78", "#6f9c80", "#8cb08a"), side, grain=(30, 5), depth=12, strength=0.6)
    place.add(Layer(sheet, 0.1, far=2.6, sink=0.6))

    sheet = Sheet(screen, f"{key} far", 40, 78)
    line = ridge(sheet, f"{key} far", 57, 4.5, (4, 7, 13), 0.5)
    hill(sheet, "far", line, _FAR_GRASS, side, grain=(34, 4), depth=12)
    for index, (start, width) in enumerate(((20.0, 60.0), (130.0, 44.0), (210.0, 70.0), (330.0, 50.0))):
        hedge(sheet, f"{key} wood {index}", line, start, start + width, 2.6, side, "hazy")
    place.add(Layer(sheet, 0.25, far=1.0, sink=0.5))

    sheet = Sheet(screen, f"{key} middle", 36, 90)
    line = ridge(sheet, f"{key} middle", 65, 4, (3, 8), 0.45)
    hill(sheet, "middle", line, _FIELD, side, grain=(40, 4), depth=16)
    rng = stream_of(f"{key} trees")
    for index, start in enumerate((18.0, 120.0, 226.0, 338.0)):
        left = start + rng.uniform(-12, 12)
        count = (3, 1, 4, 2)[(index + variant) % 4]
        grove(sheet, f"{key} grove {index}", line, left, left + 9.0 * count, 17.0, side, "green", 9.0)
    place.add(Layer(sheet, 0.5, far=0.3, sink=0.2))

    sheet = Sheet(screen, f"{key} near", 58, 96)
    line = ridge(sheet, f"{key} near", 75, 2.6, (2, 5), 0.5)
    hill(sheet, "near", line, _GRASS, side, grain=(34, 7), depth=30, gloss=0.5)
    _tufts(sheet, f"{key} tufts", line, 18, side)
    for index, x in enumerate((50.0, 250.0)):
        hedge(sheet, f"{key} bush {index}", line, x, x + 15, 3.6, side, "green")
    place.add(Layer(sheet, 1.0))
    return place


def mountains(screen: Screen, variant: int) -> Place:
    """Three ranges of peaks above a green valley with firs."""
    key = f"mountains {variant}"
    place = OpenLand(screen, key, variant, 62.0)
    side = place.side
    sheet = Sheet(screen, f"{key} last", 12, 68)
    line = crags(sheet, f"{key} last", 40, 20, 4)
    peaks(sheet, "last", line, side, rock=("#6d7a94", "#98a2b4"), cap=13, snowline=44)
    place.add(Layer(sheet, 0.08, far=1.9, sink=0.9))

    sheet = Sheet(screen, f"{key} middle", 20, 76)
    line = crags(sheet, f"{key} middle", 52, 17, 4)
    peaks(sheet, "middle", line, side, rock=("#4f5a6c", "#828a94"), cap=7, snowline=50)
    place.add(Layer(sheet, 0.18, far=0.8, sink=1.0))

    sheet = Sheet(screen, f"{key} slopes", 46, 86)
    line = ridge(sheet, f"{key} slopes", 65, 5, (3, 5, 11), 0.5)
    hill(sheet, "slopes", line, ("#28523e", "#3f6e48", "#6a8e54"), side, grain=(20, 6), depth=14)
    for index, (start, count) in enumerate(((10.0, 5), (112.0, 6), (205.0, 4), (300.0, 7))):
        grove(sheet, f"{key} firs {index}", line, start, start + 7 * count, 9.0, side, "fir", 7.0)
    place.add(Layer(sheet, 0.45, far=0.4, sink=0.4))

    sheet = Sheet(screen, f"{key} near", 44, 96)
    line = ridge(sheet, f"{key} near", 76, 2.6, (2, 5), 0.5)
    hill(sheet, "near", line, _ALPINE, side, grain=(34, 7), depth=30, gloss=0.45)
    _tufts(sheet, f"{key} tufts", line, 16, side)
    for index, x in enumerate((30.0, 43.0, 236.0)):
        fir(sheet, f"{key} fir {index}", x, 80.5 + 1.5 * (index % 2), 26.0 - 5 * (index % 2), side)
    place.add(Layer(sheet, 1.0))
    return place


class Desert(OpenLand):
    """Dunes with sharp crests and dark flanks; a storm there is one of sand."""

    def __init__(self, screen: Screen, variant: int) -> None:
        """The shape of its dunes follows `variant`."""
        key = f"desert {variant}"
        super().__init__(screen, key, variant, 60.0)
        for name, row, height, crests, depth, far, end in (
            ("last", 56.0, 5.0, 5, 0.1, 1.5, 74.0),
            ("far", 60.5, 8.0, 4, 0.25, 0.6, 84.0),
            ("middle", 67.0, 10.0, 4, 0.5, 0.2, 92.0),
            ("near", 78.0, 6.5, 2, 1.0, 0.0, 96.0),
        ):
            sheet = Sheet(screen, f"{key} {name}", row - 1.2 * height - 2.0, end)
            dune(sheet, name, row, height, crests, self.side, dark=0.68 - 0.3 * depth * depth)
            self.add(Layer(sheet, depth, far=far, sink=0.3))

    def sky(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        super().sky(canvas, _in_sand(view))

    def land(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        super().land(canvas, _in_sand(view))

    def before(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        super().before(canvas, _in_sand(view))


def _in_sand(view: View) -> View:
    return replace(view, air=sanded(view.air)) if view.air.rain > 0.0 else view


def village(screen: Screen, variant: int) -> Place:
    """Houses around a church between hills, lamps along the lane."""
    key = f"village {variant}"
    place = OpenLand(screen, key, variant)
    side = place.side
    sheet = Sheet(screen, f"{key} last", 36, 72)
    line = ridge(sheet, f"{key} last", 48, 7, (2, 5, 9), 0.5)
    hill(sheet, "last", line, ("#4f7f72", "#648f78", "#82a684"), side, grain=(30, 6), depth=12, strength=0.7)
    hedge(sheet, f"{key} wood", line, 40, 150, 2.2, side, "hazy")
    hedge(sheet, f"{key} other", line, 250, 340, 2.2, side, "hazy")
    place.add(Layer(sheet, 0.12, far=1.8, sink=0.6))

    sheet = Sheet(screen, f"{key} far", 28, 80)
    line = ridge(sheet, f"{key} far", 61, 2.5, (3, 7), 0.5)
    hill(sheet, "far", line, _FAR_GRASS, side, grain=(34, 4), depth=14)
    rng = stream_of(f"{key} houses")
    _street(sheet, f"{key} far", line, rng.uniform(9.5, 12.0, 40), side, gap=4.5, churches=(100.0, 330.0), spire=30.0)
    place.add(Layer(sheet, 0.25, far=0.7, sink=0.35))

    sheet = Sheet(screen, f"{key} middle", 34, 90)
    line = ridge(sheet, f"{key} middle", 68.5, 1.6, (2, 5), 0.5)
    hill(sheet, "middle", line, _FIELD, side, grain=(40, 4), depth=18)
    for index, x in enumerate((16.0, 44.0, 150.0, 178.0, 206.0, 312.0, 340.0)):
        _house_at(sheet, f"{key} house {index}", line, x + rng.uniform(-4, 4), 21.0 + rng.uniform(-2, 3), side)
    for index, x in enumerate((64.0, 133.0, 226.0, 294.0, 362.0)):
        _tree_at(sheet, f"{key} tree {index}", line, x, 15.0 + rng.uniform(-2, 3), side)
    place.add(Layer(sheet, 0.5, far=0.2, sink=0.15))

    sheet = Sheet(screen, f"{key} near", 44, 96)
    line = ridge(sheet, f"{key} near", 77, 1.2, (2, 5), 0.5)
    hill(sheet, "near", line, _GRASS, side, grain=(34, 7), depth=30, gloss=0.3)
    _lane(sheet, line)
    for x in (40.0, 180.0, 320.0):
        lamp(sheet, x, 79.0, 20.0)
    place.add(Layer(sheet, 1.0))
    return place


def _lane(sheet: Sheet, line: Plane) -> None:
    """A lane of pale earth across the picture, with puddles when it is wet."""
    window = sheet.whole
    noise = sheet.noise("lane", (40.0, 4.0), 0.9)
    middle = line[None, :] + 8.5 + 0.35 * noise
    inside = np.abs(window.y - middle) - 4.6
    shade = np.clip(0.66 + 0.05 * noise - 0.10 * smooth(-1.4, 0.2, inside), 0.0, 1.0)
    albedo = blended((rgb("#a18a66"), rgb("#c4ad84")), f32(np.clip(0.5 + 0.25 * noise, 0, 1)))
    wet = 0.75 * smooth(0.0, -2.5, inside) * smooth(-0.8, 1.0, noise)
    cover = smooth(0.5, -0.5, inside)
    sheet.put(window, cover, albedo, f32(shade), snow=f32(np.clip(0.86 + 0.06 * noise, 0, 1)), gloss=f32(wet))


def _tufts(sheet: Sheet, key: str, line: Plane, count: int, side: float) -> None:
    """Tufts of grass here and there, larger towards the viewer."""
    rng = stream_of(key)
    for index in range(count):
        x = (index + rng.uniform(0.1, 0.9)) * sheet.span / count
        down = 2.0 + 18.0 * float(rng.random())
        tuft(sheet, f"{key} {index}", x, _row(sheet, line, x) + down, 2.2 + 0.16 * down, side, ("#3a7030", "#a4cc5c"))


def _row(sheet: Sheet, line: Plane, x: float) -> float:
    return float(line[round(x * sheet.screen.unit) % sheet.columns])


def _house_at(sheet: Sheet, key: str, line: Plane, x: float, width: float, side: float) -> None:
    house(sheet, key, x, _row(sheet, line, x) + 1.0 + 0.05 * width, width, side)


def _tree_at(sheet: Sheet, key: str, line: Plane, x: float, size: float, side: float) -> None:
    tree(sheet, key, x, _row(sheet, line, x) + 1.0, size, side)


def _street(
    sheet: Sheet,
    key: str,
    line: Plane,
    widths: Plane,
    side: float,
    *,
    gap: float,
    churches: tuple[float, ...],
    spire: float,
) -> None:
    """Small houses side by side around churches."""
    for index, x in enumerate(churches):
        church(sheet, f"{key} church {index}", x, _row(sheet, line, x) + 0.6, spire, side)
        for step in (-3, -2, -1, 1, 2, 3):
            width = float(widths[6 * index + step + 3])
            place = x + step * (width + gap) + (spire * 0.25 if step > 0 else -spire * 0.25)
            _house_at(sheet, f"{key} {index} {step}", line, place, width, side)
            _tree_at(sheet, f"{key} tree {index} {step}", line, place + 0.5 * (width + gap), 7.0, side)


PLACES: Final[dict[str, Callable[[Screen, int], Place]]] = {
    "meadow": meadow,
    "forest": Forest,
    "mountains": mountains,
    "desert": Desert,
    "village": village,
    "city": City,
    "clouds": AboveClouds,
}
"""Name to how it is made for a screen and a variant."""
