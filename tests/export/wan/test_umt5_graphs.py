"""The graph in each precision: what it computes, what it weighs, and that its weights pass through one by one."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export import onnx_export
from streamgen_export.onnx_export import write
from streamgen_export.quantise import session
from streamgen_export.wan import umt5_graphs
from streamgen_export.wan.umt5 import Umt5Config
from streamgen_export.wan.umt5_checkpoint import CheckpointError, open_checkpoint
from streamgen_export.wan.umt5_graphs import (
    PREFIX,
    RandomWeights,
    TextExportError,
    Variant,
    weights_bytes,
    write_text_graph,
)
from tests.export.wan.tiny_umt5 import CONFIG, encoder, feed, wan_layout, weights
from tests.tensorrt.rtx import needs_rtx, rtx

TOKENS = 48
WIDER = Umt5Config(layers=4, width=256, heads=8, head_width=32, feed=640, vocabulary=512)
"""Wide enough for errors that are typical: each sum has hundreds of terms."""
ERRORS: dict[Variant, float] = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 2e-2, "int8": 4e-2}
"""Largest norm of the difference over the norm of the context, on random weights of `WIDER`."""


def random(config: Umt5Config = CONFIG, seed: int = 0) -> RandomWeights:
    return RandomWeights(config, weights(seed, config))


def context(path: Path, asked: dict[str, Tensor]) -> NDArray[np.float32]:
    (found,) = session(path).run(["context"], {name: tensor.numpy() for name, tensor in asked.items()})
    return np.asarray(found, np.float32)


def true_context(made: RandomWeights, asked: dict[str, Tensor]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.asarray(encoder(made.weights, TOKENS, made.config)(**asked).numpy(), np.float32)


def off(got: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(got - true) / np.linalg.norm(true))


def computable(path: Path) -> Path:
    """A graph in half precision as a GPU computes it, for ONNX Runtime on a CPU: every value is rounded to the narrow
    type and products are summed in float32. It has no products in bfloat16, and does those in float16 as float32.
    """
    model = onnx.load(path)
    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    (narrow,) = {tensor.data_type for tensor in model.graph.initializer} & halves
    for tensor in model.graph.initializer:
        if tensor.data_type == narrow:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes: list[Any] = []
    for node in model.graph.node:
        to = helper.get_attribute_value(node.attribute[0]) if node.op_type == "Cast" else None
        if to in {narrow, TensorProto.FLOAT}:
            (source,), (out,) = node.input, node.output
            rounded = f"{out}_rounded"
            nodes.append(helper.make_node("Cast", [source], [rounded], to=narrow))
            nodes.append(helper.make_node("Cast", [rounded], [out], to=TensorProto.FLOAT))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    made = path.with_suffix(".computable.onnx")
    onnx.save(model, made)
    return made


class Made(NamedTuple):
    weights: RandomWeights
    path: Path
    variant: Variant


@pytest.fixture(scope="module", params=ERRORS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    source, variant = random(WIDER), request.param
    path = tmp_path_factory.mktemp("graphs") / f"{variant}.onnx"
    write_text_graph(path, source, variant, TOKENS)
    return Made(source, path, variant)


def test_how_far_each_precision_is_off(made: Made) -> None:
    path = computable(made.path) if made.variant in {"bf16", "fp16"} else made.path
    errors = []
    for count in (1, 5, 30, TOKENS):
        asked = feed(count, TOKENS, count, WIDER.vocabulary)
        got = context(path, asked)
        assert got.shape == (1, TOKENS, WIDER.width)
        assert not got[0, count:].any()
        errors.append(off(got, true_context(made.weights, asked)))
    print(f"{made.variant}: {max(errors):.2g} off")  # shown by pytest -s; docs/wan-text.md has it
    assert ERRORS[made.variant] / 20 < max(errors) < ERRORS[made.variant]


def test_types_are_those_of_the_variant(made: Made) -> None:
    model = onnx.load(made.path)
    onnx.checker.check_model(model, full_check=True)
    types = Counter(tensor.data_type for tensor in model.graph.initializer)
    operators = Counter(node.op_type for node in model.graph.node)
    linears, layers = 7 * WIDER.layers, WIDER.layers
    assert operators["Attention"] == layers
    narrow = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "int8": TensorProto.INT8}
    if made.variant == "int8":
        assert operators["MatMulInteger"] == linears
        assert operators["DynamicQuantizeLinear"] == 4 * layers  # queries, keys and values share one; so do gate, widen
        assert operators["MatMul"] == 0
    else:
        assert operators["MatMul"] == linears
    assert types[narrow.get(made.variant, TensorProto.FLOAT)] >= linears + 1
    assert [value.name for value in model.graph.input] == ["input_ids", "attention_mask"]
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_the_file_weighs_what_is_reckoned(made: Made) -> None:
    held = sum(
        numpy_helper.to_array(tensor).nbytes
        for tensor in onnx.load(made.path).graph.initializer
        if tensor.name.startswith(PREFIX)
    )
    assert held == weights_bytes(WIDER, made.variant)


def test_the_published_encoder_in_bytes() -> None:
    sizes = {variant: weights_bytes(Umt5Config(), variant) / 1e9 for variant in ERRORS}
    assert sizes == pytest.approx({"fp32": 22.72, "fp16": 11.36, "bf16": 11.36, "int8": 5.69}, abs=0.01)


@needs_rtx
def test_tensorrt_takes_it_with_fused_attention(made: Made) -> None:
    prepared = prepare(made.path.read_bytes(), name="text")
    if made.variant in {"bf16", "fp16"}:  # it is what it should be already
        assert (prepared.precision, prepared.halved) == (made.variant, 0)
    else:
        assert prepared.halved == 8 * WIDER.layers
        assert prepared.linears == (7 * WIDER.layers if made.variant == "int8" else 0)
    report = build(rtx(), prepared.model, name="text").report
    assert (report.fused_attentions, report.decomposed_attentions) == (WIDER.layers, 0)


def test_it_is_the_graph_that_the_plain_exporter_writes(tmp_path: Path) -> None:
    source, asked = random(), feed(20, TOKENS)
    write_text_graph(tmp_path / "streamed.onnx", source, "fp32", TOKENS)
    write(tmp_path / "plain.onnx", encoder(source.weights, TOKENS), asked, ["context"])
    got, plain = (context(tmp_path / f"{name}.onnx", asked) for name in ("streamed", "plain"))
    np.testing.assert_array_equal(got, plain)
    counts = [
        Counter(node.op_type for node in onnx.load(tmp_path / f"{name}.onnx").graph.node)
        for name in ("streamed", "plain")
    ]
    assert counts[0] == counts[1]


def test_a_checkpoint_becomes_a_graph(tmp_path: Path) -> None:
    source, asked = random(), feed(9, TOKENS)
    torch.save(wan_layout(source.weights), tmp_path / "umt5.pth")
    write_text_graph(tmp_path / "text.onnx", open_checkpoint(tmp_path / "umt5.pth"), "fp32", TOKENS)
    assert off(context(tmp_path / "text.onnx", asked), true_context(source, asked)) < 1e-5


@pytest.mark.parametrize("variant", ["int8", "fp16"])
def test_large_graphs_have_their_weights_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: Variant
) -> None:
    source, asked = random(), feed(9, TOKENS)
    write_text_graph(tmp_path / "one.onnx", source, variant, TOKENS)
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000)
    write_text_graph(tmp_path / "text.onnx", source, variant, TOKENS)
    assert {file.name for file in tmp_path.iterdir()} == {"one.onnx", "text.onnx", "text.onnx.weights"}
    assert (tmp_path / "text.onnx.weights").stat().st_size >= weights_bytes(CONFIG, variant)
    np.testing.assert_array_equal(context(tmp_path / "text.onnx", asked), context(tmp_path / "one.onnx", asked))


def test_a_graph_with_other_weights_beside_it_has_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000)
    for seed in (1, 2, 1):
        write_text_graph(tmp_path / "text.onnx", random(seed=seed), "int8", TOKENS)
        (tmp_path / "text.onnx").rename(tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}")
    first, second, again = (file.read_bytes() for file in sorted(tmp_path.glob("*-*"), key=lambda f: f.name[-1]))
    assert first == again != second


class Counting:
    """Weights of which never more than one block is held by anybody."""

    def __init__(self, source: RandomWeights) -> None:
        self.config = source.config
        self._source = source
        self.read: Counter[str] = Counter()

    def blocks(self, name: str) -> Iterator[Tensor]:
        self.read[name] += 1
        parts = self._source.weights[name].split(10) if name == "embedding" else [self._source.weights[name]]
        for part in parts:
            block = part.clone()
            yield block
            block.fill_(float("nan"))  # whoever still needs it has held on to it


@pytest.mark.parametrize("variant", ERRORS)
def test_each_weight_is_read_once_and_let_go(tmp_path: Path, variant: Variant) -> None:
    source, asked = random(), feed(12, TOKENS)
    counting = Counting(source)
    write_text_graph(tmp_path / "text.onnx", counting, variant, TOKENS)
    write_text_graph(tmp_path / "whole.onnx", source, variant, TOKENS)
    assert (tmp_path / "text.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    wanted = 2 if variant == "fp16" else 1  # once more for the bounds, which need no table
    assert counting.read.pop("embedding") == 1
    assert all(count <= wanted for count in counting.read.values())
    assert asked


def test_a_disk_that_is_too_full_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    counting = Counting(random())
    with pytest.raises(TextExportError, match=r"has 0\.0 GB free, the text encoder in int8 takes .* make room"):
        write_text_graph(tmp_path / "text.onnx", counting, "int8", TOKENS)
    assert not counting.read
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Counting):
        def blocks(self, name: str) -> Iterator[Tensor]:
            if name == "layers.1.gate":
                raise CheckpointError("cut short")
            return super().blocks(name)

    with pytest.raises(CheckpointError, match="cut short"):
        write_text_graph(tmp_path / "text.onnx", Broken(random()), "int8", TOKENS)
    assert not list(tmp_path.iterdir())


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    source = random()
    source.weights["embedding"][3, 3] = 1e5
    with pytest.raises(TextExportError, match=r"embedding holds numbers that float16 does not; .* as bf16"):
        write_text_graph(tmp_path / "text.onnx", source, "fp16", TOKENS)
    assert not list(tmp_path.iterdir())
    write_text_graph(tmp_path / "text.onnx", source, "bf16", TOKENS)


def test_a_loud_token_leaves_the_others_their_steps(tmp_path: Path) -> None:
    """And padding of whatever size does not matter, not even one of nothing but zeros."""
    source, asked = random(WIDER), feed(8, TOKENS, 1, WIDER.vocabulary)
    source.weights["embedding"][0] = 0
    source.weights["layers.3.widen"] *= 30
    source.weights["layers.3.attention_gain"] *= 3
    write_text_graph(tmp_path / "text.onnx", source, "int8", TOKENS)
    quiet = context(tmp_path / "text.onnx", asked)
    assert off(quiet, true_context(source, asked)) < 2 * ERRORS["int8"]
    other = {**asked, "input_ids": torch.where(asked["attention_mask"] == 1, asked["input_ids"], 9)}
    assert off(context(tmp_path / "text.onnx", other), quiet) < ERRORS["int8"] / 2


def loud(config: Umt5Config = CONFIG) -> RandomWeights:
    """Weights whose last product leaves float16, as that of trained T5 encoders does."""
    source = random(config)
    source.weights["layers.1.gate"] *= 300
    source.weights["layers.1.widen"] *= 300
    return source


def test_what_would_overflow_stays_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, asked = loud(), feed(20, TOKENS)
    true = true_context(source, asked)
    written = write_text_graph(tmp_path / "text.onnx", source, "fp16", TOKENS)
    assert written.kept == ("layers.1.narrow",)
    assert off(context(computable(tmp_path / "text.onnx"), asked), true) < ERRORS["fp16"]
    monkeypatch.setattr(umt5_graphs, "_unsafe", lambda weights: frozenset())
    write_text_graph(tmp_path / "naive.onnx", source, "fp16", TOKENS)
    assert not np.isfinite(context(computable(tmp_path / "naive.onnx"), asked)).all()  # so it was needed


@needs_rtx
def test_tensorrt_leaves_in_float32_what_would_overflow(tmp_path: Path) -> None:
    write_text_graph(tmp_path / "text.onnx", loud(WIDER), "fp16", TOKENS)
    prepared = prepare((tmp_path / "text.onnx").read_bytes(), name="text")
    assert prepared.halved == 0
    build(rtx(), prepared.model, name="text")
