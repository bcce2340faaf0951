"""The chunk loop of the pocket family, on graphs whose every output is known."""

import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import ConditionError, NonFiniteError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator, load
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import Prompt
from tests.engines.watched_engine import WatchedEngine, WatchedRuntime
from tests.pocket_loop import all_equal, broken, run
from tests.tiny_bundle import PHASE_STEP, SLOTS, TOKENS, WINDOW, ring_names


def test_chunks_have_the_sizes_of_the_manifest(tiny: Bundle, ball: Prompt) -> None:
    model = load(tiny)
    latents = model.generator.step(Condition(ball))
    chunk = model.decoder.decode(latents)
    manifest = tiny.manifest
    assert isinstance(manifest, PocketManifest)
    assert latents.video.shape == (1, *manifest.video.latent)
    assert latents.audio.shape == (1, *manifest.audio.latent)
    assert chunk.video.shape == (4, manifest.video.height, manifest.video.width, 3)
    assert chunk.video.dtype == np.uint8
    assert chunk.audio.shape == (manifest.audio.channels, manifest.audio.samples_per_chunk)
    assert chunk.audio.dtype == np.float32
    assert np.abs(chunk.audio).max() <= 1


def test_slots_and_ages_are_right_far_beyond_the_ring(generator: PocketGenerator, ball: Prompt) -> None:
    """The phase of the tiny model is handed from slot to slot, so any wrong slot or age breaks it."""
    chunks = run(generator, [Condition(ball)] * 60)
    phases = PHASE_STEP * np.arange(1, 61)
    basis = np.stack([np.ones(60), np.cos(phases), np.sin(phases)], axis=1)
    colours = np.stack([chunk.video[0, :3].ravel() for chunk in chunks])
    terms, *_ = np.linalg.lstsq(basis[:3], colours[:3], rcond=None)
    np.testing.assert_allclose(basis @ terms, colours, atol=1e-3)
    assert np.abs(terms[1:]).max() > 0.1  # it does move


def test_the_ring_holds_the_clean_chunks(watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt) -> None:
    generator, engine = watched
    pieces = []
    for j in range(30):
        generator.step(Condition(ball))
        slot = 1 + j % (WINDOW + 1)
        ring = engine.state("k_0")
        piece = ring[:, :, slot * TOKENS : (slot + 1) * TOKENS].copy()
        written = engine.given[-1]["video"].ravel()[: piece.size]
        np.testing.assert_array_equal(piece.ravel(), written)
        pieces.append(piece)
    for name in ring_names():
        assert engine.state(name).shape[2] == SLOTS * TOKENS
    np.testing.assert_array_equal(engine.state("k_0")[:, :, :TOKENS], pieces[0])  # the sink is the first chunk


def test_a_settled_prompt_moves_the_sink(
    watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt, sea: Prompt
) -> None:
    generator, engine = watched
    run(generator, [Condition(ball)] * 10)
    first = engine.state("k_1")[:, :, :TOKENS].copy()
    run(generator, [Condition(sea)] * WINDOW)
    np.testing.assert_array_equal(engine.state("k_1")[:, :, :TOKENS], first)
    generator.step(Condition(sea))
    newest = 1 + (10 + WINDOW) % (WINDOW + 1)
    rows = slice(newest * TOKENS, (newest + 1) * TOKENS)
    for name in ring_names():
        ring = engine.state(name)
        np.testing.assert_array_equal(ring[:, :, :TOKENS], ring[:, :, rows])
    generator.step(Condition(sea))
    assert engine.given[-1]["age"][0] == -1


def test_the_last_write_of_a_chunk_is_conditioned_and_clean(
    watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt
) -> None:
    generator, engine = watched
    chunk = generator.step(Condition(ball))
    assert len(engine.given) == 2 * 4 + 1
    last = engine.given[-1]
    assert last["sigma"] == np.float32(0.05)
    np.testing.assert_array_equal(last["context"], ball.context)
    random = np.random.default_rng((0, 0))
    for latent in (chunk.video, chunk.audio):  # what the chunk itself was made from
        random.standard_normal(latent.shape, np.float32)
    echo = random.standard_normal(chunk.video.shape, np.float32)
    np.testing.assert_allclose(last["video"], 0.95 * chunk.video + 0.05 * echo, atol=1e-6)
    assert [bool(given["pooled"].any()) for given in engine.given] == [False, True] * 4 + [True]
    assert {int(given["write_index"][0]) for given in engine.given} == {TOKENS}


def test_guidance_one_needs_one_pass(watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt) -> None:
    generator, engine = watched
    generator.step(Condition(ball, guidance=1))
    assert len(engine.given) == 4 + 1
    assert all(given["pooled"].any() for given in engine.given)


