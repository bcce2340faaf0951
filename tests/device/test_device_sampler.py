"""Chunks on a fake GPU whose plans compute the real graphs, against the chunks of the host."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.chunk_block import MAX_STEPS
from streamgen_engines.device.records import CAPACITY
from streamgen_engines.errors import ConditionError, GraphMismatchError, GraphRunError, NonFiniteError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.prompt import Prompt
from streamgen_engines.recipe import SamplingRuntime
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.device.fakes import FakeGpu
from tests.device.on_fake_gpu import FakeRuntime
from tests.pocket_loop import (
    KINDS,
    TOLERANCE,
    Kind,
    broken,
    changing_shapes,
    require_close,
    require_mended,
    run,
    settling,
    with_a_state_that_does_not_fit,
    with_longer_texts,
)


def require_same_ring(runtime: FakeRuntime, host: PocketGenerator, bundle: Bundle) -> None:
    """Every row, those that the sink was copied to included."""
    runtime.device.synchronise()
    for state in bundle.manifest.graphs["denoise"].states:
        right = host._engine.state(state.name)
        found = runtime.device.at(runtime.denoise.bound[state.name], right.nbytes).view(np.float32)
        np.testing.assert_allclose(found.reshape(right.shape), right, atol=TOLERANCE, rtol=TOLERANCE)


def compare(bundle: Bundle, log: Sequence[Condition], runtime: FakeRuntime) -> None:
    host, tested = PocketGenerator(bundle, OnnxRuntimeCpu(), seed=4), PocketGenerator(bundle, runtime, seed=4)
    right = run(host, log)
    require_close(run(tested, log), right)
    require_same_ring(runtime, host, bundle)
    assert max(float(np.abs(chunk.video).max()) for chunk in right) > 0.3  # there is something to compare


def test_the_fake_runtime_makes_whole_chunks() -> None:
    assert isinstance(FakeRuntime(), SamplingRuntime)
    assert not isinstance(OnnxRuntimeCpu(), SamplingRuntime)


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "step by step"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_chunks_are_those_of_the_host(
    tiny: Bundle, ball: Prompt, sea: Prompt, blended: Prompt, kind: Kind, record: bool
) -> None:
    runtime = FakeRuntime(record=record)
    compare(tiny, kind.programme(ball, sea, blended), runtime)
    assert (runtime.sampler.recorded >= 2) is record


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_guard_and_the_limit_are_those_of_the_host(
    guarded: Bundle, ball: Prompt, sea: Prompt, guidance: float
) -> None:
    compare(guarded, [Condition(ball, guidance=guidance)] * 5 + [Condition(sea, guidance=guidance)] * 5, FakeRuntime())


def test_shapes_may_change_from_chunk_to_chunk(tiny: Bundle, ball: Prompt, sea: Prompt, blended: Prompt) -> None:
    compare(tiny, changing_shapes(ball, sea, blended), FakeRuntime(FakeGpu(stirred=5)))


def test_a_transition_and_a_settled_prompt_that_moves_the_sink(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    compare(tiny, settling(ball, sea), FakeRuntime())


def test_a_gpu_that_cannot_record_makes_the_same(tiny: Bundle, ball: Prompt) -> None:
    for runtime in (FakeRuntime(captures=False), FakeRuntime(recordable=False)):
        compare(tiny, [Condition(ball)] * 4, runtime)
        assert (runtime.sampler.recorded, runtime.device.played) == (0, 0)


# What it costs -------------------------------------------------------------------------------------------------------


def test_a_chunk_is_one_copy_to_the_gpu_two_records_and_one_copy_back(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)

    def copies(condition: Condition) -> tuple[int, int, int]:
        before = (runtime.gpu.uploads, runtime.gpu.downloads, runtime.device.played)
        generator.step(condition)
        runtime.device.synchronise()
        after = (runtime.gpu.uploads, runtime.gpu.downloads, runtime.device.played)
        return after[0] - before[0], after[1] - before[1], after[2] - before[2]

    runtime.device.synchronise()
    # Besides the block: the text as it is remembered, and as the picture follows it.
    assert copies(Condition(ball)) == (1 + 2, 1, 0)
    assert copies(Condition(ball)) == (1, 1, 2)
    calls = runtime.denoise.calls
    assert copies(Condition(ball)) == (1, 1, 2)
    assert copies(Condition(ball, guidance=7.0, alone_above=0.3)) == (1, 1, 2)  # other numbers, the same record
    assert copies(Condition(sea)) == (1 + 2, 1, 2)
    assert runtime.denoise.calls == calls  # nothing was enqueued pass by pass
    assert runtime.sampler.recorded == 2


def test_a_blend_of_the_same_texts_is_not_copied_again(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    """What is remembered of two prompts is blended anew for every chunk."""
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    run(generator, [Condition(ball, sound=sea)] * 2)
    runtime.device.synchronise()
    before = runtime.gpu.uploads
    generator.step(Condition(ball, sound=sea))
    runtime.device.synchronise()
    assert runtime.gpu.uploads - before == 1


def test_texts_are_told_apart_by_their_numbers_and_not_by_their_names(tiny: Bundle, ball: Prompt) -> None:
    other = Prompt(ball.text, ball.context, ball.context_bias, -ball.pooled)
    compare(tiny, [Condition(ball), Condition(other), Condition(ball)], FakeRuntime())


def test_records_are_bounded_and_none_is_left(tiny: Bundle, ball: Prompt) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    for steps in range(1, CAPACITY + 5):
        run(generator, [Condition(ball, steps=steps, guidance=1)] * 2)
        assert runtime.sampler.recorded == len(runtime.device.records) <= CAPACITY
    assert runtime.device.made == CAPACITY + 4 + 1  # and that of the ring, which was never dropped
    runtime.sampler.close()
    runtime.sampler.close()
    assert (runtime.device.records, runtime.gpu.memory, runtime.gpu.marks, runtime.device.pinned) == ({}, {}, {}, [])
    with pytest.raises(GraphRunError, match="closed"):
        generator.step(Condition(ball))


# What goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails_in", [1, 4, 9, 10, 13, 22])
def test_a_pass_that_fails_is_told_and_reset_mends_it(tiny: Bundle, ball: Prompt, fails_in: int) -> None:
    """In the first chunk, in the recording of the second (which is no failure), or step by step later."""
    right = run(PocketGenerator(tiny, OnnxRuntimeCpu(), seed=2), [Condition(ball)] * 3)
    runtime = FakeRuntime(captures=fails_in != 22, fails_in=fails_in)
    generator = PocketGenerator(tiny, runtime, seed=2)
    try:
        made = run(generator, [Condition(ball)] * 3)
    except GraphRunError:
        generator.reset()
        made = [replace(chunk, index=index) for index, chunk in enumerate(run(generator, [Condition(ball)] * 3))]
        assert fails_in < 10 or fails_in == 22
    else:
        assert 10 <= fails_in < 22
        assert runtime.sampler.recorded == 1  # the other kind of work is done step by step for good
    require_close(made, right)


def test_what_was_lost_with_a_failure_is_brought_again(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    """A device that fails need not have done what was enqueued before, such as copies of texts."""
    right = run(PocketGenerator(tiny, OnnxRuntimeCpu(), seed=2), [Condition(sea)] * 3)
    runtime = FakeRuntime(record=False)
    generator = PocketGenerator(tiny, runtime, seed=2)
    generator.step(Condition(ball))
    runtime.device.synchronise()
    runtime.denoise.fails_in = runtime.denoise.calls + 1
    with pytest.raises(GraphRunError, match="refuses"):
        generator.step(Condition(sea))
    runtime.device.waiting.clear()
    generator.reset()
    require_mended(run(generator, [Condition(sea)] * 3), right)


def test_a_record_that_fails_is_told_and_reset_mends_it(
    tiny: Bundle, ball: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime, seed=2)
    first = run(generator, [Condition(ball)] * 4)
    with monkeypatch.context() as patched:

        def refuse(record: int) -> None:
            raise GraphRunError("the fake refuses")

        patched.setattr(runtime.device, "play", refuse)
        with pytest.raises(GraphRunError, match="refuses"):
            generator.step(Condition(ball))
    generator.reset()
    require_mended(run(generator, [Condition(ball)] * 4), first)


def test_latents_that_run_away_are_refused_and_reset_mends_them(tiny: Bundle, ball: Prompt) -> None:
    generator = PocketGenerator(tiny, FakeRuntime(), seed=2)
    right = run(generator, [Condition(ball)] * 3)
    with pytest.raises(NonFiniteError, match="not numbers"):
        generator.step(Condition(broken(ball)))
    generator.reset()
    require_mended(run(generator, [Condition(ball)] * 3), right)


def test_what_a_clamp_hides_is_refused_too(tiny: Bundle, ball: Prompt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's minimum and maximum may answer with a number where one side is none."""
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    plan = runtime.sampler._plans.step
    compute = plan.compute  # type: ignore[attr-defined]

    def clamping(given: dict[str, Any]) -> dict[str, Any]:
        made = compute(given)
        return {name: value if name == "next_energy" else np.nan_to_num(value) for name, value in made.items()}

    monkeypatch.setattr(plan, "compute", clamping)
    generator.step(Condition(ball))
    with pytest.raises(NonFiniteError, match="velocity"):
        generator.step(Condition(broken(ball)))


