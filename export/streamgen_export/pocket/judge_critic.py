"""The judge's eye: a small network that names scene, subject and colour and says where the subject is.

It sees the four pictures of one chunk at half size. It is trained on renders only, softened and made noisy so that
it does not stumble over the softness of decoded pictures, and never on anything that a model generated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge_takes import JUDGED, Take
from streamgen_export.pocket.scenes.attributes import NONE, VOCABULARY, Attributes
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK

INPUT_SIZE: Final = (48, 80)
MASK_SIZE: Final = (24, 40)
_MASK_WEIGHT = 4.0
_BATCH = 32
_PEAK_RATE = 2e-3


def shrink(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures of any size to the critic's, by area: uint8 [T, H, W, 3] -> uint8 [T, 48, 80, 3]."""
    channels_first = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    small = F.interpolate(channels_first, size=INPUT_SIZE, mode="area")
    result: NDArray[np.uint8] = small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return result


def shrink_mask(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share of each cell that the subject covers: bool [T, H, W] -> float32 [T, 24, 40]."""
    cover = torch.from_numpy(np.ascontiguousarray(mask)).float()[:, None]
    result: NDArray[np.float32] = F.interpolate(cover, size=MASK_SIZE, mode="area")[:, 0].numpy()
    return result


@dataclass(frozen=True, eq=False)
class Examples:
    """Chunks to learn from.

    Attributes:
        pictures: uint8 [N, 4, 48, 80, 3].
        masks: float32 [N, 4, 24, 40].
        labels: int64 [N, 3], class of each of `JUDGED`; -1 where two subjects make it ambiguous.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.float32]
    labels: NDArray[np.int64]


def label(attributes: Attributes) -> list[int]:
    """Class numbers of the judged attributes, -1 for subject and colour when there are two subjects."""
    classes = [VOCABULARY[name].index(getattr(attributes, name)) for name in JUDGED]
    return classes if attributes.second == NONE else [classes[0], -1, -1]


def examples_of(takes: Sequence[Take], per_take: int, rng: np.random.Generator) -> Examples:
    """Some chunks of each rendered take, in random places."""
    pictures, masks, labels = [], [], []
    for take in takes:
        if take.mask is None:
            raise ValueError("only rendered takes have the mask that the critic learns from")
        for chunk in rng.permutation(take.chunks)[:per_take]:
            where = slice(int(chunk) * PICTURES_PER_CHUNK, (int(chunk) + 1) * PICTURES_PER_CHUNK)
            pictures.append(shrink(take.video[where]))
            masks.append(shrink_mask(take.mask[where]))
            labels.append(label(take.wanted[int(chunk)]))
    return Examples(np.stack(pictures), np.stack(masks), np.array(labels, dtype=np.int64))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.GroupNorm(8, outputs), nn.SiLU()
    )


class Critic(nn.Module):
    """Four pictures to class scores and a coarse mask of each picture. About 0.4 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_conv(3 * PICTURES_PER_CHUNK, 32, 5, 2), _conv(32, 48, 3))
        self.deep = nn.Sequential(_conv(48, 64, 3, 2), _conv(64, 96, 3, 2), _conv(96, 128, 3), _conv(128, 128, 3))
        self.heads = nn.ModuleList(nn.Linear(256, len(VOCABULARY[name])) for name in JUDGED)
        self.context = nn.Conv2d(128, 32, 1)
        self.detail = nn.Conv2d(48, 32, 1)
        self.mask = nn.Conv2d(32, PICTURES_PER_CHUNK, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Judges chunks.

        Args:
            x: float32 [B, 12, 48, 80], pictures after one another in the channels, values in [-1, 1].

        Returns:
            scores per judged attribute, float32 [B, classes] each, and mask scores float32 [B, 4, 24, 40].
        """
        fine = self.fine(x)
        deep = self.deep(fine)
        pooled = torch.cat([deep.mean(dim=(2, 3)), deep.amax(dim=(2, 3))], dim=1)
        spread = F.interpolate(self.context(deep), size=MASK_SIZE, mode="bilinear", align_corners=False)
        mask: Tensor = self.mask(F.silu(spread + self.detail(fine)))
        return [head(pooled) for head in self.heads], mask


def as_input(pictures: Tensor) -> Tensor:
    """uint8 [B, 4, 48, 80, 3] -> float32 [B, 12, 48, 80] in [-1, 1]."""
    x = pictures.float().permute(0, 1, 4, 2, 3).flatten(1, 2)
    return x / 127.5 - 1.0


def _disturb(x: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Softness, noise, brightness and mirroring, drawn anew for each batch."""
    draw = torch.rand(4, generator=generator)
    if draw[0] < 0.6:
        factor = 2 if draw[0] < 0.3 else 3
        soft = F.avg_pool2d(x, factor, ceil_mode=True)
        x = F.interpolate(soft, size=INPUT_SIZE, mode="bilinear", align_corners=False)
    if draw[1] < 0.5:
        x, mask = x.flip(3), mask.flip(3)
    gain = 1.0 + 0.3 * (torch.rand((len(x), 1, 1, 1), generator=generator) - 0.5)
    noise = 0.06 * draw[2] * torch.randn(x.shape, generator=generator)
    return x * gain + noise, mask


def train_critic(
    examples: Examples, epochs: int, seed: int, report: Callable[[float], None] = lambda loss: None
) -> Critic:
    """Trains from scratch; the same arguments give the same network on the same machine.

    Args:
        examples: renders.
        epochs: passes over them.
        seed: of weights, order and disturbances.
        report: called with the loss after every batch.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    critic = Critic().train()
    count = len(examples.pictures)
    steps = epochs * -(-count // _BATCH)
    optimiser = torch.optim.AdamW(critic.parameters(), lr=_PEAK_RATE, weight_decay=0.02)
    pictures, masks, labels = map(torch.from_numpy, (examples.pictures, examples.masks, examples.labels))
    step = 0
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(count, generator=generator), _BATCH):
            progress = step / steps
            warm, cool = min(1.0, (step + 1) / (0.1 * steps)), 0.5 * (1 + np.cos(np.pi * progress))
            for group in optimiser.param_groups:
                group["lr"] = _PEAK_RATE * warm * cool
            x, mask = _disturb(as_input(pictures[rows]), masks[rows], generator)
            scores, where = critic(x)
            loss = _MASK_WEIGHT * F.binary_cross_entropy_with_logits(where, mask)
            for index, score in enumerate(scores):
                target = labels[rows, index]
                if bool((target >= 0).any()):
                    loss = loss + F.cross_entropy(score, target, ignore_index=-1)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            step += 1
            report(loss.item())
    return critic.eval()


@dataclass(frozen=True, eq=False)
class Opinion:
    """What the critic sees in a take.

    Attributes:
        classes: int64 [chunks, 3], the likeliest class of each of `JUDGED`.
        masks: float32 [T, 24, 40], probability that the subject is there.
    """

    classes: NDArray[np.int64]
    masks: NDArray[np.float32]


def look(critic: Critic, take: Take) -> Opinion:
    """The critic's opinion of every chunk of a take."""
    small = shrink(take.video).reshape(take.chunks, PICTURES_PER_CHUNK, *INPUT_SIZE, 3)
    classes, masks = [], []
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(small), _BATCH):
            scores, where = critic(as_input(part))
            classes.append(torch.stack([score.argmax(dim=1) for score in scores], dim=1))
            masks.append(torch.sigmoid(where).flatten(0, 1))
    return Opinion(torch.cat(classes).numpy(), torch.cat(masks).numpy())
