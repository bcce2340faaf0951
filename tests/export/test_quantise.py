"""int8 graphs: what is quantised, what is left alone, and that the error is really measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamgen_export.quantise import (
    QuantisationError,
    quantise_convolutions,
    quantise_linears,
    relative_errors,
    rollout,
    sensitivities,
)

FLOAT = TensorProto.FLOAT


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    constants: dict[str, NDArray[np.float32]],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    nodes[0].doc_string = "written by /some/machine"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10), path)
    return path


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def linear_graph(tmp_path: Path) -> Path:
    """A linear layer, then a product of two activations, as in attention."""
    return save(
        tmp_path / "linear.onnx",
        [
            helper.make_node("MatMul", ["x", "weight"], ["y"], name="linear"),
            helper.make_node("Transpose", ["y"], ["t"], name="turn", perm=[1, 0]),
            helper.make_node("MatMul", ["y", "t"], ["z"], name="attention"),
        ],
        {"x": [8, 64]},
        {"y": [8, 96], "z": [8, 8]},
        {"weight": normal(64, 96) * np.linspace(0.1, 4, 96, dtype=np.float32)},
    )


@pytest.fixture
def conv_graph(tmp_path: Path) -> Path:
    """Two convolutions and a running mean that the next call gets back."""
    return save(
        tmp_path / "conv.onnx",
        [
            helper.make_node("Conv", ["x", "w1"], ["a"], name="first", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["b"], name="relu"),
            helper.make_node("Add", ["b", "state"], ["c"], name="join"),
            helper.make_node("Conv", ["c", "w2"], ["y"], name="second", kernel_shape=[1, 1]),
            helper.make_node("Mul", ["c", "half"], ["state_out"], name="decay"),
        ],
        {"x": [1, 4, 8, 8], "state": [1, 16, 8, 8]},
        {"y": [1, 3, 8, 8], "state_out": [1, 16, 8, 8]},
        {
            "w1": normal(16, 4, 3, 3, seed=1),
            "w2": normal(3, 16, 1, 1, seed=2),
            "half": np.array(0.5, np.float32),
        },
    )


def op_types(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_only_products_with_a_constant_become_int8(linear_graph: Path, tmp_path: Path) -> None:
    feeds = [{"x": normal(8, 64, seed=seed)} for seed in range(3)]
    result = quantise_linears(linear_graph, tmp_path / "int8.onnx", feeds)
    assert result.nodes == 1
    assert op_types(result.path)["MatMulInteger"] == 1
    assert op_types(result.path)["MatMul"] == 1
    assert 0 < result.errors["y"] < 0.02
    assert result.worst == max(result.errors.values())
    assert result.bytes_after < 0.5 * result.bytes_before


def test_the_exporters_notes_are_removed(linear_graph: Path, tmp_path: Path) -> None:
    result = quantise_linears(linear_graph, tmp_path / "int8.onnx")
    assert b"/some/machine" not in result.path.read_bytes()
    assert result.errors == {}
    assert result.worst == 0.0


def test_a_graph_without_linears_is_refused(conv_graph: Path, linear_graph: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantisationError, match="no MatMul"):
        quantise_linears(conv_graph, tmp_path / "int8.onnx")
    with pytest.raises(QuantisationError, match="no MatMul"):
        quantise_linears(linear_graph, tmp_path / "int8.onnx", keep=["linear"])


def conv_calls(count: int, seed: int) -> list[dict[str, NDArray[np.float32]]]:
    return [{"x": normal(1, 4, 8, 8, seed=seed + index)} for index in range(count)]


def test_convolutions_become_int8_with_calibrated_ranges(conv_graph: Path, tmp_path: Path) -> None:
    calibration = rollout(conv_graph, conv_calls(6, 10), {"state": "state_out"}).feeds
    feeds = rollout(conv_graph, conv_calls(4, 90), {"state": "state_out"}).feeds
    result = quantise_convolutions(conv_graph, tmp_path / "int8.onnx", calibration, feeds)
    assert result.nodes == 2
    assert op_types(result.path)["DequantizeLinear"] >= 4
    assert 0 < result.worst < 0.05


def test_a_kept_convolution_stays_float32(conv_graph: Path, tmp_path: Path) -> None:
    calibration = rollout(conv_graph, conv_calls(4, 10), {"state": "state_out"}).feeds
    result = quantise_convolutions(conv_graph, tmp_path / "int8.onnx", calibration, keep=["second"])
    assert result.nodes == 1
    second = next(node for node in onnx.load(result.path).graph.node if node.name == "second")
    assert "w2" in second.input


def test_convolutions_need_calibration_and_convolutions(conv_graph: Path, linear_graph: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantisationError, match="calibration"):
        quantise_convolutions(conv_graph, tmp_path / "int8.onnx", [])
    with pytest.raises(QuantisationError, match="no Conv"):
        quantise_convolutions(linear_graph, tmp_path / "int8.onnx", [{"x": normal(8, 64)}])


def test_a_graph_has_no_error_against_itself_and_one_against_another(linear_graph: Path, tmp_path: Path) -> None:
    feeds = [{"x": normal(8, 64)}]
    assert relative_errors(linear_graph, linear_graph, feeds) == {"y": 0.0, "z": 0.0}
    model = onnx.load(linear_graph)
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(1.1 * numpy_helper.to_array(weight), weight.name))
    scaled = tmp_path / "scaled.onnx"
    onnx.save(model, scaled)
    errors = relative_errors(linear_graph, scaled, feeds)
    assert errors["y"] == pytest.approx(0.1, rel=1e-3)
    assert errors["z"] == pytest.approx(0.21, rel=1e-3)


def test_a_rollout_carries_the_state(conv_graph: Path) -> None:
    calls = conv_calls(3, 0)
    run = rollout(conv_graph, calls, {"state": "state_out"})
    assert not run.feeds[0]["state"].any()
    assert run.feeds[1]["state"].any()
    assert list(run.outputs[0]) == ["y"]
    again = rollout(conv_graph, calls[1:], {"state": "state_out"})
    assert not np.array_equal(again.outputs[0]["y"], run.outputs[1]["y"])


def test_sensitivities_name_the_worst_convolution_first(conv_graph: Path) -> None:
    calibration = rollout(conv_graph, conv_calls(4, 10), {"state": "state_out"}).feeds
    seen: list[str] = []
    found = sensitivities(conv_graph, calibration, calibration, lambda name, _: seen.append(name))
    assert seen == ["first", "second"]
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert min(found.values()) > 0
