"""The judge's second look: a small network that sees the subject from near, cut out, and says what it is.

The eye finds where the subject is; shapes are told apart better when nothing else is looked at. Its colour is named
too, which is its own and not that of the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamgen_export.pocket.judge.eye import as_input
from streamgen_export.pocket.judge.labels import JUDGED, label
from streamgen_export.pocket.judge.learning import conv, cross_entropy, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.takes import NEAR
from streamgen_export.pocket.world.attributes import VOCABULARY

SIDE: Final = 80
"""Side of what is seen, in pixels of the near picture: nearly every subject fits in."""
CUT_SIDE: Final = 96
"""Side of what is cut out to learn from: leaves room to look beside the middle."""
NAMED: Final = ("subject", "colour")
"""Attributes that are named from near."""
_LEAST_SHARE = 0.008
"""Of the picture, that a subject must cover to be learnt: crossing subjects leave the picture for a while."""
_BATCH = 64
_RATE = 2e-3


def centre_of(mask: NDArray[np.floating] | NDArray[np.uint8]) -> tuple[float, float]:
    """Middle of the largest spot of a mask [h, w] of any size, as shares of height and width.

    The picture's middle when the mask is empty. Faint cells do not count, or haze over the whole picture would pull
    the middle to its own.
    """
    strong = (mask > 0.5 * float(mask.max())).astype(np.uint8)
    if not strong.any():
        return 0.5, 0.5
    _, spots = cv2.connectedComponents(strong)
    weights = np.where(spots == 1 + np.argmax(np.bincount(spots.ravel())[1:]), mask, 0).astype(np.float64)
    total = weights.sum()
    rows = (np.arange(mask.shape[0]) + 0.5) / mask.shape[0]
    columns = (np.arange(mask.shape[1]) + 0.5) / mask.shape[1]
    return float(weights.sum(axis=1) @ rows / total), float(weights.sum(axis=0) @ columns / total)


def cut_out(picture: NDArray[np.uint8], centre: tuple[float, float], side: int) -> NDArray[np.uint8]:
    """A square around a place given in shares, its edges repeated outward: uint8 [H, W, 3] -> [side, side, 3]."""
    half = side // 2
    padded = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="edge")
    top, left = round(centre[0] * picture.shape[0]), round(centre[1] * picture.shape[1])
    return padded[top : top + side, left : left + side]


def worth_learning(cover: NDArray[np.uint8]) -> bool:
    """Whether enough of the subject is seen in a mask [H, W] of 0 to 255."""
    return float(cover.mean()) > 255 * _LEAST_SHARE


class Glimpse(nn.Module):
    """A subject near the middle of a square to scores of subjects and of colours. About 0.5 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 32, 5, 2), conv(32, 64, 3, 2), conv(64, 96, 3))
        self.deep = nn.Sequential(conv(96, 128, 3, 2), conv(128, 64, 3, 2))
        self.known = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * (SIDE // 16) ** 2, 192), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(192 + 2 * 96, len(VOCABULARY[name])) for name in NAMED)

    def forward(self, x: Tensor) -> list[Tensor]:
        """float32 [B, 3, 80, 80] in [-1, 1] -> scores of each of `NAMED`, float32 [B, classes]."""
        fine = self.fine(x)
        known = torch.cat([self.known(self.deep(fine)), pooled(fine)], dim=1)
        return [head(known) for head in self.heads]


def train_glimpse(lessons: Sequence[PictureLesson], steps: int, seed: int) -> Glimpse:
    """Trains from scratch on single kinds of subjects; seeded.

    Raises:
        ValueError: no lesson shows one.
    """
    torch.manual_seed(seed)
    glimpse = Glimpse()
    glimpse.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = torch.tensor([label(lesson.shown) for lesson in lessons])[:, [JUDGED.index(name) for name in NAMED]]
    seen = torch.tensor([lesson.subject_seen for lesson in lessons])
    known = torch.nonzero(seen & (labels[:, 0] >= 0))[:, 0]
    if not len(known):
        raise ValueError("no lesson shows a single subject to learn from")
    cuts = torch.from_numpy(np.stack([cut_out(lesson.picture, lesson.centre, CUT_SIDE) for lesson in lessons]))

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = known[torch.randint(len(known), (_BATCH,), generator=generator)]
        x = as_input(cuts[rows])
        top, left = torch.randint(CUT_SIDE - SIDE + 1, (2,), generator=generator).tolist()
        x = x[:, :, top : top + SIDE, left : left + SIDE]
        if torch.rand(1, generator=generator) < 0.5:
            x = x.flip(3)
        with torch.autocast("cpu", torch.bfloat16):
            scores = glimpse(disturb(x, generator, widest=3).contiguous(memory_format=torch.channels_last))
        return cross_entropy(scores, labels[rows])

    fit(glimpse, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the second look")
    return glimpse


def glance(glimpse: Glimpse, near: NDArray[np.uint8], masks: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Subject and its colour in pictures: log-probabilities of each of `NAMED`, float32 [n, classes].

    Args:
        glimpse: the trained network.
        near: uint8 [n, 128, 224, 3].
        masks: where the eye sees the subject in them, float32 [n, 16, 28].

    Raises:
        ValueError: the pictures have another size than those that were learnt from.
    """
    if near.shape[1:3] != NEAR[::-1]:
        raise ValueError(f"pictures are {near.shape[1:3]}, the judge learnt from {NEAR[::-1]}")
    cuts = [cut_out(picture, centre_of(mask), SIDE) for picture, mask in zip(near, masks, strict=True)]
    found: dict[str, list[Tensor]] = {name: [] for name in NAMED}
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(np.stack(cuts)), 128):
            for name, score in zip(NAMED, glimpse(as_input(part)), strict=True):
                found[name].append(score.log_softmax(dim=1))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}
