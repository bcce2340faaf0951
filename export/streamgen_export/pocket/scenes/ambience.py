"""What a place sounds like: slow noise that follows the waves and the wind, and patterns that keep to the beat."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.loops import BAR, BEAT, BELL, EIGHTH, FLUTE, LOOP, PAD, WARM, Curve, Loop, spectrum

Layers = tuple[tuple[NDArray[np.float32], Curve], ...]
"""Noise as (RMS per band, float32 [16]; level over time) pairs."""

WAVE_PERIOD_S: Final = 2 * np.pi
"""Of the slowest of the waves that `water.Water` draws."""
WIND_PERIOD_S: Final = 8.0

_CRACKLES: Final = (0, 2, 3, 5, 7, 8, 11, 12, 14, 17, 18, 21)
"""Sixteenths of the loop on which a fire crackles."""
_CRACKLE_GAINS: Final = (1.0, 0.4, 0.7, 0.5, 0.9, 0.3, 0.8, 0.5, 1.0, 0.4, 0.7, 0.6)


def slow_noise(scene: str, light: str, time_s: Curve) -> NDArray[np.float32]:
    """Noise that swells with the slow cycles of a scene.

    Args:
        scene: one of `LIGHTS`.
        light: a light of that scene.
        time_s: `World.offset_s` plus the time since the start of the clip, of each control frame.

    Returns:
        float32 [F, 16], RMS of each band.
    """
    noise = np.zeros((len(time_s), 16), np.float32)
    for shape, level in _SLOW[scene](light, time_s):
        noise += level.astype(np.float32)[:, None] * shape
    return noise


@cache
def pattern(scene: str, light: str) -> Loop:
    """What a scene repeats every two bars: birds, crickets, crackles, drones."""
    loop = Loop()
    _PATTERNS.get(scene, _nothing)(loop, light)
    return loop.sealed()


def _swell(time_s: Curve, period_s: float, low: float = 0.0, lag_s: float = 0.0) -> Curve:
    """Between `low` and 1, once a period; at its top when the time is `lag_s`."""
    hump: Curve = 0.5 + 0.5 * np.cos(2 * np.pi * (time_s - lag_s) / period_s)
    return low + (1 - low) * hump


def _breakers(time_s: Curve) -> Curve:
    """1 when the crest of the nearest wave that `water.Breakers` draws is in the middle of the picture, else less."""
    turn = 2 * np.pi / 84 * 80 + 1.61 * time_s + 5.7
    hump: Curve = 0.5 + 0.5 * np.cos(turn + 0.5 * np.sin(0.5 * turn + 0.4 * time_s))
    return hump


def _steady(time_s: Curve) -> Curve:
    return np.ones_like(time_s)


def _meadow(light: str, time_s: Curve) -> Layers:
    level = 0.022 if light == "cloudy" else 0.012
    return ((spectrum(7, 2), level * _swell(time_s, WIND_PERIOD_S, 0.3)),)


def _night_hills(light: str, time_s: Curve) -> Layers:
    level = 0.022 if light == "misty" else 0.008
    return ((spectrum(5, 2), level * _swell(time_s, WIND_PERIOD_S, 0.4)),)


def _sea(light: str, time_s: Curve) -> Layers:
    level = {"clear": 0.055, "stormy": 0.075, "night": 0.042}[light]
    bright = 11.0 if light == "stormy" else 10.0
    swell = _breakers(time_s) if light == "stormy" else _swell(time_s, WAVE_PERIOD_S)
    return (
        (spectrum(5, 2.5), level * 0.8 * (0.35 + 0.65 * swell)),
        (spectrum(bright, 2), level * (0.1 + 0.9 * swell) ** 2),
    )


def _sunset(light: str, time_s: Curve) -> Layers:
    level = 0.035 if light == "golden" else 0.042
    return (
        (spectrum(5, 2.5), level * 0.8 * _swell(time_s, WAVE_PERIOD_S, 0.35)),
        (spectrum(9, 2), level * 0.8 * _swell(time_s, WAVE_PERIOD_S, 0.1) ** 2),
    )


def _city(light: str, time_s: Curve) -> Layers:
    level = 0.024 if light == "misty" else 0.03
    return (
        (spectrum(3, 2), level * _swell(time_s, WIND_PERIOD_S, 0.6)),
        (spectrum(7, 1.5), level * 0.6 * _swell(time_s, WIND_PERIOD_S, 0.15)),
    )


def _rain(light: str, time_s: Curve) -> Layers:
    if light == "stormy":
        return (
            (spectrum(12, 2.5), 0.065 * _swell(time_s, WIND_PERIOD_S, 0.75)),
            (spectrum(2, 1.5), 0.06 * _swell(time_s, 12.0, 0.05) ** 2),
        )
    return ((spectrum(12.5, 2), 0.045 * _steady(time_s)),)


def _snow(light: str, time_s: Curve) -> Layers:
    level = 0.01 if light == "night" else 0.014
    return ((spectrum(13, 1.5), level * _swell(time_s, WIND_PERIOD_S, 0.4)),)


def _fire(light: str, time_s: Curve) -> Layers:
    level = 0.05 if light == "bright" else 0.03
    return ((spectrum(4, 2.5), level * _swell(time_s, 2.0, 0.7)),)


def _aurora(light: str, time_s: Curve) -> Layers:
    level = 0.016 if light == "bright" else 0.011
    return ((spectrum(12, 2), level * _swell(time_s, WIND_PERIOD_S, 0.2)),)


def _space(light: str, time_s: Curve) -> Layers:
    level = 0.03 if light == "misty" else 0.015
    return ((spectrum(4, 2), level * _swell(time_s, 12.0, 0.3)),)


def _desert(light: str, time_s: Curve) -> Layers:
    level = {"clear": 0.045, "golden": 0.035, "night": 0.025}[light]
    return (
        (spectrum(7, 1.5), level * _swell(time_s, WIND_PERIOD_S, 0.25)),
        (spectrum(10, 1), level * 0.6 * _swell(time_s, WIND_PERIOD_S, 0.0) ** 2),
    )


def _silent(light: str, time_s: Curve) -> Layers:
    return ()


def _birds(loop: Loop, light: str) -> None:
    if light == "cloudy":
        return
    gain = 0.035 if light == "clear" else 0.02
    for step, note in ((1, 100), (2, 103), (3, 100), (14, 96), (15, 98)):
        loop.hold(step * EIGHTH // 2 + BEAT, 5, note, gain, FLUTE, fade=4)
    if light == "clear":
        for step, note in ((2, 98), (3, 100), (4, 98)):
            loop.hold(step * EIGHTH // 2 + BAR, 5, note, gain, FLUTE, fade=4)


def _crickets(loop: Loop, light: str) -> None:
    if light == "misty":
        loop.hold(BEAT, 30, 64, 0.04, WARM, fade=12)  # an owl
        loop.hold(BEAT + EIGHTH * 2, 50, 62, 0.04, WARM, fade=14)
        return
    for beat in range(LOOP // BEAT):
        for pulse in range(3):
            loop.hold(beat * BEAT + 12 * pulse, 4, 107, 0.016, FLUTE, fade=4)


def _hum(loop: Loop, light: str) -> None:
    gain = 0.03 if light == "misty" else 0.024
    loop.tones[:, 43 - 36] += gain
    loop.tones[:, 55 - 36] += gain * 0.5


def _drops(loop: Loop, light: str) -> None:
    for step in (1, 4, 6, 9, 11):
        loop.burst(step * EIGHTH, spectrum(12, 1.5), 0.022 if light == "stormy" else 0.015, 0.05)


def _chimes(loop: Loop, light: str) -> None:
    loop.strike(BEAT, 96, 0.014, BELL)
    loop.strike(BAR + 2 * BEAT, 91, 0.014, BELL)


def _crackle(loop: Loop, light: str) -> None:
    level = 0.042 if light == "bright" else 0.028
    for step, gain in zip(_CRACKLES, _CRACKLE_GAINS, strict=True):
        if light == "bright" or gain >= 0.7:
            loop.burst(step * EIGHTH // 2, spectrum(12, 1.2), level * gain, 0.02)


def _shimmer(loop: Loop, light: str) -> None:
    gain = 0.018 if light == "bright" else 0.012
    for start, note in ((0, 84), (BEAT, 91), (BAR, 88), (BAR + BEAT, 93)):
        loop.hold(start, BEAT, note, gain, FLUTE, fade=60)


def _drone(loop: Loop, light: str) -> None:
    gain = 0.045 if light == "misty" else 0.035
    loop.tones[:, 36 - 36] += gain
    loop.tones[:, 43 - 36] += gain * 0.7
    loop.hold(0, BAR, 79, 0.012, PAD, fade=60)


def _night_desert(loop: Loop, light: str) -> None:
    if light == "night":
        for beat in range(LOOP // BEAT):
            loop.hold(beat * BEAT, 6, 105, 0.01, FLUTE, fade=5)


def _kick(loop: Loop, light: str) -> None:
    gain = 0.16 if light == "bright" else 0.1
    kick = np.arange(BEAT)
    fall = (gain * np.exp(-kick / 14.0)).astype(np.float32)
    for beat in range(LOOP // BEAT):
        loop.tones[beat * BEAT : (beat + 1) * BEAT, 0] += fall
        loop.tones[beat * BEAT : (beat + 1) * BEAT, 12] += 0.5 * fall
        if light == "bright":
            loop.burst(beat * BEAT + EIGHTH, spectrum(14, 1), 0.03, 0.03)


def _nothing(loop: Loop, light: str) -> None:
    pass


_SLOW: Final[dict[str, Callable[[str, Curve], Layers]]] = {
    "meadow": _meadow,
    "night_hills": _night_hills,
    "sea": _sea,
    "sunset": _sunset,
    "city": _city,
    "rain": _rain,
    "snow": _snow,
    "fire": _fire,
    "aurora": _aurora,
    "space": _space,
    "desert": _desert,
    "pulses": _silent,
}
_PATTERNS: Final[dict[str, Callable[[Loop, str], None]]] = {
    "meadow": _birds,
    "night_hills": _crickets,
    "city": _hum,
    "rain": _drops,
    "snow": _chimes,
    "fire": _crackle,
    "aurora": _shimmer,
    "space": _drone,
    "desert": _night_desert,
    "pulses": _kick,
}
