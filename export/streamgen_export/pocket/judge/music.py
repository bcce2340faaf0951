"""The judge's ear for music: a small network that hears the energy of each note and names mood and tempo.

The tempo is told by how much the onsets are like those a beat earlier: by their autocorrelation.
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

from streamgen_export.pocket.judge.labels import JUDGED, TEMPO_CHUNKS, WINDOW, WINDOW_CHUNKS, label
from streamgen_export.pocket.judge.learning import cross_entropy, fit, pooled
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.world.attributes import VOCABULARY
from streamgen_export.pocket.world.formats import POCKET

NAMED: Final = ("mood", "tempo")
"""Attributes that are named from the sound."""
HOP: Final = 480
"""Samples per frame: 20 ms."""
NOTES: Final = 73
_FIRST_NOTE = 36
_WINDOW = 2048
_PER_CHUNK = POCKET.samples_per_chunk // HOP
_GROUPS = 8
_LAGS = 100
"""Frames up to which onsets are compared: 2 s, two slow beats."""
_RISE = 2
"""Frames over which an energy must rise to be an onset."""
_BATCH = 32
_RATE = 3e-3
_AHEAD = 256


def notes_of(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log energy around each semitone from MIDI 36 on: float32 [channels, S] -> float32 [S / 480, 73]."""
    mono = torch.from_numpy(np.ascontiguousarray(audio.mean(axis=0)))
    frames = F.pad(mono, (_WINDOW - HOP, 0)).unfold(0, _WINDOW, HOP)
    power = torch.fft.rfft(frames * torch.hann_window(_WINDOW), dim=1).abs() ** 2
    notes: NDArray[np.float32] = torch.log10(power @ _note_matrix() + 1e-3).numpy()
    return notes


@cache
def _note_matrix() -> Tensor:
    """Weight of each frequency in each note: triangles of a semitone, and never narrower than one bin."""
    centres = 440.0 * 2.0 ** ((_FIRST_NOTE + np.arange(NOTES) - 69) / 12)
    bin_hz = POCKET.sample_rate / _WINDOW
    width = np.maximum(centres * (2 ** (1 / 12) - 1), bin_hz)
    bins = np.arange(_WINDOW // 2 + 1) * bin_hz
    return torch.from_numpy(np.clip(1 - np.abs(bins[:, None] - centres) / width, 0, None).astype(np.float32))


class MusicEar(nn.Module):
    """Note energies to scores of moods and tempos. About 0.1 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, dilation in ((NOTES, 1), (64, 2), (64, 4)):
            layers += [nn.Conv1d(inputs, 64, 5, padding=2 * dilation, dilation=dilation), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.groups = nn.Linear(NOTES, _GROUPS)
        self.rhythm = nn.Sequential(nn.Linear(_GROUPS * _LAGS, 64), nn.SiLU(), nn.Dropout(0.2))
        self.mood = nn.Linear(128, len(VOCABULARY["mood"]))
        self.tempo = nn.Linear(128 + 64, len(VOCABULARY["tempo"]))

    def forward(self, notes: Tensor) -> list[Tensor]:
        """float32 [B, frames, 73] -> scores of each of `NAMED`, float32 [B, classes]."""
        features = pooled(self.layers(notes.transpose(1, 2)))
        # Onsets of each note, then of groups of notes that are learnt.
        onsets = self.groups(torch.relu(notes[:, _RISE:] - notes[:, :-_RISE]))
        onsets = onsets - onsets.mean(dim=1, keepdim=True)
        spectrum = torch.fft.rfft(onsets, 2 * onsets.shape[1], dim=1).abs() ** 2
        alike = torch.fft.irfft(spectrum, dim=1)[:, : _LAGS + 1]
        alike = alike[:, 1:] / (alike[:, :1] + 1e-3)
        return [self.mood(features), self.tempo(torch.cat([features, self.rhythm(alike.flatten(1))], dim=1))]


def train_music(lessons: Sequence[SoundLesson], steps: int, seed: int) -> MusicEar:
    """Trains from scratch on stretches of `WINDOW_CHUNKS` to `TEMPO_CHUNKS` chunks of lessons that long; seeded.

    Raises:
        ValueError: a lesson is shorter.
    """
    if any(len(lesson.notes) < TEMPO_CHUNKS * _PER_CHUNK for lesson in lessons):
        raise ValueError(f"a sound to learn from must have at least {TEMPO_CHUNKS} chunks")
    torch.manual_seed(seed)
    ear = MusicEar()
    clips = torch.from_numpy(np.stack([lesson.notes for lesson in lessons]))
    labels = torch.tensor([label(lesson.shown) for lesson in lessons])[:, [JUDGED.index(name) for name in NAMED]]

    def loss_of(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(clips), (_BATCH,), generator=generator)
        chunks = int(torch.randint(WINDOW_CHUNKS, TEMPO_CHUNKS + 1, (1,), generator=generator))
        frames = chunks * _PER_CHUNK
        first = int(torch.randint(clips.shape[1] - frames + 1, (1,), generator=generator))
        x = clips[rows, first : first + frames]
        x = x + 0.4 * torch.randn((_BATCH, 1, 1), generator=generator)
        x = x + 0.15 * torch.randn(x.shape, generator=generator)
        return cross_entropy(ear(x), labels[rows])

    fit(ear, loss_of, steps=steps, seed=seed, rate=_RATE, title="judge: training the ear for music")
    return ear


def listen(ear: MusicEar, audio: NDArray[np.float32], samples_per_chunk: int) -> dict[str, NDArray[np.int64]]:
    """What is heard in the chunks that end with each chunk, as many as `labels.WINDOW` says.

    Returns:
        int64 [chunks] per attribute of `NAMED`; -1 for the first chunks, which have too few before them.
    """
    notes = torch.from_numpy(notes_of(audio))
    per_chunk = samples_per_chunk // HOP
    chunks = len(notes) // per_chunk
    found = {name: np.full(chunks, -1, np.int64) for name in NAMED}
    for i, name in enumerate(NAMED):
        if chunks < WINDOW[name]:
            continue
        windows = notes.unfold(0, WINDOW[name] * per_chunk, per_chunk).transpose(1, 2)
        with torch.no_grad():
            scores = [ear(part)[i] for part in torch.split(windows, _AHEAD)]
        found[name][WINDOW[name] - 1 :] = torch.cat(scores).argmax(dim=1).numpy()
    return found
