"""How the judge's networks learn: one loop for all of them, what is asked of them, and what disturbs their sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

_WARM = 0.1
"""Share of the steps in which the rate rises."""


def fit(
    network: nn.Module, loss_of: Callable[[torch.Generator], Tensor], *, steps: int, seed: int, rate: float, title: str
) -> list[float]:
    """Trains in place with AdamW, a short rise of the rate and half a cosine down to zero; shows a progress bar.

    Args:
        network: what learns.
        loss_of: draws a batch with the generator and returns its loss.
        steps: number of batches.
        seed: of the draws.
        rate: highest learning rate.
        title: of the progress bar.

    Returns:
        the loss of each step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    losses: list[float] = []
    network.train()
    bar: tqdm[Any]
    with tqdm(total=steps, desc=title, unit="batch") as bar:
        for step in range(steps):
            warm, cool = min(1.0, (step + 1) / (_WARM * steps)), 0.5 * (1 + np.cos(np.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = rate * warm * cool
            loss = loss_of(generator)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
            bar.update()
    network.eval()
    return losses


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation in groups of channels and SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.GroupNorm(8, outputs), nn.SiLU()
    )


def pooled(x: Tensor) -> Tensor:
    """Mean and largest value of each channel over all places: [B, C, ...] -> [B, 2 C]."""
    flat = x.flatten(2)
    return torch.cat([flat.mean(dim=2), flat.amax(dim=2)], dim=1)


def cross_entropy(scores: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Sum over several questions of the mean loss of those that have an answer.

    Args:
        scores: per question, [B, classes].
        labels: int64 [B, questions]; -1 where there is no right answer.
    """
    loss = torch.zeros(())
    for score, target in zip(scores, labels.T, strict=True):
        if bool((target >= 0).any()):
            loss = loss + F.cross_entropy(score.float(), target, ignore_index=-1)
    return loss


def disturb(x: Tensor, generator: torch.Generator, widest: int = 2) -> Tensor:
    """Softness, noise and brightness, drawn anew for each batch, as decoded pictures have: float32 [B, C, h, w].

    Half of the batches are softened, by 2 or by `widest` pixels: what was made small has little softness left.
    """
    draw = torch.rand(2, generator=generator)
    if draw[0] < 0.5:
        soft = F.avg_pool2d(x, 2 if draw[0] < 0.25 else widest, ceil_mode=True)
        x = F.interpolate(soft, size=x.shape[2:], mode="bilinear", align_corners=False)
    gain = 1.0 + 0.3 * (torch.rand((len(x), 1, 1, 1), generator=generator) - 0.5)
    return x * gain + 0.06 * draw[1] * torch.randn(x.shape, generator=generator)
