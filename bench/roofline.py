"""The least time that a graph can take on a card: its arithmetic at full speed, or its bytes, whichever is longer.

Williams, Waterman and Patterson 2009, "Roofline: An Insightful Visual Performance Model". Bytes are the least there can
be: every weight, input and state is read once, every output written once, and what lies between never leaves the chip.
Of a state that `TensorScatter` writes, only the new rows are written. Arithmetic is that of products, convolutions and
attention; what is left out, or has no known shape, makes a floor lower, never higher.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from bench.cards import Card
from streamgen_engines.tensorrt.graph import attributes, types_of

_MS_PER_S: Final = 1000
_FLOAT8: Final = {
    onnx.TensorProto.FLOAT8E4M3FN,
    onnx.TensorProto.FLOAT8E4M3FNUZ,
    onnx.TensorProto.FLOAT8E5M2,
    onnx.TensorProto.FLOAT8E5M2FNUZ,
}
Types = Mapping[str, tuple[int, tuple[int, ...] | None]]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What one run of a graph has to do.

    Attributes:
        flops: additions and multiplications counted apart, by the type of what is multiplied.
        bytes: to and from memory.
        uncounted: nodes whose arithmetic would count and whose shapes are not known.
    """

    flops: Mapping[str, int]
    bytes: int
    uncounted: int = 0

    @property
    def total_flops(self) -> int:
        """Of all types."""
        return sum(self.flops.values())

    def __mul__(self, times: int) -> "Work":
        """The work of so many runs."""
        return Work({kind: times * count for kind, count in self.flops.items()}, times * self.bytes, self.uncounted)

    def __add__(self, other: "Work") -> "Work":
        """One after the other."""
        flops = Counter(self.flops)
        flops.update(other.flops)
        return Work(dict(flops), self.bytes + other.bytes, self.uncounted + other.uncounted)


@dataclass(frozen=True, slots=True)
class Floor:
    """The least time, and what makes it.

    Attributes:
        ms: the longer of both.
        arithmetic_ms: at the published peak of each type.
        memory_ms: at the published rate.
    """

    arithmetic_ms: float
    memory_ms: float
    ms: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ms", max(self.arithmetic_ms, self.memory_ms))

    @property
    def bound(self) -> str:
        """Which of both."""
        return "arithmetic" if self.arithmetic_ms >= self.memory_ms else "memory"


def floor(work: Work, card: Card) -> Floor:
    """The least time of some work on a card."""
    seconds = sum(count / card.flops_per_s[kind] for kind, count in work.flops.items())
    return Floor(_MS_PER_S * seconds, _MS_PER_S * work.bytes / card.bytes_per_s)


def line(name: str, work: Work, card: Card | None, measured_ms: float | None) -> str:
    """Bytes, FLOPs, floor and what was measured, for a report."""
    told = f"{name}: {work.total_flops / 1e9:.2f} GFLOP, {work.bytes / 1e6:.1f} MB"
    measured = "not measured" if measured_ms is None else f"measured {measured_ms:.3f} ms"
    if card is None:
        return f"{told}, no floor (this device is not in bench/cards.py), {measured}"
    least = floor(work, card)
    told += f", floor {least.ms:.3f} ms ({least.bound}), {measured}"
    return told if measured_ms is None or least.ms == 0 else f"{told}, {measured_ms / least.ms:.1f} times the floor"


def told(work: Work, card: Card | None) -> dict[str, Any]:
    """The same as figures of a record."""
    least = None if card is None else floor(work, card)
    return {
        "flops": work.total_flops,
        "bytes": work.bytes,
        "uncounted": work.uncounted,
        "floor_ms": None if least is None else least.ms,
        "bound": None if least is None else least.bound,
    }


def roofline_of(path: Path) -> Work:
    """Of a graph's file; weights that lie beside it are not read."""
    return roofline(onnx.load(path, load_external_data=False))


