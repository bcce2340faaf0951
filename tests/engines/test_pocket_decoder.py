"""Latents of the pocket family to pictures and sound, on graphs whose every output is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator, load
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import Prompt
from tests.pocket_loop import run


def test_results_belong_to_the_caller(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    model = load(tiny)
    latents = model.generator.step(Condition(ball))
    chunk = model.decoder.decode(latents)
    copies = [array.copy() for array in (latents.video, latents.audio, chunk.video, chunk.audio)]
    for _ in range(10):
        model.decoder.decode(model.generator.step(Condition(sea)))
    for array, copy in zip((latents.video, latents.audio, chunk.video, chunk.audio), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_pictures_and_sound_join_without_a_seam(tiny: Bundle, ball: Prompt) -> None:
    model = load(tiny)
    chunks = [model.decoder.decode(model.generator.step(Condition(ball))) for _ in range(12)]
    pictures = np.concatenate([chunk.video for chunk in chunks[1:]]).astype(int)
    changes = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
    assert changes[3::4].max() < 2 * np.delete(changes, np.s_[3::4]).max()
    sound = np.concatenate([chunk.audio for chunk in chunks], axis=1)
    slopes = np.abs(np.diff(sound, axis=1))
    joints = slopes[:, 7679::7680]
    assert joints.shape[1] == 11
    assert joints.max() <= slopes[:, 7680:].max()
    curvature = np.abs(np.diff(sound, n=2, axis=1))
    assert curvature[:, 7678::7680].max() < 2 * np.median(curvature) + 0.05


def decode_all(decoder: PocketDecoder, latents: Sequence[LatentChunk]) -> list[Chunk]:
    return [decoder.decode(chunk) for chunk in latents]


def test_the_decoder_begins_anew(tiny: Bundle, generator: PocketGenerator, ball: Prompt) -> None:
    latents = run(generator, [Condition(ball)] * 4)
    decoder = PocketDecoder(tiny, OnnxRuntimeCpu())
    first = decode_all(decoder, latents)
    decoder.reset()
    for a, b in zip(first, decode_all(decoder, latents), strict=True):
        np.testing.assert_array_equal(a.video, b.video)
        np.testing.assert_array_equal(a.audio, b.audio)


def test_a_cut_clears_the_picture_and_not_the_sound(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    model = load(tiny)
    for _ in range(5):
        before = model.decoder.decode(model.generator.step(Condition(ball)))
    latents = model.generator.step(Condition(sea, cut=True))
    after = model.decoder.decode(latents)
    fresh = PocketDecoder(tiny, OnnxRuntimeCpu()).decode(latents)
    np.testing.assert_array_equal(after.video, fresh.video)
    assert np.abs(after.audio[:, 0] - before.audio[:, -1]).max() < 0.1
    assert np.abs(after.audio[:, :480]).max() > 0.2  # no new start from silence


def test_the_seed_of_a_chunk_is_that_of_its_sound(tiny: Bundle, generator: PocketGenerator, ball: Prompt) -> None:
    latents = generator.step(Condition(ball, seed=77))
    one, two = PocketDecoder(tiny, OnnxRuntimeCpu(), seed=1), PocketDecoder(tiny, OnnxRuntimeCpu(), seed=2)
    np.testing.assert_array_equal(one.decode(latents).audio, two.decode(latents).audio)


def test_sound_that_runs_away_is_refused_and_reset_heals(
    tiny: Bundle, generator: PocketGenerator, ball: Prompt
) -> None:
    good = generator.step(Condition(ball))
    decoder = PocketDecoder(tiny, OnnxRuntimeCpu())
    with pytest.raises(NonFiniteError, match="sound of chunk 7"):
        decoder.decode(LatentChunk(7, good.video, np.full_like(good.audio, np.nan)))
    decoder.reset()
    assert np.isfinite(decoder.decode(good).audio).all()
