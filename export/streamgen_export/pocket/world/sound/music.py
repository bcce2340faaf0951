"""Music of the moods: four chords in two bars, a bass, a melody; in C major and A minor, tense in D minor.

Whoever has heard two bars, a listener or a model, knows the next ones. A tempo changes how fast, how busy and how
percussive the same piece is. Times are in beats, 0 to 8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

import numpy as np

from streamgen_export.pocket.world.sound.loops import (
    BASS,
    BELL,
    FLUTE,
    LOOP_BEATS,
    MARIMBA,
    PAD,
    PIANO,
    PLUCK,
    PULSE,
    STRINGS,
    WARM,
    Loop,
    spectrum,
)

Chord: TypeAlias = tuple[int, tuple[int, ...]]
"""Bass and upper voices, MIDI notes. From chord to chord the voices move by a step or stay."""
Melody: TypeAlias = tuple[tuple[float, int], ...]
"""(beat, MIDI note)."""

CHORD_BEATS: Final = 2
CHORDS: Final[dict[str, tuple[Chord, Chord, Chord, Chord]]] = {
    # C, Am7, Fmaj7, G
    "calm": ((48, (60, 64, 67)), (45, (60, 64, 67)), (41, (60, 64, 69)), (43, (59, 62, 67))),
    # C, G/B, Am, F
    "joyful": ((48, (64, 67, 72)), (47, (62, 67, 71)), (45, (60, 64, 69)), (41, (60, 65, 69))),
    # Am, Fmaj7, Dm7, E
    "melancholy": ((45, (57, 60, 64)), (41, (57, 60, 64)), (38, (57, 60, 65)), (40, (56, 59, 64))),
    # Fmaj7 and G over one bass: the Lydian mode
    "dreamy": ((41, (60, 64, 69)), (41, (60, 64, 69)), (41, (59, 62, 67)), (41, (59, 62, 67))),
    # Dm, E flat over D, C sharp diminished over D
    "tense": ((38, (57, 62, 65)), (38, (57, 62, 65)), (38, (58, 63, 67)), (38, (58, 61, 64))),
}
MELODIES: Final[dict[str, Melody]] = {
    "calm": ((0, 79), (1, 76), (2, 72), (3, 76), (4, 81), (5, 76), (6, 74), (7, 71)),
    "joyful": (
        *((0, 76), (0.5, 79), (1, 84), (1.5, 79), (2, 74), (2.5, 79), (3, 83), (3.5, 79)),
        *((4, 72), (4.5, 76), (5, 81), (5.5, 76), (6, 77), (6.5, 81), (7, 84), (7.5, 79)),
    ),
    "melancholy": ((0, 76), (1.5, 74), (2, 72), (3, 69), (4, 77), (5.5, 76), (6, 71), (7, 68)),
    "dreamy": ((0, 81), (1, 88), (2, 84), (3, 91), (4, 83), (5, 86), (6, 79), (7, 86)),
    "tense": ((0, 81), (4, 82), (6, 79)),
}
LEVELS_DB: Final = {"calm": -20.5, "joyful": -19.5, "melancholy": -20.0, "dreamy": -20.5, "tense": -19.5}
"""Mean level of each mood."""

_SHAKER: Final = spectrum(14.2, 0.9)
_BRUSH: Final = spectrum(11.5, 2.0)
_CLAP: Final = spectrum(10.0, 1.3)
_TICK: Final = spectrum(12.5, 0.8)


@cache
def music(mood: str, tempo: str, beat: int) -> Loop:
    """The two bars of a mood; `beat` is the beat's length in control frames."""
    loop = Loop(beat)
    _WRITERS[mood](loop, tempo)
    return loop.levelled(LEVELS_DB[mood])


def kick(loop: Loop, at: float, gain: float) -> None:
    """A drum: a low tone that drops an octave in a moment, and a short thump of noise."""
    age = (np.arange(len(loop.tones)) - round(at * loop.beat)) % len(loop.tones)
    loop.tones[:, 0] += (gain * np.exp(-age / 11.0) * (age < 60)).astype(np.float32)
    loop.tones[:, 7] += (0.5 * gain * np.exp(-age / 4.0) * (age < 24)).astype(np.float32)
    loop.tones[:, 14] += (0.35 * gain * np.exp(-age / 1.6) * (age < 10)).astype(np.float32)
    loop.burst(at, spectrum(6.0, 2.5), 0.22 * gain, 0.014)


def _pads(loop: Loop, mood: str, bass: float, upper: float, fade: float) -> None:
    """The chords, held; `fade` in beats."""
    frames = round(fade * loop.beat)
    for index, (low, voices) in enumerate(CHORDS[mood]):
        at = index * CHORD_BEATS
        if bass:
            loop.hold(at, CHORD_BEATS, low, bass, WARM, fade=frames)
        for note in voices:
            loop.hold(at, CHORD_BEATS, note, upper, PAD, fade=frames)


