"""The judge's ear for events: a small network that hears something hit, splash, burst or thunder.

It has to tell them from music, rain and waves, and from one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.labels import EVENTS
from streamgen_export.pocket.judge.learning import fit
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.judge.peaks import peaks
from streamgen_export.pocket.world.formats import POCKET

HOP: Final = 240
"""Samples per frame: 10 ms."""
FRAME_S: Final = HOP / POCKET.sample_rate
BANDS: Final = 40
_WINDOW = 512
_BATCH = 16
_RATE = 3e-3


def bands_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log energy in 40 bands, even on the mel scale: float32 [channels, S] -> float32 [S / 240, 40]."""
    mono = torch.from_numpy(np.ascontiguousarray(audio.mean(axis=0)))
    padded = F.pad(mono, (_WINDOW // 2, _WINDOW // 2))
    frames = padded.unfold(0, _WINDOW, HOP)[: len(mono) // HOP]
    power = torch.fft.rfft(frames * torch.hann_window(_WINDOW), dim=1).abs() ** 2
    bands: NDArray[np.float32] = torch.log10(power @ _band_matrix() + 1e-5).numpy()
    return bands


@cache
def _band_matrix() -> Tensor:
    half_hz = POCKET.sample_rate / 2
    top = 2595 * np.log10(1 + half_hz / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, half_hz, _WINDOW // 2 + 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(rising, falling), 0, None).astype(np.float32))


class Ear(nn.Module):
    """Scores every 10 ms of sound for the start of each kind of event; sees 300 ms to either side."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, 64, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(64, 64, 5, padding=4, dilation=2),
            nn.SiLU(),
            nn.Conv1d(64, 64, 5, padding=8, dilation=4),
            nn.SiLU(),
            nn.Conv1d(64, 64, 5, padding=16, dilation=8),
            nn.SiLU(),
            nn.Conv1d(64, len(EVENTS), 1),
        )

    def forward(self, bands: Tensor) -> Tensor:
        """float32 [B, frames, 40] -> float32 [B, kinds, frames]."""
        scores: Tensor = self.layers(bands.transpose(1, 2))
        return scores


def train_ear(lessons: Sequence[SoundLesson], steps: int, seed: int) -> Ear:
    """Trains from scratch on lessons of one length; seeded."""
    torch.manual_seed(seed)
    ear = Ear()
    bands = torch.from_numpy(np.stack([lesson.bands for lesson in lessons]))
    target = torch.zeros((len(lessons), len(EVENTS), bands.shape[1]))
    for row, lesson in enumerate(lessons):
        for kind, time_s in lesson.events:
            frame = round(time_s / FRAME_S)
            target[row, EVENTS.index(kind), max(0, frame - 1) : frame + 2] = 1.0
    # Half of each batch comes from lessons in which something happens, kinds in equal shares.
    eventful = [rows for kind in range(len(EVENTS)) if len(rows := torch.nonzero(target[:, kind].amax(dim=1))[:, 0])]

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(bands), (_BATCH,), generator=generator)
        for i in range(_BATCH // 2 if eventful else 0):
            choice = eventful[i % len(eventful)]
            rows[i] = choice[int(torch.randint(len(choice), (1,), generator=generator))]
        # Loudness must not decide: generated sound may be quieter.
        gain = 0.6 * torch.randn((_BATCH, 1, 1), generator=generator)
        scores = ear(bands[rows] + gain)
        return F.binary_cross_entropy_with_logits(scores, target[rows], pos_weight=torch.tensor(2.0))

    fit(ear, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the ear for events")
    return ear


def heard_events(ear: Ear, audio: NDArray[np.float32]) -> dict[str, list[float]]:
    """Times in seconds at which something is heard, by kind."""
    with torch.no_grad():
        likely = torch.sigmoid(ear(torch.from_numpy(bands_of(audio))[None]))[0].numpy()
    return {kind: peaks(likely[i], FRAME_S) for i, kind in enumerate(EVENTS)}
