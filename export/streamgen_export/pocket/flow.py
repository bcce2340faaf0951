"""Flow matching for clips of chunks: what is noised how far, what the loss weighs, and a plain sampler for checks.

x_t = (1 - s) x_0 + s eps and the model predicts eps - x_0 (Lipman et al. 2022). Every chunk has a noise level of
its own; its past is the clean clip, lightly noised (context noise), as it will be when streaming.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.transformer import JointTransformer

CONTEXT_NOISE = 0.25
"""Highest noise level of the past in training."""
SUBJECT_WEIGHT = 5.0
IMPACT_WEIGHT = 3.0
AUDIO_SHARE = 0.4
SINK_SHARE = 0.7
"""Share of the clips whose late chunks see the sink."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Weighted mean squared errors of the velocity."""

    video: Tensor
    audio: Tensor

    @property
    def total(self) -> Tensor:
        """What training minimises."""
        return self.video + AUDIO_SHARE * self.audio


def noised(x: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """(1 - s) x + s eps, sigma [B, C] spread over the other axes."""
    s = sigma.view(*sigma.shape, *[1] * (x.dim() - sigma.dim()))
    return (1 - s) * x + s * noise


def draw_sigma(shape: tuple[int, int], generator: torch.Generator | None = None) -> Tensor:
    """Noise levels of targets: logit-normal, leaning to the noisy side, where a few-step sampler decides most."""
    return torch.sigmoid(1.2 * torch.randn(shape, generator=generator) + 0.4)


def losses(
    model: JointTransformer, batch: Batch, channel_weight: Tensor, past: tuple[Tensor, Tensor] | None = None
) -> Losses:
    """The flow loss of a batch.

    Args:
        model: predicts velocities.
        batch: clean clips.
        channel_weight: [48], how much each video channel matters in the picture.
        past: what the chunks see as their past instead of the clean clip: the model's own predictions, to
            get used to them.
    """
    b, c = batch.video.shape[:2]
    context = torch.rand(b, c) * CONTEXT_NOISE
    target = draw_sigma((b, c))
    sigma = torch.stack((context, target), dim=-1)
    eps_v, eps_a = torch.randn_like(batch.video), torch.randn_like(batch.audio)
    seen_v, seen_a = past if past is not None else (batch.video, batch.audio)
    clean = (noised(seen_v, torch.randn_like(seen_v), context), noised(seen_a, torch.randn_like(seen_a), context))
    noisy = (noised(batch.video, eps_v, target), noised(batch.audio, eps_a, target))
    with torch.autocast("cpu", torch.bfloat16):
        v, a = model.train_forward(clean, noisy, sigma, batch.text, torch.rand(b) < SINK_SHARE)
    weight = (1 + SUBJECT_WEIGHT * batch.cells)[:, :, None] * channel_weight[:, None, None]
    error_v = (v.float() - (eps_v - batch.video)).square() * weight
    error_a = (a.float() - (eps_a - batch.audio)).square() * (1 + IMPACT_WEIGHT * batch.impacts)[:, :, None]
    return Losses(error_v.mean() / weight.mean(), error_a.mean())


@torch.no_grad()
def own_predictions(model: JointTransformer, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the model makes of each chunk in one step from a strongly noised copy: a past with its own errors."""
    b, c = batch.video.shape[:2]
    context = torch.rand(b, c) * CONTEXT_NOISE
    target = 0.35 + 0.5 * torch.rand(b, c)
    sigma = torch.stack((context, target), dim=-1)
    eps_v, eps_a = torch.randn_like(batch.video), torch.randn_like(batch.audio)
    clean = (
        noised(batch.video, torch.randn_like(eps_v), context),
        noised(batch.audio, torch.randn_like(eps_a), context),
    )
    noisy_v, noisy_a = noised(batch.video, eps_v, target), noised(batch.audio, eps_a, target)
    with torch.autocast("cpu", torch.bfloat16):
        v, a = model.train_forward(clean, (noisy_v, noisy_a), sigma, batch.text, torch.rand(b) < SINK_SHARE)
    s = target[:, :, None, None]
    return noisy_v - s[..., None] * v.float(), noisy_a - s * a.float()
