"""The chunk loop of the wan family, against the same tiny model in plain numpy."""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.errors import ConditionError, GraphMismatchError, NonFiniteError
from streamgen_engines.families import Condition, WanGenerator, load
from streamgen_engines.families.wan import WanPrompts
from streamgen_engines.families.wan.positions import sinusoid, temporal_pairs
from streamgen_engines.families.wan_text import WanTextEncoder
from streamgen_engines.manifest import MANIFEST_FILE, WanManifest
from streamgen_engines.prompt import Prompt, blend, transition
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.counting_engine import CountingEngine
from tests.tiny_bundle import sha256
from tests.tiny_wan_bundle import FRAME_TOKENS, LAYERS, LEVELS, TinyWan, write_tiny_wan_bundle
from tests.wan_reference import Reference, Told, mixed

CLOSE = 2e-3  # float32 in another order, carried on through a dozen chunks of a model that mixes well
APART = 0.05  # far beyond that: of the latents of another prompt, past or place

Write = Callable[..., Bundle]


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Bundles by their options, each written once."""
    made: dict[tuple[tuple[str, Any], ...], Bundle] = {}

    def opened(**options: Any) -> Bundle:
        key = tuple(sorted(options.items()))
        if key not in made:
            made[key] = Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny", **options))
        return made[key]

    return opened


@pytest.fixture(scope="session")
def tiny(write: Write) -> Bundle:
    return write()


@pytest.fixture(scope="session")
def text(tiny: Bundle) -> WanPrompts:
    return WanPrompts(WanTextEncoder(tiny, OnnxRuntimeCpu()))


@pytest.fixture(scope="session")
def ball(text: WanPrompts) -> Prompt:
    return text.encode("a red ball bounces")


@pytest.fixture(scope="session")
def sea(text: WanPrompts) -> Prompt:
    return text.encode("calm sea at night")


def generator(bundle: Bundle, seed: int = 0) -> WanGenerator:
    manifest = bundle.manifest
    assert isinstance(manifest, WanManifest)
    return WanGenerator(bundle, manifest, OnnxRuntimeCpu(), seed)


def told(prompt: Prompt) -> Told:
    return TinyWan().prompt(prompt.context)


def check(made: LatentChunk, expected: Any) -> None:
    np.testing.assert_allclose(made.video, expected, atol=CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunk": 1, "window": 3, "sink": 3, "clean_pass": False},
        {"chunk": 3, "window": 3, "sink": 0},
        {"chunk": 1, "window": 2, "sink": 1, "renoise": "predicted"},
    ],
    ids=["3 frames, sink", "1 frame, no clean pass", "no sink", "predicted noise"],
)
def test_chunks_are_those_of_the_reference(write: Write, options: dict[str, Any], ball: Prompt, sea: Prompt) -> None:
    """Far beyond the ring, with a prompt that changes and leaves the past as it is (the mode `keep`)."""
    plain = {name: value for name, value in options.items() if name != "renoise"}
    reference = Reference(**plain, fresh="renoise" not in options, seed=7)
    tested = generator(write(**options), seed=7)
    for number in range(14):
        prompt = ball if number < 9 else sea
        made = tested.step(Condition(prompt))
        check(made, reference.make(told(prompt)))
        assert (made.index, made.cut, made.seed) == (number, number == 0, 7)


@pytest.mark.parametrize("wrong", [{"window": 3}, {"sink": 0}, {"clean_pass": False}, {"fresh": False}])
def test_the_comparison_would_notice_another_past_or_sampler(tiny: Bundle, ball: Prompt, wrong: dict[str, Any]) -> None:
    tested, reference = generator(tiny), Reference(**wrong)
    off = [float(np.abs(tested.step(Condition(ball)).video - reference.make(told(ball))).max()) for _ in range(8)]
    assert max(off) > APART


def after(bundle: Bundle, chunks: int, prompt: Prompt) -> tuple[WanGenerator, Reference]:
    """Both, some chunks into a stream."""
    tested, reference = generator(bundle), Reference()
    for _ in range(chunks):
        check(tested.step(Condition(prompt)), reference.make(told(prompt)))
    return tested, reference


def test_recache_reads_the_past_again_under_the_new_prompt(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested, reference = after(tiny, 7, ball)
    kept, _ = after(tiny, 7, ball)
    check(tested.step(Condition(sea, recache=True)), reference.make(told(sea), recache=True))
    for _ in range(5):
        check(tested.step(Condition(sea)), reference.make(told(sea)))
    first, plain = [generator(tiny) for _ in range(2)], kept.step(Condition(sea))
    for each in first:
        for _ in range(7):
            each.step(Condition(ball))
    assert np.abs(first[0].step(Condition(sea, recache=True)).video - plain.video).max() > APART
    assert np.array_equal(first[1].step(Condition(sea, recache=False)).video, plain.video)


@pytest.mark.parametrize("chunks", [2, 4, 5, 9])
@pytest.mark.parametrize("recache_sink", [False, True])
def test_the_sink_of_a_stream_longer_than_the_ring_is_left_alone_unless_the_bundle_says_so(
    write: Write, ball: Prompt, sea: Prompt, chunks: int, recache_sink: bool
) -> None:
    """A ring of four chunks: up to four made, the sink is read again in any case."""
    tested, reference = generator(write(recache_sink=recache_sink)), Reference(recache_sink=recache_sink)
    for _ in range(chunks):
        check(tested.step(Condition(ball)), reference.make(told(ball)))
    sink = tested._engine.state("key_1")[:, :, : 3 * FRAME_TOKENS].copy()
    for number in range(4):
        recache = True if number in (0, 2) else None  # the second time, chunks were read again before
        check(tested.step(Condition(sea, recache=recache)), reference.make(told(sea), recache=bool(recache)))
        if number == 0:
            stands = np.array_equal(tested._engine.state("key_1")[:, :, : 3 * FRAME_TOKENS], sink)
            assert stands is (chunks > 4 and not recache_sink)


def test_a_sink_that_is_filled_anew_is_read_again_until_it_is_the_oldest(
    tiny: Bundle, ball: Prompt, sea: Prompt
) -> None:
    for later in range(6):
        tested, reference = after(tiny, 7, ball)
        for number in range(later):
            keep = 2 if number == 0 else None
            check(tested.step(Condition(ball, keep=keep)), reference.make(told(ball), keep=keep))
        check(tested.step(Condition(sea, recache=True)), reference.make(told(sea), recache=True))


def test_recache_costs_a_pass_for_every_chunk_that_is_read(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested = generator(tiny)
    counting = CountingEngine(tested._engine)
    tested._engine = counting
    runs = []
    for number in range(8):
        before = counting.runs
        tested.step(Condition(sea if number == 6 else ball, recache=True if number == 6 else None))
        runs.append(counting.runs - before)
    assert runs == [5, 5, 5, 5, 5, 5, 5 + 2, 5]  # a window of two chunks; the sink stays
    assert len(tested._seen) == 3


@pytest.mark.parametrize("clean_pass", [True, False])
def test_a_chunk_says_how_many_passes_it_took(write: Write, ball: Prompt, sea: Prompt, clean_pass: bool) -> None:
    bundle = write(clean_pass=clean_pass)
    tested = generator(bundle)
    counting = CountingEngine(tested._engine)
    tested._engine = counting
    conditions = [Condition(ball)] * 6
    conditions += [Condition(sea, recache=True), Condition(sea, steps=2), Condition(blend([(ball, 1), (sea, 1)]))]
    conditions += [Condition(blend([(ball, 1), (sea, 1)]), exact=True)]
    for condition in conditions:
        before = counting.runs
        assert tested.step(condition).passes == counting.runs - before
    assert bundle.manifest.sampler.closing_passes == clean_pass
    assert bundle.manifest.rereading_passes == 3  # at most: two in a stream longer than the ring


def test_passes_of_an_attempt_that_failed_count_with_the_next_chunk(tiny: Bundle, ball: Prompt) -> None:
    tested = generator(tiny)
    broken = Prompt("broken", np.full_like(ball.context, np.nan), ball.context_bias, ball.pooled)
    with pytest.raises(NonFiniteError):
        tested.step(Condition(broken))
    tested.reset()
    assert tested.step(Condition(ball)).passes == 4 + 5  # the first one found no numbers to remember
    assert tested.step(Condition(ball)).passes == 5


def test_a_bundle_can_recache_by_itself_where_a_prompt_changes_suddenly(
    write: Write, ball: Prompt, sea: Prompt
) -> None:
    tested, reference = generator(write(switch="recache")), Reference()
    for number in range(9):
        prompt = ball if number < 5 else sea
        check(tested.step(Condition(prompt)), reference.make(told(prompt), recache=number == 5))
    check(tested.step(Condition(ball, recache=False)), reference.make(told(ball)))


@pytest.mark.parametrize("switch", ["blend", "cut"])
def test_a_bundle_can_blend_or_cut_by_itself(write: Write, ball: Prompt, sea: Prompt, switch: str) -> None:
    tested, reference = generator(write(switch=switch)), Reference()
    for number in range(11):
        made = tested.step(Condition(ball if number < 4 else sea))
        if switch == "cut":
            assert made.cut is (number in (0, 4))
            check(made, reference.make(told(ball if number < 4 else sea), cut=number == 4))
        else:
            parts = transition(ball, sea, (number - 3) / 4).alone
            check(made, reference.make(mixed([(told(part), share) for part, share in parts])))


def test_recache_with_keep_reads_only_what_is_kept(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested, reference = after(tiny, 6, ball)
    for number in range(6):
        how: dict[str, Any] = {"keep": 1, "recache": True} if number == 0 else {}
        check(tested.step(Condition(sea, **how)), reference.make(told(sea), **how))


def test_keep_hides_older_chunks_and_the_sink_for_good(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested, reference = after(tiny, 6, ball)
    for number in range(7):
        keep = 1 if number == 0 else None
        check(tested.step(Condition(sea, keep=keep)), reference.make(told(sea), keep=keep))


def test_after_a_cut_nothing_of_the_past_is_seen(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested, reference = after(tiny, 6, ball)
    for number in range(5):
        made = tested.step(Condition(sea, cut=number == 0))
        assert made.cut is (number == 0)
        check(made, reference.make(told(sea), cut=number == 0))


def test_a_blend_over_chunks_mixes_keys_and_values(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested, reference = after(tiny, 4, ball)
    for share in (0.25, 0.5, 0.75, 1.0):
        prompt = transition(ball, sea, share)
        parts = [(told(part), weight) for part, weight in prompt.alone]
        check(tested.step(Condition(prompt)), reference.make(mixed(parts)))


@pytest.mark.parametrize("clean_pass", [True, False])
def test_an_exact_blend_adds_velocities_up(write: Write, ball: Prompt, sea: Prompt, clean_pass: bool) -> None:
    tested, reference = generator(write(clean_pass=clean_pass)), Reference(clean_pass=clean_pass)
    half = blend([(ball, 1), (sea, 3)])
    parts = [(told(part), share) for part, share in half.alone]
    for _ in range(4):
        check(tested.step(Condition(half, exact=True)), reference.make(mixed(parts), exactly=parts))
    cheap = generator(write(clean_pass=clean_pass)).step(Condition(half)).video
    exact = generator(write(clean_pass=clean_pass)).step(Condition(half, exact=True)).video
    assert np.abs(cheap - exact).max() > CLOSE  # the mix of keys and values is an approximation


def test_fewer_steps_follow_the_same_curve_and_leave_later_noise_alone(tiny: Bundle, ball: Prompt) -> None:
    tested, reference = after(tiny, 2, ball)
    check(tested.step(Condition(ball, steps=2)), reference.make(told(ball), levels=(LEVELS[0], LEVELS[2])))
    check(tested.step(Condition(ball)), reference.make(told(ball)))


def test_the_prompt_of_the_sound_changes_no_picture_and_is_passed_on(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    one, two = generator(tiny).step(Condition(ball)), generator(tiny).step(Condition(ball, sound=sea))
    assert np.array_equal(one.video, two.video)
    assert (one.heard, two.heard) == ((("a red ball bounces", 1.0),), (("calm sea at night", 1.0),))
    assert one.audio.size == 0


def test_the_same_seed_makes_the_same_bits_and_another_one_others(tiny: Bundle, ball: Prompt) -> None:
    def stream(tested: WanGenerator, *, change_to: int | None = None) -> list[Any]:
        return [tested.step(Condition(ball, seed=change_to if n > 1 else None)).video for n in range(5)]

    tested = generator(tiny, 3)
    first = stream(tested)
    tested.reset()
    for again in (stream(tested), stream(generator(tiny, 3))):
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = stream(generator(tiny, 3), change_to=4)
    assert np.array_equal(other[1], first[1])
    assert np.abs(other[2] - first[2]).max() > APART
    assert np.abs(stream(generator(tiny, 4))[0] - first[0]).max() > APART


def test_noise_begins_anew_with_a_seed_and_never_repeats(tiny: Bundle, ball: Prompt) -> None:
    tested = generator(tiny, 3)
    drawn = [tested._noise()() for _ in range(4)]
    assert all(not np.array_equal(a, b) for n, a in enumerate(drawn) for b in drawn[:n])
    tested.step(Condition(ball, seed=9))
    tested._reseed(3)
    assert np.array_equal(tested._noise()(), drawn[0])


def test_a_model_that_runs_away_says_so_and_works_again_after_reset(tiny: Bundle, ball: Prompt) -> None:
    broken = Prompt("broken", np.full_like(ball.context, np.nan), ball.context_bias, ball.pooled)
    tested = generator(tiny)
    tested.step(Condition(ball))
    with pytest.raises(NonFiniteError, match="not numbers any more; reset the generator"):
        tested.step(Condition(broken))
    tested.reset()
    fresh = generator(tiny)
    for _ in range(4):
        assert np.array_equal(tested.step(Condition(ball)).video, fresh.step(Condition(ball)).video)


@pytest.mark.parametrize(
    ("condition", "told_why"),
    [
        ({"guidance": 3.0}, "guidance is 3, but models of the family wan are distilled"),
        ({"picture": np.zeros((1, 4, 1, 6, 10), np.float32)}, "start from a text, not from a picture"),
    ],
)
def test_what_the_family_cannot_do_is_refused(
    tiny: Bundle, ball: Prompt, condition: dict[str, Any], told_why: str
) -> None:
    with pytest.raises(ConditionError, match=told_why):
        generator(tiny).step(Condition(ball, **condition))
    generator(tiny).step(Condition(ball, guidance=1.0))


def test_graphs_of_another_bundle_are_refused_by_name(write: Write, tmp_path: Path) -> None:
    folder = write_tiny_wan_bundle(tmp_path / "tiny")
    other = write(chunk=1, window=10, sink=1)  # as many rows in its ring
    raw = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / "denoise.onnx").write_bytes(other.path("denoise").read_bytes())
    raw["graphs"]["denoise"]["sha256"] = sha256(folder / "denoise.onnx")
    (folder / MANIFEST_FILE).write_text(json.dumps(raw))
    with pytest.raises(GraphMismatchError, match=r"graphs\.denoise does not fit .*: input latent is .*query_cos"):
        generator(Bundle.open(folder))


def test_an_endless_stream_needs_no_more_memory(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    model = load(tiny)
    prompts = [ball, sea]

    def chunks() -> Iterator[int]:
        for number in range(500):
            prompt = prompts[number // 10 % 2]
            how: dict[str, Any] = {"recache": number % 20 == 10, "keep": 1 if number % 50 == 25 else None}
            model.decoder.decode(model.generator.step(Condition(prompt, **how)))
            yield number

    tracemalloc.start()
    try:
        sizes = []
        for number in chunks():
            if number in (99, 499):
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 50_000


def test_places_and_levels_are_told_as_the_model_learnt_them() -> None:
    assert temporal_pairs(128) == 22
    assert temporal_pairs(8) == 2
    wave = sinusoid(0.625)
    assert wave.shape == (1, 256)
    assert wave[0, 0] == pytest.approx(np.cos(625.0), abs=1e-4)
    assert wave[0, 128 + 64] == pytest.approx(np.sin(6.25), abs=1e-6)  # 625 / 10000 ** (64 / 128)
    assert sinusoid(0.0)[0].tolist() == [1.0] * 128 + [0.0] * 128


def test_keys_and_values_are_held_once_for_as_long_as_a_prompt_plays(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    tested = generator(tiny)
    held: list[int] = []
    hold = tested._told._denoise.hold

    class Watched(CountingEngine):
        def hold(self, arrays: Any) -> None:
            held.append(len(arrays))
            hold(arrays)

    tested._told._denoise = Watched(tested._engine)
    kv = CountingEngine(tested._told._engine)
    tested._told._engine = kv
    for prompt in (ball, ball, sea, sea, ball):
        tested.step(Condition(prompt))
    assert held == [2 * LAYERS] * 3
    assert kv.runs == 2  # the first text was remembered
    for share in (0.5, 0.5, 1.0):
        tested.step(Condition(transition(ball, sea, share)))
    assert (len(held), kv.runs) == (5, 2)


def test_rings_and_prompts_may_be_half_precision(write: Write, ball: Prompt, sea: Prompt) -> None:
    tested, reference = generator(write(half=True)), Reference()
    assert {tested._engine.state(name).dtype.name for name in ("key_0", "value_1")} == {"float16"}
    for number in range(8):
        prompt = transition(ball, sea, number / 7)
        parts = [(told(part), share) for part, share in prompt.alone]
        recache = True if number == 4 else None
        made = tested.step(Condition(prompt, recache=recache)).video
        off = np.abs(made - reference.make(mixed(parts), recache=bool(recache))).max()
        assert off < APART
