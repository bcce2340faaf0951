"""The judge's eye for events: a small network that sees 7 pictures in grey and says what begins in the middle one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.gait import grey_of, scaled
from streamgen_export.pocket.judge.labels import EVENTS
from streamgen_export.pocket.judge.learning import conv, disturb, fit, pooled
from streamgen_export.pocket.judge.lessons import ClipLesson
from streamgen_export.pocket.judge.peaks import peaks

REACH: Final = 3
"""Pictures that are seen before and after the one in question."""
SEEN: Final = 2 * REACH + 1
_BATCH = 64
_RATE = 2e-3
_AHEAD = 256


class Spotter(nn.Module):
    """7 grey pictures to a score per kind of event. About 0.15 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(2 * SEEN, 48, 5, 2), conv(48, 64, 3, 2), conv(64, 96, 3, 2), conv(96, 96, 3))
        self.head = nn.Linear(192, len(EVENTS))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, 7, 64, 112] in [-1, 1] -> float32 [B, kinds].

        Each picture's difference from the one before is a channel too: what begins is seen in it.
        """
        steps = torch.diff(x, dim=1, prepend=x[:, :1])
        scores: Tensor = self.head(pooled(self.layers(torch.cat([x, 4 * steps], dim=1))))
        return scores


def train_spotter(lessons: Sequence[ClipLesson], steps: int, seed: int) -> Spotter:
    """Trains from scratch; half of each batch shows the beginning of something, kinds in equal shares; seeded."""
    torch.manual_seed(seed)
    spotter = Spotter()
    spotter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grey = torch.from_numpy(np.stack([lesson.grey for lesson in lessons]))
    truth = torch.zeros((*grey.shape[:2], len(EVENTS)))
    for row, lesson in enumerate(lessons):
        for kind, picture in lesson.events:
            truth[row, picture, EVENTS.index(kind)] = 1.0
    inside = slice(REACH, grey.shape[1] - REACH)
    begins = [places for kind in range(len(EVENTS)) if len(places := torch.nonzero(truth[:, inside, kind]))]
    # Next to an event the network must learn to be exact: these are drawn more often than others.
    eventful = torch.nonzero(truth[:, inside].amax(dim=(1, 2)))[:, 0]

    def drawn(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(grey), (_BATCH,), generator=generator)
        if len(eventful):
            picked = torch.randint(len(eventful), (_BATCH // 4,), generator=generator)
            rows[: _BATCH // 4] = eventful[picked]
        pictures = torch.randint(grey.shape[1] - 2 * REACH, (_BATCH,), generator=generator)
        if begins:
            for i in range(_BATCH // 2, _BATCH):
                places = begins[i % len(begins)]
                row, picture = places[int(torch.randint(len(places), (1,), generator=generator))]
                rows[i], pictures[i] = row, picture
        return rows, pictures + REACH

    def loss_of(generator: torch.Generator) -> Tensor:
        rows, pictures = drawn(generator)
        x = grey[rows[:, None], pictures[:, None] + torch.arange(-REACH, REACH + 1)]
        x = disturb(scaled(x), generator)
        if torch.rand(1, generator=generator) < 0.5:
            x = x.flip(3)
        with torch.autocast("cpu", torch.bfloat16):
            scores = spotter(x.contiguous(memory_format=torch.channels_last))
        return F.binary_cross_entropy_with_logits(scores.float(), truth[rows, pictures])

    fit(spotter, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the eye for events")
    return spotter


def seen_events(spotter: Spotter, small: NDArray[np.uint8], picture_s: float) -> dict[str, list[float]]:
    """Times in seconds at which something is seen to begin, by kind.

    Args:
        spotter: the trained network.
        small: uint8 [T, 64, 112, 3].
        picture_s: how long a picture lasts.
    """
    grey = torch.from_numpy(grey_of(small))
    likely = np.zeros((len(grey), len(EVENTS)), np.float32)
    if len(grey) >= SEEN:
        windows = grey.unfold(0, SEEN, 1).permute(0, 3, 1, 2)
        with torch.no_grad():
            scores = [torch.sigmoid(spotter(scaled(part))) for part in torch.split(windows, _AHEAD)]
        likely[REACH : len(grey) - REACH] = torch.cat(scores).numpy()
    return {kind: peaks(likely[:, i], picture_s) for i, kind in enumerate(EVENTS)}
