"""Rewriting changes no number beyond what its precision explains, and leaves nothing that TensorRT rejects."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.check import compare
from streamgen_engines.tensorrt.graph import Rewriting, types_of
from streamgen_engines.tensorrt.halve import KEPT
from streamgen_engines.tensorrt.prepare import Precision, Prepared, prepare
from streamgen_engines.tensorrt.recording import record_calls
from streamgen_engines.tensorrt.widen import widen_linears
from tests.tensorrt.test_lint import REJECTED, TAKEN


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def engine(bundle: Bundle, graph: str, model: bytes, folder: Path) -> Any:
    file = folder / f"{graph}.onnx"
    file.write_bytes(model)
    return OnnxRuntimeCpu().load(file, bundle.manifest.graphs[graph].states)


@pytest.fixture(scope="module")
def small() -> Bundle:
    return bundled("pocket-small")


@pytest.fixture(scope="module")
def calls(small: Bundle) -> dict[str, Any]:
    return record_calls(small, OnnxRuntimeCpu())


@pytest.fixture(scope="module")
def halves(small: Bundle) -> dict[str, Prepared]:
    return {graph: prepare(small.path(graph).read_bytes(), "fp16", name=graph) for graph in small.manifest.graphs}


@pytest.mark.parametrize("graph", ["text", "denoise", "decode_video", "decode_audio", "encode_picture"])
def test_half_precision_is_off_by_rounding_only(
    small: Bundle, calls: dict[str, Any], halves: dict[str, Prepared], graph: str, tmp_path: Path
) -> None:
    exact = prepare(small.path(graph).read_bytes(), "fp32", name=graph)
    (tmp_path / "half").mkdir()
    errors = compare(
        engine(small, graph, halves[graph].model, tmp_path / "half"),
        engine(small, graph, exact.model, tmp_path),
        calls[graph],
    )
    assert calls[graph]
    assert 0 < max(errors.values()) < 2e-3


@pytest.mark.parametrize("graph", ["decode_video", "decode_audio", "encode_picture"])
def test_widened_weights_are_the_stored_ones(small: Bundle, calls: dict[str, Any], graph: str, tmp_path: Path) -> None:
    exact = prepare(small.path(graph).read_bytes(), "fp32", name=graph)
    assert exact.weights > 0
    bundled_engine = OnnxRuntimeCpu().load(small.path(graph), small.manifest.graphs[graph].states)
    errors = compare(engine(small, graph, exact.model, tmp_path), bundled_engine, calls[graph])
    assert max(errors.values()) < 1e-5


def test_the_denoiser_has_its_attention_and_no_quantised_linears(halves: dict[str, Prepared]) -> None:
    denoise = halves["denoise"]
    found = operators(denoise.model)
    assert (denoise.linears, denoise.attentions) == (66, 16)
    assert (found.count("Attention"), found.count("MatMul"), found.count("TensorScatter")) == (16, 66, 16)
    assert {"MatMulInteger", "DynamicQuantizeLinear", "Softmax"}.isdisjoint(found)


def test_inputs_outputs_and_states_keep_their_types(small: Bundle, halves: dict[str, Prepared]) -> None:
    for graph, prepared in halves.items():
        before, after = (onnx.load_from_string(m).graph for m in (small.path(graph).read_bytes(), prepared.model))
        assert list(after.input) == list(before.input)
        assert list(after.output) == list(before.output)


def test_preparing_twice_is_preparing_once(halves: dict[str, Prepared]) -> None:
    for graph, prepared in halves.items():
        again = prepare(prepared.model, name=graph)
        assert (again.precision, again.sha256) == ("fp16", prepared.sha256)


def test_preparing_is_deterministic_and_precisions_differ(small: Bundle) -> None:
    source = small.path("encode_picture").read_bytes()
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
    hashes = [prepare(source, precision).sha256 for precision in precisions]
    assert len(set(hashes)) == 3
    assert [prepare(source, precision).sha256 for precision in precisions] == hashes


def test_the_test_card_stays_what_it_is(tmp_path: Path) -> None:
    """Bytes that became half precision, and caches that are written with a constant, give the very same pictures."""
    card = bundled("testcard")
    for graph, inputs in record_calls(card, OnnxRuntimeCpu()).items():
        prepared = prepare(card.path(graph).read_bytes(), name=graph)
        original = OnnxRuntimeCpu().load(card.path(graph), card.manifest.graphs[graph].states)
        assert max(compare(engine(card, graph, prepared.model, tmp_path), original, inputs).values()) < 1e-6


def test_a_bundle_for_gpus_says_its_precision_itself(small: Bundle) -> None:
    source = small.path("encode_picture").read_bytes()
    assert prepare(prepare(source, "bf16").model).precision == "bf16"
    assert prepare(TAKEN["int8 with Q/DQ"]).precision == "int8"
    assert prepare(source).precision == "fp16"


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_int8_and_fp8_come_from_the_graph(small: Bundle, precision: Precision) -> None:
    with pytest.raises(GraphLoadError, match=f"decoder: there is no {precision} in this graph.*--precision fp16"):
        prepare(small.path("encode_picture").read_bytes(), precision, name="decoder")


@pytest.mark.parametrize("source", [b"", b"not onnx", bytes(range(256)) * 8], ids=["empty", "text", "noise"])
def test_what_is_not_onnx_is_an_error_of_ours(source: bytes) -> None:
    with pytest.raises(GraphLoadError, match="the file"):
        prepare(source, name="the file")


def test_a_file_that_was_cut_short_is_an_error_of_ours(small: Bundle) -> None:
    whole = small.path("encode_picture").read_bytes()
    for kept in (10, 1000, len(whole) // 2, len(whole) - 3):
        with pytest.raises(GraphLoadError):
            prepare(whole[:kept], name="cut")


def test_zero_points_of_weights_are_taken_off() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(-100, 100, (4, 3)).astype(np.int8)
    points, scale = np.array([3, -7, 0], np.int8), np.array([0.1, 0.2, 0.3], np.float32)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("Mul", ["s", "scale"], ["both"]),
        helper.make_node("MatMulInteger", ["q", "codes", "z", "points"], ["whole"], name="linear"),
        helper.make_node("Cast", ["whole"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "both"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 3))],
        [numpy_helper.from_array(v, n) for n, v in (("codes", codes), ("points", points), ("scale", scale))],
    )
    rewriting = Rewriting(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11))
    assert widen_linears(rewriting) == 1
    made = rewriting.finish()
    assert [node.op_type for node in made.graph.node] == ["MatMul"]
    (weight,) = (numpy_helper.to_array(tensor) for tensor in made.graph.initializer)
    np.testing.assert_allclose(weight, (codes.astype(np.float32) - points) * scale, rtol=1e-6)


def test_a_linear_in_a_form_that_is_not_known_is_left_for_the_lint() -> None:
    assert "MatMulInteger" in operators(prepare(REJECTED["operator"]).model)


def test_types_are_known_of_every_value(halves: dict[str, Prepared]) -> None:
    for prepared in halves.values():
        model = onnx.load_from_string(prepared.model)
        types = types_of(model)
        assert all(name in types for node in model.graph.node for name in node.output if name)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_product_that_the_exporter_keeps_stays_in_float32(precision: Precision) -> None:
    """Beside one of the same size that becomes half precision: the mark is what tells them apart."""
    weight = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["middle"], name=f"first{KEPT}"),
        helper.make_node("MatMul", ["middle", "second"], ["y"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 64))],
        [numpy_helper.from_array(weight, name) for name in ("first", "second")],
    )
    source = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    prepared = prepare(source.SerializeToString(), precision)
    assert prepared.halved == 1
    model = onnx.load_from_string(prepared.model)
    products = {node.name: node for node in model.graph.node if node.op_type == "MatMul"}
    types = types_of(model)
    assert {types[name][0] for name in products[f"first{KEPT}"].input} == {TensorProto.FLOAT}
    half = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
    assert {types[name][0] for name in products["second"].input} == {half}
    again = prepare(prepared.model, precision)  # what is marked stays marked
    assert (again.halved, again.sha256) == (0, prepared.sha256)
