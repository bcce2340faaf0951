"""Real plans from real graphs, built by TensorRT for RTX on the CPU. Nothing is run: that takes a GPU."""

import numpy as np
import pytest
from onnx import TensorProto

from streamgen_engines.bundle import bundled
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import State
from streamgen_engines.tensorrt.builder import SizeRange, build
from streamgen_engines.tensorrt.prepare import Precision, prepare
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tensorrt.test_lint import BUNDLES, EVERY, GRAPHS, content, node, scatter
from tests.tensorrt.test_lint import model as small_model

pytestmark = needs_rtx


@pytest.mark.parametrize(("bundle", "graph"), GRAPHS)
def test_every_bundled_graph_builds(bundle: str, graph: str) -> None:
    opened = bundled(bundle)
    states = opened.manifest.graphs[graph].states
    prepared = prepare(opened.path(graph).read_bytes(), name=graph)
    built = build(rtx(), prepared.model, name=graph, states=states)
    assert built.report.plan_bytes == len(built.plan) > 10_000
    assert built.report.decomposed_attentions == 0
    if graph == "denoise":
        assert built.report.caches == len(states)
        assert built.report.fused_attentions == prepared.attentions


def test_bundles_are_all_built() -> None:
    assert {bundle for bundle, _ in EVERY} == set(BUNDLES)
    assert {content(*each) for each in EVERY} == {content(*each) for each in GRAPHS}


@pytest.mark.parametrize(("precision", "fused"), [("fp16", True), ("bf16", True), ("fp32", False)])
def test_attention_is_one_kernel_in_half_precision_and_several_in_float32(precision: Precision, fused: bool) -> None:
    opened = bundled("pocket")
    prepared = prepare(opened.path("text").read_bytes(), precision, name="text")
    report = build(rtx(), prepared.model, name="text").report
    assert (report.fused_attentions, report.decomposed_attentions) == ((6, 0) if fused else (0, 6))
    assert report.types["half" if precision == "fp16" else "bf16" if precision == "bf16" else "float"] > 40


def test_progress_goes_from_nothing_to_all() -> None:
    told: list[tuple[str, float]] = []
    model = prepare(bundled("pocket").path("encode_picture").read_bytes()).model
    build(rtx(), model, name="encoder", progress=lambda phase, share: told.append((phase, share)))
    shares = [share for _, share in told]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert len({phase for phase, _ in told}) > 3


def test_a_rejected_node_is_named_with_its_graph() -> None:
    source = bundled("pocket").path("denoise").read_bytes()
    with pytest.raises(GraphLoadError) as caught:
        build(rtx(), source, name="pocket/denoise")
    said = str(caught.value)
    assert said.startswith("pocket/denoise: tensorrt-rtx 1.7")
    assert "node context_QuantizeLinear (DynamicQuantizeLinear)" in said
    assert "(and 121 more)" in said


def test_a_graph_that_parses_and_does_not_build_is_an_error_of_ours() -> None:
    with pytest.raises(GraphLoadError, match=r"cannot build this graph \(.*; try another --precision"):
        build(rtx(), scatter(constant=True), name="ring", states=[State(name="k", shape=(1,), dtype="float32")])


@pytest.mark.parametrize("source", [b"", b"not onnx"], ids=["empty", "text"])
def test_what_is_not_onnx_is_an_error_of_ours(source: bytes) -> None:
    with pytest.raises(GraphLoadError, match=r"not onnx: .*rejects the file"):
        build(rtx(), source, name="not onnx")


def test_a_cache_that_is_no_state_is_refused() -> None:
    with pytest.raises(GraphLoadError, match="reads k and makes k_out, which are not the two sides of one state"):
        build(rtx(), scatter(), name="ring", states=[])


BATCH = small_model(
    [node("Neg", ["x"], ["y"])], [("x", TensorProto.FLOAT, ("b", 4))], [("y", TensorProto.FLOAT, ("b", 4))]
)


def test_declared_sizes_become_a_profile() -> None:
    sizes = {"x": SizeRange((1, 4), (2, 4), (8, 4))}
    assert build(rtx(), BATCH, name="batch", sizes=sizes).plan


def test_an_input_without_declared_sizes_is_named() -> None:
    with pytest.raises(GraphLoadError, match="batch: input x has no static shape"):
        build(rtx(), BATCH, name="batch")


@pytest.mark.parametrize("sizes", [((2, 4), (1, 4), (8, 4)), ((0, 4), (1, 4), (8, 4))])
def test_sizes_must_rise_from_one(sizes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="must be positive and rise"):
        SizeRange(*sizes)


def test_a_plan_is_not_bound_to_the_weights_order() -> None:
    """The same graph gives a plan of the same size again: what the cache keeps can be built again."""
    model = prepare(bundled("testcard").path("denoise").read_bytes()).model
    states = bundled("testcard").manifest.graphs["denoise"].states
    plans = [build(rtx(), model, name="denoise", states=states).plan for _ in range(2)]
    assert len(plans[0]) == len(plans[1])
    assert np.frombuffer(plans[0], np.uint8).std() > 10