def roofline(model: Any) -> Work:
    """Of an ONNX graph with static shapes, all of whose weights are used in every run."""
    types = types_of(model)
    flops: Counter[str] = Counter()
    uncounted = 0
    scattered: dict[str, int] = {}  # bytes of new rows, by the output that has them
    narrow = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type == "TensorScatter":
            scattered[node.output[0]] = _bytes(types, node.input[1])
        count = _FLOPS.get(node.op_type)
        if count is None:
            continue
        try:
            flops[_multiplied(types, node, narrow)] += count(node, types)
        except _UnknownShapeError:
            uncounted += 1
    weights = {tensor.name for tensor in model.graph.initializer}
    read = weights | {value.name for value in model.graph.input}
    total = sum(_bytes(types, name) for name in read)
    for value in model.graph.output:
        total += scattered.get(value.name, _bytes(types, value.name))
    return Work(dict(flops), total, uncounted)


class _UnknownShapeError(Exception):
    """A value has no static shape."""


def _shape(types: Types, name: str) -> Shape:
    _, shape = types.get(name, (0, None))
    if shape is None:
        raise _UnknownShapeError(name)
    return shape


def _bytes(types: Types, name: str) -> int:
    kind, shape = types.get(name, (0, None))
    if shape is None:
        return 0
    bits = 4 if kind in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4) else 8 * _item_bytes(kind)
    return math.prod(shape) * bits // 8


def _item_bytes(kind: int) -> int:
    return 1 if kind in _FLOAT8 else int(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)).itemsize)


def _kind(types: Types, name: str) -> str:
    """Under which type a card lists a product of such numbers."""
    kind = types.get(name, (onnx.TensorProto.FLOAT, None))[0]
    if kind in _FLOAT8:
        return "float8"
    named: dict[int, str] = {
        onnx.TensorProto.FLOAT16: "float16",
        onnx.TensorProto.BFLOAT16: "bfloat16",
        onnx.TensorProto.INT8: "int8",
        onnx.TensorProto.UINT8: "int8",
    }
    return named.get(kind, "float32")


def _multiplied(types: Types, node: Any, narrow: Mapping[str, str]) -> str:
    """The type of what a node multiplies: that of the codes where both operands were turned back from some."""
    first, second = (narrow.get(name, name) for name in node.input[:2])
    narrowed = first in narrow.values() and second in narrow.values()
    return _kind(types, first if narrowed else node.input[0])


def _product(node: Any, types: Types) -> int:
    """MatMul: every number of the result takes as many products as rows of the second have."""
    return 2 * math.prod(_shape(types, node.output[0])) * _shape(types, node.input[0])[-1]


def _gemm(node: Any, types: Types) -> int:
    first = _shape(types, node.input[0])
    inner = first[0] if attributes(node).get("transA") else first[1]
    return 2 * math.prod(_shape(types, node.output[0])) * inner


def _convolution(node: Any, types: Types) -> int:
    """Every number of the result takes one kernel over its group's channels."""
    return 2 * math.prod(_shape(types, node.output[0])) * math.prod(_shape(types, node.input[1])[1:])


def _transposed(node: Any, types: Types) -> int:
    """Every number that comes in goes through one kernel into its group's channels."""
    return 2 * math.prod(_shape(types, node.input[0])) * math.prod(_shape(types, node.input[1])[1:])


def _attention(node: Any, types: Types) -> int:
    """Scores, and the sum of values that they weigh."""
    query, key, value = (_shape(types, name) for name in node.input[:3])
    # All heads together: with three axes they lie side by side in the last, and shared keys are as wide as the queries.
    if len(query) == 3:
        known = attributes(node)
        heads = int(known["q_num_heads"])
        wide = value[-1] // int(known["kv_num_heads"])
        batch, queries, keys, deep = query[0], query[1], key[1], query[2] // heads
    else:
        batch, heads, queries, deep = query
        keys, wide = key[2], value[3]
    return 2 * batch * heads * queries * keys * (deep + wide)


_FLOPS: Final = {
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Gemm": _gemm,
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "ConvTranspose": _transposed,
    "Attention": _attention,
}
