"""Static int8 linears: what becomes int8, how far it is off, and that ONNX Runtime makes one kernel of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamgen_export.quantise import QuantisationError, quantise_linears, relative_errors
from streamgen_export.ranges import Range, best_range
from streamgen_export.static_linears import linear_inputs, quantise_static, widened

FLOAT = TensorProto.FLOAT


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def feeds(count: int = 4) -> list[dict[str, NDArray[np.float32]]]:
    return [{"x": normal(8, 64, seed=100 + seed)} for seed in range(count)]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Two linears on one input, a product of two activations, a third linear behind it, and a tiny one."""
    nodes = [
        helper.make_node("MatMul", ["x", "w_left"], ["left"], name="left"),
        helper.make_node("MatMul", ["x", "w_right"], ["right"], name="right"),
        helper.make_node("Mul", ["left", "right"], ["both"], name="both"),
        helper.make_node("MatMul", ["both", "w_out"], ["y"], name="out"),
        helper.make_node("Transpose", ["y"], ["turned"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["y", "turned"], ["likeness"], name="likeness"),
        helper.make_node("MatMul", ["y", "w_tiny"], ["z"], name="tiny"),
    ]
    weights = {
        "w_left": normal(64, 96, seed=1) * np.linspace(0.1, 4, 96, dtype=np.float32),
        "w_right": normal(64, 96, seed=2),
        "w_out": normal(96, 48, seed=3),
        "w_tiny": normal(48, 4, seed=4),
    }
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, [8, 64])],
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in (("y", [8, 48]), ("likeness", [8, 8]), ("z", [8, 4]))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "float32.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 24)], ir_version=10), path)
    return path


def ranges_of(graph: Path) -> dict[str, Range]:
    values = [feed["x"] for feed in feeds()]
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(graph).graph.initializer}
    both = [(x @ weights["w_left"]) * (x @ weights["w_right"]) for x in values]
    return {"x": best_range(np.stack(values)), "both": best_range(np.stack(both))}


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def static(graph: Path, ranges: dict[str, Range]) -> Path:
    target = graph.with_name("static.onnx")
    target.write_bytes(quantise_static(graph.read_bytes(), ranges, name="small"))
    return target


def test_products_with_large_weights_become_int8(graph: Path) -> None:
    assert linear_inputs(graph.read_bytes()) == ["both", "x"]
    made = static(graph, ranges_of(graph))
    assert operators(made)["QuantizeLinear"] == 2  # the shared activation is quantised once
    assert operators(made)["MatMulIntegerToFloat"] == 3
    types = {t.name: t.data_type for t in onnx.load(made).graph.initializer}
    assert types["w_left_codes"] == TensorProto.INT8
    assert types["w_tiny"] == FLOAT
    errors = relative_errors(graph, made, feeds())
    assert 0.001 < max(errors.values()) < 0.05
    assert made.stat().st_size < 0.5 * graph.stat().st_size


def test_onnx_runtime_keeps_one_kernel_for_each_linear(graph: Path, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # it warns that such a file fits this machine alone
    ort.InferenceSession(str(static(graph, ranges_of(graph))), options, providers=["CPUExecutionProvider"])
    kernels = operators(tmp_path / "optimised.onnx")
    assert kernels["MatMulIntegerToFloat"] == 3
    assert kernels["Gemm"] == kernels["DequantizeLinear"] == 0


def test_ranges_that_do_not_fit_show(graph: Path) -> None:
    right = relative_errors(graph, static(graph, ranges_of(graph)), feeds())
    spoiled = {name: Range(span.low / 20, span.high / 20) for name, span in ranges_of(graph).items()}
    wrong = relative_errors(graph, static(graph, spoiled), feeds())
    assert wrong["y"] > 0.5
    assert wrong["y"] > 20 * right["y"]


def test_dynamic_int8_comes_back_with_the_weights_that_it_had(graph: Path, tmp_path: Path) -> None:
    dynamic = quantise_linears(graph, tmp_path / "dynamic.onnx", keep=["tiny"]).path
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(widened(dynamic.read_bytes()))
    assert operators(plain)["MatMulInteger"] == 0
    assert operators(plain)["MatMul"] == 5
    # Quantised again, with one scale for each output channel, the codes are the same.
    inputs = linear_inputs(plain.read_bytes())
    codes = onnx.load_from_string(
        quantise_static(plain.read_bytes(), dict.fromkeys(inputs, Range(-9, 9)), name="small")
    )
    before = {tuple(v.ravel()[:8]) for v in integers(onnx.load(dynamic))}
    after = {tuple(v.ravel()[:8]) for v in integers(codes)}
    assert len(after) == 3
    assert after == before


def integers(model: onnx.ModelProto) -> list[NDArray[np.int8]]:
    """Weights in int8, of which each has many numbers."""
    values = [numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == TensorProto.INT8]
    return [value for value in values if value.ndim == 2]


def test_a_graph_without_linears_and_a_missing_range_are_refused(graph: Path) -> None:
    with pytest.raises(QuantisationError, match="no range was measured of both"):
        quantise_static(graph.read_bytes(), {"x": Range(-1, 1)}, name="small")
    model = onnx.load(graph)
    del model.graph.node[:4]
    with pytest.raises(QuantisationError, match="small has no MatMul"):
        quantise_static(model.SerializeToString(), {}, name="small")
