"""The chunk loop of the pocket family, on graphs whose every output is known."""

import gc
import json
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.errors import ConditionError, GraphMismatchError, MissingGraphError, NonFiniteError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator, load, load_pictures
from streamgen_engines.manifest import ChannelRanges, PocketManifest, State
from streamgen_engines.runtimes import Array, Engine, OnnxRuntimeCpu, Signature
from streamgen_engines.text import Prompt, TextEncoder
from tests.tiny_bundle import PHASE_STEP, SLOTS, TOKENS, WINDOW, ring_names


class WatchedEngine:
    """Keeps what every run was given, and the ring after it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.given: list[dict[str, Array]] = []

    @property
    def signature(self) -> Signature:
        return self.engine.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.given.append(dict(inputs))
        return self.engine.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.engine.hold(arrays)

    def take_states(self, other: Engine) -> None:
        self.engine.take_states(other)

    def state(self, name: str) -> Array:
        return self.engine.state(name)

    def reset(self) -> None:
        self.engine.reset()


class WatchedRuntime:
    name = "watched"

    def __init__(self) -> None:
        self.engine: WatchedEngine

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        self.engine = WatchedEngine(OnnxRuntimeCpu().load(path, states, threads=threads, in_place=in_place, held=held))
        return self.engine


@pytest.fixture(scope="module")
def text(tiny: Bundle) -> TextEncoder:
    return TextEncoder(tiny, OnnxRuntimeCpu())


@pytest.fixture(scope="module")
def ball(text: TextEncoder) -> Prompt:
    return text.encode("a red ball bounces")


@pytest.fixture(scope="module")
def sea(text: TextEncoder) -> Prompt:
    return text.encode("calm sea at night")


@pytest.fixture
def generator(tiny: Bundle) -> PocketGenerator:
    return PocketGenerator(tiny, OnnxRuntimeCpu())


@pytest.fixture
def watched(tiny: Bundle) -> tuple[PocketGenerator, WatchedEngine]:
    runtime = WatchedRuntime()
    generator = PocketGenerator(tiny, runtime)
    return generator, runtime.engine


def run(generator: PocketGenerator, conditions: Sequence[Condition]) -> list[LatentChunk]:
    return [generator.step(condition) for condition in conditions]


def equal(a: LatentChunk, b: LatentChunk) -> bool:
    return np.array_equal(a.video, b.video) and np.array_equal(a.audio, b.audio)


def all_equal(first: Sequence[LatentChunk], second: Sequence[LatentChunk]) -> bool:
    return all(equal(a, b) for a, b in zip(first, second, strict=True))


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


def broken(prompt: Prompt) -> Prompt:
    return Prompt("broken", prompt.context, prompt.context_bias, np.full_like(prompt.pooled, np.nan))


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


def test_sound_that_runs_away_is_refused_and_reset_heals(
    tiny: Bundle, generator: PocketGenerator, ball: Prompt
) -> None:
    good = generator.step(Condition(ball))
    decoder = PocketDecoder(tiny, OnnxRuntimeCpu())
    with pytest.raises(NonFiniteError, match="sound of chunk 7"):
        decoder.decode(LatentChunk(7, good.video, np.full_like(good.audio, np.nan)))
    decoder.reset()
    assert np.isfinite(decoder.decode(good).audio).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidance": -1.0}, "guidance is -1"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_settings_out_of_range_are_refused(ball: Prompt, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        Condition(ball, **settings)


@pytest.mark.parametrize("part", [PocketGenerator, PocketDecoder])
def test_a_negative_seed_is_refused(tiny: Bundle, part: type[PocketGenerator] | type[PocketDecoder]) -> None:
    with pytest.raises(ConditionError, match="seed is -3"):
        part(tiny, OnnxRuntimeCpu(), seed=-3)


def rewritten(folder: Path, change: dict[str, Any]) -> Bundle:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return Bundle.open(folder)


def test_a_graph_that_does_another_thing_is_refused(folder: Path) -> None:
    (folder / "decode_video.onnx").write_bytes((folder / "decode_audio.onnx").read_bytes())
    raw = json.loads((folder / "manifest.json").read_text())
    raw["graphs"]["decode_video"] = raw["graphs"]["decode_audio"]
    bundle = rewritten(folder, raw)
    with pytest.raises(GraphMismatchError, match=r"graphs\.decode_video does not fit .*output frames is missing"):
        PocketDecoder(bundle, OnnxRuntimeCpu())


def test_the_guard_of_the_manifest_is_applied(folder: Path, ball: Prompt, generator: PocketGenerator) -> None:
    free = generator.step(Condition(ball))
    raw = json.loads((folder / "manifest.json").read_text())
    channels = free.video.shape[1]
    ranges = ChannelRanges(mean=((-0.1, 0.1),) * channels, deviation=((0.0, 9.0),) * channels)
    raw["sampler"]["guard"] = {"pull": 1.0, "video": json.loads(ranges.model_dump_json())}
    held = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu()).step(Condition(ball))
    assert np.abs(free.video.mean(axis=(0, 2, 3))).max() > 0.2
    assert np.abs(held.video.mean(axis=(0, 2, 3))).max() < 0.1 + 1e-5
    raw["sampler"]["guard"] = {"limit": 0.25}
    limited = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu()).step(Condition(ball))
    assert np.abs(limited.video).max() == np.float32(0.25)


def test_a_ring_without_a_sink_needs_no_other_code(folder: Path, ball: Prompt, generator: PocketGenerator) -> None:
    raw = json.loads((folder / "manifest.json").read_text())
    raw["attention"] |= {"window": WINDOW + 1, "sink": 0}  # as many slots; the tiny graph only looks for age 1
    without = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu())
    assert all_equal(run(without, [Condition(ball)] * 20), run(generator, [Condition(ball)] * 20))


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


def test_a_stream_that_starts_from_a_picture_sees_it_as_the_only_past(
    watched: tuple[PocketGenerator, WatchedEngine], tiny: Bundle, ball: Prompt, sea: Prompt
) -> None:
    generator, engine = watched
    run(generator, [Condition(ball)] * 4)
    picture = np.full((1, *tiny.manifest.video.latent), 0.5, np.float32)
    before = len(engine.given)
    chunk = generator.step(Condition(sea, picture=picture))
    first, *passes = engine.given[before:]
    assert isinstance(tiny.manifest, PocketManifest)
    noise = tiny.manifest.sampler.context_noise
    # The picture is written first, lightly noised, with average sound, and nothing before it is seen.
    assert np.abs(first["video"] - 0.5).max() < 8 * noise
    assert np.abs(first["audio"]).max() < 8 * noise
    assert sorted(first["age"][first["age"] >= 0]) == [0.0]
    for given in passes:
        assert sorted(given["age"][given["age"] >= 0]) == [0.0, 1.0]
    assert chunk.cut
    assert chunk.before is not None
    assert np.array_equal(chunk.before, picture)
    assert generator.step(Condition(sea)).before is None


def test_the_same_picture_gives_the_same_stream_and_another_one_another(tiny: Bundle, ball: Prompt) -> None:
    def first(value: float) -> Chunk:
        model = load(tiny)
        picture = np.full((1, *tiny.manifest.video.latent), value, np.float32)
        return model.decoder.decode(model.generator.step(Condition(ball, picture=picture)))

    assert np.array_equal(first(0.3).video, first(0.3).video)
    # The tiny decoder glides from what it showed last: it has to be the picture, not what played before.
    assert not np.array_equal(first(0.3).video, first(-0.3).video)


def test_a_picture_of_another_size_is_refused(generator: PocketGenerator, ball: Prompt) -> None:
    with pytest.raises(ConditionError, match=r"\(1, 48, 3, 3\)"):
        generator.step(Condition(ball, picture=np.zeros((1, 48, 3, 3), np.float32)))


def test_a_bundle_without_a_picture_graph_says_so(tiny: Bundle) -> None:
    with pytest.raises(MissingGraphError, match="cannot start from a picture"):
        load_pictures(tiny)
