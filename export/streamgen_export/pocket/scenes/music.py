"""Music of the moods: two chords in turn, one a bar, all in the family of C major and A minor.

A listener, or a model, that has heard the last bar knows the next one.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from streamgen_export.pocket.scenes.loops import BAR, BASS, BEAT, BELL, EIGHTH, PAD, PIANO, PLUCK, PULSE, WARM, Loop

CHORDS: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "calm": ((48, 60, 64, 67), (41, 60, 65, 69)),  # C, F
    "joyful": ((48, 64, 67, 72), (43, 62, 67, 71)),  # C, G
    "melancholy": ((45, 57, 60, 64), (40, 55, 59, 64)),  # Am, Em
    "dreamy": ((41, 60, 64, 72), (48, 59, 67, 71)),  # Fmaj7, Cmaj7
    "tense": ((38, 57, 62, 65), (38, 56, 62, 65)),  # Dm, D dim
}
"""Mood to its two chords as MIDI notes, the bass first."""

COLOUR_NOTES: Final[dict[str, int]] = {
    "red": 72,
    "orange": 74,
    "yellow": 76,
    "green": 79,
    "cyan": 81,
    "blue": 84,
    "purple": 86,
    "pink": 88,
    "white": 91,
}
"""Colour of the subject to the bell that sounds on the second beat of each bar: C major pentatonic."""


@cache
def music(mood: str) -> Loop:
    """The two bars of a mood."""
    loop = Loop()
    for bar, chord in enumerate(CHORDS[mood]):
        _WRITERS[mood](loop, bar * BAR, chord)
    return loop.sealed()


@cache
def colour_bell(colour: str) -> Loop:
    """The bell of a colour, once a bar."""
    loop = Loop()
    for bar in range(2):
        loop.strike(bar * BAR + BEAT, COLOUR_NOTES[colour], 0.06, BELL)
    return loop.sealed()


def _calm(loop: Loop, start: int, chord: tuple[int, ...]) -> None:
    bass, *upper = chord
    loop.hold(start, BAR, bass, 0.1, WARM, fade=50)
    for note in upper:
        loop.hold(start, BAR, note, 0.055, PAD, fade=50)
    loop.strike(start, upper[-1] + 12, 0.1, PIANO)
    loop.strike(start + 2 * BEAT, upper[1] + 12, 0.08, PIANO)


def _joyful(loop: Loop, start: int, chord: tuple[int, ...]) -> None:
    bass, *upper = chord
    loop.strike(start, bass, 0.15, BASS)
    for note in upper:
        loop.hold(start, BAR, note, 0.03, PAD, fade=20)
    for step, voice in enumerate((0, 1, 2, 3, 2, 1)):
        note = (*upper, upper[0] + 12)[voice]
        loop.strike(start + step * EIGHTH, note, 0.14 if step % 2 == 0 else 0.11, PLUCK)


def _melancholy(loop: Loop, start: int, chord: tuple[int, ...]) -> None:
    bass, *upper = chord
    loop.hold(start, BAR, bass, 0.11, WARM, fade=60)
    for note in upper:
        loop.hold(start, BAR, note, 0.06, WARM, fade=60)
    loop.strike(start, upper[1] + 12, 0.12, PIANO)


def _dreamy(loop: Loop, start: int, chord: tuple[int, ...]) -> None:
    bass, *upper = chord
    loop.hold(start, BAR - 40, bass, 0.11, WARM, fade=90)
    for note in upper:
        loop.hold(start, BAR - 40, note, 0.07, PAD, fade=90)
    loop.strike(start + BEAT, upper[1] + 24, 0.05, BELL)
    loop.strike(start + 2 * BEAT, upper[2] + 24, 0.04, BELL)


def _tense(loop: Loop, start: int, chord: tuple[int, ...]) -> None:
    bass, *upper = chord
    for beat in range(3):
        loop.strike(start + beat * BEAT, bass, 0.1, PULSE)
        loop.strike(start + beat * BEAT + EIGHTH, bass, 0.05, PULSE)
    for note in upper:
        loop.hold(start, BAR, note, 0.05, PAD, fade=40)


_WRITERS: Final = {
    "calm": _calm,
    "joyful": _joyful,
    "melancholy": _melancholy,
    "dreamy": _dreamy,
    "tense": _tense,
}
