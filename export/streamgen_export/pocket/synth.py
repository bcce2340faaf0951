"""The synthesiser of `world.sound` as a torch module with carried states, so that it exports into the decoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.world.sound.synth import BANDS, HOP, NOTES, TAPS, filter_bank, note_frequencies, pan


def side_gains(balance: Tensor) -> Tensor:
    """Equal-power gains of the left and the right side, 1 in the middle: [...] in -1 to 1 -> [..., 2]."""
    angle = (balance + 1) * (math.pi / 4)
    return math.sqrt(2) * torch.stack((torch.cos(angle), torch.sin(angle)), dim=-1)


class Synthesiser(nn.Module):
    """One chunk of control frames to stereo samples; same arithmetic as the numpy reference.

    The phase is carried in turns, modulo one, so it stays exact for hours.
    """

    at_frame: Tensor
    within: Tensor
    turn: Tensor
    weights: Tensor
    gains: Tensor
    filters: Tensor

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        cycles = note_frequencies() / config.sample_rate
        at_frame = np.mod(cycles[:, None] * HOP * np.arange(config.control_frames), 1.0)
        tables = {
            "at_frame": at_frame[:, :, None],
            "within": np.mod(cycles[:, None] * np.arange(HOP), 1.0)[:, None, :],
            "turn": np.mod(cycles * config.samples_per_chunk, 1.0),
            "weights": np.arange(1, HOP + 1) / HOP,
            "gains": pan(),
            "filters": filter_bank()[:, None],
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(np.array(table, np.float32)), persistent=False)

    def forward(
        self, controls: Tensor, noise: Tensor, phase: Tensor, level: Tensor, tail: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Play one chunk.

        Args:
            controls: [F, K] at the end of each frame: amplitudes of tones and of noise bands, then the balances.
            noise: standard normal [2, F * HOP].
            phase: [73], turns.
            level: [K], the last controls.
            tail: [2, TAPS - 1], the last noise samples.

        Returns:
            samples [2, F * HOP] in [-1, 1], then the three new states.
        """
        starts = torch.cat((level[None], controls[:-1]))
        ramps = starts.T[:, :, None] * (1 - self.weights) + controls.T[:, :, None] * self.weights
        turns = phase[:, None, None] + self.at_frame + self.within
        waves = torch.sin(turns * (2 * math.pi)) * ramps[:NOTES]
        tones = self.gains @ waves.flatten(1)
        heard = torch.cat((tail, noise), dim=1)
        bands = F.conv1d(heard[:, None], self.filters)
        hiss = (bands * ramps[NOTES : NOTES + BANDS].flatten(1)).sum(1)
        # The gains run straight from frame to frame, as in `world.sound.stereo`, not the angle between them.
        sides = side_gains(torch.cat((level[None], controls))[:, NOTES + BANDS :]).permute(1, 2, 0)[..., None]
        moving = (sides[:, :, :-1] * (1 - self.weights) + sides[:, :, 1:] * self.weights).flatten(2)
        tones, hiss = tones * moving[0], hiss * moving[1]
        after = phase + self.turn
        return torch.tanh(tones + hiss), after - torch.floor(after), controls[-1], heard[:, -(TAPS - 1) :]

    @staticmethod
    def states(config: PocketConfig) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the carried states, in the order of `forward`."""
        return {"phase": (NOTES,), "level": (config.controls,), "noise_tail": (2, TAPS - 1)}
