"""Tables of controls that repeat every two bars: the paper on which music and patterned ambience are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.synth import BANDS, FIRST_NOTE, HOP, NOTES
from streamgen_export.pocket.scenes.world import SAMPLES_PER_CHUNK

FRAMES_PER_CHUNK: Final = SAMPLES_PER_CHUNK // HOP
FRAME_RATE_HZ: Final = 100
Curve = NDArray[np.float64]
"""A value per control frame: float64 [F]."""

EIGHTH: Final = FRAMES_PER_CHUNK
"""Control frames of an eighth note: one chunk."""
BEAT: Final = 2 * EIGHTH
BAR: Final = 3 * BEAT
LOOP: Final = 2 * BAR
"""Control frames after which everything written repeats: 3.84 s."""

_BRIGHT_NOTE = 60  # strings shorter than this one die away sooner
_SILENT = 1e-4


@dataclass(frozen=True)
class Timbre:
    """An instrument: partials on the 12-tone grid, as (semitones above the note, gain, decay relative to the note)."""

    partials: tuple[tuple[int, float, float], ...]
    decay_s: float = 0.0
    """Time after which a struck note at middle C has fallen to 1/e."""


PAD: Final = Timbre(((0, 1.0, 1.0), (12, 0.32, 1.0), (19, 0.12, 1.0), (24, 0.06, 1.0)))
WARM: Final = Timbre(((0, 1.0, 1.0), (12, 0.14, 1.0)))
BASS: Final = Timbre(((0, 1.0, 1.0), (12, 0.5, 0.8), (19, 0.2, 0.6), (24, 0.1, 0.5)), 0.7)
PULSE: Final = Timbre(((0, 1.0, 1.0), (12, 0.6, 0.8), (19, 0.3, 0.6), (24, 0.15, 0.5)), 0.35)
PIANO: Final = Timbre(((0, 1.0, 1.0), (12, 0.4, 0.6), (19, 0.16, 0.4), (24, 0.08, 0.3)), 0.75)
PLUCK: Final = Timbre(((0, 1.0, 1.0), (12, 0.5, 0.6), (19, 0.22, 0.5), (24, 0.14, 0.4), (28, 0.06, 0.35)), 0.35)
BELL: Final = Timbre(((0, 1.0, 1.0), (12, 0.3, 0.5), (19, 0.22, 0.35), (28, 0.1, 0.25)), 1.1)
FLUTE: Final = Timbre(((0, 1.0, 1.0),))


def spectrum(centre: float, width: float) -> NDArray[np.float32]:
    """A hump over the noise bands whose RMS over all bands is 1: float32 [16]; both arguments count bands."""
    bands = np.exp(-0.5 * ((np.arange(BANDS) - centre) / width) ** 2)
    scaled: NDArray[np.float32] = (bands / np.sqrt((bands**2).sum())).astype(np.float32)
    return scaled


def struck(timbre: Timbre, note: int, age: NDArray[np.float64]) -> NDArray[np.float32]:
    """Amplitudes of a note hit at age 0: float64 [F] ages in frames -> float32 [F, 73]; negative ages are silent."""
    tones = np.zeros((len(age), NOTES), np.float32)
    for interval, gain, relative in timbre.partials:
        index = note + interval - FIRST_NOTE
        if 0 <= index < NOTES:
            frames = timbre.decay_s * relative * FRAME_RATE_HZ * 2 ** (min(0, _BRIGHT_NOTE - note) / 24)
            fall = np.where(age >= 0, gain * np.exp(-np.maximum(age, 0) / frames), 0.0)
            tones[:, index] += np.where(fall < _SILENT, 0.0, fall).astype(np.float32)
    return tones


@dataclass(frozen=True)
class Loop:
    """Controls of two bars. Whatever is written near the end rings on at the beginning.

    Attributes:
        tones: float32 [384, 73].
        noise: float32 [384, 16].
    """

    tones: NDArray[np.float32] = field(default_factory=lambda: np.zeros((LOOP, NOTES), np.float32))
    noise: NDArray[np.float32] = field(default_factory=lambda: np.zeros((LOOP, BANDS), np.float32))

    def strike(self, start: int, note: int, gain: float, timbre: Timbre) -> None:
        """Writes a struck or plucked note at frame `start`."""
        age = ((np.arange(LOOP) - start) % LOOP).astype(np.float64)
        self.tones[:] += gain * struck(timbre, note, age)

    def hold(self, start: int, length: int, note: int, gain: float, timbre: Timbre, *, fade: int = 40) -> None:
        """Writes a note that rises during `fade` frames, stays, and falls during `fade` frames after `length`."""
        age = (np.arange(LOOP) - start) % LOOP
        rise = np.clip((age + 1) / fade, 0, 1)
        fall = np.clip((length + fade - age) / fade, 0, 1)
        envelope = (np.sin(np.minimum(rise, fall) * np.pi / 2) ** 2).astype(np.float32)
        for interval, partial, _ in timbre.partials:
            index = note + interval - FIRST_NOTE
            if 0 <= index < NOTES:
                self.tones[:, index] += gain * partial * envelope

    def burst(self, start: int, shape: NDArray[np.float32], level: float, decay_s: float) -> None:
        """Writes a burst of noise at frame `start` that falls to 1/e after `decay_s`."""
        age = (np.arange(LOOP) - start) % LOOP
        envelope = level * np.exp(-age / (decay_s * FRAME_RATE_HZ))
        envelope[envelope < _SILENT] = 0.0
        self.noise[:] += (envelope[:, None] * shape).astype(np.float32)

    def sealed(self) -> Loop:
        """This loop, no longer writable."""
        self.tones.setflags(write=False)
        self.noise.setflags(write=False)
        return self
