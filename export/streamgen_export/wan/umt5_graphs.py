"""The graph `text` of a Wan bundle: token ids to context, in the precision that its device wants.

    write_text_graph(path, open_checkpoint(file), "int8")

| variant | for | weights | computed in |
|---|---|---|---|
| fp32 | tests | float32 | float32 |
| int8 | CPUs | int8, a scale per output channel, per row in the table | int8 products, activations a scale per token |
| bf16 | GPUs | bfloat16, as they are published | bfloat16 products and attention, the rest float32 |
| fp16 | GPUs without bfloat16 | float16 | as bf16, but what may overflow (`umt5_ranges`) stays float32 |

The published encoder has 5.7 billion weights. They never are in memory together: torch traces the encoder without
weights, the trace is rewritten for the variant, and then each weight is read, converted and appended to the file beside
the graph. The largest piece in memory is a linear of 42 million numbers, or 16384 rows of the embedding table.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.func import functional_call

from streamgen_engines.tensorrt.halve import KEPT
from streamgen_export import onnx_export
from streamgen_export.onnx_export import trace
from streamgen_export.quantise import strip_notes
from streamgen_export.wan.umt5 import LINEARS, TOKENS, Umt5Config, Umt5Encoder, position_buckets
from streamgen_export.wan.umt5_ranges import layer_ranges
from streamgen_export.weight_file import WeightFile

Variant = Literal["fp32", "int8", "bf16", "fp16"]
LARGEST_CODE: Final = 127
PREFIX: Final = "umt5."
"""Begins the names of weights in the graph: torch gives the values of a trace names such as "embedding" too."""
_HALVES: Final = {"bf16": TensorProto.BFLOAT16, "fp16": TensorProto.FLOAT16}
_SPARE_BYTES: Final = 64 * 2**20
"""Room on the disk beyond the weights: the graph itself, and the alignment of tensors."""


class TextExportError(RuntimeError):
    """The graph cannot be written as asked; the message says why and what to do."""


class Weights(Protocol):
    """Where weights come from: an `Umt5Checkpoint`, or random ones."""

    @property
    def config(self) -> Umt5Config:
        """Sizes of the encoder."""
        ...

    def blocks(self, name: str) -> Iterator[Tensor]:
        """A weight in float32, in pieces along its first axis."""
        ...


@dataclass(frozen=True)
class RandomWeights:
    """Weights that are held in memory, such as `random_weights`."""

    config: Umt5Config
    weights: dict[str, Tensor]

    def blocks(self, name: str) -> Iterator[Tensor]:
        """The weight, in one piece."""
        yield self.weights[name]


@dataclass(frozen=True)
class TextGraph:
    """What was written.

    Attributes:
        path: the graph.
        weights_bytes: bytes of all weights.
        kept: weights ("layers.0.narrow") and attentions ("layers.0.attention") that stay float32 in fp16, because
            their numbers may be too large for it.
    """

    path: Path
    weights_bytes: int
    kept: tuple[str, ...] = ()


def weights_bytes(config: Umt5Config, variant: Variant) -> int:
    """Bytes of all weights in a variant, alignment left out: what the disk needs, and about what a device needs."""
    per_number = {"fp32": 4, "int8": 1, "bf16": 2, "fp16": 2}[variant]
    total = 0
    for name, shape in config.shapes().items():
        size = int(np.prod(shape, dtype=np.int64))
        kind = name.rpartition(".")[2]
        if kind not in LINEARS and kind != "embedding":
            total += 4 * size
            continue
        total += per_number * size
        if variant == "int8":
            total += 4 * (shape[0] if kind == "embedding" else shape[1])
    return total


def write_text_graph(path: Path, weights: Weights, variant: Variant, tokens: int = TOKENS) -> TextGraph:
    """Write the graph, with weights beside it when they are more than `onnx_export.LARGEST_FILE`.

    Inputs `input_ids` and `attention_mask` int64 [1, tokens]; output `context` float32 [1, tokens, width]. The graph
    states the SHA-256 of its weights, so that its own hash tells two checkpoints apart.

    Args:
        path: the graph's file; its folder is made when it is missing.
        weights: the encoder.
        variant: see the table at the top of this file.
        tokens: per text. Wan's 512 unless a slow machine shall encode short texts only: time grows with it.

    Raises:
        TextExportError: the disk is too full, or weights do not fit into float16.
        CheckpointError: a weight cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    size = weights_bytes(weights.config, variant)
    free = shutil.disk_usage(path.parent).free
    if free < size + _SPARE_BYTES:
        raise TextExportError(
            f"{path.parent} has {free / 1e9:.1f} GB free, the text encoder in {variant} takes {size / 1e9:.1f} GB; "
            f"make room, or write elsewhere"
        )
    kept = _unsafe(weights) if variant == "fp16" else frozenset()
    model = onnx.load_from_string(_skeleton(weights.config, tokens))
    rewriting = _Rewriting(model, variant, kept)
    rewriting.run()
    try:
        with WeightFile(path) as file:
            initializers = [
                tensor
                for name in weights.config.shapes()
                for tensor in _stored(file, name, weights, variant, rewriting.kinds[PREFIX + name])
            ]
            digest = file.finish()
        model.graph.initializer.extend(initializers)
        model.metadata_props.add(key="weights_sha256", value=digest)
        onnx.save(model, path)
        strip_notes(path)
        onnx.checker.check_model(str(path))
        if size <= onnx_export.LARGEST_FILE:
            onnx.save(onnx.load(path), path)  # loaded with its weights, it is written with them
            file.path.unlink()
    except BaseException:
        path.unlink(missing_ok=True)
        path.with_name(path.name + onnx_export.WEIGHTS_SUFFIX).unlink(missing_ok=True)
        raise
    return TextGraph(path, size, tuple(sorted(kept)))


