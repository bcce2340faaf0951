"""The open sea, calm or in a storm."""

from __future__ import annotations

from typing import Final

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.breakers import Breakers, height_of
from streamgen_export.pocket.world.precipitation import Precipitation
from streamgen_export.pocket.world.screen import Plane, Screen
from streamgen_export.pocket.world.sky import Sky
from streamgen_export.pocket.world.view import Lighting, View
from streamgen_export.pocket.world.water import Water

HORIZON: Final = 48.0


class Sea:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"sea {variant}"
        self._sky = Sky(screen, key, variant, HORIZON)
        self._water = Water(screen, key, HORIZON)
        self._breakers = Breakers(screen, key, HORIZON)
        self._fall = Precipitation(screen, key)

    def sky(self, canvas: Plane, view: View) -> None:
        """The sky down to the horizon."""
        self._sky.draw(canvas, view)

    def land(self, canvas: Plane, view: View) -> None:
        """Water, and what falls far away."""
        self._water.draw(canvas, view, self._sky.sun_x)
        self._breakers.draw(canvas, view)
        self._fall.far(canvas, view)

    def before(self, canvas: Plane, view: View) -> None:
        """The nearest wave in a storm, and what falls near."""
        self._breakers.draw_front(canvas, view)
        self._fall.near(canvas, view)

    def lighting(self, air: Air) -> Lighting:
        """Light from the sky."""
        return open_air(air, self._sky.side, mirror=0.5)


def open_air(air: Air, side: float, *, mirror: float, shadow: float = 0.0) -> Lighting:
    """The light of an air on subjects over water, 1 or -1 the side it comes from; waves break up the mirror."""
    bright = max(max(air.key), 0.05)
    key = tuple(0.35 + 0.65 * c / bright for c in air.key)
    night = min(max(0.9 - sum(air.ambient) / 1.2, 0.0), 1.0)
    rim = tuple(0.4 + 0.6 * c for c in air.horizon)
    tint = tuple(0.5 * (a + b) for a, b in zip(air.haze, air.horizon, strict=True))
    return Lighting(
        towards=(0.5 * side, -0.35 - 0.5 * air.sun_up),
        key=(key[0], key[1], key[2]),
        ambient=0.54 - 0.06 * night,
        rim=(rim[0], rim[1], rim[2]),
        tint=(tint[0], tint[1], tint[2]),
        tinted=0.22 + 0.1 * air.distance,
        shadow=shadow,
        mirror=mirror * (1.0 - 0.5 * height_of(air)) * (1.0 - 0.25 * air.rain),
        glow=0.14 * night,
    )


def sea(screen: Screen, variant: int) -> Sea:
    """Open water under a wide sky."""
    return Sea(screen, variant)
