"""What every runtime that is here promises, whatever computes: one test for all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import GraphLoadError, GraphMismatchError, GraphRunError, OutOfMemoryError
from streamgen_engines.families import Condition, load
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime, Signature, TensorSpec
from streamgen_engines.runtimes.openvino import OpenVino
from tests.engines.graphs import LAST, REAL, RING, feed, last_graph, ring_graph, save
from tests.engines.on_host import OnHost

RUNTIMES: dict[str, Callable[[], Runtime]] = {
    "onnxruntime-cpu": OnnxRuntimeCpu,
    "onnxruntime-cuda, on the host": OnHost,
    "openvino": lambda: OpenVino(fall_back=False),
}
CHUNKS = 20
NO_MACHINE_HAS = 2**46  # numbers of 4 bytes


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return RUNTIMES[request.param]()


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return ring_graph(tmp_path)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_state_is_carried_and_reset(runtime: Runtime, ring: Path, in_place: bool) -> None:
    engine = runtime.load(ring, [RING], in_place=in_place)
    for turn in range(2):
        assert engine.run(feed(1, 0))["total"] == 4
        assert engine.run(feed(2, 4))["total"] == 12
        if turn:
            assert engine.run(feed(3, 0))["total"] == 20
            assert engine.state("ring")[0, 0, :, 0].tolist() == [3, 3, 0, 0, 2, 2]
        engine.reset()
        assert not engine.state("ring").any()


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_caller_may_write_into_a_state(runtime: Runtime, ring: Path, in_place: bool, runs: int) -> None:
    engine = runtime.load(ring, [RING], in_place=in_place)
    for _ in range(runs):
        engine.run(feed(1, 0))
    engine.state("ring")[:, :, 4:6] = engine.state("ring")[:, :, 0:2]
    assert engine.run(feed(0, 0))["total"] == 4
    assert engine.run(feed(0, 2))["total"] == 4
    assert engine.state("ring")[0, 0, :, 1].tolist() == [0, 0, 0, 0, 1, 1]


def test_what_was_written_into_a_state_is_gone_after_a_reset(runtime: Runtime, ring: Path) -> None:
    engine = runtime.load(ring, [RING], in_place=True)
    engine.state("ring").fill(7)
    engine.reset()
    assert engine.run(feed(1, 0))["total"] == 4


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("other", RUNTIMES)
def test_an_engine_goes_on_from_the_states_of_another_one(
    runtime: Runtime, ring: Path, in_place: bool, other: str
) -> None:
    first, then = RUNTIMES[other]().load(ring, [RING], in_place=in_place), runtime.load(ring, [RING])
    for number in range(3):
        first.run(feed(1, 2 * number))
    first.state("ring")[:, :, 0] = 9
    then.run(feed(5, 0))
    then.state("ring").fill(7)  # what was written into its own is gone
    then.take_states(first)
    assert then.state("ring")[0, 0, :, 0].tolist() == [9, 1, 1, 1, 1, 1]
    assert then.run(feed(0, 2))["total"] == 24
    assert first.run(feed(2, 4))["total"] == 32  # the other one keeps its own, and they share nothing
    assert then.run(feed(0, 4))["total"] == 20


def test_states_of_another_graph_are_refused_and_none_is_taken(runtime: Runtime, ring: Path, tmp_path: Path) -> None:
    then = runtime.load(ring, [RING])
    then.run(feed(1, 0))
    with pytest.raises(GraphMismatchError, match="cannot go on from an engine whose state ring is missing"):
        then.take_states(runtime.load(last_graph(tmp_path), [LAST]))
    assert then.run(feed(1, 2))["total"] == 8


def test_a_new_state_may_be_written_before_the_old_one_is_read(runtime: Runtime, tmp_path: Path) -> None:
    engine = runtime.load(last_graph(tmp_path), [LAST])
    values = [engine.run({"new": np.full((1, 4), i, np.float32)})["change"][0, 0] for i in (1.0, 5.0, 6.0, 2.0)]
    assert values == [1, 6, 11, 8]


def test_results_belong_to_the_caller(runtime: Runtime, ring: Path) -> None:
    engine = runtime.load(ring, [RING])
    first = engine.run(feed(1, 0))["total"]
    engine.run(feed(5, 0))
    assert first == 4


def test_inputs_may_be_read_only_or_strided(runtime: Runtime, ring: Path) -> None:
    engine = runtime.load(ring, [RING])
    strided = np.ones((1, 1, 2, 4), np.float32)[..., ::2]
    strided.setflags(write=False)
    assert engine.run({"new": strided, "index": np.array([0])})["total"] == 4


def test_two_engines_of_one_graph_share_nothing(runtime: Runtime, ring: Path) -> None:
    one, two = (runtime.load(ring, [RING], in_place=True) for _ in range(2))
    one.run(feed(1, 0))
    assert two.run(feed(2, 2))["total"] == 8
    assert one.run(feed(1, 2))["total"] == 8


def test_the_signature_leaves_states_out(runtime: Runtime, ring: Path) -> None:
    new, total = TensorSpec((1, 1, 2, 2), "float32"), TensorSpec((), "float32")
    expected = Signature({"new": new, "index": TensorSpec((1,), "int64")}, {"total": total})
    assert runtime.load(ring, [RING]).signature == expected


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"index": np.array([0])}, r"needs input new \(float32\[1, 1, 2, 2\]\)"),
        (feed(1, 0) | {"other": np.zeros(1)}, "has no input other"),
        (feed(1, 0) | {"new": np.zeros((1, 1, 2, 2))}, "input new is float64.*should be float32"),
        (feed(1, 0) | {"new": np.zeros((2, 2), np.float32)}, r"input new is float32\[2, 2\]"),
    ],
)
def test_wrong_inputs_are_named_and_change_nothing(
    runtime: Runtime, ring: Path, inputs: dict[str, Any], message: str
) -> None:
    engine = runtime.load(ring, [RING])
    engine.run(feed(1, 0))
    with pytest.raises(GraphMismatchError, match=message):
        engine.run(inputs)
    assert engine.run(feed(1, 2))["total"] == 8


def test_a_failing_graph_says_so_and_works_again_after_reset(runtime: Runtime, ring: Path) -> None:
    engine = runtime.load(ring, [RING])
    with pytest.raises(GraphRunError, match=r"ring\.onnx failed"):
        engine.run(feed(1, 99))
    engine.reset()
    assert engine.run(feed(1, 0))["total"] == 4


@pytest.mark.parametrize(
    "state",
    [
        State(name="ring", shape=(1, 1, 5, 2), dtype="float32"),
        State(name="ring", shape=(1, 1, 6, 2), dtype="float16"),
        State(name="other", shape=(1, 1, 6, 2), dtype="float32"),
    ],
)
def test_a_state_that_the_graph_has_not_is_refused(runtime: Runtime, ring: Path, state: State) -> None:
    with pytest.raises(GraphMismatchError, match=f"state {state.name} should be input {state.name}"):
        runtime.load(ring, [state])


def test_dynamic_shapes_are_refused(runtime: Runtime, tmp_path: Path) -> None:
    node = helper.make_node("Neg", ["x"], ["y"])
    path = save(tmp_path / "dynamic.onnx", [node], {"x": (REAL, ("batch", 2))}, {"y": (REAL, ("batch", 2))})
    with pytest.raises(GraphMismatchError, match=r"tensor x has the dynamic shape .* static shapes"):
        runtime.load(path)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_state_for_which_there_is_no_memory_says_so(runtime: Runtime, tmp_path: Path, in_place: bool) -> None:
    vector = (REAL, (1, NO_MACHINE_HAS))
    path = save(tmp_path / "huge.onnx", [helper.make_node("Neg", ["x"], ["x_out"])], {"x": vector}, {"x_out": vector})
    with pytest.raises(OutOfMemoryError, match=r"huge\.onnx: there is not enough memory .*smaller bundle"):
        runtime.load(path, [State(name="x", shape=(1, NO_MACHINE_HAS), dtype="float32")], in_place=in_place)


def test_what_is_not_a_graph_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"this is not ONNX")
    for name in ("bad.onnx", "missing.onnx"):
        with pytest.raises(GraphLoadError, match=rf"{name}: .* cannot load this graph .*choose another runtime"):
            runtime.load(tmp_path / name)


def test_twenty_chunks_of_the_tiny_bundle_are_those_of_the_reference(runtime: Runtime, tiny: Bundle) -> None:
    """Free running: ring, sink, decoders' states and a change of prompt, with no rounding to be amplified."""
    reference = load(tiny, runtime=lambda: OnnxRuntimeCpu(in_place=False))
    other = load(tiny, runtime=lambda: runtime)
    prompts = [reference.text.encode(text) for text in ("a red ball bounces", "calm sea at night")]
    for chunk in range(CHUNKS):
        condition = Condition(prompts[chunk >= CHUNKS // 2])
        ours, theirs = reference.generator.step(condition), other.generator.step(condition)
        np.testing.assert_allclose(theirs.video, ours.video, atol=1e-4)
        np.testing.assert_allclose(theirs.audio, ours.audio, atol=1e-4)
        shown, expected = other.decoder.decode(theirs), reference.decoder.decode(ours)
        assert np.abs(shown.video.astype(int) - expected.video).max() <= 1
        np.testing.assert_allclose(shown.audio, expected.audio, atol=1e-3)
