"""Light and weather as numbers, so that one can turn into another without a jump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from streamgen_export.pocket.world.attributes import NONE

Colour: TypeAlias = tuple[float, float, float]
"""Red, green and blue from 0 to 1, display-referred."""


@dataclass(frozen=True)
class Air:
    """The state of sky and light; hashable, so what is lit by it can be cached.

    Attributes:
        zenith: colour at the top of the sky.
        middle: colour half way down.
        horizon: colour at the horizon.
        sun: colour of the sun's or moon's own light around it.
        sun_up: how high it stands, 0 on the horizon to 1 near the top.
        sun_seen: strength of the sun's disc and glow, 0 to 1.
        moon_seen: strength of the moon's disc and glow, 0 to 1.
        stars: strength of the stars, 0 to 1.
        key: colour of the direct light on land and water.
        ambient: colour of the light from everywhere.
        haze: colour into which distance fades.
        distance: how fast it does, 0 (crisp) to 1 (fog).
        clouds: how much of the sky they cover, 0 to 1.
        cloud_lit: their bright side.
        cloud_shaded: their dark side.
        rain: 0 to 1.
        snow: falling, 0 to 1.
        lying: snow on the ground, 0 to 1.
        wet: how much wet ground mirrors, 0 to 1.
        wind: 0 (still) to 1 (storm).
        lamps: strength of windows and lamps, 0 to 1.
    """

    zenith: Colour
    middle: Colour
    horizon: Colour
    sun: Colour
    sun_up: float
    sun_seen: float
    moon_seen: float
    stars: float
    key: Colour
    ambient: Colour
    haze: Colour
    distance: float
    clouds: float
    cloud_lit: Colour
    cloud_shaded: Colour
    rain: float
    snow: float
    lying: float
    wet: float
    wind: float
    lamps: float


def blend(a: Air, b: Air, share: float) -> Air:
    """`a` where share is 0, `b` where it is 1, all numbers in proportion between."""
    mixed: dict[str, Any] = {}
    for field in fields(Air):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, tuple):
            mixed[field.name] = tuple(x + (y - x) * share for x, y in zip(one, other, strict=True))
        else:
            mixed[field.name] = one + (other - one) * share
    return Air(**mixed)


@lru_cache(maxsize=64)
def air_of(time: str, weather: str) -> Air:
    """The air at a time of day in a weather; "none" for either in places that have no such thing."""
    hour = "day" if time == NONE else time
    return _WEATHERS[weather](_CLEAR[hour], _OVERCAST[hour])


def _colour(code: str, strength: float = 1.0) -> Colour:
    """A colour from "#rrggbb", brighter or darker."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 * strength for i in (1, 3, 5))
    return red, green, blue


def _dimmed(colour: Colour, strength: float) -> Colour:
    red, green, blue = colour
    return red * strength, green * strength, blue * strength


