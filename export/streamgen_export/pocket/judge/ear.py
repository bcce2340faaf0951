"""The judge's ear for impacts: a small network, trained on renders, that hears something hit the ground.

It has to tell impacts from music, rain and waves.
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

from streamgen_export.pocket.judge.learning import fit
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.scenes.world import SAMPLE_RATE_HZ

HOP: Final = 240
"""Samples per frame: 10 ms."""
BANDS: Final = 40
MIN_GAP_S: Final = 0.25
"""Impacts that follow one another faster count as one."""
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
    top = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _WINDOW // 2 + 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(rising, falling), 0, None).astype(np.float32))


class Ear(nn.Module):
    """Scores every 10 ms of sound for the start of an impact; sees 140 ms to either side."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, 48, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(48, 48, 5, padding=4, dilation=2),
            nn.SiLU(),
            nn.Conv1d(48, 48, 5, padding=8, dilation=4),
            nn.SiLU(),
            nn.Conv1d(48, 1, 1),
        )

    def forward(self, bands: Tensor) -> Tensor:
        """float32 [B, frames, 40] -> float32 [B, frames]."""
        scores: Tensor = self.layers(bands.transpose(1, 2))[:, 0]
        return scores


def train_ear(lessons: Sequence[SoundLesson], steps: int, seed: int) -> Ear:
    """Trains from scratch on lessons of one length; seeded."""
    torch.manual_seed(seed)
    ear = Ear()
    bands = torch.from_numpy(np.stack([lesson.bands for lesson in lessons]))
    target = torch.zeros(bands.shape[:2])
    for row, lesson in enumerate(lessons):
        for impact in lesson.impacts_s:
            frame = round(impact * SAMPLE_RATE_HZ / HOP)
            target[row, max(0, frame - 1) : frame + 2] = 1.0

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(bands), (_BATCH,), generator=generator)
        # Loudness must not decide: generated sound may be quieter.
        gain = 0.6 * torch.randn((_BATCH, 1, 1), generator=generator)
        scores = ear(bands[rows] + gain)
        return F.binary_cross_entropy_with_logits(scores, target[rows], pos_weight=torch.tensor(6.0))

    fit(ear, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the ear")
    return ear


def heard_impacts(ear: Ear, audio: NDArray[np.float32]) -> list[float]:
    """Times in seconds at which an impact is heard, at least 0.25 s apart."""
    with torch.no_grad():
        likely = torch.sigmoid(ear(torch.from_numpy(bands_of(audio))[None]))[0].numpy()
    gap = round(MIN_GAP_S * SAMPLE_RATE_HZ / HOP)
    times: list[float] = []
    left = likely.copy()
    while left.size and left.max() > 0.5:
        frame = int(left.argmax())
        around = slice(max(0, frame - 1), frame + 2)
        centre = float(np.average(np.arange(len(likely))[around], weights=likely[around]))
        times.append(centre * HOP / SAMPLE_RATE_HZ)
        left[max(0, frame - gap) : frame + gap + 1] = 0
    return sorted(times)
