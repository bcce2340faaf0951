"""Generated streams as takes, and the gallery that is drawn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError
from streamgen_engines.families import load
from streamgen_export.pocket import gallery
from streamgen_export.pocket.judge.briefs import Brief, change_briefs, event_briefs
from streamgen_export.pocket.judge.streams import ModelStream, Stream, form_of, side_by_side, take_of
from streamgen_export.pocket.judge.takes import Footage, Take
from tests.export.judge.material import FORM
from tests.tiny_bundle import write_tiny_bundle


class Counting:
    """A stream whose chunks say their seed, their number and the length of their prompt."""

    form = FORM

    def start(self, seed: int) -> None:
        self.seed, self.number = seed, 0

    def chunk(self, prompt: str) -> Footage:
        self.number += 1
        video = np.full((4, FORM.height, FORM.width, 3), 10 * (self.seed % 10) + self.number, np.uint8)
        return video, np.full((2, FORM.samples_per_chunk), len(prompt) / 100, np.float32)


def test_streams_side_by_side_give_the_same_takes_as_one() -> None:
    briefs = event_briefs(seed=1, count=5, chunks=3)
    one = list(side_by_side([Counting()], briefs, take_of))
    two = list(side_by_side([Counting(), Counting()], briefs, take_of))
    for left, right, brief in zip(one, two, briefs, strict=True):
        np.testing.assert_array_equal(left.small, right.small)
        assert left.small[:, 0, 0, 0].tolist() == [10 * (brief.seed % 10) + n for n in (1, 2, 3) for _ in range(4)]
        assert left.audio[0, -1] == pytest.approx(len(brief.prompts[0]) / 100)


def test_a_failing_stream_fails_the_run() -> None:
    def fail(stream: Stream, brief: Brief) -> Take:
        raise RuntimeError("ran away")

    with pytest.raises(RuntimeError, match="ran away"):
        list(side_by_side([Counting()], event_briefs(1, 2, 3), fail))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))


def test_a_model_streams_what_its_seed_and_prompts_say(bundle: Path) -> None:
    stream = ModelStream(load(Bundle.open(bundle)))
    brief = change_briefs(seed=0, count=1, before=2, after=2)[0]
    first, again = take_of(stream, brief), take_of(stream, brief)
    np.testing.assert_array_equal(first.small, again.small)
    np.testing.assert_array_equal(first.audio, again.audio)
    unchanged = take_of(stream, replace(brief, prompts=brief.prompts[:1] * 4))
    np.testing.assert_array_equal(unchanged.small[:8], first.small[:8])
    assert not np.array_equal(unchanged.small[8:], first.small[8:])


def test_sizes_and_rates_are_the_bundles(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    form = form_of(manifest)
    assert (form.width, form.height, form.samples_per_chunk) == (160, 96, 7_680)
    assert form.chunk_s == pytest.approx(0.32)
    video = manifest.video.model_copy(update={"frames_per_chunk": 8, "fps": (25, 1)})
    with pytest.raises(EngineError, match="4 pictures a chunk"):
        form_of(manifest.model_copy(update={"video": video}))
    video = manifest.video.model_copy(update={"fps": (30, 1)})
    with pytest.raises(EngineError, match="whole number of control frames"):
        form_of(manifest.model_copy(update={"video": video}))


def test_a_row_has_pictures_along_all_of_its_time() -> None:
    row = gallery.shoot_row(Counting(), "a prompt", seed=0, pictures=4, seconds=2.4)
    assert len(row.pictures) == len(row.times_s) == 4
    assert row.times_s[0] == pytest.approx(0.5, abs=0.06)
    assert row.times_s[-1] == pytest.approx(2.34, abs=0.01)
    assert row.pictures[-1, 0, 0, 0] == 10
    assert row.audio.shape[1] == 10 * FORM.samples_per_chunk


def test_the_gallery_draws_all_and_each(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--bundle", str(bundle), "--out", str(tmp_path), "--seconds", "1", "--pictures", "3"]
    assert gallery.main([*arguments, "a $5 boat", "Fireworks!"]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["01-a-5-boat.jpg", "02-fireworks.jpg", "gallery.png"]
    assert imread(tmp_path / "gallery.png").shape[0] == 2 * imread(tmp_path / "01-a-5-boat.jpg").shape[0]
    assert "gallery.png" in capsys.readouterr().out
    assert len(gallery.PROMPTS) == 10
    assert gallery.main(["--bundle", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "is not a bundle" in capsys.readouterr().err