def _toward(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * share for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _air(sky: str, sun: str, light: tuple[str, float, str, float], cloud: str, haze: str, numbers: str) -> Air:
    """An air from codes: sky from the top down, cloud lit and shaded, and the numbers sun_up ... lamps."""
    zenith, middle, horizon = (_colour(code) for code in sky.split())
    lit, shaded = (_colour(code) for code in cloud.split())
    sun_up, sun_seen, moon_seen, stars, distance, clouds, wind, lamps = (float(n) for n in numbers.split())
    return Air(
        zenith=zenith,
        middle=middle,
        horizon=horizon,
        sun=_colour(sun),
        sun_up=sun_up,
        sun_seen=sun_seen,
        moon_seen=moon_seen,
        stars=stars,
        key=_colour(light[0], light[1]),
        ambient=_colour(light[2], light[3]),
        haze=_colour(haze),
        distance=distance,
        clouds=clouds,
        cloud_lit=lit,
        cloud_shaded=shaded,
        rain=0.0,
        snow=0.0,
        lying=0.0,
        wet=0.0,
        wind=wind,
        lamps=lamps,
    )


# Order of the numbers: sun_up, sun_seen, moon_seen, stars, distance, clouds, wind, lamps.
_CLEAR: Final[dict[str, Air]] = {
    "dawn": _air(
        "#5b74b4 #c79cc0 #ffc9a0",
        "#ffd9a8",
        ("#ffcaa0", 0.72, "#8f86b8", 0.62),
        "#ffdcc8 #a083ac",
        "#edbcb4",
        "0.10 0.9 0.0 0.0 0.42 0.28 0.15 0.25",
    ),
    "day": _air(
        "#2a78d4 #69b0ec #cfe9f6",
        "#fff1c6",
        ("#fff4d8", 0.78, "#7f9cc4", 0.50),
        "#ffffff #a7c0dc",
        "#bcdcec",
        "0.72 1.0 0.0 0.0 0.22 0.26 0.15 0.0",
    ),
    "sunset": _air(
        "#3c3273 #b8527c #ff9a48",
        "#ffb347",
        ("#ff9a52", 0.80, "#6c4c8c", 0.60),
        "#ffb070 #7a3f72",
        "#ee8e62",
        "0.06 1.0 0.0 0.05 0.34 0.34 0.15 0.55",
    ),
    "night": _air(
        "#070d2c #14265c #38568e",
        "#aac4ff",
        ("#9db8f4", 0.46, "#3f5cb0", 0.50),
        "#7d94cc #1c2a56",
        "#2e4780",
        "0.66 0.0 1.0 1.0 0.26 0.16 0.12 1.0",
    ),
}

_OVERCAST: Final[dict[str, Air]] = {
    "dawn": _air(
        "#7a80a0 #a89fb2 #d8bcb4",
        "#ffd9c0",
        ("#e4c4bc", 0.42, "#9a94b0", 0.70),
        "#d9c2c4 #7d7a98",
        "#c4b0b6",
        "0.10 0.0 0.0 0.0 0.5 0.9 0.35 0.45",
    ),
    "day": _air(
        "#8796a8 #abb7c2 #ccd4d6",
        "#f4f4ee",
        ("#eef0ee", 0.40, "#9fabb8", 0.78),
        "#dde3e8 #8594a4",
        "#bac6cc",
        "0.72 0.0 0.0 0.0 0.4 0.9 0.35 0.1",
    ),
    "sunset": _air(
        "#4a4468 #84607e #c08070",
        "#ffb080",
        ("#e09a78", 0.44, "#80688c", 0.68),
        "#c88a80 #54446a",
        "#a8767a",
        "0.06 0.0 0.0 0.0 0.45 0.9 0.35 0.7",
    ),
    "night": _air(
        "#111a34 #1f2d50 #36486c",
        "#90a8d8",
        ("#8ea4d4", 0.28, "#4862a4", 0.54),
        "#485c88 #18223e",
        "#2f4064",
        "0.66 0.0 0.22 0.0 0.42 0.9 0.35 1.0",
    ),
}


def _cloudy(clear: Air, overcast: Air) -> Air:
    return replace(blend(clear, overcast, 0.55), clouds=0.72, sun_seen=0.45 * clear.sun_seen)


def _misty(clear: Air, overcast: Air) -> Air:
    soft = blend(clear, overcast, 0.55)
    veil = _toward(soft.haze, soft.horizon, 0.5)
    return replace(
        soft,
        zenith=_toward(soft.zenith, veil, 0.4),
        middle=_toward(soft.middle, veil, 0.6),
        horizon=veil,
        haze=veil,
        sun_seen=0.55 * clear.sun_seen,
        moon_seen=0.65 * clear.moon_seen,
        stars=0.1 * clear.stars,
        distance=0.92,
        clouds=0.2,
        wind=0.08,
        lamps=max(clear.lamps, 0.3),
    )


def _rainy(clear: Air, overcast: Air) -> Air:
    return replace(
        overcast,
        zenith=_dimmed(overcast.zenith, 0.88),
        key=_dimmed(overcast.key, 0.9),
        distance=0.58,
        clouds=0.96,
        rain=0.7,
        wet=0.85,
        wind=0.35,
        lamps=max(overcast.lamps, 0.5),
    )


def _snowy(clear: Air, overcast: Air) -> Air:
    pale = clear.horizon if clear.moon_seen < 0.5 else overcast.horizon
    return replace(
        overcast,
        middle=_toward(overcast.middle, pale, 0.2),
        horizon=_toward(overcast.horizon, pale, 0.35),
        # Snow on the ground throws light back.
        key=_dimmed(overcast.key, 1.1),
        ambient=_dimmed(overcast.ambient, 1.12),
        distance=0.42,
        clouds=0.7,
        snow=0.85,
        lying=1.0,
        wind=0.2,
        moon_seen=0.5 * clear.moon_seen,
        lamps=max(overcast.lamps, 0.5),
    )


def _stormy(clear: Air, overcast: Air) -> Air:
    # A storm is darkest above; the light that is left comes from under the clouds.
    slate: Colour = (0.10, 0.13, 0.18)
    return replace(
        overcast,
        zenith=_toward(_dimmed(overcast.zenith, 0.50), slate, 0.45),
        middle=_toward(_dimmed(overcast.middle, 0.58), slate, 0.35),
        horizon=_toward(_dimmed(overcast.horizon, 0.74), clear.horizon, 0.16),
        key=_dimmed(overcast.key, 0.72),
        ambient=_dimmed(overcast.ambient, 0.70),
        haze=_toward(_dimmed(overcast.haze, 0.66), slate, 0.15),
        cloud_lit=_toward(_dimmed(overcast.cloud_lit, 0.62), clear.horizon, 0.12),
        cloud_shaded=_toward(_dimmed(overcast.cloud_shaded, 0.45), slate, 0.4),
        distance=0.5,
        clouds=1.0,
        rain=1.0,
        wet=1.0,
        wind=1.0,
        moon_seen=0.0,
        lamps=max(overcast.lamps, 0.6),
    )


_WEATHERS: Final[dict[str, Callable[[Air, Air], Air]]] = {
    NONE: lambda clear, overcast: replace(clear, clouds=0.0),
    "clear": lambda clear, overcast: clear,
    "cloudy": _cloudy,
    "misty": _misty,
    "rain": _rainy,
    "snow": _snowy,
    "storm": _stormy,
}
