"""The judge's eye for what takes time: names motion, camera and happening from 8 chunks of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamgen_export.pocket.judge.eye import as_input
from streamgen_export.pocket.judge.flow import COLUMNS, ROWS, flow_of
from streamgen_export.pocket.judge.labels import JUDGED, WINDOW_CHUNKS, label
from streamgen_export.pocket.judge.learning import conv, cross_entropy, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import ClipLesson
from streamgen_export.pocket.world.attributes import CAMERAS, VOCABULARY
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK

NAMED: Final = ("motion", "camera", "happening")
"""Attributes that are named from several chunks of pictures."""
PICTURES: Final = WINDOW_CHUNKS * PICTURES_PER_CHUNK
EVERY: Final = 2
"""Every second picture is enough and makes half the work."""
_BATCH = 32
_RATE = 2e-3
_AHEAD = 64


class Gait(nn.Module):
    """16 grey pictures, one in colour and the flow between them to scores. About 0.6 M parameters.

    The camera is told by the flow alone: from pictures, places are learnt by heart sooner than how they move.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(PICTURES // EVERY + 4, 64, 5, 2),
            conv(64, 96, 3, 2),
            conv(96, 128, 3),
            conv(128, 128, 3, 2),
            conv(128, 160, 3, 2),
        )
        self.flow = nn.Sequential(
            nn.Conv1d(2 * ROWS * COLUMNS, 96, 5, padding=2), nn.SiLU(), nn.Conv1d(96, 96, 5, padding=2), nn.SiLU()
        )
        self.rest = nn.Dropout(0.2)
        sizes = {"camera": 192}
        self.heads = nn.ModuleList(nn.Linear(sizes.get(name, 320 + 192), len(VOCABULARY[name])) for name in NAMED)

    def forward(self, grey: Tensor, colour: Tensor, flow: Tensor) -> list[Tensor]:
        """Watches.

        The mean over time is a channel of its own and taken out of the others, which then show what moves.

        Args:
            grey: float32 [B, 16, 64, 112] in [-1, 1].
            colour: float32 [B, 3, 64, 112] in [-1, 1].
            flow: float32 [B, 15, 2, 4, 7], see `flow.flow_of`.

        Returns:
            scores of each of `NAMED`, float32 [B, classes].
        """
        still = grey.mean(dim=1, keepdim=True)
        shown = pooled(self.layers(torch.cat([still, 4 * (grey - still), colour], dim=1)))
        moved = self.rest(pooled(self.flow(flow.flatten(2).transpose(1, 2))))
        both = torch.cat([self.rest(shown), moved], dim=1)
        return [head(moved if name == "camera" else both) for name, head in zip(NAMED, self.heads, strict=True)]


def grey_of(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance: uint8 [T, h, w, 3] -> uint8 [T, h, w]."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey: NDArray[np.uint8] = (small @ weights + 0.5).astype(np.uint8)
    return grey


def scaled(grey: Tensor) -> Tensor:
    """uint8 of any shape -> float32 in [-1, 1]."""
    return grey.float() / 127.5 - 1.0


def train_gait(lessons: Sequence[ClipLesson], steps: int, seed: int) -> Gait:
    """Trains from scratch on clips of `WINDOW_CHUNKS` chunks; seeded.

    Raises:
        ValueError: the clips have another length.
    """
    if any(len(lesson.grey) != PICTURES for lesson in lessons):
        raise ValueError(f"a clip to learn from must have {PICTURES} pictures")
    torch.manual_seed(seed)
    gait = Gait()
    gait.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grey = torch.from_numpy(np.stack([lesson.grey[EVERY - 1 :: EVERY] for lesson in lessons]))
    colour = torch.from_numpy(np.stack([lesson.colour for lesson in lessons]))
    flow = torch.from_numpy(np.stack([lesson.flow for lesson in lessons]))
    labels = torch.tensor([label(lesson.shown) for lesson in lessons])[:, [JUDGED.index(name) for name in NAMED]]
    mirrored = labels.clone()
    for name, other in (("left", "right"), ("right", "left")):
        mirrored[labels[:, 1] == CAMERAS.index(name), 1] = CAMERAS.index(other)

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(grey), (_BATCH,), generator=generator)
        x = torch.cat([scaled(grey[rows]), as_input(colour[rows])], dim=1)
        moves, target = flow[rows], labels[rows]
        if torch.rand(1, generator=generator) < 0.5:
            x, target = x.flip(3), mirrored[rows]
            moves = moves.flip(4) * torch.tensor([-1.0, 1.0])[:, None, None]
        x = disturb(x, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores = gait(x[:, :-3], x[:, -3:], moves)
        return cross_entropy(scores, target)

    fit(gait, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye for motion")
    return gait


def watch(gait: Gait, small: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """What is seen in the 8 chunks that end with each chunk: int64 [chunks] per attribute; -1 for the first seven.

    Args:
        gait: the trained network.
        small: uint8 [T, 64, 112, 3].
    """
    chunks = len(small) // PICTURES_PER_CHUNK
    grey = torch.from_numpy(grey_of(small))
    flow = torch.from_numpy(flow_of(grey[EVERY - 1 :: EVERY].numpy()))
    found = {name: np.full(chunks, -1, np.int64) for name in NAMED}
    ends = list(range(WINDOW_CHUNKS, chunks + 1))
    for start in range(0, len(ends), _AHEAD):
        part = ends[start : start + _AHEAD]
        lasts = [end * PICTURES_PER_CHUNK for end in part]
        seen = torch.stack([grey[last - PICTURES : last][EVERY - 1 :: EVERY] for last in lasts])
        moves = torch.stack([flow[last // EVERY - len(seen[0]) : last // EVERY - 1] for last in lasts])
        colour = as_input(torch.from_numpy(np.stack([small[last - 1] for last in lasts])))
        with torch.no_grad():
            for name, score in zip(NAMED, gait(scaled(seen), colour, moves), strict=True):
                found[name][part[0] - 1 : part[-1]] = score.argmax(dim=1).numpy()
    return found
