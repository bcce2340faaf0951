"""Chunks of several prompts: what the graph is given, what the ring remembers, and what it costs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.errors import ConditionError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.prompt import Prompt, transition
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from tests.counting_engine import CountingEngine
from tests.pocket_loop import equal
from tests.tiny_bundle import TOKENS, WINDOW

STEPS = 4


class Watched(CountingEngine):
    """Keeps the ages and the pooled text of every run."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.ages: list[list[float]] = []
        self.told: list[Any] = []
        self.sigmas: list[float] = []

    def run(self, inputs: Any) -> Any:
        self.ages.append(sorted(age for age in inputs["age"].tolist() if age >= 0))
        self.told.append(inputs["pooled"])
        self.sigmas.append(float(inputs["sigma"][0]))
        return super().run(inputs)


def watched(bundle: Bundle) -> tuple[PocketGenerator, Watched]:
    generator = PocketGenerator(bundle, OnnxRuntimeCpu())
    engine = Watched(generator._engine)
    generator._engine = engine
    return generator, engine


def run(bundle: Bundle, conditions: list[Condition]) -> list[LatentChunk]:
    generator = PocketGenerator(bundle, OnnxRuntimeCpu())
    return [generator.step(condition) for condition in conditions]


# Picture and sound apart ---------------------------------------------------------------------------------------------


def test_equal_prompts_for_both_are_one_prompt_to_the_last_bit(tiny: Bundle, text: TextEncoder, ball: Prompt) -> None:
    again = TextEncoder(tiny, OnnxRuntimeCpu()).encode("a red ball bounces")
    assert again is not ball
    one, both = (run(tiny, [Condition(ball, sound=sound)] * 9) for sound in (None, again))
    assert all(equal(a, b) for a, b in zip(one, both, strict=True))
    half = text.blend([("a red ball bounces", 1), ("rain", 1)])
    assert not Condition(half, sound=text.blend([("a red ball bounces", 2), ("rain", 2)])).split


