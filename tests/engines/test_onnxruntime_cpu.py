"""The CPU runtime: states really in place, results that stay, and errors that name the tensor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from streamgen_engines.errors import GraphLoadError, GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu, Signature, TensorSpec
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeEngine

RING = State(name="ring", shape=(1, 1, 6, 2), dtype="float32")


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any]) -> Path:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11), path)
    return path


@pytest.fixture
def ring_graph(tmp_path: Path) -> Path:
    """Writes `new` into `ring` at `index`, and sums the ring."""
    real = TensorProto.FLOAT
    return save(
        tmp_path / "ring.onnx",
        [
            helper.make_node("TensorScatter", ["ring", "new", "index"], ["ring_out"], axis=2, mode="linear"),
            helper.make_node("ReduceSum", ["ring_out"], ["total"], keepdims=0),
        ],
        {"new": (real, (1, 1, 2, 2)), "index": (TensorProto.INT64, (1,)), "ring": (real, (1, 1, 6, 2))},
        {"total": (real, ()), "ring_out": (real, (1, 1, 6, 2))},
    )


def feed(value: float, index: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"new": np.full((1, 1, 2, 2), value, np.float32), "index": np.array([index], np.int64)}


@pytest.mark.parametrize("in_place", [True, False])
def test_a_state_is_carried_and_reset(ring_graph: Path, in_place: bool) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING], in_place=in_place)
    assert engine.run(feed(1, 0))["total"] == 4
    assert engine.run(feed(2, 4))["total"] == 12
    assert engine.run(feed(3, 0))["total"] == 20
    assert engine.state("ring")[0, 0, :, 0].tolist() == [3, 3, 0, 0, 2, 2]
    engine.reset()
    assert engine.run(feed(1, 2))["total"] == 4


@pytest.mark.parametrize("in_place", [True, False])
def test_the_caller_may_write_into_a_state(ring_graph: Path, in_place: bool) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING], in_place=in_place)
    engine.run(feed(1, 0))
    engine.state("ring")[:, :, 4:6] = engine.state("ring")[:, :, 0:2]
    assert engine.run(feed(0, 0))["total"] == 4


def test_in_place_means_one_buffer(ring_graph: Path) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING], in_place=True)
    view = engine.state("ring")
    for i in range(5):
        engine.run(feed(i + 1, 2))
        assert np.shares_memory(view, engine.state("ring"))
        assert view[0, 0, :, 1].tolist() == [0, 0, i + 1, i + 1, 0, 0]  # seen through the first view, no copy


@pytest.mark.parametrize(
    "engine_of",
    [
        lambda path: OnnxRuntimeCpu().load(path, [RING]),
        lambda path: OnnxRuntimeCpu(in_place=False).load(path, [RING], in_place=True),
    ],
)
def test_two_buffers_unless_both_agree_to_one(ring_graph: Path, engine_of: Callable[[Path], OnnxRuntimeEngine]) -> None:
    engine = engine_of(ring_graph)
    before = engine.state("ring")
    engine.run(feed(1, 0))
    assert not np.shares_memory(before, engine.state("ring"))


def test_a_new_state_may_be_written_before_the_old_one_is_read(tmp_path: Path) -> None:
    """As in a decoder that remembers its last input, which no graph forces to be read first."""
    real = (TensorProto.FLOAT, (1, 4))
    path = save(
        tmp_path / "last.onnx",
        [
            helper.make_node("Neg", ["new"], ["last_out"]),
            helper.make_node("Neg", ["last_out"], ["again"]),
            helper.make_node("Sub", ["again", "last"], ["change"]),
        ],
        {"new": real, "last": real},
        {"change": real, "last_out": real},
    )
    engine = OnnxRuntimeCpu().load(path, [State(name="last", shape=(1, 4), dtype="float32")])
    values = [engine.run({"new": np.full((1, 4), i, np.float32)})["change"][0, 0] for i in (1.0, 5.0, 6.0)]
    assert values == [1, 6, 11]


def test_results_belong_to_the_caller(ring_graph: Path) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING])
    first = engine.run(feed(1, 0))["total"]
    engine.run(feed(5, 0))
    assert first == 4


def test_inputs_may_be_read_only_or_strided(ring_graph: Path) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING])
    strided = np.ones((1, 1, 2, 4), np.float32)[..., ::2]
    strided.setflags(write=False)
    assert engine.run({"new": strided, "index": np.array([0])})["total"] == 4


def test_the_signature_leaves_states_out(ring_graph: Path) -> None:
    signature = OnnxRuntimeCpu().load(ring_graph, [RING]).signature
    new, total = TensorSpec((1, 1, 2, 2), "float32"), TensorSpec((), "float32")
    expected = Signature({"new": new, "index": TensorSpec((1,), "int64")}, {"total": total})
    assert signature == expected
    signature.require(expected, graph="ring")
    other = Signature({"new": TensorSpec((9,), "float32"), "old": new}, {"total": total})
    with pytest.raises(GraphMismatchError) as caught:
        signature.require(other, graph="ring")
    for part in (
        "graphs.ring",
        "input new is float32[1, 1, 2, 2], should be float32[9]",
        "input old is missing",
        "input index is unexpected",
        "Export the bundle again",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"index": np.array([0])}, r"needs input new \(float32\[1, 1, 2, 2\]\)"),
        (feed(1, 0) | {"other": np.zeros(1)}, "has no input other"),
        (feed(1, 0) | {"new": np.zeros((1, 1, 2, 2))}, "input new is float64.*should be float32"),
        (feed(1, 0) | {"new": np.zeros((2, 2), np.float32)}, r"input new is float32\[2, 2\]"),
    ],
)
def test_wrong_inputs_are_named(ring_graph: Path, inputs: dict[str, Any], message: str) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING])
    with pytest.raises(GraphMismatchError, match=message):
        engine.run(inputs)


def test_a_failing_graph_says_so_and_works_again_after_reset(ring_graph: Path) -> None:
    engine = OnnxRuntimeCpu().load(ring_graph, [RING])
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
def test_a_state_that_the_graph_has_not_is_refused(ring_graph: Path, state: State) -> None:
    with pytest.raises(GraphMismatchError, match=f"state {state.name} should be input {state.name}"):
        OnnxRuntimeCpu().load(ring_graph, [state])


def test_dynamic_shapes_are_refused(tmp_path: Path) -> None:
    real = TensorProto.FLOAT
    node = helper.make_node("Neg", ["x"], ["y"])
    path = save(tmp_path / "dynamic.onnx", [node], {"x": (real, ("batch", 2))}, {"y": (real, ("batch", 2))})
    with pytest.raises(GraphMismatchError, match=r"tensor x has the dynamic shape .* static shapes"):
        OnnxRuntimeCpu().load(path)


def test_what_is_not_a_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"this is not ONNX")
    for name in ("bad.onnx", "missing.onnx"):
        with pytest.raises(GraphLoadError, match=rf"{name}: ONNX Runtime .* cannot load this graph"):
            OnnxRuntimeCpu().load(tmp_path / name)
