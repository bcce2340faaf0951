"""The exported graphs against torch over 20 chunks, and what stands in them."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch

from streamgen_engines.manifest import State
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.lint import lint
from streamgen_export import onnx_export
from streamgen_export.onnx_export import WEIGHTS_SUFFIX
from streamgen_export.wan.checkpoint import load
from streamgen_export.wan.config import TINY
from streamgen_export.wan.errors import NoRoomError
from streamgen_export.wan.feeds import random_context, random_passes
from streamgen_export.wan.graphs import (
    HALF_TOLERANCES,
    TOLERANCES,
    example,
    graph_errors,
    write_denoise,
    write_prompt_kv,
)
from streamgen_export.wan.parity import graph_report, held_prompt
from streamgen_export.wan.streaming import Denoise
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.variants import STREAMDIFFUSIONV2
from tests.export.wan.tiny import SHAPES, save_pt, tiny, weights
from tests.tensorrt.rtx import needs_rtx, rtx

SHAPE = SHAPES["three frames, sink"]
KINDS = {"fp32": onnx.TensorProto.FLOAT, "fp16": onnx.TensorProto.FLOAT16}


def model_in(precision: str) -> CausalWan:
    return tiny().halve() if precision == "fp16" else tiny()


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Both graphs in one precision."""
    folder = tmp_path_factory.mktemp(request.param)
    model = model_in(request.param)
    write_prompt_kv(folder / "prompt_kv.onnx", model)
    write_denoise(folder / "denoise.onnx", model, SHAPE)
    return request.param, folder


def test_graphs_are_torch_over_20_chunks(written: tuple[str, Path]) -> None:
    precision, folder = written
    limits = {"fp32": TOLERANCES, "fp16": HALF_TOLERANCES}[precision]
    errors = graph_report(folder, tiny(), SHAPE, chunks=20)
    assert errors.keys() == limits.keys()
    for name, error in errors.items():
        assert 0 < error < limits[name], f"{name} is off by {error:.1e}"


def test_the_comparison_sees_another_models_graph(written: tuple[str, Path]) -> None:
    assert min(graph_report(written[1], tiny(1), SHAPE, chunks=1).values()) > 0.1


def test_names_shapes_and_types_are_those_agreed_on(written: tuple[str, Path]) -> None:
    precision, folder = written
    heavy = KINDS[precision]
    model = onnx.load(folder / "denoise.onnx")
    inputs = {each.name: each.type.tensor_type for each in model.graph.input}
    outputs = {each.name: each.type.tensor_type for each in model.graph.output}
    rings = [f"{kind}_{layer}" for layer in range(TINY.layers) for kind in ("key", "value")]
    held = [f"prompt_{name}" for name in rings]
    host = ["latent", "time", "query_cos", "query_sin", "key_cos", "key_sin", "bias", "write_index"]
    assert list(inputs) == host + held + rings
    assert list(outputs) == ["velocity", *(f"{name}_out" for name in rings)]
    sizes = {name: tuple(d.dim_value for d in kind.shape.dim) for name, kind in inputs.items()}
    assert sizes["latent"] == (1, 16, 3, 4, 6)
    assert sizes["time"] == (1, 256)
    assert sizes["query_cos"] == (3, TINY.temporal_pairs)
    assert sizes["key_sin"] == (9, TINY.temporal_pairs)
    assert sizes["bias"] == (9,)
    assert {sizes[name] for name in rings} == {(1, 2, 9 * 6, 48)}
    assert {sizes[name] for name in held} == {(1, 2, 512, 48)}
    assert {inputs[name].elem_type for name in held + rings} == {heavy}
    assert {inputs[name].elem_type for name in host[:-1]} == {onnx.TensorProto.FLOAT}
    assert {outputs[f"{name}_out"].elem_type for name in rings} == {heavy}
    prompt = onnx.load(folder / "prompt_kv.onnx")
    assert [each.name for each in prompt.graph.output] == held
    assert {each.type.tensor_type.elem_type for each in prompt.graph.output} == {heavy}
    assert prompt.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_attention_is_one_operator_and_each_graph_has_only_its_own_weights(written: tuple[str, Path]) -> None:
    precision, folder = written
    item = 2 if precision == "fp16" else 4
    c = TINY
    text = c.text_width * c.width + c.width**2 + 2 * c.layers * c.width**2
    inside = c.layers * (6 * c.width**2 + 2 * c.width * c.feed_forward)
    for name, heavy in (("prompt_kv", text), ("denoise", inside)):
        model = onnx.load(folder / f"{name}.onnx")
        counts: dict[str, int] = {}
        for node in model.graph.node:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        expected = 2 * c.layers if name == "denoise" else 0
        assert counts.get("Attention", 0) == counts.get("TensorScatter", 0) == expected
        assert "Softmax" not in counts
        kinds = {KINDS[precision]: 0}
        for each in model.graph.initializer:
            kinds[each.data_type] = kinds.get(each.data_type, 0) + int(np.prod(each.dims))
        if precision == "fp16":
            assert heavy <= kinds[KINDS["fp16"]] < 1.1 * heavy
        else:
            assert (folder / f"{name}.onnx").stat().st_size > item * heavy


