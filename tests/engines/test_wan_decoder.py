"""Latent frames to pictures: the first of a stream by both ways, the states after it, and the sound beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array, LatentChunk, Shares, UInt8Array
from streamgen_engines.errors import GraphRunError, NonFiniteError
from streamgen_engines.families import WanDecoder
from streamgen_engines.manifest import WanManifest
from streamgen_engines.runtimes import Array, OnnxRuntimeCpu
from streamgen_engines.sound import Silence, Sound
from tests.counting_engine import CountingEngine
from tests.tiny_wan_bundle import COLUMNS, ROWS, write_tiny_wan_bundle

SAMPLES = 36_000


@pytest.fixture(scope="module", params=[True, False], ids=["first graph", "lead"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny", first=request.param))


def decoder(bundle: Bundle, sound: Sound | None = None) -> WanDecoder:
    manifest = bundle.manifest
    assert isinstance(manifest, WanManifest)
    return WanDecoder(bundle, manifest, OnnxRuntimeCpu(), sound or Silence(manifest.audio))


def told(number: int) -> Shares:
    return ((f"sound {number}", 0.75), ("rain", 0.25))


def latents(number: int, *, cut: bool = False) -> LatentChunk:
    video = np.random.default_rng(number).standard_normal((1, 4, 3, ROWS, COLUMNS)).astype(np.float32)
    return LatentChunk(number, video, np.zeros((1, 0, 0), np.float32), seed=5, cut=cut, heard=told(number))


def painted(cells: Float32Array) -> UInt8Array:
    """One picture of `[C, ROWS, COLUMNS]`."""
    levels = np.round(np.tanh(cells[:3]) * 100 + 128).astype(np.uint8).transpose(1, 2, 0)
    return levels.repeat(8, axis=0).repeat(8, axis=1)


def expected(chunks: list[LatentChunk]) -> list[UInt8Array]:
    """Pictures by the rule: a stream's first latent frame stands still, and from then on they glide."""
    last: Float32Array | None = None
    shown = []
    for chunk in chunks:
        pictures = []
        for frame in range(3):
            cells = chunk.video[0, :, frame]
            start = cells if last is None or (chunk.cut and frame == 0) else last
            pictures += [painted(start * (1 - t / 4) + cells * (t / 4)) for t in range(1, 5)]
            last = cells
        shown.append(np.stack(pictures))
    return shown


def close(found: UInt8Array, right: UInt8Array) -> bool:
    return bool(np.abs(found.astype(int) - right).max() <= 1)  # rounding to a level


def test_pictures_join_and_the_first_of_a_stream_stands_still(bundle: Bundle) -> None:
    chunks = [latents(number, cut=number == 0) for number in range(4)]
    tested = decoder(bundle)
    for chunk, right in zip(chunks, expected(chunks), strict=True):
        made = tested.decode(chunk)
        assert made.index == chunk.index
        assert made.video.shape == (12, 48, 80, 3)
        assert close(made.video, right)
        assert made.audio.shape == (2, SAMPLES)
        assert made.audio.dtype == np.float32
    assert not close(expected(chunks)[1], expected(chunks[1:])[0])  # the joint is seen


def test_after_a_cut_the_picture_stands_still_again(bundle: Bundle) -> None:
    chunks = [latents(0, cut=True), latents(1), latents(2, cut=True), latents(3)]
    tested = decoder(bundle)
    for chunk, right in zip(chunks, expected(chunks), strict=True):
        assert close(tested.decode(chunk).video, right)


def test_a_decoder_that_begins_in_the_middle_begins_as_a_stream_does(bundle: Bundle) -> None:
    tested = decoder(bundle)
    assert close(tested.decode(latents(4)).video, expected([latents(4)])[0])
    tested.decode(latents(5))
    tested.reset()
    assert close(tested.decode(latents(4)).video, expected([latents(4)])[0])


class Heard:
    """A sound that notes what it is asked for, and gives what it is told to."""

    def __init__(self, give: Callable[[], Float32Array]) -> None:
        self.give = give
        self.asked: list[tuple[Shares, int, bool]] = []
        self.seen: list[UInt8Array] = []
        self.resets = 0

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        self.asked.append((heard, seed, cut))
        self.seen = []

    def see(self, pictures: UInt8Array) -> None:
        self.seen.append(pictures)

    def finish(self) -> Float32Array:
        return self.give()

    def reset(self) -> None:
        self.resets += 1


def test_sound_is_made_from_pictures_texts_and_seed(bundle: Bundle) -> None:
    sound = Heard(lambda: np.full((2, SAMPLES), 0.25, np.float32))
    tested = decoder(bundle, sound)
    assert (tested.decode(latents(0, cut=True)).audio == 0.25).all()
    shown = tested.decode(latents(1)).video
    assert [part.shape for part in sound.seen] == [(4, 48, 80, 3)] * 3  # as they are decoded
    assert np.array_equal(np.concatenate(sound.seen), shown)
    tested.decode(latents(2, cut=True))
    assert sound.asked == [(told(0), 5, True), (told(1), 5, False), (told(2), 5, True)]
    assert sound.resets == 0  # a cut of the picture must not click
    tested.reset(9)
    assert sound.resets == 1


@pytest.mark.parametrize(
    ("give", "error", "told"),
    [
        (lambda: np.zeros((2, SAMPLES - 1), np.float32), GraphRunError, r"is \[2, 35999\], and has to be \[2, 36000\]"),
        (lambda: np.full((2, SAMPLES), np.nan, np.float32), NonFiniteError, "the sound of chunk 0 is not a number"),
    ],
)
def test_sound_of_another_length_or_without_numbers_is_refused(
    bundle: Bundle, give: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        decoder(bundle, Heard(give)).decode(latents(0))


def test_silence_is_silent_and_the_callers_own(bundle: Bundle) -> None:
    silence = Silence(bundle.manifest.audio)
    silence.begin(told(0), 1)
    silence.see(np.zeros((12, 8, 8, 3), np.uint8))
    first = silence.finish()
    first.fill(1)
    assert not silence.finish().any()


def test_both_ways_show_the_same(tmp_path: Path) -> None:
    ways = [Bundle.open(write_tiny_wan_bundle(tmp_path / name, first=name == "first")) for name in ("first", "lead")]
    one, two = (decoder(bundle) for bundle in ways)
    for number in range(3):
        chunk = latents(number, cut=number == 0)
        assert close(one.decode(chunk).video, two.decode(chunk).video)


def test_states_pass_from_graph_to_graph_and_never_through_the_decoder(tmp_path: Path) -> None:
    class Closed(CountingEngine):
        def state(self, name: str) -> Array:
            raise AssertionError(f"{name} was brought to the host")

    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path / "tiny"))
    tested = decoder(bundle)
    assert tested._first is not None
    tested._first, tested._steady = Closed(tested._first), Closed(tested._steady)
    chunks = [latents(0, cut=True), latents(1, cut=True)]
    for chunk, right in zip(chunks, expected(chunks), strict=True):
        assert close(tested.decode(chunk).video, right)
