"""Soft sounds of things that move without hitting anything; all of them keep to the beat or the bar."""

from __future__ import annotations

from functools import cache

import numpy as np

from streamgen_export.pocket.scenes.loops import BAR, BEAT, BELL, EIGHTH, LOOP, WARM, Loop, spectrum


@cache
def movement(subject: str, motion: str) -> Loop:
    """The sound of `subject` moving as `motion`; silence for motions that have none."""
    loop = Loop()
    if subject == "bird":
        _wings(loop)
    elif motion == "pulses":
        _heartbeat(loop)
    elif motion == "rolls":
        _rumble(loop)
    elif motion == "spins":
        _ticks(loop)
    elif motion in ("orbits", "drifts"):
        _air(loop)
    return loop.sealed()


def _wings(loop: Loop) -> None:
    for eighth in range(LOOP // EIGHTH):
        loop.burst(eighth * EIGHTH, spectrum(8, 1.5), 0.03, 0.05)


def _heartbeat(loop: Loop) -> None:
    for beat in range(LOOP // BEAT):
        loop.hold(beat * BEAT - 5, 2, 48, 0.12, WARM, fade=12)


def _rumble(loop: Loop) -> None:
    turn = 0.7 + 0.3 * np.cos(2 * np.pi * np.arange(LOOP) / BEAT)
    loop.noise[:] += (0.05 * turn[:, None] * spectrum(3, 1.5)).astype(np.float32)


def _ticks(loop: Loop) -> None:
    for beat in range(LOOP // BEAT):
        loop.strike(beat * BEAT + EIGHTH, 96, 0.02, BELL)


def _air(loop: Loop) -> None:
    swing = 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(LOOP) / BAR)
    loop.noise[:] += (0.025 * swing[:, None] * spectrum(8, 1.5)).astype(np.float32)
