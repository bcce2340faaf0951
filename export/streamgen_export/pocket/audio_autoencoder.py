"""The sound autoencoder: 25 latents a second for the controls of a synthesiser, and the way back, strictly causal.

The decoder does not make samples: it makes the controls of a harmonic-plus-noise synthesiser (DDSP, Engel et al.
2020, section 3), 73 oscillators on the equal-tempered grid and 16 bands of noise every 10 ms, which `synth.py`
turns into samples. Tone and noise stay clean at any size of the model.

Amplitudes span three orders of magnitude; both halves work on a compressed scale,
u = log(1 + a / FLOOR) / log(1 + 1 / FLOOR), which is 0 for silence and 1 for full scale. Balances are already on a
scale of -1 to 1.

Shapes: B batch, L latents, F = 4 L control frames of 10 ms, K = 91 controls (73 tones, 16 bands, then two balances).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.config import AMPLITUDES, BALANCES, FRAMES_PER_LATENT, PocketConfig

WIDTH = 224
REACH = 2
"""Latents back that one causal convolution sees."""
FLOOR = 1.0e-3
_SPAN = math.log1p(1 / FLOOR)


def compress(amplitude: Tensor) -> Tensor:
    """Amplitude >= 0 to the compressed scale."""
    return torch.log1p(amplitude / FLOOR) / _SPAN


def expand(u: Tensor) -> Tensor:
    """The inverse of `compress`; what is below zero is silence."""
    return torch.expm1(u.clamp(min=0) * _SPAN) * FLOOR


def scaled(controls: Tensor) -> Tensor:
    """Controls [..., K] with their amplitudes compressed, their balances as they are."""
    amplitudes, balances = controls.split((AMPLITUDES, BALANCES), dim=-1)
    return torch.cat((compress(amplitudes), balances), dim=-1)


def unscaled(u: Tensor) -> Tensor:
    """The inverse of `scaled`; a balance beyond a side stays on that side."""
    amplitudes, balances = u.split((AMPLITUDES, BALANCES), dim=-1)
    return torch.cat((expand(amplitudes), balances.clamp(-1, 1)), dim=-1)


class CausalConv(nn.Module):
    """Convolution over latents that sees this one and `REACH` before; one matrix product, so it quantises as such."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inward * (REACH + 1), outward)

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, L, inward] after `before` [B, REACH, inward] -> [B, L, outward] and what to carry."""
        joined = torch.cat((before, x), dim=1)
        length = x.shape[1]
        taps = torch.cat([joined[:, tap : tap + length] for tap in range(REACH + 1)], dim=2)
        return self.linear(taps), joined[:, -REACH:]


class AudioEncoder(nn.Module):
    """Scaled controls [B, F, K] -> latents [B, 16, L]; causal, from silence."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.stem = nn.Linear(config.controls * FRAMES_PER_LATENT, 320)
        self.mix = CausalConv(320, 320)
        self.out = nn.Linear(320, config.audio_channels)

    def forward(self, u: Tensor) -> Tensor:
        """Encode; see the class."""
        x = F.silu(self.stem(u.unflatten(1, (-1, FRAMES_PER_LATENT)).flatten(2)))
        y, _ = self.mix(x, x.new_zeros(x.shape[0], REACH, x.shape[2]))
        latents: Tensor = self.out(x + F.silu(y))
        return latents.transpose(1, 2)


class AudioDecoder(nn.Module):
    """Latents [B, 16, L] and two carried states -> scaled controls [B, F, K] and the new states."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.stem = CausalConv(config.audio_channels, WIDTH)
        self.mix = CausalConv(WIDTH, WIDTH)
        self.wide = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, config.controls * FRAMES_PER_LATENT)

    def forward(self, latents: Tensor, before: Tensor, inner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """before [B, REACH, 16], inner [B, REACH, WIDTH]: zeros at the start."""
        x, before = self.stem(latents.transpose(1, 2), before)
        x = F.silu(x)
        y, inner = self.mix(x, inner)
        h = x + F.silu(y)
        h = h + F.silu(self.wide(h))
        return self.out(h).unflatten(2, (FRAMES_PER_LATENT, -1)).flatten(1, 2), before, inner

    def start(self, batch: int) -> tuple[Tensor, Tensor]:
        """The states before the first latent."""
        weight = self.wide.weight
        channels = self.stem.linear.in_features // (REACH + 1)
        return weight.new_zeros(batch, REACH, channels), weight.new_zeros(batch, REACH, WIDTH)


def control_loss(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Distance of scaled controls [B, F, K], heavier where there is sound or it comes from a side; weight [B, F].

    Most controls are silent most of the time; without the extra weight the best answer would be a quiet blur.
    """
    error = (made - true).abs()
    heavy = 1.0 + 4.0 * (true.abs() > 0.05)
    onset = (made.diff(dim=1) - true.diff(dim=1)).abs()
    return (error * heavy * weight[..., None]).mean() + 0.5 * (onset * heavy[:, 1:] * weight[:, 1:, None]).mean()