class _Weightless(nn.Module):
    """The encoder with its weights as inputs, so that the trace has none and nothing is folded into it."""

    def __init__(self, config: Umt5Config, tokens: int) -> None:
        super().__init__()
        with torch.device("meta"):
            encoder = Umt5Encoder(config, tokens)
        self._encoder = (encoder,)  # in a tuple, for torch to look for parameters elsewhere
        self._names = list(config.shapes())
        self.register_buffer("buckets", position_buckets(tokens, config))
        self.buckets: Tensor

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *weights: Tensor) -> Tensor:
        """As the encoder, with every weight in the order of `Umt5Config.shapes`."""
        given = {**dict(zip(self._names, weights, strict=True)), "buckets": self.buckets}
        context: Tensor = functional_call(self._encoder[0], given, (input_ids, attention_mask))
        return context


@lru_cache(maxsize=2)
def _skeleton(config: Umt5Config, tokens: int) -> bytes:
    """The encoder as a float32 graph whose weights are inputs of their names; one trace serves all variants."""
    ids = torch.zeros((1, tokens), dtype=torch.int64)
    # One number seen as many: torch looks at shapes alone, and memory for the weights is nobody's.
    weights = {PREFIX + name: torch.zeros(1).expand(shape) for name, shape in config.shapes().items()}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **weights}
    traced: bytes = trace(_Weightless(config, tokens), inputs, ["context"]).model_proto.SerializeToString()
    return traced


