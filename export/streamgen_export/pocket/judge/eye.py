"""The judge's eye: a small network that names what a single picture shows, and says where the subject is.

It sees the last picture of each chunk at 224x128, where strokes, blocks, paper and drops can still be seen. It is
trained on renders only, softened and made noisy so that it does not stumble over the softness of decoded pictures, and
never on anything that a model generated.
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

from streamgen_export.pocket.judge.labels import JUDGED, UNASKED, label
from streamgen_export.pocket.judge.learning import conv, cross_entropy, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.world.attributes import VOCABULARY

MASK_SIZE: Final = (16, 28)
NAMED: Final = ("place", "time", "weather", "subject", "colour", "style", "palette")
"""Attributes that the eye names."""
FEATURES: Final = 256
_MASK_WEIGHT = 4.0
_BATCH = 64
_RATE = 2e-3
_AHEAD = 64


def shrink_mask(cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean coverage of each cell: uint8 [H, W] -> uint8 [16, 28]."""
    height, width = MASK_SIZE
    return cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


class Eye(nn.Module):
    """One picture to class scores and a coarse mask. About 0.9 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32, 7, 4)
        self.fine = nn.Sequential(conv(32, 64, 3, 2), conv(64, 64, 3))
        self.deep = nn.Sequential(conv(64, 96, 3, 2), conv(96, 128, 3), conv(128, 192, 3, 2), conv(192, 192, 3))
        # Texture tells styles apart and is gone further down.
        self.known = nn.Sequential(nn.Linear(2 * (32 + 64 + 192), FEATURES), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(FEATURES, len(VOCABULARY[name])) for name in NAMED)
        self.context = nn.Conv2d(192, 32, 1)
        self.detail = nn.Conv2d(64, 32, 1)
        self.mask = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Looks at pictures.

        Args:
            x: float32 [B, 3, 128, 224] in [-1, 1].

        Returns:
            scores per attribute of `NAMED`, [B, classes] each; mask scores [B, 16, 28]; features [B, 256].
        """
        stem = self.stem(x)
        fine = self.fine(stem)
        deep = self.deep(fine)
        features = self.known(torch.cat([pooled(stem), pooled(fine), pooled(deep)], dim=1))
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
    pictures = torch.from_numpy(np.stack([lesson.picture for lesson in lessons]))
    masks = torch.from_numpy(np.stack([lesson.mask for lesson in lessons]))
    labels = torch.tensor([label(lesson.shown) for lesson in lessons])
    labels = labels[:, [JUDGED.index(name) for name in NAMED]]
    for row, lesson in enumerate(lessons):
        if not lesson.subject_seen:
            labels[row, NAMED.index("subject")] = UNASKED

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (_BATCH,), generator=generator)
        x, mask = as_input(pictures[rows]), masks[rows].float() / 255
        if torch.rand(1, generator=generator) < 0.5:
            x, mask = x.flip(3), mask.flip(2)
        x = disturb(x, generator, widest=3).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores, where, _ = eye(x)
        found = F.binary_cross_entropy_with_logits(where.float(), mask)
        return cross_entropy(scores, labels[rows]) + _MASK_WEIGHT * found

    fit(eye, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye")
    return eye


@dataclass(frozen=True, eq=False)
class Sight:
    """What the eye sees in pictures.

    Attributes:
        scores: of each of `NAMED`, log-probability, float32 [n, classes].
        masks: float32 [n, 16, 28], probability that a subject is there.
        features: float32 [n, 256], what the classes are told by.
    """

    scores: dict[str, NDArray[np.float32]]
    masks: NDArray[np.float32]
    features: NDArray[np.float32]


def look(eye: Eye, near: NDArray[np.uint8]) -> Sight:
    """Looks at every picture of uint8 [n, 128, 224, 3]."""
    told, masks, features = [], [], []
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(near), _AHEAD):
            scores, where, known = eye(as_input(part))
            told.append([score.log_softmax(dim=1) for score in scores])
            masks.append(torch.sigmoid(where))
            features.append(known)
    scores = {name: torch.cat(parts).numpy() for name, parts in zip(NAMED, zip(*told, strict=True), strict=True)}
    return Sight(scores, torch.cat(masks).numpy(), torch.cat(features).numpy())
