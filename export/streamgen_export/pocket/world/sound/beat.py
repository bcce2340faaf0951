"""The beat of the abstract places, where the picture moves with the music: a drum, and each place its own voice."""

from __future__ import annotations

from functools import cache
from typing import Final

from streamgen_export.pocket.world.sound.loops import BELL, LOOP_BEATS, PLUCK, PULSE, Loop, spectrum
from streamgen_export.pocket.world.sound.music import kick

_HAT: Final = spectrum(14.5, 0.8)
_CLAP: Final = spectrum(10.0, 1.3)
_KICKS: Final = {"slow": 0.2, "medium": 0.26, "fast": 0.3}


@cache
def beat(place: str, tempo: str, frames: int) -> Loop:
    """Two bars of an abstract place; `frames` is the beat's length in control frames."""
    loop = Loop(frames)
    for number in range(LOOP_BEATS):
        first = number % 4 == 0
        kick(loop, number, _KICKS[tempo] * (1.0 if first else 0.85))
        loop.burst(number + 0.5, _HAT, 0.02 if tempo == "slow" else 0.045, 0.03)
        if tempo == "fast":
            for quarter in (0.25, 0.75):
                loop.burst(number + quarter, _HAT, 0.016, 0.015)
        if tempo != "slow" and number % 2:
            loop.burst(number, _CLAP, 0.06 if tempo == "fast" else 0.04, 0.04)
    _VOICES[place](loop)
    return loop.sealed()


def _rings(loop: Loop) -> None:
    """A bell with each ring that leaves."""
    for number in range(LOOP_BEATS):
        loop.strike(number, (84, 79)[number % 2], 0.035, BELL)


def _waves(loop: Loop) -> None:
    """Noise that swells from beat to beat like an opening filter."""
    for number in range(LOOP_BEATS):
        loop.breath(number + 0.45, 0.15, spectrum(9.5, 1.5), 0.03, fade=round(0.4 * loop.beat))


def _tunnel(loop: Loop) -> None:
    """A deep pulse in eighths and air that rushes past once a bar."""
    for eighth in range(2 * LOOP_BEATS):
        if eighth % 2:
            loop.strike(eighth / 2, 48, 0.09, PULSE)
    for bar in range(2):
        loop.breath(4 * bar + 1.5, 0.5, spectrum(7.5, 1.5), 0.04, fade=round(1.5 * loop.beat))


def _mosaic(loop: Loop) -> None:
    """Plucked glass, one tile after the other."""
    for eighth, note in enumerate((72, 79, 76, 84, 81, 79, 76, 79) * 2):
        loop.strike(eighth / 2, note, 0.045, PLUCK)


_VOICES: Final = {"rings": _rings, "waves": _waves, "tunnel": _tunnel, "mosaic": _mosaic}
