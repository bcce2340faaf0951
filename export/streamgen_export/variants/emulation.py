"""Variants for GPUs made quicker to judge on a CPU: what ONNX Runtime would compute again on every call is a constant.

It widens weights in int8 or fp8 each time a graph runs, which takes several times as long as the products. The values
are the same ones, added up in another order; activations are still rounded by the graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from streamgen_engines.bundle import Bundle
from streamgen_engines.tensorrt.graph import Rewriting, attributes
from streamgen_export.bundle_copy import MadeGraph, write_copy

_WIDENING: Final = "DequantizeLinear"


def emulated(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle with the weights of every graph widened once, in a folder of its own.

    A bundle without such weights is returned as it is.
    """
    graphs = {}
    for name, graph in bundle.manifest.graphs.items():
        made = folded(bundle.path(name).read_bytes())
        if made is not None:
            graphs[name] = MadeGraph(made, graph.precision)
    return Bundle.open(write_copy(bundle, folder, graphs)) if graphs else bundle


def folded(source: bytes) -> bytes | None:
    """A graph with its constant `DequantizeLinear` nodes computed; None when it has none."""
    graph = Rewriting(onnx.load_from_string(source))
    nodes: list[Any] = []
    done = 0
    for node in graph.nodes:
        if node.op_type != _WIDENING or not all(graph.is_constant(name) for name in node.input):
            nodes.append(node)
            continue
        codes, scale = (graph.constant(name) for name in node.input[:2])
        shape = [1] * codes.ndim
        if scale.ndim:
            shape[int(attributes(node).get("axis", 1))] = -1
        zero = graph.constant(node.input[2]).astype(np.float32).reshape(shape) if len(node.input) > 2 else np.float32(0)
        values = (codes.astype(np.float32) - zero) * scale.astype(np.float32).reshape(shape)
        graph.add_constant(values.astype(scale.dtype), node.output[0])
        done += 1
    if not done:
        return None
    graph.set_nodes(nodes)
    made: bytes = graph.finish().SerializeToString(deterministic=True)
    return made
