"""Open land under a sky: the frame that most places on land share."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from streamgen_export.pocket.world.air import Air, Colour
from streamgen_export.pocket.world.layers import Layer
from streamgen_export.pocket.world.precipitation import Precipitation
from streamgen_export.pocket.world.screen import Plane, Screen
from streamgen_export.pocket.world.sky import HORIZON, Sky
from streamgen_export.pocket.world.view import Lighting, View


class OpenLand:
    """A sky, layers of land from the back to the front, and what falls. Implements `view.Place`."""

    def __init__(self, screen: Screen, key: str, variant: int, horizon: float = HORIZON) -> None:
        """A place without layers yet; `side` says where its light comes from."""
        self._sky = Sky(screen, key, variant, horizon)
        self._falling = Precipitation(screen, key)
        self._layers: list[Layer] = []
        self.side = self._sky.side

    def add(self, layer: Layer) -> None:
        """Add a layer before those already there."""
        self._layers.append(layer)

    def sky(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        self._sky.draw(canvas, view)

    def land(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        for layer in self._layers:
            layer.draw(canvas, view)
        self._falling.far(canvas, view)

    def before(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        self._falling.near(canvas, view)

    def lighting(self, air: Air) -> Lighting:
        """See `view.Place`."""
        return lit_by(air, self.side)


def lit_by(air: Air, side: float) -> Lighting:
    """The light of an air on a subject, from the side where sun and moon stand."""
    low = 1.0 - air.sun_up
    ambient = float(np.clip(max(air.ambient) * 0.62 + 0.06, 0.3, 0.6))
    direct = max(air.sun_seen, 0.8 * air.moon_seen)
    return Lighting(
        towards=(side * (0.45 + 0.3 * low), -0.85 + 0.45 * low),
        key=_bright(air.key),
        ambient=ambient,
        rim=_bright(air.sun),
        tint=_bright(air.haze),
        tinted=0.10 + 0.12 * air.distance + 0.08 * air.stars,
        shadow=0.18 + 0.32 * direct,
        mirror=0.16 * air.wet,
        glow=0.18 * air.stars,
    )


def _bright(colour: Colour) -> Colour:
    """The hue of a light, its strongest part near 1: subjects stay readable at night."""
    strong = max(*colour, 1e-3)
    red, green, blue = (c / strong for c in colour)
    return red, green, blue


@lru_cache(maxsize=16)
def sanded(air: Air) -> Air:
    """A storm in the desert: sand instead of rain."""
    share = air.rain
    sand: Colour = (0.72, 0.52, 0.34)
    light = min(1.0, max(air.haze) + 0.1)
    warm = (sand[0] * light * 1.25, sand[1] * light * 1.25, sand[2] * light * 1.25)

    def dusty(colour: Colour, amount: float) -> Colour:
        red, green, blue = (c + (w - c) * amount * share for c, w in zip(colour, warm, strict=True))
        return red, green, blue

    return replace(
        air,
        middle=dusty(air.middle, 0.5),
        horizon=dusty(air.horizon, 0.7),
        haze=dusty(air.haze, 0.8),
        cloud_lit=dusty(air.cloud_lit, 0.6),
        cloud_shaded=dusty(air.cloud_shaded, 0.25),
        distance=air.distance + 0.28 * share,
        rain=0.0,
        wet=0.0,
    )
