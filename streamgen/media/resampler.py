"""Resampling to 48 kHz by a whole factor: one linear-phase filter with carried state.

Written here because a constant, exactly known delay and exactly `factor` samples out per sample in are what the time
stamps rest on; general resamplers hold back a varying number of samples.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen.errors import UnsupportedRateError
from streamgen.packets import AUDIO_CLOCK_HZ

_HALF_TAPS_PER_PHASE: Final = 24  # source samples on each side of an output sample
_KAISER_BETA: Final = 9.0  # about 90 dB of stop band
_CUTOFF: Final = 0.94  # of the source's Nyquist frequency


class Upsampler:
    """Raises the sample rate to 48 kHz; linear phase, strictly causal, state carried from call to call.

    Attributes:
        factor: samples out per sample in.
        delay: samples at 48 kHz by which the output lags behind the input.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        """Design the filter (windowed sinc, Kaiser window).

        Raises:
            UnsupportedRateError: 48 kHz is no whole multiple of `sample_rate`.
        """
        if sample_rate <= 0 or AUDIO_CLOCK_HZ % sample_rate:
            raise UnsupportedRateError(
                f"sound at {sample_rate} Hz cannot be carried exactly at {AUDIO_CLOCK_HZ} Hz; "
                f"use a bundle with 8000, 12000, 16000, 24000 or 48000 Hz"
            )
        self.factor = AUDIO_CLOCK_HZ // sample_rate
        if self.factor == 1:
            self.delay = 0
            self._phases = np.ones((1, 1), np.float32)
        else:
            half = _HALF_TAPS_PER_PHASE * self.factor
            self.delay = half
            n = np.arange(-half, half)
            taps = np.sinc(_CUTOFF * n / self.factor) * np.kaiser(2 * half + 1, _KAISER_BETA)[:-1]
            taps *= self.factor / taps.sum()
            # Row p holds the taps that make output sample p of each group of `factor`: h[p], h[p + factor], ...
            self._phases = taps.reshape(-1, self.factor).T.astype(np.float32)
        self._tail = np.zeros((channels, self._phases.shape[1] - 1), np.float32)

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 `[channels, S]`, return float32 `[channels, S * factor]`."""
        channels, count = samples.shape
        if channels != self._tail.shape[0]:
            raise ValueError(f"expected {self._tail.shape[0]} channels, got {channels}")
        if self.factor == 1:
            return samples.astype(np.float32)
        extended = np.concatenate([self._tail, samples.astype(np.float32, copy=False)], axis=1)
        self._tail = extended[:, extended.shape[1] - self._tail.shape[1] :]
        out = np.empty((channels, count, self.factor), np.float32)
        for channel in range(channels):
            for phase, taps in enumerate(self._phases):
                out[channel, :, phase] = np.convolve(extended[channel], taps, mode="valid")
        return out.reshape(channels, count * self.factor)