@dataclass
class _Rewriting:
    """Turns the float32 skeleton into a variant, in place. Its weights are no inputs any more; `kinds` tells how the
    graph reads each, and they come later.
    """

    model: Any
    variant: Variant
    kept: frozenset[str]
    kinds: dict[str, str] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)
    _prepared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _named: int = 0

    def run(self) -> None:
        """Rewrite every node that reads a weight, and every attention.

        Raises:
            RuntimeError: the trace has another form than this knows; a defect of this file.
        """
        graph = self.model.graph
        outside = {value.name for value in graph.input} - {"input_ids", "attention_mask"}
        inputs = [value for value in graph.input if value.name not in outside]
        del graph.input[:]
        graph.input.extend(inputs)
        attentions = 0
        for node in graph.node:
            weights = [name for name in node.input if name in outside]
            kind = weights[0].rpartition(".")[2] if weights else ""
            if kind in LINEARS and node.op_type == "MatMul" and node.input[1] == weights[0]:
                self._linear(node, weights[0])
            elif kind == "embedding" and node.op_type == "Gather":
                self._embedding(node)
            elif node.op_type == "Attention":
                self._attention(node, f"layers.{attentions}.attention")
                attentions += 1
            elif kind in LINEARS or kind == "embedding":
                raise RuntimeError(f"{weights[0]} is read by {node.op_type}, which this does not know")
            else:
                self.kinds |= dict.fromkeys(weights, "float")
                self.nodes.append(node)
        if self.kinds.keys() != outside:
            raise RuntimeError(f"nothing reads {outside - self.kinds.keys()}")
        del graph.node[:]
        graph.node.extend(self.nodes)

    def _linear(self, node: Any, weight: str) -> None:
        source, out = node.input[0], node.output[0]
        if self.variant == "fp32":
            self.kinds[weight] = "float"
            self.nodes.append(node)
        elif self.variant == "int8":
            self.kinds[weight] = "int8"
            code, scale, zero, largest = self._quantised(source)
            product = self._node("MatMulInteger", [code, f"{weight}_code", zero])
            scales = self._node("Mul", [scale, f"{weight}_scale"])
            scaled = self._node("Mul", [self._cast(product, TensorProto.FLOAT), scales])
            self._node("Mul", [scaled, largest], out)
        elif weight.removeprefix(PREFIX) in self.kept:
            self.kinds[weight] = "half"
            self._node("MatMul", [source, self._cast(weight, TensorProto.FLOAT)], out)
            self.nodes[-1].name += KEPT
        else:
            self.kinds[weight] = "half"
            product = self._node("MatMul", [self._narrow(source), weight])
            self._cast(product, TensorProto.FLOAT, out)

    def _embedding(self, node: Any) -> None:
        table, ids, out = node.input[0], node.input[1], node.output[0]
        if self.variant == "fp32":
            self.kinds[table] = "float"
            self.nodes.append(node)
        elif self.variant == "int8":
            self.kinds[table] = "int8"
            code = self._node("Gather", [f"{table}_code", ids], axis=0)
            scale = self._node("Gather", [f"{table}_scale", ids], axis=0)
            self._node("Mul", [self._cast(code, TensorProto.FLOAT), scale], out)
        else:
            self.kinds[table] = "half"
            self._cast(self._node("Gather", [table, ids], axis=0), TensorProto.FLOAT, out)

    def _attention(self, node: Any, name: str) -> None:
        if self.variant in _HALVES and name not in self.kept:
            inputs = [self._narrow(each) for each in node.input]
            out, half = node.output[0], self._fresh("attended")
            del node.input[:]
            node.input.extend(inputs)
            node.output[0] = half
            self.nodes.append(node)
            self._cast(half, TensorProto.FLOAT, out)
        else:
            if name in self.kept:
                node.name += KEPT
            self.nodes.append(node)

    def _quantised(self, source: str) -> tuple[str, ...]:
        """Code, scale and zero point of an activation, and the largest number of each token by which it was divided
        first. One scale is for all tokens, so that a loud one would leave few steps to the others, and padding, which
        nobody reads, to all of them. Queries, keys and values share one.
        """
        if source not in self._prepared:
            largest = self._node("ReduceMax", [self._node("Abs", [source]), self._constant([-1], np.int64)], keepdims=1)
            largest = self._node("Max", [largest, self._constant(1e-12, np.float32)])
            outputs = tuple(self._fresh(kind) for kind in ("code", "scale", "zero"))
            even = self._node("Div", [source, largest])
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [even], outputs, name=outputs[0]))
            self._prepared[source] = (*outputs, largest)
        return self._prepared[source]

    def _constant(self, value: object, dtype: type[np.generic]) -> str:
        name = self._fresh("constant")
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def _narrow(self, source: str) -> str:
        if source not in self._prepared:
            self._prepared[source] = (self._cast(source, _HALVES[self.variant]),)
        return self._prepared[source][0]

    def _cast(self, source: str, to: int, out: str = "") -> str:
        return self._node("Cast", [source], out, to=to)

    def _node(self, operator: str, inputs: Sequence[str], out: str = "", **attributes: Any) -> str:
        out = out or self._fresh(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [out], name=f"{out}/{operator}", **attributes))
        return out

    def _fresh(self, kind: str) -> str:
        self._named += 1
        return f"text_{kind}_{self._named}"


def _stored(file: WeightFile, name: str, weights: Weights, variant: Variant, kind: str) -> list[Any]:
    """Write one weight in the way that the graph reads it; its initializers."""
    shape, stored = weights.config.shapes()[name], PREFIX + name
    if kind == "float":
        blocks: Iterator[NDArray[np.generic]] = (block.numpy() for block in weights.blocks(name))
        return [file.add(stored, TensorProto.FLOAT, shape, blocks)]
    if kind == "half":
        halves = (_half(block, name, variant) for block in weights.blocks(name))
        return [file.add(stored, _HALVES[variant], shape, halves)]
    axis = 1 if name == "embedding" else 0  # a scale for each row of the table, for each column of a linear
    scales: list[Tensor] = []

    def codes() -> Iterator[NDArray[np.generic]]:
        for block in weights.blocks(name):
            scale = block.abs().amax(dim=axis, keepdim=True).clamp(min=1e-12) / LARGEST_CODE
            scales.append(scale)
            yield torch.round(block / scale).to(torch.int8).numpy()

    code = file.add(f"{stored}_code", TensorProto.INT8, shape, codes())
    scale = torch.cat(scales) if axis else scales[0].flatten()
    return [code, file.add(f"{stored}_scale", TensorProto.FLOAT, tuple(scale.shape), [scale.numpy()])]


def _half(block: Tensor, name: str, variant: Variant) -> NDArray[np.generic]:
    if variant == "bf16":
        return block.to(torch.bfloat16).view(torch.int16).numpy()
    half = block.to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise TextExportError(f"{name} holds numbers that float16 does not; export the text encoder as bf16")
    return half.numpy()


def _unsafe(weights: Weights) -> frozenset[str]:
    """What may leave the range of float16, by `umt5_ranges`."""
    found: set[str] = set()
    for index in range(weights.config.layers):

        def weight(name: str, index: int = index) -> Tensor:
            return next(weights.blocks(f"layers.{index}.{name}"))  # only the table comes in pieces

        ranges = layer_ranges(weight, weights.config.heads)
        found |= {f"layers.{index}.{name}" for name in ranges.unsafe()}
    return frozenset(found)