def test_nothing_is_known_against_them(written: tuple[str, Path]) -> None:
    precision, folder = written
    source = (folder / "denoise.onnx").read_bytes()
    assert lint(source, "tensorrt-rtx", states_of(precision)) == []
    assert lint(source, "onnxruntime-cpu", states_of(precision), in_place=True) == []
    assert lint((folder / "prompt_kv.onnx").read_bytes(), "tensorrt-rtx") == []


def states_of(precision: str) -> list[State]:
    kind: Literal["float16", "float32"] = "float16" if precision == "fp16" else "float32"
    return [State(name=name, shape=size, dtype=kind) for name, size in Denoise(tiny(), SHAPE).states().items()]


@needs_rtx
def test_tensorrt_builds_them_as_they_are(written: tuple[str, Path]) -> None:
    precision, folder = written
    built = build(rtx(), (folder / "denoise.onnx").read_bytes(), name="denoise", states=states_of(precision))
    assert built.report.caches == 2 * TINY.layers
    fused = built.report.fused_attentions, built.report.decomposed_attentions
    assert fused == ((2 * TINY.layers, 0) if precision == "fp16" else (0, 2 * TINY.layers))
    assert build(rtx(), (folder / "prompt_kv.onnx").read_bytes(), name="prompt_kv").plan


def test_from_a_published_layout_to_weights_beside_a_graph_for_chunks_of_one_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000)
    file = save_pt(tmp_path / "model.pt", {"generator": {f"model.{k}": v for k, v in weights(tiny()).items()}})
    path, shape = tmp_path / "graphs" / "denoise.onnx", SHAPES["one frame, sink"]
    module = write_denoise(path, load(file, STREAMDIFFUSIONV2, config=TINY).model, shape)
    assert {each.name for each in path.parent.iterdir()} == {path.name, path.name + WEIGHTS_SUFFIX}
    prompt = held_prompt(tiny(), random_context(TINY))
    errors = graph_errors(path, Denoise(tiny(), shape), random_passes(TINY, shape, prompt, 20), module.states())
    assert errors["velocity"] < TOLERANCES["denoise"]


def test_a_disk_too_full_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    for write in (
        lambda: write_denoise(tmp_path / "new" / "denoise.onnx", tiny(), SHAPE),
        lambda: write_prompt_kv(tmp_path / "new" / "prompt_kv.onnx", tiny()),
    ):
        with pytest.raises(NoRoomError, match="GB are free"):
            write()
    assert not list(tmp_path.iterdir())


def test_examples_of_rings_take_no_memory() -> None:
    ring = example((1, 12, 32_760, 128), torch.float16)
    assert ring.untyped_storage().nbytes() == 2
