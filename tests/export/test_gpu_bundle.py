"""Bundles for GPUs from bundles that there are: fp8 and int8 by Q/DQ, and TensorRT builds them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export.gpu_bundle import Precision, errors_of, write_gpu_bundle
from streamgen_export.symmetric import LARGEST, Kind, has_linears, quantise_symmetric
from tests.tensorrt.rtx import needs_rtx, rtx


@pytest.fixture(scope="module", params=["int8", "fp8"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def made(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / kind
    return Bundle.open(write_gpu_bundle(bundled("pocket-small"), folder, kind))


def test_the_denoiser_is_quantised_and_the_rest_is_half(made: Bundle, kind: Kind) -> None:
    precisions = {name: graph.precision for name, graph in made.manifest.graphs.items()}
    assert precisions == {**dict.fromkeys(precisions, "fp16"), "denoise": kind}


def test_it_is_off_by_what_eight_bits_explain(made: Bundle) -> None:
    errors = errors_of(bundled("pocket-small"), made, "denoise")
    assert 0.005 < max(errors.values()) < 0.15


def test_preparing_leaves_it_as_it_is(made: Bundle, kind: Kind) -> None:
    source = made.path("denoise").read_bytes()
    prepared = prepare(source, name="denoise")
    assert (prepared.precision, prepared.halved) == (kind, 0)
    assert prepare(source, kind, name="denoise").sha256 == prepared.sha256
    assert lint(source, "tensorrt", made.manifest.graphs["denoise"].states) == []


def test_every_quantised_product_has_both_operands_from_dequantisation(made: Bundle) -> None:
    graph = onnx.load(made.path("denoise")).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    pairs = [
        tuple(makers.get(name, "constant") for name in node.input) for node in graph.node if node.op_type == "MatMul"
    ]
    quantised = ("DequantizeLinear", "DequantizeLinear")
    assert pairs.count(quantised) > 0.9 * len(pairs)
    assert {pair for pair in pairs if "DequantizeLinear" in pair} == {quantised}


def test_weights_come_back(made: Bundle, kind: Kind) -> None:
    """int8: within half a step of the channel; fp8: within half of its four bits. float16's rounding comes on top."""
    source = bundled("pocket-small").path("denoise").read_bytes()
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(prepare(source).model).graph.initializer}
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(made.path("denoise")).graph.initializer}
    names = [name.removesuffix("_codes") for name in after if name.endswith("_half_codes")]
    assert len(names) > 50
    for name in names:
        weight, codes = before[name].astype(np.float32), after[f"{name}_codes"].astype(np.float32)
        scales = after[f"{name}_scales"].astype(np.float32)
        step = 0.5 * scales if kind == "int8" else np.maximum(np.abs(weight) / 16, scales * 2.0**-9)
        assert (np.abs(codes * scales - weight) <= step + 1e-3 * np.abs(weight)).all()
        assert LARGEST[kind] * 0.8 < np.abs(codes).max() <= LARGEST[kind]


@needs_rtx
def test_tensorrt_builds_every_graph_of_it(made: Bundle, kind: Kind) -> None:
    outcomes = {outcome.graph: outcome for outcome in Compiler(made, rtx(), gpu=None, plans=None).run()}
    assert [outcome.failure for outcome in outcomes.values()] == [None] * 9
    built = outcomes["denoise"].built
    assert built is not None
    assert built.types[kind] > 60
    assert (built.fused_attentions, built.decomposed_attentions) == (16, 0)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_what_compiling_makes(precision: Precision, tmp_path: Path) -> None:
    card = bundled("testcard")
    made = Bundle.open(write_gpu_bundle(card, tmp_path / "card", precision))
    assert {graph.precision for graph in made.manifest.graphs.values()} == {precision}
    assert made.manifest.sampler == card.manifest.sampler


def test_a_graph_without_linears_stays_half(tmp_path: Path) -> None:
    made = Bundle.open(write_gpu_bundle(bundled("testcard"), tmp_path / "card", "fp8"))
    assert {graph.precision for graph in made.manifest.graphs.values()} == {"fp16"}
    source = bundled("testcard").path("denoise").read_bytes()
    assert not has_linears(source, name="denoise")
    with pytest.raises(GraphLoadError, match="denoise: there is nothing to quantise"):
        quantise_symmetric(source, "fp8", [], [], OnnxRuntimeCpu(), name="denoise")


def test_the_bundle_itself_is_not_written_over() -> None:
    card = bundled("testcard")
    with pytest.raises(ValueError, match="is the bundle itself"):
        write_gpu_bundle(card, card.root, "fp16")
