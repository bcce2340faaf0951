"""The judge's second look: a small network that sees the subject at full size, cut out, and says what it is.

The eye sees everything at half size and finds where the subject is; shapes are told apart only from near.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.learning import conv, disturb, fit
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.takes import JUDGED, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK

SIDE: Final = 48
"""Side of what is seen, in pixels: the largest subject fits in."""
CUT_SIDE: Final = 56
"""Side of what is cut out to learn from: leaves room to look beside the middle."""
_HEIGHT, _WIDTH = 96, 160
_SUBJECT = JUDGED.index("subject")
_LEAST_SHARE = 0.01
"""Of the picture, that a subject must cover to be learnt from: crossing subjects leave the picture for a while."""
_BATCH = 64
_RATE = 2e-3


def centre_of(mask: NDArray[np.floating] | NDArray[np.uint8]) -> tuple[float, float]:
    """Middle of a mask [h, w] of any size, as shares of height and width; the picture's middle when it is empty.

    Faint cells do not count, or haze over the whole picture would pull the middle to its own.
    """
    weights = np.where(mask > 0.5 * float(mask.max()), mask, 0).astype(np.float64)
    total = weights.sum()
    if total <= 0:
        return 0.5, 0.5
    rows = (np.arange(mask.shape[0]) + 0.5) / mask.shape[0]
    columns = (np.arange(mask.shape[1]) + 0.5) / mask.shape[1]
    return float(weights.sum(axis=1) @ rows / total), float(weights.sum(axis=0) @ columns / total)


def cut_out(picture: NDArray[np.uint8], centre: tuple[float, float], side: int) -> NDArray[np.uint8]:
    """A square around a place given in shares, its edges repeated outward: uint8 [96, 160, 3] -> [side, side, 3]."""
    half = side // 2
    padded = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="edge")
    top, left = round(centre[0] * picture.shape[0]), round(centre[1] * picture.shape[1])
    return padded[top : top + side, left : left + side]


def cuts_of(rgb: NDArray[np.uint8], cover: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The subject in the last picture of each chunk.

    Args:
        rgb: uint8 [T, 96, 160, 3].
        cover: of the subjects, 0 to 255, uint8 [T, 96, 160].

    Returns:
        uint8 [chunks, 56, 56, 3], and whether there is enough of it to learn from, bool [chunks].
    """
    last = slice(PICTURES_PER_CHUNK - 1, None, PICTURES_PER_CHUNK)
    cuts = [cut_out(picture, centre_of(mask), CUT_SIDE) for picture, mask in zip(rgb[last], cover[last], strict=True)]
    return np.stack(cuts), cover[last].mean(axis=(1, 2)) > 255 * _LEAST_SHARE


class Glimpse(nn.Module):
    """A subject near the middle of a square to scores of subjects. About 0.15 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(3, 32, 5, 2), conv(32, 48, 3), conv(48, 64, 3, 2), conv(64, 96, 3, 2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(96 * 36, len(VOCABULARY["subject"])))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, 3, 48, 48] in [-1, 1] -> float32 [B, subjects]."""
        scores: Tensor = self.head(self.layers(x))
        return scores


def _as_input(squares: Tensor) -> Tensor:
    """uint8 [B, h, w, 3] -> float32 [B, 3, h, w] in [-1, 1]."""
    return squares.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def train_glimpse(lessons: Sequence[PictureLesson], steps: int, seed: int) -> Glimpse:
    """Trains from scratch on single subjects; seeded.

    Raises:
        ValueError: no lesson shows one.
    """
    torch.manual_seed(seed)
    glimpse = Glimpse()
    glimpse.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = torch.tensor([label(shown)[_SUBJECT] for lesson in lessons for shown in lesson.shown])
    seen = torch.from_numpy(np.concatenate([lesson.subject_seen for lesson in lessons]))
    known = torch.nonzero(seen & (labels > 0))[:, 0]
    if not len(known):
        raise ValueError("no lesson shows a single subject to learn from")
    cuts = torch.from_numpy(np.concatenate([lesson.cuts for lesson in lessons]))

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = known[torch.randint(len(known), (_BATCH,), generator=generator)]
        x = _as_input(cuts[rows])
        top, left = torch.randint(CUT_SIDE - SIDE + 1, (2,), generator=generator).tolist()
        x = x[:, :, top : top + SIDE, left : left + SIDE]
        if torch.rand(1, generator=generator) < 0.5:
            x = x.flip(3)
        with torch.autocast("cpu", torch.bfloat16):
            scores = glimpse(disturb(x, generator).contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(scores.float(), labels[rows])

    fit(glimpse, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the second look")
    return glimpse


def glance(glimpse: Glimpse, video: NDArray[np.uint8], masks: NDArray[np.float32]) -> NDArray[np.int64]:
    """The subject in the last picture of each chunk: int64 [chunks].

    Args:
        glimpse: the trained network.
        video: uint8 [T, 96, 160, 3].
        masks: where the eye sees the subject, float32 [T, 24, 40].

    Raises:
        ValueError: the pictures have another size than those that were learnt from.
    """
    if video.shape[1:3] != (_HEIGHT, _WIDTH):
        raise ValueError(f"pictures are {video.shape[1:3]}, the judge learnt from {(_HEIGHT, _WIDTH)}")
    last = slice(PICTURES_PER_CHUNK - 1, None, PICTURES_PER_CHUNK)
    cuts = [cut_out(picture, centre_of(mask), SIDE) for picture, mask in zip(video[last], masks[last], strict=True)]
    with torch.no_grad():
        scores = glimpse(_as_input(torch.from_numpy(np.stack(cuts))))
    subjects: NDArray[np.int64] = scores.argmax(dim=1).numpy()
    return subjects