def test_each_side_follows_its_own_prompt(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    """In the tiny model the two sides of a chunk see nothing of each other but the text."""
    (split,) = run(tiny, [Condition(ball, sound=sea)])
    (shown,), (heard,) = run(tiny, [Condition(ball)]), run(tiny, [Condition(sea)])
    np.testing.assert_array_equal(split.video, shown.video)
    np.testing.assert_array_equal(split.audio, heard.audio)
    assert not np.array_equal(split.audio, shown.audio)


def test_the_ring_remembers_a_chunk_under_both_prompts(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    generator, engine = watched(tiny)
    condition = Condition(ball, sound=sea)
    generator.step(condition)
    assert condition.remembered.shares == ((ball.text, 0.5), (sea.text, 0.5))
    np.testing.assert_array_equal(engine.told[-1], condition.remembered.pooled)
    assert isinstance(tiny.manifest, PocketManifest)
    assert engine.sigmas[-1] == pytest.approx(tiny.manifest.sampler.context_noise)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("sound", [False, True])
def test_passes_are_as_many_as_promised(
    tiny: Bundle, text: TextEncoder, sea: Prompt, guidance: float, exact: bool, sound: bool
) -> None:
    generator, engine = watched(tiny)
    blended = text.blend([("a", 1), ("b", 2), ("c", 3)])
    condition = Condition(blended, guidance=guidance, exact=exact, sound=sea if sound else None)
    generator.step(condition)
    assert engine.runs == STEPS * condition.passes_per_step(guided=guidance != 1) + 1
    assert condition.passes_per_step(guided=False) == (3 if exact else 1) + sound


# Blends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_shares_of_nothing_and_all_are_the_prompts_to_the_last_bit(
    tiny: Bundle, ball: Prompt, sea: Prompt, exact: bool
) -> None:
    for share, pure in ((0.0, ball), (1.0, sea)):
        mixed = run(tiny, [Condition(transition(ball, sea, share), exact=exact)] * 3)
        assert all(equal(a, b) for a, b in zip(mixed, run(tiny, [Condition(pure)] * 3), strict=True))


def test_an_exact_blend_lies_between_its_texts_by_share(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    """The tiny model's velocity is a straight line from noise, so the chunk is the mean of the two chunks."""
    (first,), (second,) = run(tiny, [Condition(ball)]), run(tiny, [Condition(sea)])
    (mixed,) = run(tiny, [Condition(transition(ball, sea, 0.25), exact=True)])
    np.testing.assert_allclose(mixed.video, 0.75 * first.video + 0.25 * second.video, atol=1e-4)
    np.testing.assert_allclose(mixed.audio, 0.75 * first.audio + 0.25 * second.audio, atol=1e-4)


# What stays visible --------------------------------------------------------------------------------------------------


def changing(folder: Path) -> Bundle:
    """A tiny bundle that hides the past and pushes guidance when the prompt changes."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sampler"]["change"] = {"keep": 1, "guidance": 3.0, "chunks": 2}
    path.write_text(json.dumps(manifest))
    return Bundle.open(folder)


def seen(engine: Watched) -> int:
    """Earlier chunks that the last run saw, the sink included."""
    return len(engine.ages[-1]) - 1


def test_a_sudden_change_hides_what_the_bundle_says_and_a_gentle_one_nothing(
    folder: Path, ball: Prompt, sea: Prompt
) -> None:
    for share, visible in ((1.0, 1), (0.5, WINDOW + 1), (0.6, 1), (0.1, WINDOW + 1)):
        generator, engine = watched(changing(folder))
        for _ in range(10):
            generator.step(Condition(ball, guidance=1))
        before = engine.runs
        generator.step(Condition(transition(ball, sea, share), guidance=1))
        assert seen(engine) == visible
        assert engine.runs - before == (2 if visible == 1 else 1) * STEPS + 1


def test_another_sound_hides_nothing(folder: Path, ball: Prompt, sea: Prompt) -> None:
    generator, engine = watched(changing(folder))
    for _ in range(10):
        generator.step(Condition(ball, guidance=1))
    before = engine.runs
    generator.step(Condition(ball, sound=sea, guidance=1))
    assert seen(engine) == WINDOW + 1
    assert engine.runs - before == 3 * STEPS + 1  # it is pushed all the same


@pytest.mark.parametrize(("keep", "visible"), [(0, 0), (2, 2), (WINDOW, WINDOW), (WINDOW + 9, WINDOW + 1)])
def test_keep_says_how_many_chunks_stay_visible(
    tiny: Bundle, folder: Path, ball: Prompt, sea: Prompt, keep: int, visible: int
) -> None:
    for bundle, prompt in ((tiny, ball), (changing(folder), sea)):  # with and without a change of the prompt
        generator, engine = watched(bundle)
        for _ in range(10):
            generator.step(Condition(ball))
        generator.step(Condition(prompt, keep=keep))
        assert seen(engine) == visible
        generator.step(Condition(prompt))
        assert seen(engine) == min(visible + 1, WINDOW + (keep > WINDOW))


def test_a_steady_blend_settles_and_becomes_the_sink(tiny: Bundle, text: TextEncoder, ball: Prompt) -> None:
    generator, engine = watched(tiny)
    for _ in range(3):
        generator.step(Condition(ball))
    first = engine.state("k_1")[:, :, :TOKENS].copy()
    blended = [text.blend([("a", 1), ("b", 1), ("c", 1)]) for _ in range(WINDOW + 1)]
    for prompt in blended:
        generator.step(Condition(prompt))
    assert not np.array_equal(engine.state("k_1")[:, :, :TOKENS], first)


def test_alone_above_hides_the_past_from_the_noisy_steps_only(tiny: Bundle, ball: Prompt) -> None:
    generator, engine = watched(tiny)
    for _ in range(3):
        generator.step(Condition(ball))
    before = engine.runs
    generator.step(Condition(ball, alone_above=0.6))
    given = zip(engine.sigmas[before:], engine.ages[before:], strict=True)
    assert all(ages == ([0.0] if sigma > 0.6 else [0.0, 1.0, 2.0, 3.0]) for sigma, ages in given)
    assert sum(ages == [0.0] for ages in engine.ages[before:]) == 6  # three steps of two passes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": -1}, "keep is -1"),
        ({"keep": 2, "cut": True}, "keep is 2, but cut"),
        ({"keep": 2, "picture": np.zeros(1, np.float32)}, "keep is 2, but picture"),
        ({"alone_above": 1.5}, r"alone_above is 1\.5"),
        ({"alone_above": float("nan")}, "alone_above is nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(ball: Prompt, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        Condition(ball, **settings)


def test_a_family_that_cannot_read_its_past_again_goes_on_as_without_it(
    tiny: Bundle, ball: Prompt, sea: Prompt
) -> None:
    assert not tiny.manifest.abilities.recaches
    streams = []
    for recache in (None, True):
        generator, engine = watched(tiny)
        latents = [generator.step(Condition(ball)) for _ in range(3)]
        latents.append(generator.step(Condition(sea, recache=recache)))
        streams.append((engine.runs, [each.video.tobytes() for each in latents]))
    assert streams[0] == streams[1]


def test_a_past_that_is_cut_off_cannot_be_read_again(ball: Prompt) -> None:
    with pytest.raises(ConditionError, match="recache reads the past again, but cut drops it"):
        Condition(ball, recache=True, cut=True)
    assert Condition(ball, recache=False, cut=True).cut


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
