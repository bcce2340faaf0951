"""How the judge's networks learn: the loop and the layers of the other judge, and what this one asks and disturbs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from streamgen_export.pocket.judge.learning import conv, fit, pooled

__all__ = ["conv", "cross_entropy", "disturb", "fit", "pooled"]


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
