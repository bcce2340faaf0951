"""The judge's eye: a small network that names scene, light and colour and says where the subject is.

It sees one picture at a time, at half size; several at once tempt it to place the subject in all of them where it is
on average, and bounces are lost. It is trained on renders only, softened and made noisy so that
it does not stumble over the softness of decoded pictures, and never on anything that a model generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.learning import conv, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.takes import JUDGED, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY, Attributes
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK

INPUT_SIZE: Final = (48, 80)
MASK_SIZE: Final = (24, 40)
NAMED: Final = ("scene", "light", "colour")
"""Attributes that the eye names."""
FEATURES: Final = 256
_MASK_WEIGHT = 4.0
_BATCH = 32
_RATE = 2e-3
_AHEAD = 32 * PICTURES_PER_CHUNK


def shrink(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures of any size to the eye's, by area: uint8 [T, H, W, 3] -> uint8 [T, 48, 80, 3]."""
    channels_first = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    small = F.interpolate(channels_first, size=INPUT_SIZE, mode="area")
    result: NDArray[np.uint8] = small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return result


def shrink_mask(cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean coverage of each cell: uint8 [T, H, W] -> uint8 [T, 24, 40]."""
    cells = F.interpolate(torch.from_numpy(np.ascontiguousarray(cover)).float()[:, None], size=MASK_SIZE, mode="area")
    result: NDArray[np.uint8] = cells[:, 0].round().to(torch.uint8).numpy()
    return result


class Eye(nn.Module):
    """One picture to class scores and a coarse mask. About 0.4 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 32, 5, 2), conv(32, 48, 3))
        self.deep = nn.Sequential(conv(48, 64, 3, 2), conv(64, 96, 3, 2), conv(96, 128, 3), conv(128, 128, 3))
        self.heads = nn.ModuleList(nn.Linear(FEATURES, len(VOCABULARY[name])) for name in NAMED)
        self.context = nn.Conv2d(128, 32, 1)
        self.detail = nn.Conv2d(48, 32, 1)
        self.mask = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Looks at pictures.

        Args:
            x: float32 [B, 3, 48, 80] in [-1, 1].

        Returns:
            scores per attribute of `NAMED`, [B, classes] each; mask scores [B, 24, 40]; features [B, 256].
        """
        fine = self.fine(x)
        deep = self.deep(fine)
        features = pooled(deep)
        spread = F.interpolate(self.context(deep), size=MASK_SIZE, mode="bilinear", align_corners=False)
        mask: Tensor = self.mask(F.silu(spread + self.detail(fine)))[:, 0]
        return [head(features) for head in self.heads], mask, features


def as_input(pictures: Tensor) -> Tensor:
    """uint8 [B, 48, 80, 3] -> float32 [B, 3, 48, 80] in [-1, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def picture_labels(shown: Sequence[Attributes]) -> list[list[int]]:
    """Classes of the judged attributes in each picture of a clip; -1 in the pictures that fade to something new."""
    rows = []
    for chunk, attributes in enumerate(shown):
        fades = chunk > 0 and attributes != shown[chunk - 1]
        for picture in range(PICTURES_PER_CHUNK):
            fading = fades and picture < PICTURES_PER_CHUNK - 1
            rows.append([-1] * len(JUDGED) if fading else label(attributes))
    return rows


def train_eye(lessons: Sequence[PictureLesson], steps: int, seed: int) -> Eye:
    """Trains from scratch; the same arguments give the same network on the same machine."""
    torch.manual_seed(seed)
    eye = Eye()
    eye.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.from_numpy(np.concatenate([lesson.pictures for lesson in lessons]))
    masks = torch.from_numpy(np.concatenate([lesson.masks for lesson in lessons]))
    labels = torch.tensor([row for lesson in lessons for row in picture_labels(lesson.shown)])

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (_BATCH,), generator=generator)
        x, mask = as_input(pictures[rows]), masks[rows].float() / 255
        if torch.rand(1, generator=generator) < 0.5:
            x, mask = x.flip(3), mask.flip(2)
        x = disturb(x, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores, where, _ = eye(x)
        loss = _MASK_WEIGHT * F.binary_cross_entropy_with_logits(where.float(), mask)
        for name, score in zip(NAMED, scores, strict=True):
            target = labels[rows, JUDGED.index(name)]
            if bool((target >= 0).any()):
                loss = loss + F.cross_entropy(score.float(), target, ignore_index=-1)
        return loss

    fit(eye, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye")
    return eye


@dataclass(frozen=True, eq=False)
class Sight:
    """What the eye sees in a stretch of pictures.

    Attributes:
        classes: int64 [chunks, 3], the likeliest class of each of `NAMED`.
        masks: float32 [T, 24, 40], probability that the subject is there.
        features: float32 [chunks, 256], what the classes are told by.
    """

    classes: NDArray[np.int64]
    masks: NDArray[np.float32]
    features: NDArray[np.float32]


def look(eye: Eye, video: NDArray[np.uint8]) -> Sight:
    """Looks at every picture of uint8 [T, H, W, 3]; a chunk's classes are what its pictures together say."""
    told, masks, features = [], [], []
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(shrink(video)), _AHEAD):
            scores, where, known = eye(as_input(part))
            told.append([_per_chunk(score.log_softmax(dim=1)).argmax(dim=1) for score in scores])
            masks.append(torch.sigmoid(where))
            features.append(_per_chunk(known))
    classes = torch.cat([torch.stack(part, dim=1) for part in told])
    return Sight(classes.numpy(), torch.cat(masks).numpy(), torch.cat(features).numpy())


def _per_chunk(x: Tensor) -> Tensor:
    """Mean over the pictures of each chunk: [T, C] -> [chunks, C]."""
    means: Tensor = x.unflatten(0, (-1, PICTURES_PER_CHUNK)).mean(dim=1)
    return means
