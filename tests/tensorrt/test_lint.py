"""Every rule rejects what TensorRT-RTX rejects, and lets through what it takes; every bundled graph passes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.bundle import bundled
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import State
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.lint import UNSUPPORTED, lint
from streamgen_engines.tensorrt.prepare import prepare
from tests.tensorrt.rtx import EXISTS, installed, needs_rtx, rtx

FLOAT, HALF, INT64, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8
Value = tuple[str, int, tuple[int | str, ...]]
BUNDLES = ("pocket", "pocket-small", "testcard")


def content(bundle: str, graph: str) -> tuple[str, str]:
    """What a graph computes: bundles may share one, byte for byte."""
    entry = bundled(bundle).manifest.graphs[graph]
    return entry.sha256, repr(entry.states)


EVERY = [(name, graph) for name in BUNDLES for graph in bundled(name).manifest.graphs]
FIRST: dict[tuple[str, str], tuple[str, str]] = {}
for each in EVERY:
    FIRST.setdefault(content(*each), each)
GRAPHS = list(FIRST.values())
"""Each of the bundled graphs once, by the first bundle that has it."""
node: Callable[..., Any] = helper.make_node


def model(
    nodes: Sequence[Any], inputs: Sequence[Value], outputs: Sequence[Value], constants: dict[str, Any] | None = None
) -> bytes:
    tensors = [
        value if hasattr(value, "data_type") else numpy_helper.from_array(value, name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        tensors,
    )
    domains = {each.domain for each in nodes if each.domain}
    imports = [helper.make_opsetid("", 24), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made: bytes = helper.make_model(graph, opset_imports=imports, ir_version=11).SerializeToString()
    return made


def scatter(*, mode: str = "linear", axis: int = 2, constant: bool = False, behind: bool = False) -> bytes:
    ring, update = (1, 2, 8, 8), (1, 2, 4, 8) if axis == 2 else (1, 1, 8, 8)
    nodes = [node("TensorScatter", ["far" if behind else "k", "u", "w"], ["k_out"], axis=axis, mode=mode)]
    if behind:
        nodes.insert(0, node("Neg", ["k"], ["far"]))
    inputs: list[Value] = [("k", FLOAT, ring), ("w", INT64, (1,))]
    if constant:
        return model(nodes, inputs, [("k_out", FLOAT, ring)], {"u": np.ones(update, np.float32)})
    return model(nodes, [*inputs, ("u", FLOAT, update)], [("k_out", FLOAT, ring)])


def flat_scatter() -> bytes:
    inputs: list[Value] = [("k", FLOAT, (1, 8, 8)), ("u", FLOAT, (1, 4, 8)), ("w", INT64, (1,))]
    nodes = [node("TensorScatter", ["k", "u", "w"], ["k_out"], axis=1)]
    return model(nodes, inputs, [("k_out", FLOAT, (1, 8, 8))])


def attention(*, past: bool = False, softcap: float = 0.0) -> bytes:
    shape = (1, 2, 8, 64)
    names = ["q", "k", "v", *(["", "past_k", "past_v"] if past else [])]
    outputs: list[Value] = [("y", HALF, shape)]
    if past:
        outputs += [("new_k", HALF, (1, 2, 16, 64)), ("new_v", HALF, (1, 2, 16, 64))]
    inputs: list[Value] = [(name, HALF, shape) for name in names if name]
    return model([node("Attention", names, [out[0] for out in outputs], softcap=softcap)], inputs, outputs)


def quantised(kind: type, zero: int) -> bytes:
    constants = {"s": np.array(0.1, np.float32), "z": np.array(zero, kind)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    return model(nodes, [("x", FLOAT, (4, 4))], [("y", FLOAT, (4, 4))], constants)


def stored_as_int8() -> bytes:
    constants = {"codes": np.ones((4, 4), np.int8), "scale": np.ones((4, 1), np.float32)}
    nodes = [
        node("Cast", ["codes"], ["wide"], to=FLOAT),
        node("Mul", ["wide", "scale"], ["w"]),
        node("MatMul", ["x", "w"], ["y"]),
    ]
    return model(nodes, [("x", FLOAT, (4, 4))], [("y", FLOAT, (4, 4))], constants)


def dynamic_linear() -> bytes:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["whole"]),
        node("Cast", ["whole"], ["wide"], to=FLOAT),
        node("Mul", ["wide", "s"], ["y"]),
    ]
    return model(nodes, [("x", FLOAT, (4, 4))], [("y", FLOAT, (4, 4))], {"w": np.ones((4, 4), np.int8)})


def bytes_inside() -> bytes:
    nodes = [node("Cast", ["x"], ["b"], to=UINT8), node("Cast", ["b"], ["y"], to=FLOAT)]
    return model(nodes, [("x", FLOAT, (4,))], [("y", FLOAT, (4,))])


def bytes_turned() -> bytes:
    nodes = [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("Cast", ["t"], ["y"], to=FLOAT)]
    return model(nodes, [("x", UINT8, (4, 4))], [("y", FLOAT, (4, 4))])


def foreign() -> bytes:
    nodes = [node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft")]
    return model(nodes, [("x", FLOAT, (4, 4))], [("y", FLOAT, (4, 4))])


def plain(size: int | str = 4, kind: int = FLOAT) -> bytes:
    return model([node("Cast", ["x"], ["y"], to=FLOAT)], [("x", kind, (size, 4))], [("y", FLOAT, (size, 4))])


REJECTED = {
    "operator": dynamic_linear(),
    "domain": foreign(),
    "int8-constant": stored_as_int8(),
    "uint8": bytes_inside(),
    "uint8 that is turned": bytes_turned(),
    "scatter-mode": scatter(mode="circular"),
    "scatter-axis": scatter(axis=1),
    "scatter-rank": flat_scatter(),
    "scatter-constant": scatter(constant=True),
    "scatter-cache": scatter(behind=True),
    "attention-outputs": attention(past=True),
    "attention-softcap": attention(softcap=2.0),
    "zero-point": quantised(np.int8, 3),
    "zero-point of uint8": quantised(np.uint8, 128),
    "static-shape": plain("batch"),
    "type": plain(kind=TensorProto.INT16),
}
TAKEN = {
    "scatter": scatter(),
    "attention": attention(),
    "int8 with Q/DQ": quantised(np.int8, 0),
    "bytes that come in": plain(kind=UINT8),
}


@pytest.mark.parametrize("rule", REJECTED)
def test_a_rule_names_what_it_rejects(rule: str) -> None:
    found = lint(REJECTED[rule], "tensorrt-rtx")
    assert rule.split(" ")[0] in {finding.rule for finding in found}, found
    assert all(finding.node and finding.reason for finding in found)
    assert {str(finding) for finding in lint(REJECTED[rule], "tensorrt")} == {str(finding) for finding in found}


@needs_rtx
@pytest.mark.parametrize("rule", REJECTED)
def test_tensorrt_rejects_what_a_rule_rejects(rule: str) -> None:
    with pytest.raises(GraphLoadError, match="small"):
        build(rtx(), REJECTED[rule], name="small", states=[State(name="k", shape=(1,), dtype="float32")])


@pytest.mark.parametrize("graph", TAKEN)
def test_what_is_right_passes(graph: str) -> None:
    assert lint(TAKEN[graph], "tensorrt-rtx") == []


@needs_rtx
@pytest.mark.parametrize("graph", TAKEN)
def test_tensorrt_takes_what_passes(graph: str) -> None:
    states = [State(name="k", shape=(1, 2, 8, 8), dtype="float32")] if graph == "scatter" else []
    assert build(rtx(), TAKEN[graph], name=graph, states=states).plan


@needs_rtx
def test_the_unknown_operators_are_those_that_the_parser_does_not_know() -> None:
    from onnx import defs

    flavour = rtx()
    builder = flavour.api.Builder(flavour.logger)
    parser = flavour.api.OnnxParser(builder.create_network(1), flavour.logger)
    known = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    assert UNSUPPORTED & known == {name for name in known if not parser.supports_operator(name)}


@pytest.mark.skipif(not EXISTS, reason="there is no wheel of TensorRT for RTX for this machine")
def test_the_development_setup_has_tensorrt_for_rtx() -> None:
    """Without it the tests of real parsing and building would be left out in silence."""
    assert installed(), "pip install -e '.[dev]'"


@pytest.mark.parametrize(("bundle", "graph"), GRAPHS)
def test_bundled_graphs_keep_the_rules_of_onnx_runtime(bundle: str, graph: str) -> None:
    opened = bundled(bundle)
    states = opened.manifest.graphs[graph].states
    assert lint(opened.path(graph).read_bytes(), "onnxruntime-cpu", states, in_place=graph == "denoise") == []


@pytest.mark.parametrize(("bundle", "graph"), GRAPHS)
def test_bundled_graphs_pass_once_they_are_prepared(bundle: str, graph: str) -> None:
    opened = bundled(bundle)
    prepared = prepare(opened.path(graph).read_bytes(), name=graph)
    assert lint(prepared.model, "tensorrt-rtx", opened.manifest.graphs[graph].states) == []


def test_bundled_graphs_are_made_for_cpus() -> None:
    """What TensorRT would say to them as they are; docs/tensorrt.md tells the same."""
    opened = bundled("pocket")
    rules = {
        graph: {finding.rule for finding in lint(opened.path(graph).read_bytes(), "tensorrt")}
        for graph in opened.manifest.graphs
    }
    assert rules["denoise"] == rules["text"] == {"operator"}
    assert rules["decode_video"] == rules["decode_audio"] == rules["encode_picture"] == {"int8-constant"}


STATE = State(name="a", shape=(4,), dtype="float32")


def in_place(nodes: Sequence[Any]) -> list[str]:
    made = model(nodes, [("a", FLOAT, (4,)), ("x", FLOAT, (4,))], [("a_out", FLOAT, (4,)), ("y", FLOAT, (4,))])
    return [finding.rule for finding in lint(made, "onnxruntime-cpu", [STATE], in_place=True)]


def test_a_state_may_not_be_read_behind_its_write() -> None:
    assert in_place([node("Add", ["a", "x"], ["a_out"]), node("Neg", ["a"], ["y"])]) == ["in-place"]


def test_a_state_is_read_before_its_write_when_the_write_depends_on_it() -> None:
    assert in_place([node("Neg", ["a"], ["y"]), node("Add", ["y", "x"], ["a_out"])]) == []


def test_a_write_that_moves_numbers_may_not_read_its_own_buffer() -> None:
    rolled = [node("Concat", ["x", "a"], ["both"], axis=0), node("Neg", ["x"], ["y"])]
    ends = {"starts": np.array([0]), "ends": np.array([4])}
    made = model(
        [*rolled, node("Slice", ["both", "starts", "ends"], ["a_out"])],
        [("a", FLOAT, (4,)), ("x", FLOAT, (4,))],
        [("a_out", FLOAT, (4,)), ("y", FLOAT, (4,))],
        ends,
    )
    assert lint(made, "onnxruntime-cpu", [STATE], in_place=True) == []
    softmax = [node("Softmax", ["a"], ["a_out"]), node("Neg", ["x"], ["y"])]
    assert in_place(softmax) == ["in-place"]


def test_a_state_that_the_graph_has_not_is_named() -> None:
    (finding,) = lint(TAKEN["attention"], "tensorrt", [STATE])
    assert (finding.rule, finding.node) == ("state", "a")
