"""What happens in the sky: fireworks bang and crackle, lightning cracks and rolls, shooting stars shimmer."""

from __future__ import annotations

from functools import cache

import numpy as np

from streamgen_export.pocket.world.sound.controls import Mix
from streamgen_export.pocket.world.sound.impacts import balance_at
from streamgen_export.pocket.world.sound.loops import PURE, Loop, Timbre, spectrum
from streamgen_export.pocket.world.timeline import sky_events
from streamgen_export.pocket.world.world import World

_BOOM = Timbre(((0, 1.0, 1.0), (7, 0.4, 0.6), (12, 0.35, 0.5)), 0.3)


@cache
def burst() -> Loop:
    """A firework: a bang, then sparks that crackle away in 0.9 s."""
    sound = Loop(1, 110)
    sound.strike(0, 38, 0.18, _BOOM)
    sound.burst(0, spectrum(4.5, 2.2), 0.13, 0.07)
    sound.burst(0, spectrum(9.0, 2.5), 0.09, 0.03)
    sound.burst(0, spectrum(12.5, 1.5), 0.03, 0.35)
    for spark in range(12):
        sound.burst(16 + 6 * spark, spectrum(12.5, 1.0), 0.065 * 0.86**spark, 0.015)
    return sound.sealed()


@cache
def flash() -> Loop:
    """Thunder: a crack, a boom, and two rolls that go away, 2 s."""
    sound = Loop(1, 216)
    sound.burst(0, spectrum(9.5, 3.0), 0.16, 0.04)
    sound.burst(0, spectrum(4.0, 2.0), 0.08, 0.14)
    sound.strike(0, 36, 0.1, _BOOM)
    frames = np.arange(216)
    for start, level, length in ((6, 0.075, 70), (70, 0.05, 110)):
        share = np.clip((frames - start) / length, 0.0, 1.0)
        roll = level * np.sin(np.pi * share**0.6) ** 2
        sound.noise += roll.astype(np.float32)[:, None] * spectrum(2.2, 1.6)
    return sound.sealed()


@cache
def streak() -> Loop:
    """A shooting star: a soft rush with a glitter that falls."""
    sound = Loop(1, 110)
    sound.breath(0, 8, spectrum(11.0, 1.5), 0.035, fade=12)
    for place, note in enumerate((103, 100, 98, 96, 93, 91)):
        sound.chirp(5 * place, (note,), 0.035 * 0.86**place, step=8)
    sound.strike(0, 96, 0.07, Timbre(PURE.partials, 0.25))
    return sound.sealed()


_SOUNDS = {"burst": burst, "flash": flash, "streak": streak}


def add_sky(mix: Mix, world: World) -> None:
    """Add every burst, flash and streak of a clip, each from its own frame on."""
    for event in sky_events(world):
        balance = balance_at(event.x) * (0.6 if event.kind == "flash" else 1.0)
        mix.add_once(_SOUNDS[event.kind](), event.picture * world.format.frames_per_picture, 1.0, balance)
