"""What a place and its weather sound like all the time: noise that swells with slow cycles, from all around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import ABSTRACT, Attributes
from streamgen_export.pocket.world.sound.controls import Curve, Mix
from streamgen_export.pocket.world.sound.loops import spectrum

Layers: TypeAlias = tuple[tuple[NDArray[np.float32], Curve], ...]
"""Noise as (RMS per band, float32 [16]; level over time) pairs."""

WIND_PERIOD_S: Final = 8.0
GUST_PERIOD_S: Final = 6.0
WAVE_PERIOD_S: Final = 2 * np.pi / 0.9
"""Of the heave of the nearest breaker that `breakers` draws."""
WAVE_LAG_S: Final = (1.5 * np.pi - 10.0) / 0.9
"""When that breaker stands highest."""
FLAME_PERIODS_S: Final = (1.44, 0.96)
"""Of the flicker that `fire` draws."""
SURF_PERIOD_S: Final = 3.84
"""Of the surf that `coast` draws: the first plume of spray rises at each whole period."""
HUSHED: Final = 0.45
"""Snow swallows sound: how much of a place is left of it."""


def slow_noise(mix: Mix, attributes: Attributes, time_s: Curve) -> None:
    """Add the noise of a place and its weather; `time_s` [F] is the time in the slow cycles at each frame's end."""
    if attributes.place in ABSTRACT:
        return
    share = HUSHED if attributes.weather == "snow" else 1.0
    for shape, level in _PLACES[attributes.place](attributes, time_s):
        mix.add_noise(shape, share * level)
    for shape, level in _weather(attributes.weather, time_s):
        mix.add_noise(shape, level)


def _swell(time_s: Curve, period_s: float, low: float = 0.0, lag_s: float = 0.0) -> Curve:
    """Between `low` and 1, once a period; at its top when the time is `lag_s`."""
    hump: Curve = 0.5 + 0.5 * np.cos(2 * np.pi * (time_s - lag_s) / period_s)
    return low + (1 - low) * hump


def _break(time_s: Curve, period_s: float) -> Curve:
    """A wave on a beach: rises fast, runs out slowly; 0 to 1, at its top when the time is a whole period."""
    turn = 2 * np.pi * time_s / period_s
    hump: Curve = (0.5 + 0.5 * np.cos(turn + 0.8 * np.sin(turn))) ** 1.5
    return hump


def _weather(weather: str, time_s: Curve) -> Layers:
    match weather:
        case "rain":
            return (
                (spectrum(12.5, 1.8), 0.034 * _swell(time_s, WIND_PERIOD_S, 0.8)),
                (spectrum(8.0, 1.8), 0.012 * _swell(time_s, WIND_PERIOD_S, 0.8)),
            )
        case "storm":
            gust = _swell(time_s, GUST_PERIOD_S)
            return (
                (spectrum(12.0, 2.2), 0.028 * (0.7 + 0.3 * gust)),
                (spectrum(5.5, 1.8), 0.03 * (0.25 + 0.75 * gust) ** 2),
                (spectrum(8.3, 0.7), 0.018 * gust**3),
                (spectrum(1.5, 1.2), 0.014 * _swell(time_s, 2 * GUST_PERIOD_S, 0.3)),
            )
        case "snow":
            return ((spectrum(12.5, 1.8), 0.012 * _swell(time_s, WIND_PERIOD_S, 0.4)),)
        case "cloudy":
            return ((spectrum(6.0, 1.8), 0.016 * _swell(time_s, WIND_PERIOD_S, 0.3)),)
        case "misty":
            return ((spectrum(3.5, 1.8), 0.012 * _swell(time_s, WIND_PERIOD_S, 0.5)),)
    return ()


def _wind(band: float, width: float, level: float, low: float = 0.3) -> Callable[[Attributes, Curve], Layers]:
    def layers(attributes: Attributes, time_s: Curve) -> Layers:
        return ((spectrum(band, width), level * _swell(time_s, WIND_PERIOD_S, low)),)

    return layers


def _forest(attributes: Attributes, time_s: Curve) -> Layers:
    """Leaves that rustle a moment after the wind has come."""
    return (
        (spectrum(6.0, 1.8), 0.02 * _swell(time_s, WIND_PERIOD_S, 0.3)),
        (spectrum(11.0, 1.5), 0.022 * _swell(time_s, WIND_PERIOD_S, 0.1, 0.7) ** 2),
    )