def test_guidance_goes_further_from_the_null_condition(tiny: Bundle, ball: Prompt) -> None:
    plain, strong = (
        PocketGenerator(tiny, OnnxRuntimeCpu()).step(Condition(ball, guidance=guidance)) for guidance in (1.0, 3.0)
    )
    # Without text the tiny model makes zeros.
    np.testing.assert_allclose(strong.video, 3 * plain.video, atol=1e-4)
    np.testing.assert_allclose(strong.audio, 3 * plain.audio, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_steps_may_be_fewer_or_more(
    watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt, generator: PocketGenerator, steps: int
) -> None:
    other, engine = watched
    chunk = other.step(Condition(ball, guidance=1, steps=steps))
    assert len(engine.given) == steps + 1
    # Straight lines: the tiny model arrives at the same place; the random numbers after are the same too.
    np.testing.assert_allclose(chunk.video, generator.step(Condition(ball, guidance=1)).video, atol=1e-4)
    np.testing.assert_array_equal(other._noise().video, generator._noise().video)


def test_prompts_differ(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    one, two = (load(tiny) for _ in range(2))
    for _ in range(2):
        a = one.decoder.decode(one.generator.step(Condition(ball)))
        b = two.decoder.decode(two.generator.step(Condition(sea)))
    assert np.abs(a.video.mean((0, 1, 2)) - b.video.mean((0, 1, 2))).max() > 20


def test_the_same_seed_makes_the_same_chunks(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    log = [
        *[Condition(ball)] * 4,
        *[Condition(sea, guidance=2.0)] * 4,
        Condition(sea, cut=True),
        *[Condition(ball, seed=9)] * 3,
        Condition(ball, steps=2),
    ]
    first, second = (PocketGenerator(tiny, OnnxRuntimeCpu(), seed=5) for _ in range(2))
    chunks = run(first, log)
    assert all_equal(chunks, run(second, log))
    first.reset(5)
    assert all_equal(chunks, run(first, log))


def test_another_seed_makes_other_noise(tiny: Bundle, ball: Prompt) -> None:
    ring = []
    for seed in (0, 1):
        runtime = WatchedRuntime()
        PocketGenerator(tiny, runtime, seed).step(Condition(ball))
        ring.append(runtime.engine.given[0]["video"])
    assert np.abs(ring[0] - ring[1]).max() > 1


def test_a_seed_takes_effect_when_it_changes(watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt) -> None:
    generator, engine = watched
    chunks = run(generator, [Condition(ball, guidance=1, seed=3)] * 3)
    starts = [engine.given[i * 5]["video"] for i in range(3)]
    assert not np.array_equal(starts[0], starts[1])  # naming it again does not start it again
    assert [chunk.seed for chunk in chunks] == [3, 3, 3]
    fresh = np.random.default_rng((3, 0)).standard_normal(starts[0].shape, np.float32)
    np.testing.assert_array_equal(starts[0], fresh)


def test_indices_never_repeat(generator: PocketGenerator, ball: Prompt) -> None:
    indices = [chunk.index for chunk in run(generator, [Condition(ball)] * 3)]
    generator.reset()
    indices += [chunk.index for chunk in run(generator, [Condition(ball, cut=True)] * 2)]
    assert indices == [0, 1, 2, 3, 4]


def test_a_cut_drops_the_context(watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt, sea: Prompt) -> None:
    generator, engine = watched
    run(generator, [Condition(ball)] * 20)
    chunk = generator.step(Condition(sea, cut=True))
    assert engine.given[-1]["age"].tolist() == [-1, 0] + [-1] * WINDOW
    assert chunk.cut
    after = generator.step(Condition(sea))
    assert not after.cut
    assert engine.given[-1]["age"].tolist() == [-1, 1, 0] + [-1] * (WINDOW - 1)


def test_after_a_cut_nothing_of_the_past_is_seen(generator: PocketGenerator, tiny: Bundle, sea: Prompt) -> None:
    run(generator, [Condition(sea)] * 11)
    cut = run(generator, [Condition(sea, cut=i == 0) for i in range(10)])
    fresh = run(PocketGenerator(tiny, OnnxRuntimeCpu()), [Condition(sea)] * 10)
    for a, b in zip(cut, fresh, strict=True):  # the noise differs, what the tiny model makes of it does not
        np.testing.assert_allclose(a.video, b.video, atol=1e-3)


def test_states_in_place_change_nothing(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    log = [*[Condition(ball)] * 9, *[Condition(sea)] * 12]
    results = []
    for in_place in (True, False):
        runtime = OnnxRuntimeCpu(in_place=in_place)
        decoder = PocketDecoder(tiny, runtime)
        latents = run(PocketGenerator(tiny, runtime), log)
        results.append((latents, [decoder.decode(chunk) for chunk in latents]))
    (latents, chunks), (reference, expected) = results
    assert all_equal(latents, reference)
    for chunk, other in zip(chunks, expected, strict=True):
        np.testing.assert_array_equal(chunk.video, other.video)
        np.testing.assert_array_equal(chunk.audio, other.audio)


def test_latents_that_run_away_are_refused_and_reset_heals(
    tiny: Bundle, watched: tuple[PocketGenerator, WatchedEngine], ball: Prompt
) -> None:
    generator, engine = watched
    generator.step(Condition(ball))
    with pytest.raises(NonFiniteError, match="reset the generator"):
        generator.step(Condition(broken(ball)))
    assert np.isnan(engine.state("k_0")).any()
    generator.reset()
    assert not any(engine.state(name).any() for name in ring_names())  # a masked NaN would still poison attention
    assert all_equal(
        run(generator, [Condition(ball)] * 9), run(PocketGenerator(tiny, OnnxRuntimeCpu()), [Condition(ball)] * 9)
    )


@pytest.mark.parametrize("part", [PocketGenerator, PocketDecoder])
def test_a_negative_seed_is_refused(tiny: Bundle, part: type[PocketGenerator] | type[PocketDecoder]) -> None:
    with pytest.raises(ConditionError, match="seed is -3"):
        part(tiny, OnnxRuntimeCpu(), seed=-3)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_memory_is_flat(tiny: Bundle, ball: Prompt, sea: Prompt, traced: None) -> None:
    model = load(tiny)

    def chunks(count: int) -> int:
        for i in range(count):
            prompt = (ball, sea)[i // 20 % 2]
            model.decoder.decode(model.generator.step(Condition(prompt, cut=i % 90 == 89)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    before = chunks(100)
    # One kept latent per chunk would be 6 MB; what runs beside this test allocates as well.
    assert chunks(500) - before < 262_144
