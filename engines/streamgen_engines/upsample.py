"""Sound at a whole multiple of its sample rate, block by block and without a seam: exact counts, bounded state.

Zeros are put between the samples and taken out again as images of the spectrum by a low-pass filter, in its polyphase
form (Crochiere and Rabiner 1983, "Multirate Digital Signal Processing", section 2.4). The filter is a sinc under a
Kaiser window and looks `DELAY` samples ahead; being causal, it gives everything that much later.
"""

from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array

DELAY: Final = 16
"""Samples of the old rate by which sound comes out later: 0.7 ms at 24 kHz."""
_KAISER_BETA: Final = 8.0  # images are 80 dB down
_CUTOFF: Final = 0.92  # of the old Nyquist frequency, so that the images beyond it are gone


class Upsampler:
    """Raises the rate of one stream. One thread at a time calls it.

    Args:
        ratio: new rate over old rate; 1 passes the sound on as it is, without delay.
        channels: of the sound.
    """

    def __init__(self, ratio: int, channels: int) -> None:
        self._ratio = ratio
        span = 2 * DELAY * ratio
        places = np.arange(span + 1) - span // 2
        low_pass = _CUTOFF * np.sinc(_CUTOFF * places / ratio) * np.kaiser(span + 1, _KAISER_BETA)
        # [ratio, taps]: the coefficients that one phase of the output needs, newest sample last.
        phases = np.concatenate([low_pass, np.zeros(ratio - 1)]).reshape(-1, ratio).T[:, ::-1]
        self._phases = (phases / phases.sum(axis=1, keepdims=True)).astype(np.float32)
        self._past = np.zeros((channels, phases.shape[1] - 1), np.float32)

    def __call__(self, samples: Float32Array) -> Float32Array:
        """Float32 `[channels, n]` -> float32 `[channels, ratio * n]`, the next of the stream."""
        if self._ratio == 1:
            return samples
        heard = np.concatenate([self._past, samples], axis=1)
        self._past = heard[:, heard.shape[1] - self._past.shape[1] :].copy()
        windows = np.lib.stride_tricks.sliding_window_view(heard, self._phases.shape[1], axis=1)
        made: Float32Array = (windows @ self._phases.T).reshape(samples.shape[0], -1)
        return made

    def reset(self) -> None:
        """Begin anew, from silence."""
        self._past[:] = 0
