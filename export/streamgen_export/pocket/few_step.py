"""The few-step stage: a student that makes in one plain pass what its teacher makes in two guided ones.

Progressive distillation (Salimans and Ho 2022, section 3) of a teacher with classifier-free guidance (Meng et al. 2023,
section 3): from the clip noised to the beginning of one of the student's steps, the teacher walks to its end in its own
steps, guided, and the student learns the straight line between the two. It starts as a copy of the teacher, and
where a caption is dropped it goes on being the model without text, so guidance can still be turned up a little.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.flow import CONTEXT_NOISE, SINK_SHARE, Losses, noised, weighted
from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.precision import mixed
from streamgen_export.pocket.sampling import FEW_STEPS, GUIDED
from streamgen_export.pocket.train_transformer import TransformerTraining
from streamgen_export.pocket.transformer import JointTransformer, Text

Pair: TypeAlias = tuple[Tensor, Tensor]
"""Of video [B, C, Cv, h, w] and audio [B, C, Ca, L]."""
Velocity: TypeAlias = Callable[[Pair, Tensor, Text], Pair]
"""(noisy, sigma [B, C], text) -> velocity."""


class FewStepTraining(TransformerTraining):
    """The student in training, from the averaged weights of a trained transformer."""

    stage = "few_step"

    def __init__(
        self, config: PocketConfig, folder: Path, seed: int, device: str, teacher: JointTransformer, *, compiled: bool
    ) -> None:
        super().__init__(config, folder, seed, device, compiled=compiled)
        self.teacher = teacher.to(device).eval().requires_grad_(requires_grad=False)
        self.begin_with(self.teacher.state_dict())

    def loss(self, batch: Batch, channel_weight: Tensor, start: Tensor, past: Pair | None) -> Losses:
        """See `few_step_losses`."""
        return few_step_losses(self.model, self.teacher, batch, channel_weight, start, past)

    def errors(self, model: JointTransformer, clips: Batch, channel_weight: Tensor) -> dict[str, float]:
        """How far a student is from its teacher on held-out clips, and the teacher itself in the student's steps."""
        unbroken = torch.zeros(clips.video.shape[:2], dtype=torch.int64, device=self.device)
        found: dict[str, float] = {}
        for name, pupil in (("", model), ("_untaught", self.teacher)):
            torch.manual_seed(0)  # the same noise for both
            loss = few_step_losses(pupil, self.teacher, clips, channel_weight, unbroken)
            found |= {f"heldout_video{name}": loss.video.item(), f"heldout_audio{name}": loss.audio.item()}
        return found


def few_step_losses(
    student: JointTransformer,
    teacher: JointTransformer,
    batch: Batch,
    channel_weight: Tensor,
    start: Tensor,
    past: Pair | None = None,
) -> Losses:
    """How far the student's steps are from the teacher's guided ones.

    Args:
        student: learns.
        teacher: does not.
        batch: clean clips.
        channel_weight: [Z], how much each video channel matters in the picture.
        start: see `JointTransformer.train_forward`.
        past: what the chunks see as their past instead of the clean clip.
    """
    b, c = batch.video.shape[:2]
    device = batch.video.device
    context = torch.rand(b, c, device=device) * CONTEXT_NOISE
    seen = past if past is not None else (batch.video, batch.audio)
    clean = (noised(seen[0], torch.randn_like(seen[0]), context), noised(seen[1], torch.randn_like(seen[1]), context))
    sink = torch.rand(b, device=device) < SINK_SHARE

    def velocity(of: Callable[..., Pair]) -> Velocity:
        def run(x: Pair, sigma: Tensor, text: Text) -> Pair:
            with mixed(device):
                video, audio = of(clean, x, torch.stack((context, sigma), dim=-1), text, sink, start)
            return video.float(), audio.float()

        return run

    # A step of its own for each chunk.
    steps = torch.randint(len(FEW_STEPS.sigmas) - 1, (b, c), device=device)
    begin = torch.tensor(FEW_STEPS.sigmas, device=device)[steps]
    noise = (torch.randn_like(batch.video), torch.randn_like(batch.audio))
    noisy = (noised(batch.video, noise[0], begin), noised(batch.audio, noise[1], begin))
    with torch.no_grad():
        taught = walked(velocity(teacher.train_forward), noisy, steps, batch.text)
    made = velocity(student.train_forward)(noisy, begin, batch.text)
    return weighted(batch, (made[0] - taught[0], made[1] - taught[1]), channel_weight)


def walked(teacher: Velocity, noisy: Pair, steps: Tensor, text: Text) -> Pair:
    """The velocity that leads in one step to where the guided teacher comes in its own.

    Args:
        teacher: without guidance.
        noisy: where each chunk is.
        steps: int64 [B, C], which of the student's steps each chunk is to take.
        text: of the chunks.
    """
    assert text.index is not None, "a batch shares its texts"
    null = Text(text.context, text.bias, text.pooled, torch.zeros_like(text.index))
    own = torch.tensor(GUIDED.sigmas, device=steps.device)
    share = (len(GUIDED.sigmas) - 1) // (len(FEW_STEPS.sigmas) - 1)
    x = noisy
    for sub, after in pairwise(range(share + 1)):
        sigma, lower = own[steps * share + sub], own[steps * share + after]
        plain, told = teacher(x, sigma, null), teacher(x, sigma, text)
        v = [p + GUIDED.guidance * (t - p) for p, t in zip(plain, told, strict=True)]
        x = (x[0] + _spread(lower - sigma, x[0]) * v[0], x[1] + _spread(lower - sigma, x[1]) * v[1])
    length = own[steps * share + share] - own[steps * share]
    return (x[0] - noisy[0]) / _spread(length, x[0]), (x[1] - noisy[1]) / _spread(length, x[1])


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """[B, C] over the other axes."""
    return values.view(*values.shape, *[1] * (like.dim() - values.dim()))
