"""An exported bundle whose weights lie beside its graphs, as those of the published sizes do, to TensorRT."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import GraphLoadError, MissingGraphError
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.check import compare, reference_engine
from streamgen_engines.tensorrt.compile import Compiler, prepared_graph
from streamgen_engines.tensorrt.footprint import survey
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export import onnx_export
from streamgen_export.wan.assembly import export
from streamgen_export.wan.export import parser, read_request
from tests.export.wan.tiny_files import write_files
from tests.tensorrt.rtx import needs_rtx, rtx


def exported(work: Path, *more: str) -> Bundle:
    command = ["--checkpoint", str(write_files(work / "files")), "--variant", "self-forcing", "--window", "3"]
    command += ["--out", str(work / "bundle"), "--dimensions", "tiny", "--size", "64x48", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "LARGEST_FILE", 0)
        return export(read_request(parser().parse_args(command)), print)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("wan"), "--precision", "fp16", "--decoder", "wan")


def test_every_graph_has_its_weights_beside_it_and_tells_their_hash(bundle: Bundle) -> None:
    assert len(bundle.manifest.graphs) == 5
    for name, graph in bundle.manifest.graphs.items():
        assert graph.weights is not None
        model = onnx.load(bundle.path(name), load_external_data=False)
        assert {each.key: each.value for each in model.metadata_props}["weights_sha256"] == graph.weights.sha256


@needs_rtx
def test_tensorrt_builds_all_of_them_without_a_gpu(bundle: Bundle) -> None:
    outcomes = list(Compiler(bundle, rtx(), gpu=None, plans=None).run())
    assert {outcome.graph for outcome in outcomes} == set(bundle.manifest.graphs)
    for outcome in outcomes:
        assert outcome.failure is None, outcome
        assert outcome.built is not None
    weights = {name: graph.weights.size_bytes for name, graph in bundle.manifest.graphs.items() if graph.weights}
    for outcome in outcomes:
        assert outcome.built is not None
        assert outcome.built.plan_bytes > 0.9 * weights[outcome.graph]  # the weights are in it


def test_prepared_graphs_of_two_checkpoints_differ_in_their_hash(bundle: Bundle) -> None:
    source = onnx.load(bundle.path("denoise"), load_external_data=False)
    before = prepare(source.SerializeToString()).sha256
    assert prepare(source.SerializeToString()).sha256 == before
    source.metadata_props[0].value = "0" * 64
    assert prepare(source.SerializeToString()).sha256 != before


def test_the_reference_finds_the_weights(bundle: Bundle) -> None:
    graph = bundle.manifest.graphs["prompt_kv"]
    assert graph.weights is not None
    source = bundle.path("prompt_kv").read_bytes()
    beside = bundle.root / graph.weights.file
    engine = OnnxRuntimeCpu().load(bundle.path("prompt_kv"))
    shape = engine.signature.inputs["context"].shape
    call = {"context": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    right = reference_engine(source, (), OnnxRuntimeCpu(), name="prompt_kv", weights=beside)
    assert max(compare(engine, right, [call]).values()) < 1e-6


def test_a_file_of_weights_that_is_gone_is_told(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.root, tmp_path / "b")
    (tmp_path / "b" / "denoise.onnx.weights").unlink()
    with pytest.raises(MissingGraphError, match=r"denoise\.onnx\.weights is missing"):
        Bundle.open(tmp_path / "b")


def test_the_memory_plan_reads_them(bundle: Bundle) -> None:
    plan = survey(bundle).plan
    by_name = {graph.graph: graph for graph in plan.graphs}
    weights = bundle.manifest.graphs["denoise"].weights
    assert weights is not None
    # What the exporter leaves in float32 stays so: constants inside of the graph are added, and nothing is halved.
    assert weights.size_bytes <= by_name["denoise"].weights < 1.05 * weights.size_bytes


@needs_rtx
@pytest.mark.parametrize("precision", ["bf16", "fp8"])
def test_it_builds_every_graph_of_the_other_precisions_for_gpus(precision: str, tmp_path: Path) -> None:
    made = exported(tmp_path, "--precision", precision, "--decoder", "taehv")
    assert made.manifest.graphs["denoise"].precision == precision
    weights = made.manifest.graphs["denoise"].weights
    assert weights is not None
    outcomes = {outcome.graph: outcome for outcome in Compiler(made, rtx(), gpu=None, plans=None).run()}
    assert outcomes.keys() == made.manifest.graphs.keys()
    assert [outcome.failure for outcome in outcomes.values()] == [None] * len(outcomes)
    built = outcomes["denoise"].built
    assert built is not None
    assert (built.fused_attentions, built.decomposed_attentions) == (4, 0)
    assert built.types[precision] >= 16
    assert built.plan_bytes > 0.9 * weights.size_bytes


def test_what_is_int8_for_cpus_is_refused_with_what_to_do(tmp_path: Path) -> None:
    made = exported(tmp_path, "--precision", "fp32", "--decoder", "taehv", "--text-precision", "int8")
    with pytest.raises(GraphLoadError, match="export this graph in fp16 or bf16"):
        prepared_graph(made, "text", None, "tensorrt-rtx")
    # float32 weights are narrowed by TensorRT itself.
    assert prepared_graph(made, "denoise", None, "tensorrt-rtx").halved > 0
