"""Sound for given pictures: two clocks, seeds, prompts, cuts, and what cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.chunk import Float32Array, Shares, UInt8Array
from streamgen_engines.condition import Condition
from streamgen_engines.errors import BundleError, MissingGraphError
from streamgen_engines.families import load
from streamgen_engines.families.pocket import PocketGenerator, SoundDecoder
from streamgen_engines.families.pocket_sound import PictureClock, PocketSound, VideoEncoder
from streamgen_engines.manifest import VideoPart
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.sound import Sound
from streamgen_engines.sound_thread import SoundThread
from streamgen_engines.text import TextEncoder
from tests.tiny_bundle import VIDEO, write_tiny_bundle
from tests.tiny_wan_bundle import HEIGHT, PICTURE_WIDTH, write_tiny_wan_bundle

BALL: Shares = (("a red ball bounces", 1.0),)
SEA: Shares = (("calm sea at night", 1.0),)
MODEL_SAMPLES = 7_680
"""Of a chunk of the tiny model: 0.32 s, beside chunks of pictures of 0.75 s."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="module")
def source(folder: Path) -> Bundle:
    return Bundle.open(write_tiny_bundle(folder / "tiny", sees=True))


@pytest.fixture(scope="module")
def wanted(folder: Path) -> Bundle:
    """At the rate of the tiny model, so that its samples can be compared one by one."""
    return Bundle.open(write_tiny_wan_bundle(folder / "tiny-wan", sound="tiny", sample_rate=24_000))


def sound(source: Bundle, wanted: Bundle, seed: int = 0) -> PocketSound:
    return PocketSound(source, wanted.manifest, OnnxRuntimeCpu, seed)


def still(level: int = 90, pictures: int = 12) -> UInt8Array:
    return np.full((pictures, HEIGHT, PICTURE_WIDTH, 3), level, np.uint8)


def moving(number: int) -> UInt8Array:
    return np.random.default_rng(number).integers(0, 256, (12, HEIGHT, PICTURE_WIDTH, 3), dtype=np.uint8)


def chunk_of(
    tested: Sound, pictures: UInt8Array, heard: Shares, seed: int, *, cut: bool = False, at_once: int = 4
) -> Float32Array:
    """A whole chunk, whose pictures come so many at once."""
    tested.begin(heard, seed, cut=cut)
    for first in range(0, len(pictures), at_once):
        tested.see(pictures[first : first + at_once])
    return tested.finish()


def stream(tested: PocketSound, chunks: int, *, heard: Shares = BALL, seed: int = 3) -> Float32Array:
    return np.concatenate([chunk_of(tested, moving(number), heard, seed) for number in range(chunks)], axis=1)


