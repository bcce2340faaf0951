"""What graphs take, read from their files: small graphs of which every byte is known."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.families.pocket import PICTURE_GRAPH
from streamgen_engines.families.pocket_sound import VIDEO_GRAPH
from streamgen_engines.manifest import Graph, State
from streamgen_engines.memory_plan import MIB, GraphMemory
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.footprint import CHUNK_LOOP, LOOPED, ON_THE_HOST, graph_memory, survey
from streamgen_engines.tensorrt.halve import KEPT
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanKey, PlanMemory
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler
from tests.device.on_fake_gpu import FakeRuntime
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tiny_bundle import sha256, write_tiny_bundle
from tests.tiny_wan_bundle import write_tiny_wan_bundle

RING = State(name="k_0", shape=(1, 1, 6, 8), dtype="float32")
LAST = State(name="last", shape=(4, 64), dtype="float32")
WEIGHT = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)


def model() -> Any:
    """x [4, 64] through a product of 64x64 and an addition; writes two rows of a ring; keeps x for the next run."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["product", "last"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
        helper.make_node("Add", ["x", "nothing"], ["last_out"]),
        helper.make_node("TensorScatter", ["k_0", "rows", "write_index"], ["k_0_out"], axis=2),
    ]

    def value(name: str, kind: int, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, kind, list(shape))

    flat, ring = (TensorProto.FLOAT, 4, 64), (TensorProto.FLOAT, 1, 1, 6, 8)
    graph = helper.make_graph(
        nodes,
        "known",
        [
            value("x", *flat),
            value("rows", TensorProto.FLOAT, 1, 1, 2, 8),
            value("write_index", TensorProto.INT64, 1),
            value("last", *flat),
            value("k_0", *ring),
        ],
        [value("y", *flat), value("last_out", *flat), value("k_0_out", *ring)],
        [numpy_helper.from_array(WEIGHT, "weight"), numpy_helper.from_array(np.zeros(64, np.float32), "nothing")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)


GRAPH = Graph(file="denoise.onnx", sha256="0" * 64, precision="fp32", states=(RING, LAST))
FLAT, ROWS, INDEX, CACHE = 4 * 64 * 4, 2 * 8 * 4, 8, 6 * 8 * 4


def taken(precision: Any = "fp16", known: PlanMemory | None = None) -> GraphMemory:
    made = prepare(model().SerializeToString(), precision)
    return graph_memory("denoise", GRAPH, made.model, made.precision, known)


def test_every_byte_of_a_graph_in_half_precision() -> None:
    found = taken()
    assert found.weights == 2 * 64 * 64 + 4 * 64  # the product's is halved, the small one is left alone
    assert found.states == CACHE + 2 * FLAT  # the ring is written in place
    assert found.tensors == FLAT + ROWS + INDEX + FLAT  # x, rows, write_index and y
    assert found.host == found.tensors  # states have a way to the host only where one is asked for
    assert found.activations == 2 * FLAT  # the product, which is single precision again, and the sum
    assert (found.estimated, found.precision) == (True, "fp16")


def test_a_product_that_the_exporter_keeps_counts_in_single_precision() -> None:
    made = model()
    made.graph.node[0].name = f"product{KEPT}"
    prepared = prepare(made.SerializeToString(), "fp16")
    assert graph_memory("denoise", GRAPH, prepared.model, "fp16").weights == 4 * 64 * 64 + 4 * 64


def test_every_byte_of_the_same_graph_in_single_precision() -> None:
    found = taken("fp32")
    assert found.weights == 4 * 64 * 64 + 4 * 64
    assert found.activations == 2 * FLAT  # the product and the sum
    assert (found.states, found.host) == (taken().states, taken().host)


def test_what_tensorrt_has_told_takes_the_place_of_estimates() -> None:
    found = taken(known=PlanMemory(weights=9_000, activations=100))
    assert (found.weights, found.activations, found.estimated) == (9_000, 100, False)
    assert (found.states, found.tensors, found.host) == (taken().states, taken().tensors, taken().host)


def with_denoise(folder: Path, made: Any, **options: Any) -> Bundle:
    """A bundle whose `denoise` is another graph, and whose manifest still describes the test card's."""
    shutil.copytree(bundled("testcard").root, folder)
    onnx.save_model(made, folder / "denoise.onnx", **options)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["denoise"]["sha256"] = sha256(folder / "denoise.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Bundle.open(folder)


def denoise(bundle: Bundle, **options: Any) -> GraphMemory:
    return next(graph for graph in survey(bundle, **options).plan.graphs if graph.graph == "denoise")


def test_weights_in_a_file_beside_the_graph_count_as_those_inside(tmp_path: Path) -> None:
    inside = denoise(with_denoise(tmp_path / "inside", model()), precision="fp16")
    outside = denoise(
        with_denoise(
            tmp_path / "outside", model(), save_as_external_data=True, location="denoise.onnx.weights", size_threshold=0
        ),
        precision="fp16",
    )
    assert (tmp_path / "outside" / "denoise.onnx.weights").stat().st_size >= WEIGHT.nbytes
    assert (tmp_path / "outside" / "denoise.onnx").stat().st_size < WEIGHT.nbytes
    assert outside.weights == inside.weights == 2 * 64 * 64 + 4 * 64
    assert outside.states == inside.states
    assert outside.estimated


def test_the_weights_beside_a_graph_are_not_even_read(tmp_path: Path) -> None:
    """Those of a large model have tens of gigabytes."""
    bundle = with_denoise(
        tmp_path / "outside", model(), save_as_external_data=True, location="denoise.onnx.weights", size_threshold=0
    )
    (tmp_path / "outside" / "denoise.onnx.weights").unlink()
    assert denoise(bundle, precision="fp32").weights == 4 * 64 * 64 + 4 * 64


def test_a_survey_finds_what_plans_took_on_this_gpu(tmp_path: Path) -> None:
    bundle = bundled("testcard")
    plans, gpu = PlanCache(tmp_path / "plans"), Gpu("Fake 9000", "9.0", 2**33)

    class Api:
        __version__ = "1.7.1"

    flavour = Flavour("tensorrt-rtx", Api, None)
    first = survey(bundle, flavour=flavour, gpu=gpu, plans=plans)
    assert first.plan.estimated
    assert first.hashes.keys() == {bundle.path(name) for name in bundle.manifest.graphs}

    def loaded_once(digest: str) -> None:
        key = PlanKey(digest, "tensorrt-rtx", "1.7.1", "Fake 9000", "9.0")
        plans.install(Plan(key, b"a plan"))
        plans.keep_memory(key, PlanMemory(1000, 10))

    for digest in first.hashes.values():
        loaded_once(digest)
    loop = prepared_sampler(bundle.manifest)
    for name in ("sampler step", "sampler weigh"):
        loaded_once(loop[name].sha256)
    almost = survey(bundle, flavour=flavour, gpu=gpu, plans=plans)
    assert [graph.graph for graph in almost.plan.graphs if graph.estimated] == [CHUNK_LOOP]
    loaded_once(loop["sampler finish"].sha256)
    second = survey(bundle, flavour=flavour, gpu=gpu, plans=plans)
    assert not second.plan.estimated
    *graphs, last = second.plan.graphs
    assert all((graph.weights, graph.activations) == (1000, 10) for graph in graphs)
    assert (last.weights, last.activations) == (3000, 30)
    assert survey(bundle, flavour=flavour, gpu=Gpu("Another", "8.9", 2**33), plans=plans).plan.estimated


def test_the_chunk_loop_counts_what_a_sampler_allocates(tmp_path: Path) -> None:
    """Noise, latents, texts and what passes between plans, to the byte; the ring counts with the denoise graph."""
    bundle, runtime = Bundle.open(write_tiny_bundle(tmp_path / "tiny")), FakeRuntime()
    rows = {graph.graph: graph for graph in survey(bundle).plan.graphs}
    runtime.chunk_sampler(bundle)
    assert rows[CHUNK_LOOP].tensors + rows[LOOPED].states == sum(map(len, runtime.gpu.memory.values()))
    assert rows[CHUNK_LOOP].host == sum(map(len, runtime.device.pinned))
    assert (rows[LOOPED].tensors, rows[LOOPED].host) == (0, 0)  # its inputs and outputs are the loop's


def test_a_family_whose_loop_stays_on_the_host_has_no_such_row(tmp_path: Path) -> None:
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path / "wan"))
    rows = {graph.graph: graph for graph in survey(bundle, "fp32").plan.graphs}
    assert CHUNK_LOOP not in rows
    assert rows[LOOPED].tensors > 0
    assert rows[LOOPED].host > 0


