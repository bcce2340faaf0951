"""The judge's ear for music: a small network that hears one bar, as the energy of each note, and names the mood."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.judge.learning import fit, pooled
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.judge.takes import JUDGED, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY
from streamgen_export.pocket.scenes.synth import NOTES, note_frequencies
from streamgen_export.pocket.scenes.world import SAMPLE_RATE_HZ, SAMPLES_PER_CHUNK

MOOD_CHUNKS: Final = 6
"""Chunks that are heard at once: a bar, 1.92 s."""
_HOP = 960
_WINDOW = 2048
_PER_CHUNK = SAMPLES_PER_CHUNK // _HOP
_FRAMES = MOOD_CHUNKS * _PER_CHUNK
_MOOD = JUDGED.index("mood")
_BATCH = 32
_RATE = 3e-3


def notes_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log energy around each note of the synthesiser: float32 [channels, S] -> float32 [S / 960, 73]."""
    mono = torch.from_numpy(np.ascontiguousarray(audio.mean(axis=0)))
    frames = F.pad(mono, (_WINDOW - _HOP, 0)).unfold(0, _WINDOW, _HOP)
    power = torch.fft.rfft(frames * torch.hann_window(_WINDOW), dim=1).abs() ** 2
    notes: NDArray[np.float32] = torch.log10(power @ _note_matrix() + 1e-3).numpy()
    return notes


@cache
def _note_matrix() -> Tensor:
    """Weight of each frequency in each note: triangles of a semitone, and never narrower than one bin."""
    centres = note_frequencies()
    bin_hz = SAMPLE_RATE_HZ / _WINDOW
    width = np.maximum(centres * (2 ** (1 / 12) - 1), bin_hz)
    bins = np.arange(_WINDOW // 2 + 1) * bin_hz
    return torch.from_numpy(np.clip(1 - np.abs(bins[:, None] - centres) / width, 0, None).astype(np.float32))


class MoodEar(nn.Module):
    """One bar of note energies to scores of moods. About 60 k parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(NOTES, 64, 5, padding=2), nn.SiLU(), nn.Conv1d(64, 64, 5, 2, padding=2), nn.SiLU()
        )
        self.head = nn.Linear(128, len(VOCABULARY["mood"]))

    def forward(self, notes: Tensor) -> Tensor:
        """float32 [B, frames, 73] -> float32 [B, moods]."""
        scores: Tensor = self.head(pooled(self.layers(notes.transpose(1, 2))))
        return scores


def train_mood(lessons: Sequence[SoundLesson], steps: int, seed: int) -> MoodEar:
    """Trains from scratch on bars in which nothing changes; seeded.

    Raises:
        ValueError: in no lesson anything lasts for a bar.
    """
    torch.manual_seed(seed)
    ear = MoodEar()
    clips = [torch.from_numpy(lesson.notes) for lesson in lessons]
    windows = [
        (clip, first)
        for clip, lesson in enumerate(lessons)
        for first in range(len(lesson.shown) - MOOD_CHUNKS + 1)
        if len(set(lesson.shown[first : first + MOOD_CHUNKS])) == 1
    ]
    if not windows:
        raise ValueError(f"no lesson sounds the same for {MOOD_CHUNKS} chunks")

    def loss_of(generator: torch.Generator) -> Tensor:
        drawn = [windows[int(i)] for i in torch.randint(len(windows), (_BATCH,), generator=generator)]
        x = torch.stack([clips[clip][first * _PER_CHUNK :][:_FRAMES] for clip, first in drawn])
        x = x + 0.4 * torch.randn((_BATCH, 1, 1), generator=generator)
        x = x + 0.15 * torch.randn(x.shape, generator=generator)
        target = torch.tensor([label(lessons[clip].shown[first])[_MOOD] for clip, first in drawn])
        return F.cross_entropy(ear(x), target)

    fit(ear, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the ear for music")
    return ear


def listen(ear: MoodEar, audio: NDArray[np.float32]) -> NDArray[np.int64]:
    """Mood heard in the bar that ends with each chunk: int64 [chunks]; -1 for the first five."""
    notes = torch.from_numpy(notes_of(audio))
    chunks = len(notes) // _PER_CHUNK
    found = torch.full((chunks,), -1)
    if chunks >= MOOD_CHUNKS:
        windows = notes.unfold(0, _FRAMES, _PER_CHUNK).transpose(1, 2)
        with torch.no_grad():
            found[MOOD_CHUNKS - 1 :] = ear(windows).argmax(dim=1)
    moods: NDArray[np.int64] = found.numpy()
    return moods
