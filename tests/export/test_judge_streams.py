"""Renders and generated streams as takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import load
from streamgen_export.pocket.judge.briefs import Brief, bounce_briefs, change_briefs
from streamgen_export.pocket.judge.renders import (
    in_parallel,
    picture_lesson,
    render,
    sound_lesson,
    sounded,
)
from streamgen_export.pocket.judge.streams import Footage, ModelStream, Stream, shoot, side_by_side, take_of
from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.scenes.attributes import held_out
from streamgen_export.pocket.scenes.sound import sound_controls
from streamgen_export.pocket.scenes.synth import Synth
from streamgen_export.pocket.scenes.world import SAMPLES_PER_CHUNK, sample_world
from tests.tiny_bundle import write_tiny_bundle


def test_a_render_shows_what_the_brief_asks_for() -> None:
    brief = change_briefs(seed=0, count=1, before=2, after=2)[0]
    take = render(brief)
    assert take.wanted == brief.wanted
    assert take.prompts == brief.prompts
    assert take.video.shape == (16, 96, 160, 3)
    np.testing.assert_array_equal(take.video, render(brief).video)
    bouncing = render(bounce_briefs(seed=0, count=1, chunks=6)[0])
    assert 1 <= len(bouncing.impacts_s) <= 2
    assert all(0 <= time < 1.92 for time in bouncing.impacts_s)


def test_sound_in_parts_is_the_sound_at_once() -> None:
    controls = sound_controls(sample_world(3, chunks=3))
    noise = np.random.default_rng([7, 0x50D])
    parts = [noise.standard_normal((2, SAMPLES_PER_CHUNK), dtype=np.float32) for _ in range(3)]
    at_once = Synth().render(controls.tones, controls.noise, np.concatenate(parts, axis=1))
    np.testing.assert_allclose(sounded(controls, 7), at_once, atol=1e-6)


def test_lessons_show_nothing_that_is_held_out() -> None:
    for number in range(4):
        lesson = picture_lesson(number)
        assert lesson.pictures.shape == (40, 48, 80, 3)
        assert lesson.masks.shape == (40, 24, 40)
        assert not any(held_out(combination) for shown in lesson.shown for combination in shown.combinations)
    sound = sound_lesson(0)
    assert sound.bands.shape == (320, 40)
    assert sound.notes.shape == (80, 73)
    assert sound.shown == picture_lesson(0).shown


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(in_parallel(abs, [-3, 1, -2], processes=1, title="test")) == [3, 1, 2]


class Counting:
    """A stream whose chunks say their seed, their number and the length of their prompt."""

    def start(self, seed: int) -> None:
        self.seed, self.number = seed, 0

    def chunk(self, prompt: str) -> Footage:
        self.number += 1
        video = np.full((4, 2, 2, 3), 10 * (self.seed % 10) + self.number, np.uint8)
        return video, np.full((2, SAMPLES_PER_CHUNK), len(prompt) / 100, np.float32)


def test_streams_side_by_side_give_the_same_takes_as_one() -> None:
    briefs = bounce_briefs(seed=1, count=5, chunks=3)
    one = list(side_by_side([Counting()], briefs, take_of))
    two = list(side_by_side([Counting(), Counting()], briefs, take_of))
    for left, right, brief in zip(one, two, briefs, strict=True):
        np.testing.assert_array_equal(left.video, right.video)
        assert left.video[:, 0, 0, 0].tolist() == [10 * (brief.seed % 10) + n for n in (1, 2, 3) for _ in range(4)]
        assert left.audio[0, -1] == pytest.approx(len(brief.prompts[0]) / 100)


def test_a_failing_stream_fails_the_run() -> None:
    def fail(stream: Stream, brief: Brief) -> Take:
        raise RuntimeError("ran away")

    with pytest.raises(RuntimeError, match="ran away"):
        list(side_by_side([Counting()], bounce_briefs(1, 2, 3), fail))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> ModelStream:
    return ModelStream(load(Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("tiny")))))


def test_a_model_streams_what_its_seed_and_prompts_say(stream: ModelStream) -> None:
    brief = change_briefs(seed=0, count=1, before=2, after=2)[0]
    first, again = take_of(stream, brief), take_of(stream, brief)
    np.testing.assert_array_equal(first.video, again.video)
    np.testing.assert_array_equal(first.audio, again.audio)
    steady = Brief(brief.seed, brief.wanted, brief.prompts[:1] * 4)
    unchanged = take_of(stream, steady)
    np.testing.assert_array_equal(unchanged.video[:8], first.video[:8])
    assert not np.array_equal(unchanged.video[8:], first.video[8:])


def test_footage_is_made_as_it_is_taken(stream: ModelStream) -> None:
    footage: Iterator[Footage] = shoot(stream, bounce_briefs(seed=0, count=1, chunks=10**6)[0])
    assert [video.shape for video, _ in islice(footage, 2)] == [(4, 96, 160, 3)] * 2
