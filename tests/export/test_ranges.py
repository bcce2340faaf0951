"""Ranges for eight bits, and values that are watched while a graph runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_export.ranges import PER_CALL, Range, WatchingRuntime, best_range, telling


def rounding(values: NDArray[np.float32], span: Range, levels: int) -> float:
    step = (span.high - span.low) / levels
    zero = round(-span.low / step)
    back = (np.clip(np.rint(values / step) + zero, 0, levels) - zero) * step
    return float(np.mean((back - values) ** 2))


def test_numbers_without_outliers_keep_their_whole_range() -> None:
    values = np.random.default_rng(0).uniform(-3, 5, 4000).astype(np.float32)
    span = best_range(values)
    assert span.low == pytest.approx(values.min(), rel=0.05)
    assert span.high == pytest.approx(values.max(), rel=0.05)


def test_a_few_large_numbers_are_clipped_where_that_costs_less() -> None:
    values = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    span = best_range(values, levels=15)
    whole = Range(float(values.min()), float(values.max()))
    assert span.high < 0.8 * whole.high
    assert rounding(values, span, 15) < 0.8 * rounding(values, whole, 15)


def test_zero_is_always_inside() -> None:
    above = best_range(np.linspace(2, 3, 100, dtype=np.float32))
    assert above.low == 0
    assert above.high > 2.5
    assert best_range(np.zeros(4, np.float32)) == Range(0.0, 1.0)


@pytest.mark.parametrize("values", [[], [np.nan], [1.0, np.inf]])
def test_what_has_no_range_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        best_range(np.array(values, np.float32))


STATES = (State(name="past", shape=(1, 4), dtype="float32"),)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """y = 2 (x + past) + 1, and the past is the sum."""
    nodes = [
        helper.make_node("Add", ["x", "past"], ["sum"]),
        helper.make_node("Mul", ["sum", "two"], ["twice"]),
        helper.make_node("Add", ["twice", "one"], ["y"]),
        helper.make_node("Identity", ["sum"], ["past_out"]),
    ]
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "past")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("y", "past_out")],
        [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("two", 2.0), ("one", 1.0))],
    )
    path = tmp_path / "graph.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 24)], ir_version=10), path)
    return path


def test_watched_values_are_seen_and_nothing_else_changes(graph: Path) -> None:
    watching = WatchingRuntime(OnnxRuntimeCpu(), graph, ["twice", "x"])
    engine, plain = watching.load(graph, STATES), OnnxRuntimeCpu().load(graph, STATES)
    assert engine.signature == plain.signature
    for number in range(3):
        call = {"x": np.full((1, 4), number + 1, np.float32)}
        np.testing.assert_array_equal(engine.run(call)["y"], plain.run(call)["y"])
        np.testing.assert_array_equal(engine.state("past"), plain.state("past"))
    seen = watching.samples()
    assert [len(part) for part in watching.seen["twice"]] == [min(PER_CALL, 4)] * 3
    assert set(seen["twice"].tolist()) == {2.0, 6.0, 12.0}  # twice 1, 1 + 2, 1 + 2 + 3
    assert set(seen["x"].tolist()) == {1.0, 2.0, 3.0}
    engine.reset()
    assert not engine.state("past").any()


def test_other_graphs_are_left_alone(graph: Path, tmp_path: Path) -> None:
    watching = WatchingRuntime(OnnxRuntimeCpu(), tmp_path / "another.onnx", ["twice"])
    assert list(watching.load(graph, STATES).run({"x": np.zeros((1, 4), np.float32)})) == ["y"]
    assert watching.samples()["twice"].size == 0


def test_what_is_not_inside_is_refused(graph: Path) -> None:
    for name in ("y", "thrice"):
        with pytest.raises(ValueError, match=f"under the name {name}"):
            telling(graph.read_bytes(), [name])
