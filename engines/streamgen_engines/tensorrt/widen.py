"""Weights that were made small for a CPU, turned back into plain numbers.

TensorRT takes integers as weights before a DequantizeLinear and nowhere else, and has no dynamic quantisation of
activations (`DynamicQuantizeLinear`, `MatMulInteger`). The bundled graphs have both, because ONNX Runtime on a CPU is
fast with them. Three forms are undone here; what comes out computes the same with exact activations:

- a dynamically quantised linear (`DynamicQuantizeLinear`, `MatMulInteger`, `Cast`, `Mul`) becomes a `MatMul`;
- a weight that is stored as int8 and widened by `Cast` and `Mul` becomes a constant;
- every other table of bytes, and every value of the type uint8 or int8 that is neither an input nor an output, becomes
  float16, which holds their 256 values exactly; only nodes that move numbers ever see one.
"""

from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from streamgen_engines.tensorrt.graph import Rewriting, attributes, cast

BYTES: Final = frozenset({TensorProto.UINT8, TensorProto.INT8})
MOVING: Final = frozenset(
    {
        *("Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape", "Slice"),
        *("Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"),
    }
)
"""Operators that change no number, so that its type does not matter."""
_QUANTISING: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})


def widen_linears(graph: Rewriting) -> int:
    """Dynamically quantised linears become `MatMul`s; how many."""
    makers, readers = graph.makers(), graph.readers()
    replaced: dict[str, Any] = {}  # by the output of the last node
    done = 0
    for node in graph.nodes:
        if node.op_type != "MatMulInteger":
            continue
        source = makers.get(node.input[0])
        if source is None or source.op_type != "DynamicQuantizeLinear" or not graph.is_constant(node.input[1]):
            continue
        widened = _scaled_by(node, source, makers, readers)
        if widened is None:
            continue
        last, scale = widened
        codes = graph.constant(node.input[1]).astype(np.float32)
        if len(node.input) > 3 and node.input[3]:
            codes = codes - graph.constant(node.input[3]).astype(np.float32)
        weight = graph.add_constant((codes * graph.constant(scale)).astype(np.float32), f"{node.input[1]}_wide")
        out = last.output[0]
        replaced[out] = helper.make_node("MatMul", [source.input[0], weight], [out], name=f"{node.name}_wide")
        done += 1
    graph.set_nodes(replaced.get(node.output[0], node) for node in graph.nodes)
    return done


def widen_weights(graph: Rewriting) -> int:
    """Constants that are widened by `Cast` and `Mul` are computed here; how many."""
    makers = graph.makers()
    folded: set[str] = set()
    for node in graph.nodes:
        if node.op_type != "Mul" or len(node.output) != 1:
            continue
        for codes, scale in (tuple(node.input), tuple(reversed(node.input))):
            widening = makers.get(codes)
            if widening is None or widening.op_type != "Cast" or not graph.is_constant(scale):
                continue
            stored = widening.input[0]
            if graph.is_constant(stored) and graph.constant_type(stored) in BYTES:
                value = graph.constant(stored).astype(np.float32) * graph.constant(scale)
                graph.add_constant(value.astype(np.float32), node.output[0])
                folded.add(node.output[0])
    graph.set_nodes(node for node in graph.nodes if node.output[0] not in folded)
    return len(folded)


def widen_bytes(graph: Rewriting, types: dict[str, tuple[int, tuple[int, ...] | None]]) -> int:
    """Bytes inside the graph become float16; how many values.

    Args:
        graph: what is rewritten.
        types: of every value, as `types_of` finds them.
    """
    readers = graph.readers()
    quantised = {name for node in graph.nodes if node.op_type in _QUANTISING for name in (*node.input, *node.output)}
    outside = graph.inputs | graph.outputs
    inside = {
        name
        for name, (kind, _) in types.items()
        if kind in BYTES and name not in outside and name not in quantised and (name in readers)
    }
    for name in inside:
        if graph.is_constant(name):
            graph.add_constant(graph.constant(name).astype(np.float16), name)
    nodes: list[Any] = []
    for node in graph.nodes:
        made = [name for name in node.output if name in inside]
        if node.op_type == "Cast" and made:
            # Through int32, for a conversion to bytes cuts off what is behind the point.
            whole = graph.fresh("whole")
            nodes += [cast(node.input[0], TensorProto.INT32, whole), cast(whole, TensorProto.FLOAT16, made[0])]
            continue
        reads = [name for name in node.input if name in inside]
        # An output that is made of bytes by moving them is moved as float16 and converted last.
        ends = [name for name in node.output if name in graph.outputs and types.get(name, (0,))[0] in BYTES]
        if reads and ends and node.op_type in MOVING:
            for place, name in enumerate(node.output):
                if name in ends:
                    moved = graph.fresh("moved")
                    node.output[place] = moved
                    nodes += [node, cast(moved, TensorProto.FLOAT16, f"{moved}_half")]
                    nodes.append(cast(f"{moved}_half", int(types[name][0]), name))
            continue
        nodes.append(node)
    graph.set_nodes(nodes)
    return len(inside)


def _scaled_by(node: Any, source: Any, makers: dict[str, Any], readers: dict[str, list[Any]]) -> tuple[Any, str] | None:
    """The `Mul` that ends a quantised linear, and the name of its weight's scale."""
    casts = readers.get(node.output[0], [])
    if len(casts) != 1 or casts[0].op_type != "Cast" or attributes(casts[0])["to"] != TensorProto.FLOAT:
        return None
    products = readers.get(casts[0].output[0], [])
    if len(products) != 1 or products[0].op_type != "Mul":
        return None
    other = next(name for name in products[0].input if name != casts[0].output[0])
    scales = makers.get(other)
    if scales is None or scales.op_type != "Mul" or source.output[1] not in scales.input:
        return None
    return products[0], next(name for name in scales.input if name != source.output[1])
