"""Controls of the synthesiser, and the desk on which everything that sounds at once is mixed into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.sound.synth import BANDS, FIRST_NOTE, NOTES

if TYPE_CHECKING:
    from streamgen_export.pocket.world.sound.loops import Loop

Curve: TypeAlias = NDArray[np.floating[Any]]
"""A value per control frame: [F]."""

TONES: Final = 0
NOISE: Final = 1
_QUIET: Final = 0.004
"""Amplitude at which what sounds is half way to the middle: what dies away must not jump when it is gone."""

_CEILING: Final = np.float32(1.3)
"""Amplitude before the synthesiser's tanh that its samples should hardly ever pass: tanh(1.3) is 0.86."""


@dataclass(frozen=True, eq=False)
class Controls:
    """What the synthesiser plays, every 10 ms.

    Attributes:
        tones: amplitude of the oscillator of each MIDI note from 36 on, float32 [F, 73].
        noise: RMS of each noise band, float32 [F, 16].
        balance: where the tones and where the noise come from, -1 left to 1 right, float32 [F, 2]; 0 where it is
            silent and for what comes from all around.
    """

    tones: NDArray[np.float32]
    noise: NDArray[np.float32]
    balance: NDArray[np.float32]


class Mix:
    """What sounds together in a stretch of control frames.

    Attributes:
        tones: float32 [F, 73].
        noise: float32 [F, 16].
        loud: amplitudes of all sources added up, of tones and of noise, float32 [F, 2].
        aside: the same, each times the balance of its source, float32 [F, 2].
    """

    def __init__(self, frames: int) -> None:
        self.tones = np.zeros((frames, NOTES), np.float32)
        self.noise = np.zeros((frames, BANDS), np.float32)
        self.loud = np.zeros((frames, 2), np.float32)
        self.aside = np.zeros((frames, 2), np.float32)

    def add_chord(self, chord: tuple[tuple[int, float], ...], level: Curve, balance: Curve | float = 0.0) -> None:
        """Add (MIDI note, amplitude) pairs whose amplitude follows `level` [F]."""
        level = level.astype(np.float32)
        for note, gain in chord:
            self.tones[:, note - FIRST_NOTE] += np.float32(gain) * level
        self._place(TONES, float(np.hypot.reduce([gain for _, gain in chord])) * level, balance)

    def add_noise(self, shape: NDArray[np.float32], level: Curve, balance: Curve | float = 0.0) -> None:
        """Add noise of spectrum `shape` [16], of RMS 1, whose RMS follows `level` [F]."""
        level = level.astype(np.float32)
        self.noise += level[:, None] * shape
        self._place(NOISE, level, balance)

    def add_loop(self, loop: Loop, at: NDArray[np.int64], gain: float = 1.0, balance: Curve | None = None) -> None:
        """Add the frames `at` [F] of a loop, from its own places or all from `balance` [F]."""
        scale = np.float32(gain)
        self.tones += scale * loop.tones[at]
        self.noise += scale * loop.noise[at]
        loud = scale * loop.loud[at]
        self.loud += loud
        self.aside += scale * loop.aside[at] if balance is None else loud * balance.astype(np.float32)[:, None]

    def add_once(self, sound: Loop, frame: int, gain: float, balance: float) -> None:
        """Add a sound that starts in `frame`, cut off at the end of this mix."""
        here = slice(frame, frame + len(sound.tones))
        count = len(self.tones[here])
        self.tones[here] += np.float32(gain) * sound.tones[:count]
        self.noise[here] += np.float32(gain) * sound.noise[:count]
        loud = np.float32(gain) * sound.loud[:count]
        self.loud[here] += loud
        self.aside[here] += np.float32(balance) * loud

    def add_mix(self, other: Mix, start: int, weight: NDArray[np.float32]) -> None:
        """Add another mix from frame `start` on, faded by `weight` [F, 1]."""
        here = slice(start, start + len(other.tones))
        self.tones[here] += weight * other.tones
        self.noise[here] += weight * other.noise
        self.loud[here] += weight * other.loud
        self.aside[here] += weight * other.aside

    def scale(self, gain: float) -> None:
        """Make everything that is here so far louder or softer."""
        for array in (self.tones, self.noise, self.loud, self.aside):
            array *= np.float32(gain)

    def limit(self) -> None:
        """Make the few frames softer in which a chance meeting of loud sounds would clip."""
        crest = 0.75 * self.tones.sum(axis=1) + 3.3 * np.sqrt((self.noise**2).sum(axis=1))
        gain = (_CEILING / np.maximum(crest, _CEILING))[:, None]
        for array in (self.tones, self.noise, self.loud, self.aside):
            array *= gain

    def controls(self) -> Controls:
        """What the synthesiser plays: the balance is the mean over all sources, weighted by their amplitudes."""
        return Controls(self.tones, self.noise, self.aside / (self.loud + np.float32(_QUIET)))

    def _place(self, kind: int, amplitude: NDArray[np.float32], balance: Curve | float) -> None:
        self.loud[:, kind] += amplitude
        self.aside[:, kind] += amplitude * np.asarray(balance, np.float32)
