"""The judge's ears, on sounds whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from streamgen_export.pocket.judge import ear, music
from streamgen_export.pocket.judge.labels import TEMPO_CHUNKS, WINDOW_CHUNKS
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.judge.sync import synchrony
from streamgen_export.pocket.world.attributes import MOODS, TEMPOS
from tests.export.judge.material import FORM, MEADOW, knocks

SILENT = np.zeros((96, music.NOTES), np.float32)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> ear.Ear:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lessons = []
    for seed in range(48):
        times = (0.2 + np.cumsum(rng.uniform(0.4, 0.9, 3))).tolist() if seed % 2 else []
        low = seed % 4 == 1
        bands = ear.bands_of(knocks(times, 13, seed, hz=120 if low else 2500))
        kind = "contact" if low else "burst"
        lessons.append(SoundLesson(bands, SILENT, tuple((kind, time) for time in times), MEADOW))
    return ear.train_ear(lessons, steps=200, seed=0)


def test_events_are_heard_where_they_are_and_as_what_they_are(trained: ear.Ear) -> None:
    times = [0.5, 1.3, 2.45]
    heard = ear.heard_events(trained, knocks(times, 13, seed=99))
    assert heard["contact"] == pytest.approx(times, abs=0.03)
    assert heard["burst"] == heard["splash"] == []
    assert ear.heard_events(trained, knocks(times, 13, seed=99, hz=2500))["burst"] == pytest.approx(times, abs=0.03)
    assert not any(ear.heard_events(trained, knocks([], 13, seed=98)).values())


def test_sound_of_another_take_gives_large_offsets(trained: ear.Ear) -> None:
    rng = np.random.default_rng(7)
    seen = [{"contact": (0.15 + np.arange(3) * 0.8 + rng.uniform(0, 0.7)).tolist()} for _ in range(12)]
    heard = [ear.heard_events(trained, knocks(times["contact"], 13, seed)) for seed, times in enumerate(seen, 200)]
    own = synchrony(seen, heard, duration_s=37.4)["contact"]
    other = synchrony(seen, heard[1:] + heard[:1], duration_s=37.4)["contact"]
    assert own.matched == 1.0
    assert own.median_s is not None
    assert own.median_s < 0.02
    assert other.median_s is not None
    assert other.median_s > 0.08


def chord(notes: tuple[int, ...], beat_chunks: int, chunks: int, seed: int) -> np.ndarray:
    """A chord that is struck on every beat, over a little noise: float32 [2, S]."""
    t = np.arange(chunks * FORM.samples_per_chunk) / FORM.sample_rate
    age = t % (beat_chunks * FORM.chunk_s)
    waves = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * t) for note in notes)
    sound = 0.1 * waves * np.exp(-age * 4) + 0.003 * np.random.default_rng(seed).standard_normal(len(t))
    return np.stack([sound, sound]).astype(np.float32)


def test_notes_have_their_places() -> None:
    notes = music.notes_of(chord((60, 67), 4, 4, 0))
    assert notes.shape == (48, music.NOTES)
    loudest = np.argsort(notes[8])[-2:] + 36
    assert set(loudest.tolist()) == {60, 67}


def test_the_ear_for_music_tells_moods_and_tempos() -> None:
    minor, major = (60, 63, 67), (60, 64, 67)
    lessons = [
        SoundLesson(
            np.zeros((4, ear.BANDS), np.float32),
            music.notes_of(chord(notes, beat, 13, seed)),
            (),
            replace(MEADOW, mood="tense" if notes == minor else "joyful", tempo="slow" if beat == 4 else "fast"),
        )
        for seed in range(3)
        for notes in (minor, major)
        for beat in (4, 2)
    ]
    trained = music.train_music(lessons, steps=60, seed=0)
    heard = music.listen(trained, chord(minor, 2, 14, 50), FORM.samples_per_chunk)
    assert heard["mood"].tolist() == [-1] * (WINDOW_CHUNKS - 1) + [MOODS.index("tense")] * 7
    assert heard["tempo"].tolist() == [-1] * (TEMPO_CHUNKS - 1) + [TEMPOS.index("fast")] * 3
    assert music.listen(trained, chord(major, 4, 4, 51), FORM.samples_per_chunk)["mood"].tolist() == [-1] * 4
    with pytest.raises(ValueError, match="12 chunks"):
        music.train_music([replace(lessons[0], notes=SILENT)], 1, 0)