def test_more_steps_than_there_is_room_for_are_refused(tiny: Bundle, ball: Prompt) -> None:
    generator = PocketGenerator(tiny, FakeRuntime())
    generator.step(Condition(ball, steps=MAX_STEPS, guidance=1))
    with pytest.raises(ConditionError, match=f"room for {MAX_STEPS}"):
        generator.step(Condition(ball, steps=MAX_STEPS + 1, guidance=1))
    generator.step(Condition(ball))


def test_a_graph_that_does_not_fit_gives_everything_back(tiny: Bundle) -> None:
    runtime = FakeRuntime()
    wrong, state = with_a_state_that_does_not_fit(tiny)
    with pytest.raises(GraphMismatchError, match=state):
        PocketGenerator(wrong, runtime)
    assert (runtime.gpu.memory, runtime.gpu.marks, runtime.device.pinned) == ({}, {}, [])


def test_a_changed_manifest_is_noticed(tiny: Bundle, tmp_path: Path) -> None:
    bundle = with_longer_texts(tmp_path / "wide")
    with pytest.raises(GraphMismatchError, match="context"):
        PocketGenerator(bundle, FakeRuntime())


def test_there_is_no_engine_for_single_passes(tiny: Bundle) -> None:
    with pytest.raises(AttributeError, match="on the device"):
        _ = PocketGenerator(tiny, FakeRuntime())._engine
