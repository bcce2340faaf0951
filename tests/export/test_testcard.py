"""The test card: what it counts can be read back, flash and beep meet, and the prompt is a colour."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.media.scaler import Scaler
from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.families import Condition, Model, load
from streamgen_export import testcard
from streamgen_export.testcard import (
    BEEP_S,
    BITS,
    COUNTED,
    DISC,
    EVENT_CHUNKS,
    FLASH_PICTURES,
    PICTURES,
    SAMPLE_RATE,
    SAMPLES,
    band_colour,
    read_counter,
    write_testcard,
)

CHUNKS = 2 * EVENT_CHUNKS + 1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_testcard(tmp_path_factory.mktemp("bundle") / "testcard"))


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> Model:
    return load(bundle)


@pytest.fixture(scope="module")
def shown(model: Model) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    prompt = model.text.encode("a calm sea")
    chunks = [model.decoder.decode(model.generator.step(Condition(prompt))) for _ in range(CHUNKS)]
    model.generator.reset()
    model.decoder.reset()
    return np.concatenate([c.video for c in chunks]), np.concatenate([c.audio for c in chunks], axis=1)


def test_the_one_that_ships_is_the_one_that_is_written(bundle: Bundle) -> None:
    assert bundled("testcard").manifest == bundle.manifest


def test_every_picture_tells_its_number(shown: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> None:
    pictures, _ = shown
    assert [read_counter(picture) for picture in pictures] == list(range(CHUNKS * PICTURES))


@pytest.mark.parametrize("size", [(426, 240), (320, 180), (1280, 720)])
def test_the_number_survives_another_size(
    shown: tuple[NDArray[np.uint8], NDArray[np.float32]], size: tuple[int, int]
) -> None:
    pictures, _ = shown
    scaler = Scaler((testcard.WIDTH, testcard.HEIGHT), size)
    for number in (0, 25, 51):
        assert read_counter(np.asarray(scaler.frame(pictures[number]).to_ndarray(format="rgb24"), np.uint8)) == number


def test_a_picture_that_cannot_be_read_is_no_number(shown: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> None:
    picture = shown[0][25].copy()
    picture[testcard.COUNTER :] = 128
    assert read_counter(picture) is None


def test_the_counter_begins_anew_before_it_is_inexact(bundle: Bundle) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle.path("decode_video"), providers=["CPUExecutionProvider"])
    last = np.array([COUNTED - PICTURES], np.float32)
    frames, after = session.run(None, {"latent": np.zeros((1, 3, 1, 1), np.float32), "count": last})
    assert [read_counter(picture) for picture in frames] == list(range(COUNTED - PICTURES, COUNTED))
    assert after == [0.0]
    assert 1 << BITS == COUNTED


def test_flash_and_beep_begin_together(shown: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> None:
    pictures, sound = shown
    column, row, _ = DISC
    bright = np.flatnonzero(pictures[:, row, column, 0] > 128)
    period = EVENT_CHUNKS * PICTURES
    expected = [first + i for first in range(0, len(pictures), period) for i in range(FLASH_PICTURES)]
    assert bright.tolist() == expected
    loud = np.abs(sound).max(axis=0) > 0.05
    begins = _onsets(loud)
    np.testing.assert_allclose(begins, np.arange(0, sound.shape[1], EVENT_CHUNKS * SAMPLES), atol=SAMPLE_RATE // 1000)
    assert loud.sum() / len(begins) <= BEEP_S * SAMPLE_RATE
    assert np.abs(sound).max() < 0.6


def _onsets(loud: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where it gets loud after at least 100 ms of quiet."""
    places = np.flatnonzero(loud)
    return places[np.diff(places, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 10]


def test_another_prompt_is_another_colour_and_the_counter_goes_on(model: Model) -> None:
    colours = []
    for number, text in enumerate(("a calm sea", "a red balloon", "rain on a city at night")):
        chunk = model.decoder.decode(model.generator.step(Condition(model.text.encode(text))))
        assert read_counter(chunk.video[0]) == number * PICTURES
        colours.append(band_colour(chunk.video[0]))
        np.testing.assert_allclose(band_colour(chunk.video[-1]), colours[-1])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(colours[one] - colours[other]).max() > 30


def test_every_language_and_length_is_a_prompt(model: Model) -> None:
    for text in ("海の上の赤い風船", "шар", "🎈" * 300, "a" * 4000):
        encoded = model.text.encode(text)
        assert np.isfinite(encoded.pooled).all()
        assert np.linalg.norm(encoded.pooled) == pytest.approx(1.0, abs=1e-3)


def test_it_is_written_the_same_each_time(bundle: Bundle, tmp_path: Path) -> None:
    again = write_testcard(tmp_path / "again")
    names = sorted(file.name for file in bundle.root.iterdir())
    assert names == sorted(file.name for file in again.iterdir())
    assert all((again / name).read_bytes() == (bundle.root / name).read_bytes() for name in names)
    assert json.loads((again / "manifest.json").read_text())["licence"] == "Apache-2.0"