def test_the_picture_encoder_stays_on_the_host() -> None:
    assert {PICTURE_GRAPH, VIDEO_GRAPH} == ON_THE_HOST
    opened = bundled("pocket-small")
    assert PICTURE_GRAPH in opened.manifest.graphs
    found = survey(opened)
    names = [name for name in opened.manifest.graphs if name not in ON_THE_HOST]
    assert [graph.graph for graph in found.plan.graphs] == [*names, CHUNK_LOOP]
    for graph in found.plan.graphs:
        assert graph.weights > 0
        assert graph.activations > 0


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(bundled("testcard").root, tmp_path / "card")
    (folder / "decode_audio.onnx").write_bytes(b"no graph")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["decode_audio"]["sha256"] = sha256(folder / "decode_audio.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(GraphLoadError, match="testcard/decode_audio: not an ONNX file"):
        survey(Bundle.open(folder))


@needs_rtx
@pytest.mark.parametrize("name", ["decode_video", "decode_audio"])
def test_a_plan_is_its_weights_and_little_more(name: str) -> None:
    opened = bundled("pocket-small")
    graph = opened.manifest.graphs[name]
    prepared = prepare(opened.path(name).read_bytes())
    plan = len(build(rtx(), prepared.model, name=name, states=graph.states).plan)
    weights = graph_memory(name, graph, prepared.model, prepared.precision).weights
    assert weights < plan < weights + 8 * MIB
