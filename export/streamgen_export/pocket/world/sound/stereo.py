"""Controls to stereo samples: the synthesiser, its tones and its noise each panned by the balance.

A side's gain is sqrt(2) cos or sin of (balance + 1) pi / 4 at the end of each control frame, and a straight line
between: 1 on both sides for what is in the middle, the same power wherever a sound is. The only state is the gain at
the end of the last frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.sound.controls import NOISE, TONES, Controls
from streamgen_export.pocket.world.sound.synth import CHANNELS, HOP, Synth


def side_gains(balance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Equal-power gains of the left and the right side: float32 [...] -> float32 [..., 2]."""
    angle = (balance + np.float32(1.0)) * np.float32(np.pi / 4)
    gains: NDArray[np.float32] = np.float32(np.sqrt(2)) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return gains


class StereoSynth(Synth):
    """The synthesiser with a balance; calls in sequence continue one another without a joint."""

    def reset(self) -> None:
        """Start over, with everything in the middle."""
        super().reset()
        self._before = np.ones((2, CHANNELS), np.float32)
        self._gains = np.ones((2, CHANNELS, 0), np.float32)

    def play(self, controls: Controls, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Render the next F control frames: standard normal noise [2, F * 240] -> float32 [2, F * 240]."""
        gains = side_gains(controls.balance)  # [F, tones and noise, sides]
        starts = np.concatenate([self._before[None], gains])[:-1]
        weights = np.arange(1, HOP + 1, dtype=np.float32) / np.float32(HOP)
        ramps = starts[..., None] + (gains - starts)[..., None] * weights  # [F, 2, sides, 240]
        self._gains = ramps.transpose(1, 2, 0, 3).reshape(2, CHANNELS, -1)
        if len(gains):
            self._before = gains[-1].copy()
        return self.render(controls.tones, controls.noise, noise)

    def _oscillators(self, amplitudes: NDArray[np.float32]) -> NDArray[np.float32]:
        panned: NDArray[np.float32] = self._gains[TONES] * super()._oscillators(amplitudes)
        return panned

    def _noise(self, levels: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        panned: NDArray[np.float32] = self._gains[NOISE] * super()._noise(levels, noise)
        return panned


def stereo(controls: Controls, seed: int) -> NDArray[np.float32]:
    """The samples of whole controls, from silence: float32 [2, F * 240], within -1 to 1; the noise is the seed's."""
    rng = np.random.default_rng([seed, 0x5EED])
    noise = rng.standard_normal((CHANNELS, len(controls.tones) * HOP), dtype=np.float32)
    return StereoSynth().play(controls, noise)