def _eighths(loop: Loop, level: float, decay_s: float = 0.025) -> None:
    """A shaker: soft on the beat, louder between."""
    for eighth in range(2 * LOOP_BEATS):
        loop.burst(eighth / 2, _SHAKER, level * (1.0 if eighth % 2 else 0.45), decay_s)


def _calm(loop: Loop, tempo: str) -> None:
    """Warm pads, a piano that sings above a broken chord."""
    _pads(loop, "calm", 0.095, 0.042, 0.6)
    for index, (_, voices) in enumerate(CHORDS["calm"]):
        for step, voice in enumerate((0, 1, 2, 1)):
            loop.strike(index * CHORD_BEATS + step / 2, voices[voice], 0.05, PIANO)
    for at, note in MELODIES["calm"]:
        loop.strike(at, note, 0.125 if at % 2 == 0 else 0.095, PIANO)
    if tempo == "fast":
        _eighths(loop, 0.016)


def _joyful(loop: Loop, tempo: str) -> None:
    """A marimba's tune, a plucked off-beat, a bass that walks between root and fifth."""
    _pads(loop, "joyful", 0.0, 0.022, 0.3)
    for index, (low, voices) in enumerate(CHORDS["joyful"]):
        at = index * CHORD_BEATS
        loop.strike(at, low, 0.17, BASS)
        loop.strike(at + 1, low + 7 if low < 45 else low - 5, 0.13, BASS)
        for off in (0.5, 1.5):
            for note in voices:
                loop.strike(at + off, note, 0.06, PLUCK)
    for when, note in MELODIES["joyful"]:
        loop.strike(when, note, 0.16 if when % 1 == 0 else 0.12, MARIMBA)
    if tempo != "slow":
        _eighths(loop, 0.032)
    if tempo == "fast":
        for beat in range(LOOP_BEATS):
            if beat % 2:
                loop.burst(beat, _CLAP, 0.06, 0.03)
            else:
                kick(loop, beat, 0.2)


def _melancholy(loop: Loop, tempo: str) -> None:
    """Low strings that cross over slowly, a lonely piano."""
    frames = round(0.75 * loop.beat)
    for index, (low, voices) in enumerate(CHORDS["melancholy"]):
        at = index * CHORD_BEATS
        loop.hold(at, CHORD_BEATS, low, 0.11, WARM, fade=frames)
        for note in voices:
            loop.hold(at, CHORD_BEATS, note, 0.045, STRINGS, fade=frames)
    for when, note in MELODIES["melancholy"]:
        loop.strike(when, note, 0.15, PIANO)
    if tempo == "fast":
        for beat in range(1, LOOP_BEATS, 2):
            loop.burst(beat, _BRUSH, 0.02, 0.07)


def _dreamy(loop: Loop, tempo: str) -> None:
    """Clouds of pads over one bass, a music box far above."""
    _pads(loop, "dreamy", 0.09, 0.05, 0.95)
    for at in (0, 4):
        loop.hold(at, 3, 76 if at == 0 else 74, 0.035, FLUTE, fade=round(0.9 * loop.beat))
    for when, note in MELODIES["dreamy"]:
        loop.strike(when, note, 0.085, BELL)
        loop.strike(when + 0.5, note - 12, 0.045, BELL)
    if tempo == "fast":
        _eighths(loop, 0.012)


def _tense(loop: Loop, tempo: str) -> None:
    """A low pulse that does not stop, trembling strings, a ticking clock."""
    for eighth in range(2 * LOOP_BEATS):
        loop.strike(eighth / 2, 38, 0.16 if eighth % 2 == 0 else 0.09, PULSE)
    trembling = Loop(loop.beat)
    for index, (_, voices) in enumerate(CHORDS["tense"]):
        for note in voices:
            trembling.hold(index * CHORD_BEATS, CHORD_BEATS, note, 0.06, STRINGS, fade=round(0.25 * loop.beat))
    turn = 2 * np.pi * np.arange(len(loop.tones)) / (loop.beat / 4)
    loop.tones[:] += trembling.tones * (0.7 + 0.3 * np.cos(turn)).astype(np.float32)[:, None]
    for at, note in MELODIES["tense"]:
        loop.strike(at, note, 0.07, BELL)
    for beat in range(LOOP_BEATS):
        loop.burst(beat, _TICK, 0.035, 0.012)
        if tempo != "slow":
            loop.burst(beat + 0.5, _TICK, 0.018, 0.012)
    for at in (0.0, 4.0) if tempo != "fast" else (0.0, 1.5, 3.0, 4.0, 5.5, 7.0):
        kick(loop, at, 0.16)


_WRITERS: Final[dict[str, Callable[[Loop, str], None]]] = {
    "calm": _calm,
    "joyful": _joyful,
    "melancholy": _melancholy,
    "dreamy": _dreamy,
    "tense": _tense,
}