def _mountains(attributes: Attributes, time_s: Curve) -> Layers:
    return (
        (spectrum(5.0, 2.0), 0.03 * _swell(time_s, WIND_PERIOD_S, 0.3)),
        (spectrum(8.0, 0.7), 0.018 * _swell(time_s, WIND_PERIOD_S) ** 3),
    )


def _desert(attributes: Attributes, time_s: Curve) -> Layers:
    level = 0.026 if attributes.time == "night" else 0.036
    return (
        (spectrum(7.0, 1.4), level * _swell(time_s, WIND_PERIOD_S, 0.25)),
        (spectrum(10.5, 1.0), 0.5 * level * _swell(time_s, WIND_PERIOD_S) ** 2),
    )


def _sea(attributes: Attributes, time_s: Curve) -> Layers:
    level = 0.04 if attributes.weather == "storm" else 0.036 if attributes.time == "night" else 0.045
    swell = _swell(time_s, WAVE_PERIOD_S, 0.0, WAVE_LAG_S)
    return (
        (spectrum(5.0, 2.3), level * 0.8 * (0.35 + 0.65 * swell)),
        (spectrum(10.0, 1.9), level * (0.12 + 0.88 * swell) ** 2),
    )


def _coast(attributes: Attributes, time_s: Curve) -> Layers:
    """Surf: a wave breaks, and hisses as it runs back over the sand."""
    level = 0.045 if attributes.weather == "storm" else 0.05
    surf, back = _break(time_s, SURF_PERIOD_S), _break(time_s - 1.1, SURF_PERIOD_S)
    return (
        (spectrum(4.5, 2.2), level * 0.7 * (0.2 + 0.8 * surf)),
        (spectrum(9.0, 1.8), level * (0.08 + 0.92 * surf)),
        (spectrum(13.0, 1.3), level * 0.4 * back),
    )


def _river(attributes: Attributes, time_s: Curve) -> Layers:
    """Babble: three bands that take turns."""
    return tuple(
        (spectrum(band, 0.8), 0.026 * _swell(time_s, 2.0, 0.35, third * 2.0 / 3))
        for third, band in enumerate((7.5, 9.5, 11.5))
    )


def _city(attributes: Attributes, time_s: Curve) -> Layers:
    """A hum from afar, and cars that pass."""
    level = 0.02 if attributes.time == "night" else 0.03
    return (
        (spectrum(3.0, 1.8), level * _swell(time_s, WIND_PERIOD_S, 0.7)),
        (spectrum(7.0, 1.4), level * 0.7 * _swell(time_s, WIND_PERIOD_S / 2) ** 3),
    )


def _clouds(attributes: Attributes, time_s: Curve) -> Layers:
    return (
        (spectrum(6.5, 1.6), 0.032 * _swell(time_s, WIND_PERIOD_S, 0.35)),
        (spectrum(10.0, 1.4), 0.014 * _swell(time_s, WIND_PERIOD_S, 0.0, 1.0) ** 2),
    )


def _underwater(attributes: Attributes, time_s: Curve) -> Layers:
    return (
        (spectrum(1.5, 1.4), 0.045 * _swell(time_s, WAVE_PERIOD_S, 0.5)),
        (spectrum(5.0, 1.2), 0.014 * _swell(time_s, WAVE_PERIOD_S, 0.2, 1.5)),
    )


def _space(attributes: Attributes, time_s: Curve) -> Layers:
    return ((spectrum(3.5, 1.8), 0.026 * _swell(time_s, 12.0, 0.3)),)


def _fire(attributes: Attributes, time_s: Curve) -> Layers:
    return (
        (spectrum(4.0, 2.0), 0.042 * _swell(time_s, FLAME_PERIODS_S[0], 0.7, 0.36)),
        (spectrum(9.5, 1.5), 0.012 * _swell(time_s, FLAME_PERIODS_S[1], 0.5, 0.09)),
    )


_PLACES: Final[dict[str, Callable[[Attributes, Curve], Layers]]] = {
    "meadow": _wind(7.5, 1.8, 0.024),
    "forest": _forest,
    "mountains": _mountains,
    "desert": _desert,
    "sea": _sea,
    "coast": _coast,
    "river": _river,
    "village": _wind(5.0, 1.8, 0.02, 0.4),
    "city": _city,
    "clouds": _clouds,
    "underwater": _underwater,
    "ice": _underwater,
    "space": _space,
    "fire": _fire,
}
