"""Flow matching for clips of chunks: what is noised how far, what the loss weighs, and a plain sampler for checks.

x_t = (1 - s) x_0 + s eps and the model predicts eps - x_0 (Lipman et al. 2022). Every chunk has a noise level of
its own; its past is the clean clip, lightly noised (context noise), as it will be when streaming.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.precision import mixed
from streamgen_export.pocket.transformer import JointTransformer, Text

CONTEXT_NOISE = 0.25
"""Highest noise level of the past in training."""
SUBJECT_WEIGHT = 8.0
IMPACT_WEIGHT = 3.0
AUDIO_SHARE = 0.4
SINK_SHARE = 0.7
"""Share of the clips whose late chunks see the sink."""
BEGINNING_SHARE = 0.12
"""Share of the chunks at which a stream begins anew: the past is hidden, and only the text tells what to show."""
CHANGE_BEGINNING_SHARE = 0.5
"""The same for chunks whose caption differs from the one before: there the sampler may hide the past."""
STILL_SHARE = 0.1
"""Share of the clips whose first chunk is seen as a picture that stands still: a stream can start from a picture."""


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


def draw_sigma(
    shape: tuple[int, int], generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Noise levels of targets: logit-normal, leaning to the noisy side, where a few-step sampler decides most.

    What a picture shows is in its loudest channels, which can be told through much noise: hence so far to that side.
    The sampler asks at 1, 0.94, 0.83 and 0.63 and never lower, so little of the training lies below.
    """
    return torch.sigmoid(1.2 * torch.randn(shape, generator=generator, device=device) + 1.5)


def beginnings(text: Text, clips: int, chunks: int) -> Tensor:
    """The first chunk that each chunk of some clips may see, int64 [B, C]: random, often a change of caption."""
    device = text.bias.device
    told = torch.arange(clips * chunks, device=device) if text.index is None else text.index
    told = told.view(clips, chunks)
    changes = F.pad((told[:, 1:] != told[:, :-1]) & (told[:, 1:] > 0) & (told[:, :-1] > 0), (1, 0))
    chance = torch.where(changes, CHANGE_BEGINNING_SHARE, BEGINNING_SHARE)
    begins = torch.rand(clips, chunks, device=device) < chance
    first: Tensor = torch.where(begins, torch.arange(chunks, device=device), 0).cummax(dim=1).values
    return first


def _errors(batch: Batch, velocity: tuple[Tensor, Tensor], noise: tuple[Tensor, Tensor], channels: Tensor) -> Losses:
    """Weighted errors of predicted velocities; all of [B, C, ...]."""
    off = (velocity[0].float() - (noise[0] - batch.video), velocity[1].float() - (noise[1] - batch.audio))
    return weighted(batch, off, channels)


def weighted(batch: Batch, errors: tuple[Tensor, Tensor], channels: Tensor) -> Losses:
    """Mean squares of errors of velocities [B, C, ...], where subjects are and impacts sound more than elsewhere."""
    weight = (1 + SUBJECT_WEIGHT * batch.cells)[:, :, None] * channels[:, None, None]
    video = (errors[0].square() * weight).mean() / weight.mean()
    return Losses(video, (errors[1].square() * (1 + IMPACT_WEIGHT * batch.impacts)[:, :, None]).mean())


def losses(
    model: JointTransformer,
    batch: Batch,
    channel_weight: Tensor,
    start: Tensor,
    past: tuple[Tensor, Tensor] | None = None,
) -> Losses:
    """The flow loss of a batch.

    Args:
        model: predicts velocities.
        batch: clean clips.
        channel_weight: [Z], how much each video channel matters in the picture.
        start: see `JointTransformer.train_forward`.
        past: what the chunks see as their past instead of the clean clip: the model's own predictions, to
            get used to them.
    """
    b, c = batch.video.shape[:2]
    device = batch.video.device
    context = torch.rand(b, c, device=device) * CONTEXT_NOISE
    target = draw_sigma((b, c), device=device)
    sigma = torch.stack((context, target), dim=-1)
    eps_v, eps_a = torch.randn_like(batch.video), torch.randn_like(batch.audio)
    seen_v, seen_a = past if past is not None else _some_start_from_a_picture(batch)
    clean = (noised(seen_v, torch.randn_like(seen_v), context), noised(seen_a, torch.randn_like(seen_a), context))
    noisy = (noised(batch.video, eps_v, target), noised(batch.audio, eps_a, target))
    with mixed(device):
        sink = torch.rand(b, device=device) < SINK_SHARE
        velocity = model.train_forward(clean, noisy, sigma, batch.text, sink, start)
    return _errors(batch, velocity, (eps_v, eps_a), channel_weight)


def _some_start_from_a_picture(batch: Batch) -> tuple[Tensor, Tensor]:
    """The clips as their own past, in some of which the first chunk stands still in average sound."""
    stands = torch.rand(len(batch.video), device=batch.video.device) < STILL_SHARE
    first = torch.arange(batch.video.shape[1], device=stands.device) == 0
    there = (stands[:, None] & first)[:, :, None, None]
    video = torch.where(there[..., None], batch.still[:, None], batch.video)
    return video, torch.where(there, 0.0, batch.audio)


def alone_losses(model: JointTransformer, batch: Batch, channel_weight: Tensor) -> Losses:
    """The flow loss of chunks that see no past: about a third of the cost, and all about the text."""
    b, c = batch.video.shape[:2]
    target = draw_sigma((b, c), device=batch.video.device)
    eps_v, eps_a = torch.randn_like(batch.video), torch.randn_like(batch.audio)
    noisy = (noised(batch.video, eps_v, target).flatten(0, 1), noised(batch.audio, eps_a, target).flatten(0, 1))
    with mixed(batch.video.device):
        v, a = model.alone_forward(noisy, target.flatten(), batch.text)
    velocity = (v.unflatten(0, (b, c)), a.unflatten(0, (b, c)))
    return _errors(batch, velocity, (eps_v, eps_a), channel_weight)


@torch.no_grad()
def own_predictions(model: JointTransformer, batch: Batch, start: Tensor) -> tuple[Tensor, Tensor]:
    """What the model makes of each chunk in one step from a strongly noised copy: a past with its own errors."""
    b, c = batch.video.shape[:2]
    device = batch.video.device
    context = torch.rand(b, c, device=device) * CONTEXT_NOISE
    target = 0.35 + 0.5 * torch.rand(b, c, device=device)
    sigma = torch.stack((context, target), dim=-1)
    eps_v, eps_a = torch.randn_like(batch.video), torch.randn_like(batch.audio)
    clean = (
        noised(batch.video, torch.randn_like(eps_v), context),
        noised(batch.audio, torch.randn_like(eps_a), context),
    )
    noisy_v, noisy_a = noised(batch.video, eps_v, target), noised(batch.audio, eps_a, target)
    with mixed(device):
        sink = torch.rand(b, device=device) < SINK_SHARE
        # The plain function: compiling it a second time, without gradients, would not pay.
        v, a = type(model).train_forward(model, clean, (noisy_v, noisy_a), sigma, batch.text, sink, start)
    s = target[:, :, None, None]
    return noisy_v - s[..., None] * v.float(), noisy_a - s * a.float()
