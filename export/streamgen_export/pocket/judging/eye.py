"""The judge's eye: a small network that names place, light, weather, colour, style and palette of single pictures.

It also says where the subject is. It sees one picture at a time, 112x64; a chunk's answer is what its pictures say
together. It is trained on renders only, softened and made noisy so that it does not stumble over the softness of
decoded pictures, and never on anything that a model generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judging.labels import JUDGED, label
from streamgen_export.pocket.judging.learning import conv, cross_entropy, disturb, fit, pooled
from streamgen_export.pocket.judging.lessons import PictureLesson
from streamgen_export.pocket.world.attributes import VOCABULARY
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK

MASK_SIZE: Final = (16, 28)
NAMED: Final = ("place", "time", "weather", "colour", "style", "palette")
"""Attributes that the eye names."""
FEATURES: Final = 256
_MASK_WEIGHT = 4.0
_BATCH = 64
_RATE = 2e-3
_AHEAD = 32 * PICTURES_PER_CHUNK


def shrink_mask(cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean coverage of each cell: uint8 [T, H, W] -> uint8 [T, 16, 28]."""
    height, width = MASK_SIZE
    cells = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) for mask in cover]
    return np.stack(cells).astype(np.uint8, copy=False)


class Eye(nn.Module):
    """One picture to class scores and a coarse mask. About 0.9 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 32, 5, 2), conv(32, 64, 3, 2), conv(64, 64, 3))
        self.deep = nn.Sequential(conv(64, 96, 3, 2), conv(96, 128, 3), conv(128, 192, 3, 2), conv(192, 192, 3))
        # Texture tells styles apart and is gone further down.
        self.known = nn.Sequential(nn.Linear(2 * (64 + 192), FEATURES), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(FEATURES, len(VOCABULARY[name])) for name in NAMED)
        self.context = nn.Conv2d(192, 32, 1)
        self.detail = nn.Conv2d(64, 32, 1)
        self.mask = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Looks at pictures.

        Args:
            x: float32 [B, 3, 64, 112] in [-1, 1].

        Returns:
            scores per attribute of `NAMED`, [B, classes] each; mask scores [B, 16, 28]; features [B, 256].
        """
        fine = self.fine(x)
        deep = self.deep(fine)
        features = self.known(torch.cat([pooled(fine), pooled(deep)], dim=1))
        spread = F.interpolate(self.context(deep), size=MASK_SIZE, mode="bilinear", align_corners=False)
        mask: Tensor = self.mask(F.silu(spread + self.detail(fine)))[:, 0]
        return [head(features) for head in self.heads], mask, features


def as_input(pictures: Tensor) -> Tensor:
    """uint8 [B, h, w, 3] -> float32 [B, 3, h, w] in [-1, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def train_eye(lessons: Sequence[PictureLesson], steps: int, seed: int) -> Eye:
    """Trains from scratch; the same arguments give the same network on the same machine."""
    torch.manual_seed(seed)
    eye = Eye()
    eye.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.from_numpy(np.concatenate([lesson.pictures for lesson in lessons]))
    masks = torch.from_numpy(np.concatenate([lesson.masks for lesson in lessons]))
    labels = torch.tensor([label(lesson.shown) for lesson in lessons for _ in lesson.pictures])
    labels = labels[:, [JUDGED.index(name) for name in NAMED]]

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (_BATCH,), generator=generator)
        x, mask = as_input(pictures[rows]), masks[rows].float() / 255
        if torch.rand(1, generator=generator) < 0.5:
            x, mask = x.flip(3), mask.flip(2)
        x = disturb(x, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores, where, _ = eye(x)
        found = F.binary_cross_entropy_with_logits(where.float(), mask)
        return cross_entropy(scores, labels[rows]) + _MASK_WEIGHT * found

    fit(eye, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye")
    return eye


@dataclass(frozen=True, eq=False)
class Sight:
    """What the eye sees in a stretch of pictures.

    Attributes:
        scores: of each of `NAMED`, mean log-probability over each chunk, float32 [chunks, classes].
        masks: float32 [T, 16, 28], probability that a subject is there.
        features: float32 [chunks, 256], what the classes are told by.
    """

    scores: dict[str, NDArray[np.float32]]
    masks: NDArray[np.float32]
    features: NDArray[np.float32]


def look(eye: Eye, small: NDArray[np.uint8]) -> Sight:
    """Looks at every picture of uint8 [T, 64, 112, 3]."""
    told, masks, features = [], [], []
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(small), _AHEAD):
            scores, where, known = eye(as_input(part))
            told.append([_per_chunk(score.log_softmax(dim=1)) for score in scores])
            masks.append(torch.sigmoid(where))
            features.append(_per_chunk(known))
    scores = {name: torch.cat(parts).numpy() for name, parts in zip(NAMED, zip(*told, strict=True), strict=True)}
    return Sight(scores, torch.cat(masks).numpy(), torch.cat(features).numpy())


def _per_chunk(x: Tensor) -> Tensor:
    """Mean over the pictures of each chunk: [T, C] -> [chunks, C]."""
    means: Tensor = x.unflatten(0, (-1, PICTURES_PER_CHUNK)).mean(dim=1)
    return means
