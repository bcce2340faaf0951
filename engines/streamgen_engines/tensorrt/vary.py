"""Cache writes of constants, which TensorRT cannot build, become writes of something that it does not know.

The position of a write is never below zero, so the lesser of it and zero, added to what is written, changes nothing.
"""

from typing import Any

import numpy as np
from onnx import helper

from streamgen_engines.tensorrt.graph import Rewriting, cast


def vary_writes(graph: Rewriting) -> int:
    """Rewrite every `TensorScatter` whose update is a constant; how many."""
    nodes: list[Any] = []
    done = 0
    for node in graph.nodes:
        if node.op_type == "TensorScatter" and graph.is_constant(node.input[1]) and len(node.input) > 2:
            index, update = node.input[2], node.input[1]
            if not graph.is_constant(index):
                nothing, upright, wide, varied = (graph.fresh(kind) for kind in ("none", "upright", "wide", "varied"))
                zero = graph.add_constant(np.zeros(1, np.int64))
                axes = graph.add_constant(np.array([1, 2, 3], np.int64))
                nodes += [
                    helper.make_node("Min", [index, zero], [nothing], name=f"{nothing}/min"),
                    helper.make_node("Unsqueeze", [nothing, axes], [upright], name=f"{upright}/unsqueeze"),
                    cast(upright, graph.constant_type(update), wide),
                    helper.make_node("Add", [update, wide], [varied], name=f"{varied}/add"),
                ]
                node.input[1] = varied
                done += 1
        nodes.append(node)
    graph.set_nodes(nodes)
    return done
