"""Attention that is written out, turned into the operator `Attention`, for which TensorRT has one fused kernel.

The models write it out because ONNX Runtime's own operator is slower on a CPU. Recognised is

    Softmax(MatMul(q, k^T) [+ bias], last axis) MatMul v        with four axes: batch, heads, rows, width of a head

and what comes out is `Attention(q, k, v, bias)` with the scale 1, because q carries its scale already. The bias is
expanded over the queries: the operator does not promise to broadcast it, and ONNX Runtime does not.
"""

from typing import Any

import numpy as np
from onnx import helper

from streamgen_engines.tensorrt.graph import Rewriting, attributes

Types = dict[str, tuple[int, tuple[int, ...] | None]]


def fuse_attention(graph: Rewriting, types: Types) -> int:
    """Rewrite every attention that is written out; how many.

    Args:
        graph: what is rewritten.
        types: of every value, as `types_of` finds them.
    """
    makers, readers = graph.makers(), graph.readers()
    replaced: dict[str, list[Any]] = {}
    for softmax in graph.nodes:
        if softmax.op_type != "Softmax" or attributes(softmax).get("axis", -1) not in (-1, 3):
            continue
        last = _only(readers, softmax.output[0], "MatMul")
        first, bias = _scores(makers, readers, softmax.input[0], types)
        if last is None or first is None or last.input[0] != softmax.output[0] or softmax.output[0] in graph.outputs:
            continue
        query, keys, value = first.input[0], first.input[1], last.input[1]
        shapes = [types.get(name, (0, None))[1] for name in (query, keys, value)]
        if any(shape is None or len(shape) != 4 for shape in shapes):
            continue
        replaced[last.output[0]] = _attention(graph, (query, keys, value, bias), last, types)
    nodes: list[Any] = []
    for node in graph.nodes:
        nodes += replaced.get(node.output[0], [node])
    graph.set_nodes(nodes)
    return len(replaced)


def _attention(graph: Rewriting, parts: tuple[str, str, str, str | None], last: Any, types: Types) -> list[Any]:
    query, keys, value, bias = parts
    upright = graph.fresh("keys")
    nodes = [helper.make_node("Transpose", [keys], [upright], name=f"{upright}/turn", perm=[0, 1, 3, 2])]
    inputs = [query, upright, value]
    if bias is not None:
        (queries,), (rows,) = (types[query][1] or ())[2:3], (types[keys][1] or ())[3:4]
        spread = graph.fresh("bias")
        shape = graph.add_constant(np.array([1, 1, queries, rows], np.int64))
        nodes.append(helper.make_node("Expand", [bias, shape], [spread], name=f"{spread}/expand"))
        inputs.append(spread)
    out = last.output[0]
    nodes.append(helper.make_node("Attention", inputs, [out], name=f"{out}/attention", scale=1.0))
    return nodes


def _scores(
    makers: dict[str, Any], readers: dict[str, list[Any]], name: str, types: Types
) -> tuple[Any | None, str | None]:
    """The product of queries and keys that softmax reads, and the bias that was added to it, if one was."""
    node = makers.get(name)
    if node is None:
        return None, None
    if node.op_type == "MatMul":
        return (node, None) if len(readers[name]) == 1 else (None, None)
    if node.op_type != "Add" or len(readers[name]) != 1:
        return None, None
    for product, bias in (tuple(node.input), tuple(reversed(node.input))):
        maker = makers.get(product)
        shape = types.get(bias, (0, None))[1]
        if maker is not None and maker.op_type == "MatMul" and len(readers[product]) == 1 and shape is not None:
            return (maker, bias) if shape[:-2] in {(), (1,), (1, 1)} else (None, None)
    return None, None


def _only(readers: dict[str, list[Any]], name: str, operator: str) -> Any | None:
    found = readers.get(name, [])
    return found[0] if len(found) == 1 and found[0].op_type == operator else None
