"""Tables of controls that repeat every two bars: the paper on which music and patterned ambience are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.formats import CONTROL_RATE_HZ
from streamgen_export.pocket.world.sound.controls import NOISE, TONES, Curve
from streamgen_export.pocket.world.sound.synth import BANDS, FIRST_NOTE, NOTES
from streamgen_export.pocket.world.timeline import BEATS_PER_BAR

LOOP_BEATS: Final = 2 * BEATS_PER_BAR
"""Beats after which everything written repeats."""

_BRIGHT_NOTE: Final = 60  # strings shorter than this one die away sooner
_SILENT: Final = 3e-4
_RELEASE: Final = 0.94  # of a place's weight, from frame to frame after its sound: crackles must not swing to and fro


@dataclass(frozen=True)
class Timbre:
    """An instrument: partials on the 12-tone grid, as (semitones above the note, gain, decay relative to the note)."""

    partials: tuple[tuple[int, float, float], ...]
    decay_s: float = 0.0
    """Time after which a struck note at middle C has fallen to 1/e."""


PAD: Final = Timbre(((0, 1.0, 1.0), (12, 0.32, 1.0), (19, 0.12, 1.0), (24, 0.06, 1.0)))
WARM: Final = Timbre(((0, 1.0, 1.0), (12, 0.14, 1.0)))
STRINGS: Final = Timbre(((0, 1.0, 1.0), (12, 0.5, 1.0), (19, 0.26, 1.0), (24, 0.14, 1.0), (28, 0.07, 1.0)))
BASS: Final = Timbre(((0, 1.0, 1.0), (12, 0.5, 0.8), (19, 0.2, 0.6), (24, 0.1, 0.5)), 0.8)
PULSE: Final = Timbre(((0, 1.0, 1.0), (12, 0.6, 0.8), (19, 0.3, 0.6), (24, 0.15, 0.5)), 0.3)
PIANO: Final = Timbre(((0, 1.0, 1.0), (12, 0.4, 0.6), (19, 0.16, 0.4), (24, 0.08, 0.3)), 0.85)
PLUCK: Final = Timbre(((0, 1.0, 1.0), (12, 0.5, 0.6), (19, 0.22, 0.5), (24, 0.14, 0.4), (28, 0.06, 0.35)), 0.34)
MARIMBA: Final = Timbre(((0, 1.0, 1.0), (24, 0.3, 0.4), (28, 0.08, 0.25)), 0.4)
BELL: Final = Timbre(((0, 1.0, 1.0), (12, 0.3, 0.5), (19, 0.22, 0.35), (28, 0.1, 0.25)), 1.2)
FLUTE: Final = Timbre(((0, 1.0, 1.0), (12, 0.1, 1.0)))
PURE: Final = Timbre(((0, 1.0, 1.0),))


def spectrum(centre: float, width: float) -> NDArray[np.float32]:
    """A hump over the noise bands whose RMS over all bands is 1: float32 [16]; both arguments count bands.

    Band 4 is at 270 Hz, 8 at 1 kHz, 12 at 3.8 kHz; 2.1 bands are an octave.
    """
    bands = np.exp(-0.5 * ((np.arange(BANDS) - centre) / width) ** 2)
    bands[bands < 0.02] = 0.0
    scaled: NDArray[np.float32] = (bands / np.sqrt((bands**2).sum())).astype(np.float32)
    return scaled


class Loop:
    """Controls that repeat, or one sound that is played once. What is written near the end rings on at the start.

    Attributes:
        beat: frames of a beat; times are given in beats, lengths of envelopes in frames of 10 ms.
        tones: float32 [F, 73].
        noise: float32 [F, 16].
        loud, aside: see `Mix`; `loud` is filled by `sealed`.
    """

    def __init__(self, beat: int, beats: int = LOOP_BEATS) -> None:
        self.beat = beat
        frames = beat * beats
        self.tones = np.zeros((frames, NOTES), np.float32)
        self.noise = np.zeros((frames, BANDS), np.float32)
        self.loud = np.zeros((frames, 2), np.float32)
        self.aside = np.zeros((frames, 2), np.float32)
        self._written = np.zeros((frames, 2), np.float32)

    def strike(self, at: float, note: int, gain: float, timbre: Timbre, balance: float = 0.0) -> None:
        """Write a struck or plucked note on beat `at`."""
        age = self._age(at)
        for interval, partial, relative in timbre.partials:
            frames = timbre.decay_s * relative * CONTROL_RATE_HZ * 2 ** (min(0, _BRIGHT_NOTE - note) / 24)
            self._tone(note + interval, gain * partial * np.exp(-age / frames), balance)

    def hold(
        self,
        at: float,
        beats: float,
        note: int,
        gain: float,
        timbre: Timbre,
        *,
        fade: int,
        balance: float = 0.0,
    ) -> None:
        """Write a note that rises during `fade` frames, stays, and falls during `fade` frames after `beats`.

        Notes that follow one another cross over without a dip, so a note that two chords share just goes on.
        """
        envelope = self._swell(at, round(beats * self.beat), fade)
        for interval, partial, _ in timbre.partials:
            self._tone(note + interval, gain * partial * envelope, balance)

    def chirp(self, at: float, notes: tuple[int, ...], gain: float, *, step: int = 5, balance: float = 0.0) -> None:
        """Write a quick run of whistled notes, one every `step` frames; a rest is 0."""
        for place, note in enumerate(notes):
            if note:
                envelope = self._swell(at + place * step / self.beat, step, max(2, step // 2))
                self._tone(note, gain * envelope, balance)

    def burst(self, at: float, shape: NDArray[np.float32], level: float, decay_s: float, balance: float = 0.0) -> None:
        """Write a burst of noise on beat `at` that falls to 1/e after `decay_s`."""
        self._hiss(shape, level * np.exp(-self._age(at) / (decay_s * CONTROL_RATE_HZ)), balance)

    def breath(
        self, at: float, beats: float, shape: NDArray[np.float32], level: float, *, fade: int, balance: float = 0.0
    ) -> None:
        """Write noise that rises during `fade` frames, stays, and falls during `fade` frames after `beats`."""
        self._hiss(shape, level * self._swell(at, round(beats * self.beat), fade), balance)

    def levelled(self, level_db: float) -> Loop:
        """This loop at a mean level, in dB of full scale per side of the synthesiser's sound; no longer writable."""
        # Equal-power panning leaves a side half of a tone's power, which is half its amplitude squared.
        power = float(((self.tones**2).sum(axis=1) / 4 + (self.noise**2).sum(axis=1)).mean())
        scale = np.float32(10 ** (level_db / 20) / np.sqrt(power))
        self.tones *= scale
        self.noise *= scale
        return self.sealed()

    def sealed(self) -> Loop:
        """This loop, no longer writable."""
        self.loud[:, TONES] = np.sqrt((self.tones**2).sum(axis=1))
        self.loud[:, NOISE] = np.sqrt((self.noise**2).sum(axis=1))
        # What was written adds up to more than its RMS: its mean place stays, its weight becomes that RMS.
        self.aside *= self.loud / np.maximum(self._written, 1e-6)
        self.loud[:] = _followed(self.loud)
        self.aside[:] = _followed(np.maximum(self.aside, 0.0)) - _followed(np.maximum(-self.aside, 0.0))
        for array in (self.tones, self.noise, self.loud, self.aside):
            array.setflags(write=False)
        return self

    def _age(self, at: float) -> Curve:
        """Frames since beat `at`."""
        frames = len(self.tones)
        age: Curve = ((np.arange(frames) - round(at * self.beat)) % frames).astype(np.float64)
        return age

    def _swell(self, at: float, length: int, fade: int) -> Curve:
        age = self._age(at)
        rise = np.clip((age + 1) / fade, 0, 1)
        fall = np.clip((length + fade - age) / fade, 0, 1)
        envelope: Curve = np.sin(np.minimum(rise, fall) * np.pi / 2) ** 2
        return envelope

    def _tone(self, note: int, amplitude: Curve, balance: float) -> None:
        if FIRST_NOTE <= note < FIRST_NOTE + NOTES:
            heard = np.where(amplitude < _SILENT, 0.0, amplitude).astype(np.float32)
            self.tones[:, note - FIRST_NOTE] += heard
            self.aside[:, TONES] += np.float32(balance) * heard
            self._written[:, TONES] += heard

    def _hiss(self, shape: NDArray[np.float32], level: Curve, balance: float) -> None:
        heard = np.where(level < _SILENT, 0.0, level).astype(np.float32)
        self.noise += heard[:, None] * shape
        self.aside[:, NOISE] += np.float32(balance) * heard
        self._written[:, NOISE] += heard


def _followed(loud: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rises at once, falls slowly, from the end on into the start: float32 [F, 2] -> the same."""
    followed = loud.copy()
    for frame in range(1 - len(loud), len(loud)):
        np.maximum(loud[frame], _RELEASE * followed[frame - 1], out=followed[frame])
    return followed
