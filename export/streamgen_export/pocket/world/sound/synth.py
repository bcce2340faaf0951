"""The reference synthesiser: oscillators on the 12-tone grid and bands of noise, streaming and strictly causal.

Harmonic-plus-noise synthesis after DDSP (Engel et al. 2020, sections 3.1 and 3.2), with oscillators at fixed pitches
instead of one fundamental and its harmonics. The exported audio decoder repeats this arithmetic, so it keeps to
sines, products, one convolution and tanh.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 24_000
HOP: Final = 240
"""Samples per control frame: 10 ms."""
FIRST_NOTE: Final = 36
NOTES: Final = 73
"""MIDI 36 (65.4 Hz) to 108 (4186 Hz)."""
BANDS: Final = 16
TAPS: Final = 255
CHANNELS: Final = 2
LOWEST_EDGE_HZ: Final = 60.0
HIGHEST_EDGE_HZ: Final = 12_000.0

_CENTRED_NOTE = 48  # up to here a note sounds in the middle
_WIDEST_NOTE = 84  # from here on it is spread as far as _WIDTH
_WIDTH = 0.7
_PAN_TURNS_PER_NOTE = 0.382  # golden section: neighbours and octaves land apart


@cache
def note_frequencies() -> NDArray[np.float64]:
    """Equal-tempered frequencies of the oscillators: float64 [73], Hz."""
    notes = FIRST_NOTE + np.arange(NOTES)
    frequencies: NDArray[np.float64] = 440.0 * 2.0 ** ((notes - 69) / 12)
    frequencies.setflags(write=False)
    return frequencies


@cache
def pan() -> NDArray[np.float32]:
    """Equal-power gains of each note in each channel: float32 [2, 73]; low notes are in the centre."""
    notes = FIRST_NOTE + np.arange(NOTES)
    spread = _WIDTH * np.clip((notes - _CENTRED_NOTE) / (_WIDEST_NOTE - _CENTRED_NOTE), 0.0, 1.0)
    position = spread * np.sin(2 * np.pi * _PAN_TURNS_PER_NOTE * notes)
    angle = (position + 1) * np.pi / 4
    gains: NDArray[np.float32] = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    gains.setflags(write=False)
    return gains


@cache
def band_edges() -> NDArray[np.float64]:
    """Edges of the noise bands, evenly spaced in log frequency: float64 [17], Hz."""
    edges: NDArray[np.float64] = LOWEST_EDGE_HZ * (HIGHEST_EDGE_HZ / LOWEST_EDGE_HZ) ** (np.arange(BANDS + 1) / BANDS)
    edges.setflags(write=False)
    return edges


@cache
def filter_bank() -> NDArray[np.float32]:
    """Impulse responses of the noise bands: float32 [16, 255].

    Windowed-sinc band passes (Hann), free of DC and scaled so that white noise of variance 1 leaves with RMS 1. With
    255 taps the lowest bands are wider than their edges say. They are symmetric, so convolution and correlation agree.
    """
    time = np.arange(TAPS) - (TAPS - 1) / 2
    window = np.hanning(TAPS + 2)[1:-1]
    edges = band_edges()[:, None] / SAMPLE_RATE_HZ
    low_passes = 2 * edges * np.sinc(2 * edges * time)
    taps = (low_passes[1:] - low_passes[:-1]) * window
    taps -= window * (taps.sum(axis=1, keepdims=True) / window.sum())
    taps /= np.sqrt((taps**2).sum(axis=1, keepdims=True))
    bank: NDArray[np.float32] = taps.astype(np.float32)
    bank.setflags(write=False)
    return bank


class Synth:
    """Turns control frames into stereo sound; calls in sequence continue one another without a joint.

    Attributes:
        frame: control frames rendered since the start or the last reset; the phases of the oscillators follow from it.
    """

    frame: int

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts over: phases at zero, silence before the first frame, an empty noise filter."""
        self.frame = 0
        self._tones = np.zeros(NOTES, np.float32)
        self._levels = np.zeros(BANDS, np.float32)
        self._tail = np.zeros((CHANNELS, TAPS - 1), np.float32)

    def render(
        self, tones: NDArray[np.float32], noise_levels: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Renders the next F control frames.

        Args:
            tones: amplitude of each oscillator at the end of each frame, float32 [F, 73].
            noise_levels: RMS of each noise band at the end of each frame, float32 [F, 16].
            noise: standard normal samples, float32 [2, F * 240].

        Returns:
            float32 [2, F * 240], within -1 to 1.

        Raises:
            ValueError: when the shapes do not belong together.
        """
        frames = len(tones)
        wanted = ((frames, NOTES), (frames, BANDS), (CHANNELS, frames * HOP))
        if (tones.shape, noise_levels.shape, noise.shape) != wanted:
            got = (tones.shape, noise_levels.shape, noise.shape)
            raise ValueError(f"tones, noise_levels and noise must have the shapes {wanted}, got {got}")
        amplitudes = _ramps(self._tones, tones)
        levels = _ramps(self._levels, noise_levels)
        mixed = self._oscillators(amplitudes) + self._noise(levels, noise)
        if frames:
            self._tones = tones[-1].copy()
            self._levels = noise_levels[-1].copy()
        self.frame += frames
        samples: NDArray[np.float32] = np.tanh(mixed)
        return samples

    def _oscillators(self, amplitudes: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [73, S] amplitudes -> float32 [2, S]."""
        sounding = np.flatnonzero(amplitudes.any(axis=1))
        cycles = note_frequencies()[sounding] / SAMPLE_RATE_HZ
        starts = self.frame + np.arange(amplitudes.shape[1] // HOP)
        # Whole frames and samples within a frame apart, each taken modulo one turn, so that hours stay exact.
        at_frame = np.mod(cycles[:, None] * HOP * starts, 1.0)
        within = np.mod(cycles[:, None] * np.arange(HOP), 1.0)
        phases = (2 * np.pi * (at_frame[:, :, None] + within[:, None, :])).astype(np.float32)
        waves = np.sin(phases).reshape(amplitudes[sounding].shape) * amplitudes[sounding]
        panned: NDArray[np.float32] = pan()[:, sounding] @ waves
        return panned

    def _noise(self, levels: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [16, S] levels, [2, S] standard normal -> float32 [2, S]."""
        samples = noise.shape[1]
        heard = np.concatenate([self._tail, noise], axis=1)
        self._tail = heard[:, samples:].copy()
        size = 1 << (heard.shape[1] + TAPS - 2).bit_length()
        spectra = np.fft.rfft(heard, size)
        mixed = np.zeros((CHANNELS, samples), np.float32)
        for band in np.flatnonzero(levels.any(axis=1)):
            response = np.fft.rfft(filter_bank()[band], size)
            filtered = np.fft.irfft(spectra * response, size)[:, TAPS - 1 : TAPS - 1 + samples]
            mixed += levels[band] * filtered.astype(np.float32)
        return mixed


def _ramps(before: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear ramps of 240 samples from each frame's value to the next: float32 [C], [F, C] -> float32 [C, F * 240]."""
    starts = np.concatenate([before[None], values])[:-1]
    weights = (np.arange(1, HOP + 1, dtype=np.float32) / HOP)[None, None, :]
    ramps = starts.T[:, :, None] * (1 - weights) + values.T[:, :, None] * weights
    return ramps.reshape(values.shape[1], -1).astype(np.float32, copy=False)
