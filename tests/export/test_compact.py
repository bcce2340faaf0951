"""Weights stored as int8: small file, nearly the same numbers, nothing but weights touched."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamgen_export.compact import store_as_int8
from streamgen_export.quantise import session


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((64, 80)).astype(np.float32) * np.geomspace(0.01, 1, 64)[:, None].astype(np.float32)
    table = rng.standard_normal((1, 3000)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["y"]),
        helper.make_node("ReduceSum", ["table"], ["total"], keepdims=0),
        helper.make_node("Add", ["y", "total"], ["z"]),
    ]
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 64])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [4, 80])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = tmp_path / "graph.onnx"
    onnx.save(model, path)
    return path


def test_weights_become_int8_and_results_stay(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.onnx"
    assert store_as_int8(graph, target) == 1
    types = {tensor.name: tensor.data_type for tensor in onnx.load(target).graph.initializer}
    assert types["weight_code"] == TensorProto.INT8
    assert types["table"] == TensorProto.FLOAT
    x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    before, after = (session(path).run(None, {"x": x})[0] for path in (graph, target))
    assert 0 < np.linalg.norm(after - before) / np.linalg.norm(before) < 0.01


def test_named_weights_are_kept(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "same.onnx"
    assert store_as_int8(graph, target, keep=("weight",)) == 0
    assert {tensor.name for tensor in onnx.load(target).graph.initializer} == {"weight", "table"}