def test_a_hundred_chunks_have_their_exact_samples_and_are_the_models_own_stream(
    source: Bundle, wanted: Bundle
) -> None:
    tested = sound(source, wanted, 3)
    made = [chunk_of(tested, still(), BALL, 3) for _ in range(100)]
    assert {chunk.shape for chunk in made} == {(2, 18_000)}
    assert {chunk.dtype for chunk in made} == {np.dtype(np.float32)}
    # Nothing moves, so nothing is louder: what the model makes beside such pictures, end to end.
    generator, decoder = PocketGenerator(source, OnnxRuntimeCpu(), 3), SoundDecoder(source, OnnxRuntimeCpu(), 3)
    seen = VideoEncoder(source, OnnxRuntimeCpu()).encode(np.full((4, VIDEO.height, VIDEO.width, 3), 90, np.uint8))
    condition = Condition(TextEncoder(source, OnnxRuntimeCpu()).blend(BALL))
    right = [decoder.decode(generator.step(condition, seen)) for _ in range(-(-100 * 18_000 // MODEL_SAMPLES))]
    np.testing.assert_array_equal(np.concatenate(made, axis=1), np.concatenate(right, axis=1)[:, : 100 * 18_000])


def test_the_pictures_that_are_given_are_those_in_the_ring(source: Bundle) -> None:
    generator = PocketGenerator(source, OnnxRuntimeCpu(), 3)
    pictures = np.random.default_rng(1).integers(0, 256, (4, VIDEO.height, VIDEO.width, 3), dtype=np.uint8)
    given = VideoEncoder(source, OnnxRuntimeCpu()).encode(pictures)
    prompt = TextEncoder(source, OnnxRuntimeCpu()).blend(BALL)
    made, free = generator.step(Condition(prompt), given), generator.step(Condition(prompt))
    np.testing.assert_allclose(made.video, given, atol=1e-5)
    assert np.abs(free.video - given).max() > 0.5


@pytest.mark.parametrize("chunk", [1, 3])
def test_at_twice_the_rate_it_is_twice_as_many(folder: Path, source: Bundle, chunk: int) -> None:
    wan = Bundle.open(write_tiny_wan_bundle(folder / f"wan-{chunk}", chunk=chunk, window=6, sink=3, sound="tiny"))
    model = load(wan)
    prompt = model.text.encode("a red ball bounces")
    made = [model.decoder.decode(model.generator.step(Condition(prompt))) for _ in range(6)]
    assert {part.audio.shape for part in made} == {(2, 12_000 * chunk)}
    assert all(part.audio.std() > 0.05 for part in made[3:])


def test_the_same_seed_makes_the_same_bits_and_another_one_others(source: Bundle, wanted: Bundle) -> None:
    tested = sound(source, wanted, 3)
    first = stream(tested, 4)
    np.testing.assert_array_equal(stream(sound(source, wanted), 4), first)
    tested.reset()
    np.testing.assert_array_equal(stream(tested, 4), first)
    assert not np.array_equal(stream(sound(source, wanted), 4, seed=4), first)


def test_however_the_pictures_come_and_on_whatever_thread_the_sound_is_the_same(source: Bundle, wanted: Bundle) -> None:
    streams: list[Sound] = [sound(source, wanted), sound(source, wanted), SoundThread(sound(source, wanted))]
    made = [
        [chunk_of(tested, moving(number), BALL, 3, at_once=at_once) for number in range(4)]
        for tested, at_once in zip(streams, (12, 1, 4), strict=True)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


def test_a_chunk_that_was_not_seen_to_its_end_is_an_error(source: Bundle, wanted: Bundle) -> None:
    tested = SoundThread(sound(source, wanted))
    tested.begin(BALL, 3)
    tested.see(still()[:8])
    with pytest.raises(ValueError, match="only 8 pictures"):
        tested.finish()
    tested.reset()
    np.testing.assert_array_equal(
        chunk_of(tested, moving(0), BALL, 3), chunk_of(sound(source, wanted), moving(0), BALL, 3)
    )


def test_a_new_prompt_is_heard_from_the_next_model_chunk_on(source: Bundle, wanted: Bundle) -> None:
    old, new = sound(source, wanted), sound(source, wanted)
    np.testing.assert_array_equal(stream(old, 1), stream(new, 1))
    one, other = chunk_of(old, moving(1), BALL, 3), chunk_of(new, moving(1), SEA, 3)
    # Of 0.75 s the model's chunks fill 0.96 s, so the first 0.21 s were made before.
    np.testing.assert_array_equal(one[:, :5_040], other[:, :5_040])
    assert not np.array_equal(one[:, 5_040 : 5_040 + 100], other[:, 5_040 : 5_040 + 100])
    half = chunk_of(sound(source, wanted), moving(0), (("a red ball bounces", 0.5), ("calm sea at night", 0.5)), 3)
    assert not np.array_equal(half, chunk_of(sound(source, wanted), moving(0), BALL, 3))


def test_a_cut_drops_the_past_once_and_does_not_click(
    source: Bundle, wanted: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts: list[bool] = []
    step = PocketGenerator.step

    def watched(self: PocketGenerator, condition: Condition, given: Float32Array | None = None) -> Any:
        cuts.append(condition.cut)
        return step(self, condition, given)

    monkeypatch.setattr(PocketGenerator, "step", watched)
    tested = sound(source, wanted)
    made = [chunk_of(tested, still(), BALL, 3) for _ in range(2)]
    made.append(chunk_of(tested, still(200), BALL, 3, cut=True))
    made.append(chunk_of(tested, still(200), BALL, 3))
    # 3, 2, 3 and 2 chunks of the model: 54,000 samples need 8 of them, 72,000 need 10.
    assert cuts == [False] * 5 + [True, False, False] + [False, False]
    heard = np.concatenate(made, axis=1)
    steps = np.abs(np.diff(heard, axis=1)).max(axis=0)
    around_the_cut = steps[36_000 - 10 : 36_000 + MODEL_SAMPLES]
    assert around_the_cut.max() <= steps[MODEL_SAMPLES:36_000].max() * 1.05


def test_louder_where_something_happens(source: Bundle, wanted: Bundle) -> None:
    tested = sound(source, wanted)
    for _ in range(4):
        chunk_of(tested, still(), BALL, 3)
    flash = still()
    flash[6] = 255
    made = chunk_of(tested, flash, BALL, 3)
    before, after = made[:, :8_000].std(), made[:, 10_000:12_000].std()
    assert after > 1.5 * before


def test_it_begins_in_the_middle_of_nothing_after_a_reset(source: Bundle, wanted: Bundle) -> None:
    tested = sound(source, wanted)
    first = stream(tested, 3)
    chunk_of(tested, moving(9), SEA, 8, cut=True)
    tested.reset()
    np.testing.assert_array_equal(stream(tested, 3), first)


# Which pictures -----------------------------------------------------------------------------------------------------


def test_pictures_of_both_clocks_meet_in_time() -> None:
    shown = VideoPart(width=8, height=8, fps=(16, 1), frames_per_chunk=12, latent=(1, 3, 1, 1))
    model = VideoPart(width=8, height=8, fps=(50, 3), frames_per_chunk=4, latent=(1, 1, 1))
    clock = PictureClock(shown, model, 24_000)
    # Middles at 30, 90, 150 and 210 ms; pictures last 62.5 ms.
    assert clock.pictures(0).tolist() == [0, 1, 2, 3]
    assert clock.pictures(5_760).tolist() == [4, 5, 6, 7]
    assert clock.pictures(5_040).tolist() == [3, 4, 5, 6]
    # The last one begins at 0.72 s, and 30 ms later the pictures end.
    assert clock.pictures(3 * 5_760).tolist() == [11, 11, 11, 11]
    fast = VideoPart(width=8, height=8, fps=(30_000, 1_001), frames_per_chunk=30, latent=(1, 1, 1, 1))
    assert PictureClock(fast, model, 24_000).pictures(0).tolist() == [0, 2, 4, 6]


# What cannot be -----------------------------------------------------------------------------------------------------


def test_a_bundle_that_does_not_see_is_refused(folder: Path, wanted: Bundle) -> None:
    blind = Bundle.open(write_tiny_bundle(folder / "blind", name="blind"))
    with pytest.raises(MissingGraphError, match=r"bundle blind cannot make sound for pictures: .*encode_video"):
        sound(blind, wanted)


def test_a_bundle_of_another_family_is_refused(wanted: Bundle) -> None:
    with pytest.raises(BundleError, match=r"audio\.bundle of bundle tiny-wan names tiny-wan, .* family wan; .*pocket"):
        sound(wanted, wanted)


@pytest.mark.parametrize("rate", [16_000, 44_100 - 44_100 % 4, 36_000])
def test_a_rate_that_is_no_multiple_is_refused(folder: Path, source: Bundle, rate: int) -> None:
    other = Bundle.open(write_tiny_wan_bundle(folder / f"rate-{rate}", sound="tiny", sample_rate=rate))
    with pytest.raises(BundleError, match=rf"audio\.sample_rate .* is {rate}, .* 24000 Hz; give that or a whole"):
        sound(source, other)


def test_a_bundle_that_is_nowhere_is_told_at_load(folder: Path) -> None:
    lost = Bundle.open(write_tiny_wan_bundle(folder / "lost", sound="no-such-bundle"))
    with pytest.raises(BundleError, match=r"no bundle named 'no-such-bundle'.*there are: .*pocket"):
        load(lost)


def test_the_bundled_model_can(folder: Path) -> None:
    wan = Bundle.open(write_tiny_wan_bundle(folder / "with-pocket", sound="pocket"))
    tested = sound(bundled(), wan)
    made = [chunk_of(tested, moving(number), BALL, 3) for number in range(2)]
    assert [chunk.shape for chunk in made] == [(2, 36_000)] * 2
    assert made[1].std() > 1e-3
