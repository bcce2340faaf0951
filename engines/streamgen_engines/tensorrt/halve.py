"""Half precision where it pays: operands of matrix products, convolutions and attention; the rest stays float32.

TensorRT networks are strongly typed: what the graph says is what is computed. Sums of many terms (norms, softmax
outside of attention, positions, the residual stream) stay float32, and TensorRT fuses the conversions into the kernels
beside them. Inputs, outputs and states keep their types, so a plan has the manifest's signature in every precision.
"""

from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from streamgen_engines.tensorrt.graph import Rewriting, cast

HEAVY: Final = frozenset({"Attention", "Conv", "ConvTranspose", "Gemm", "MatMul"})
SMALLEST: Final = 2048
"""A product with a constant of fewer numbers stays float32: half precision would gain nothing there."""
KEPT: Final = "/float32"
"""Ends the names of nodes that the exporter wants in float32: their numbers may be too large for float16, or rounding
them would cost much and gain little."""
_LARGEST_HALF: Final = 65504.0


def halve(graph: Rewriting, types: dict[str, tuple[int, tuple[int, ...] | None]], to: int) -> int:
    """Rewrite every heavy node; how many.

    Args:
        graph: what is rewritten.
        types: of every value, as `types_of` finds them.
        to: ONNX's number for float16 or bfloat16.
    """
    nodes: list[Any] = []
    narrow: dict[str, str] = {}
    done = 0
    for node in graph.nodes:
        floats = [name for name in node.input if name and types.get(name, (0,))[0] == TensorProto.FLOAT]
        if node.op_type not in HEAVY or not floats or len(node.output) != 1 or _left(graph, node):
            nodes.append(node)
            continue
        for name in floats:
            if name in narrow:
                continue
            if (
                graph.is_constant(name)
                and not graph.is_outside(name)
                and (to == TensorProto.BFLOAT16 or _fits(graph, name))
            ):
                narrow[name] = _narrow_constant(graph, name, to)
            else:
                narrow[name] = graph.fresh("narrow")
                nodes.append(cast(name, to, narrow[name]))
        inputs = [narrow.get(name, name) if name in floats else name for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
        out, wide = node.output[0], graph.fresh("product")
        node.output[0] = wide
        nodes += [node, cast(wide, TensorProto.FLOAT, out)]
        done += 1
    graph.set_nodes(nodes)
    return done


def _left(graph: Rewriting, node: Any) -> bool:
    """Whether a node stays as it is: it is small, or the exporter wants it so."""
    if node.name.endswith(KEPT):
        return True
    weights = [graph.constant_size(name) for name in node.input[:2] if name and graph.is_constant(name)]
    return bool(weights) and max(weights) < SMALLEST


def _fits(graph: Rewriting, name: str) -> bool:
    value = graph.constant(name)
    return bool(np.abs(value).max(initial=0.0) <= _LARGEST_HALF)


def _narrow_constant(graph: Rewriting, name: str, to: int) -> str:
    return graph.add_constant(graph.constant(name).astype(helper.tensor_dtype_to_np_dtype(to)), f"{name}_half")
