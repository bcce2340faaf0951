"""The judge's eye for motion: a small network that sees 16 pictures in grey and names how the subject moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.eye import shrink
from streamgen_export.pocket.judge.learning import conv, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.takes import JUDGED, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK

GAIT_CHUNKS: Final = 4
"""Chunks that are seen at once, 1.28 s: a whole bounce, a third of an orbit."""
_PICTURES = GAIT_CHUNKS * PICTURES_PER_CHUNK
_MOTION = JUDGED.index("motion")
_BATCH = 32
_RATE = 2e-3
_AHEAD = 256


class Gait(nn.Module):
    """16 grey pictures to scores of motions. About 0.3 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(_PICTURES + 1, 64, 5, 2), conv(64, 64, 3), conv(64, 96, 3, 2), conv(96, 96, 3), conv(96, 128, 3, 2)
        )
        self.head = nn.Linear(256, len(VOCABULARY["motion"]))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, 16, 48, 80] in [-1, 1] -> float32 [B, motions].

        The mean over time is a channel of its own and taken out of the others, which then show what moves.
        """
        still = x.mean(dim=1, keepdim=True)
        scores: Tensor = self.head(pooled(self.layers(torch.cat([still, 4 * (x - still)], dim=1))))
        return scores


def _grey(pictures: Tensor) -> Tensor:
    """uint8 [..., 3] -> float32 [...] in [-1, 1]."""
    return pictures.float() @ torch.tensor([0.299, 0.587, 0.114]) / 127.5 - 1.0


def train_gait(lessons: Sequence[PictureLesson], steps: int, seed: int) -> Gait:
    """Trains from scratch on stretches in which nothing changes; seeded.

    Raises:
        ValueError: in no lesson anything lasts for `GAIT_CHUNKS` chunks.
    """
    torch.manual_seed(seed)
    gait = Gait()
    gait.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    clips = [torch.from_numpy(lesson.pictures) for lesson in lessons]
    windows = [
        (clip, first)
        for clip, lesson in enumerate(lessons)
        for first in range(len(lesson.shown) - GAIT_CHUNKS + 1)
        if len(set(lesson.shown[first : first + GAIT_CHUNKS])) == 1
    ]
    if not windows:
        raise ValueError(f"no lesson shows the same for {GAIT_CHUNKS} chunks")

    def loss_of(generator: torch.Generator) -> Tensor:
        drawn = [windows[int(i)] for i in torch.randint(len(windows), (_BATCH,), generator=generator)]
        seen = [clips[clip][first * PICTURES_PER_CHUNK :][:_PICTURES] for clip, first in drawn]
        x = disturb(_grey(torch.stack(seen)), generator)
        if torch.rand(1, generator=generator) < 0.5:
            x = x.flip(3)
        target = torch.tensor([label(lessons[clip].shown[first])[_MOTION] for clip, first in drawn])
        with torch.autocast("cpu", torch.bfloat16):
            scores = gait(x.contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(scores.float(), target)

    fit(gait, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye for motion")
    return gait


def watch(gait: Gait, video: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Motion seen in the four chunks that end with each chunk: int64 [chunks]; -1 for the first three."""
    grey = _grey(torch.from_numpy(shrink(video)))
    windows = grey.unfold(0, _PICTURES, PICTURES_PER_CHUNK) if len(grey) >= _PICTURES else grey[:0, ..., None]
    found = [torch.full((min(GAIT_CHUNKS - 1, len(grey) // PICTURES_PER_CHUNK),), -1)]
    with torch.no_grad():
        for part in torch.split(windows.permute(0, 3, 1, 2), _AHEAD):
            if len(part):
                found.append(gait(part).argmax(dim=1))
    motions: NDArray[np.int64] = torch.cat(found).numpy()
    return motions
