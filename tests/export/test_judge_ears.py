"""The judge's ears, on sounds whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from streamgen_export.pocket.judge import ear, mood
from streamgen_export.pocket.judge.impacts import synchrony
from streamgen_export.pocket.judge.lessons import SoundLesson
from streamgen_export.pocket.judge.renders import sounded
from streamgen_export.pocket.scenes.attributes import MOODS
from streamgen_export.pocket.scenes.sound import Controls
from streamgen_export.pocket.scenes.synth import BANDS, FIRST_NOTE, NOTES
from tests.export.judge_material import SEA, knocks


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> ear.Ear:
    rng = np.random.default_rng(0)
    lessons = []
    for seed in range(48):
        times = (0.2 + np.cumsum(rng.uniform(0.4, 0.9, 3))).tolist() if seed % 2 else []
        sound = knocks(times, 10, seed)
        lessons.append(SoundLesson(ear.bands_of(sound), np.zeros((80, NOTES), np.float32), tuple(times), (SEA,) * 10))
    return ear.train_ear(lessons, steps=150, seed=0)


def test_knocks_are_heard_where_they_are_and_nowhere_else(trained: ear.Ear) -> None:
    times = [0.5, 1.3, 2.45]
    assert ear.heard_impacts(trained, knocks(times, 10, seed=99)) == pytest.approx(times, abs=0.03)
    assert ear.heard_impacts(trained, knocks([], 10, seed=98)) == []


def test_sound_of_another_take_gives_large_offsets(trained: ear.Ear) -> None:
    rng = np.random.default_rng(7)
    seen = [(0.15 + np.arange(3) * 0.8 + rng.uniform(0, 0.7)).tolist() for _ in range(12)]
    heard = [ear.heard_impacts(trained, knocks(times, 10, seed)) for seed, times in enumerate(seen, 200)]
    own = synchrony(seen, heard, duration_s=38.4)
    other = synchrony(seen, heard[1:] + heard[:1], duration_s=38.4)
    assert own.matched == 1.0
    assert own.median_s is not None
    assert own.median_s < 0.02
    assert other.median_s is not None
    assert other.median_s > 0.08


def chord(notes: tuple[int, ...], seed: int) -> SoundLesson:
    """Six chunks of a steady chord."""
    tones = np.zeros((6 * 32, NOTES), np.float32)
    tones[:, [note - FIRST_NOTE for note in notes]] = 0.1
    controls = Controls(tones, np.full((len(tones), BANDS), 0.002, np.float32))
    shown = replace(SEA, mood="tense" if 63 in notes else "joyful")
    return SoundLesson(np.zeros((192, ear.BANDS), np.float32), mood.notes_of(sounded(controls, seed)), (), (shown,) * 6)


def test_notes_have_their_places() -> None:
    lesson = chord((60, 67), 0)
    assert lesson.notes.shape == (48, NOTES)
    loudest = np.argsort(lesson.notes[24])[-2:] + FIRST_NOTE
    assert set(loudest.tolist()) == {60, 67}


def test_the_ear_for_music_tells_major_from_minor() -> None:
    lessons = [chord(notes, seed) for seed in range(3) for notes in ((60, 63, 67), (60, 64, 67))]
    trained = mood.train_mood(lessons, steps=60, seed=0)
    tones = np.zeros((8 * 32, NOTES), np.float32)
    tones[:, [60 - FIRST_NOTE, 63 - FIRST_NOTE, 67 - FIRST_NOTE]] = 0.07
    minor = sounded(Controls(tones, np.full((len(tones), BANDS), 0.003, np.float32)), 50)
    heard = mood.listen(trained, minor)
    assert heard.tolist() == [-1] * 5 + [MOODS.index("tense")] * 3


def test_mood_needs_a_bar() -> None:
    assert mood.listen(mood.MoodEar().eval(), knocks([], 4)).tolist() == [-1] * 4
    short = replace(chord((60,), 0), shown=(SEA,) * 3 + (replace(SEA, mood="tense"),) * 3)
    with pytest.raises(ValueError, match="6 chunks"):
        mood.train_mood([short], 1, 0)
