"""Static int8 linears for CPUs: the range of every activation was measured and is a constant of the graph.

Dynamic int8 (`quantise.quantise_linears`) looks for the largest and smallest number of an activation on every call.
Here a linear is two operators: `QuantizeLinear` with a constant step and zero point, which linears on the same
activation share, and ONNX Runtime's own `com.microsoft::MatMulIntegerToFloat`, which multiplies integers and scales the
sums back. Activations are uint8 with a zero point and weights int8 without one, with one scale per output channel,
which is how the integer dot products of x86 (VNNI) take their operands.

Standard Q/DQ nodes around a `MatMul` say the same, and ONNX Runtime makes this operator of most of them. But where a
bias follows and there is one row, it makes a float32 `Gemm` of both first, and widens the weight again on every call
(1.32); the denoiser of `pocket` was about 1.25 times as fast as float32 so. The price is an operator outside of ONNX,
which TensorRT does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from streamgen_engines.tensorrt.graph import Rewriting
from streamgen_engines.tensorrt.widen import widen_linears
from streamgen_export.quantise import QuantisationError
from streamgen_export.ranges import LEVELS, Range

SMALLEST: Final = 2048
"""Linears with a smaller weight stay float32: their time is that of the calls."""
LARGEST_CODE: Final = 127
DOMAIN: Final = "com.microsoft"
PRODUCT: Final = "MatMulIntegerToFloat"


def widened(source: bytes) -> bytes:
    """The graph with its dynamically quantised linears as float32 products; without any it is the same graph.

    The weights are the quantised ones, turned back. Attention and everything else stay as they are written.
    """
    graph = Rewriting(onnx.load_from_string(source))
    widen_linears(graph)
    model = graph.finish()
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def linear_inputs(source: bytes) -> list[str]:
    """Names of the activations that linears of a float32 graph read, each once."""
    graph = Rewriting(onnx.load_from_string(source))
    return sorted({node.input[0] for node in graph.nodes if _is_linear(graph, node)})


def quantise_static(source: bytes, ranges: Mapping[str, Range], *, name: str) -> bytes:
    """A float32 graph with static int8 linears.

    Args:
        source: the ONNX file's bytes.
        ranges: of every activation of `linear_inputs`.
        name: how error messages name the graph.

    Raises:
        QuantisationError: it has no linears, or the range of an activation is missing.
    """
    graph = Rewriting(onnx.load_from_string(source))
    linears = [node for node in graph.nodes if _is_linear(graph, node)]
    if not linears:
        raise QuantisationError(f"{name} has no MatMul with a constant weight to quantise")
    missing = sorted({node.input[0] for node in linears} - ranges.keys())
    if missing:
        raise QuantisationError(f"{name}: no range was measured of {', '.join(missing)}; measure all `linear_inputs`")
    nodes: list[Any] = []
    activations: dict[str, _Codes] = {}
    weights: dict[str, _Codes] = {}
    for node in graph.nodes:
        if not _is_linear(graph, node):
            nodes.append(node)
            continue
        activation, weight = node.input
        if activation not in activations:
            activations[activation] = _activation(graph, nodes, activation, ranges[activation])
        if weight not in weights:
            weights[weight] = _weight(graph, weight)
        left, right = activations[activation], weights[weight]
        inputs = [left.codes, right.codes, left.scale, right.scale, left.zero, right.zero]
        nodes.append(helper.make_node(PRODUCT, inputs, list(node.output), name=node.name, domain=DOMAIN))
    graph.set_nodes(nodes)
    model = graph.finish()
    if all(each.domain != DOMAIN for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString(deterministic=True)
    return made


@dataclass(frozen=True, slots=True)
class _Codes:
    """Names of what stands for one operand."""

    codes: str
    scale: str
    zero: str


def _is_linear(graph: Rewriting, node: Any) -> bool:
    if node.op_type != "MatMul" or not graph.is_constant(node.input[1]) or graph.is_constant(node.input[0]):
        return False
    weight = graph.constant(node.input[1])
    return weight.ndim == 2 and weight.dtype == np.float32 and weight.size >= SMALLEST


def _activation(graph: Rewriting, nodes: list[Any], name: str, span: Range) -> _Codes:
    step = np.float32((span.high - span.low) / LEVELS)
    zero = np.uint8(np.clip(round(-span.low / float(step)), 0, LEVELS))
    scale = graph.add_constant(np.array(step, np.float32), f"{name}_step")
    point = graph.add_constant(np.array(zero, np.uint8), f"{name}_zero")
    codes = f"{name}_codes"
    nodes.append(helper.make_node("QuantizeLinear", [name, scale, point], [codes], name=f"{name}/quantise"))
    return _Codes(codes, scale, point)


def _weight(graph: Rewriting, name: str) -> _Codes:
    weight: NDArray[np.float32] = graph.constant(name)
    scales = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / np.float32(LARGEST_CODE)
    held = np.clip(np.rint(weight / scales), -LARGEST_CODE, LARGEST_CODE).astype(np.int8)
    return _Codes(
        graph.add_constant(held, f"{name}_codes"),
        graph.add_constant(scales, f"{name}_scales"),
        graph.add_constant(np.zeros(scales.shape, np.int8), f"{name}_zeros"),
    )
