"""A graph in bfloat16 as a GPU computes it, for ONNX Runtime on a CPU, which has no products in bfloat16.

Every value that is bfloat16 becomes float32 that was rounded to bfloat16, by a Cast there and back after the node that
makes it; weights are widened. So products are summed in float32 and rounded once, as tensor cores do. Other values stay
what they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamgen_engines.tensorrt.graph import Rewriting, cast, types_of

_MOVING: Final = frozenset({"Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
"""What it makes is as round as what it reads."""


def write_rounded(source: Path, target: Path) -> None:
    """Write a graph that ONNX Runtime computes on a CPU with every value rounded as in bfloat16.

    Args:
        source: a graph, with its weights inside or beside it: all of it is read into memory.
        target: of less than 2 GiB.

    Raises:
        ValueError: an input or output of the graph is bfloat16, which hosts do not have.
    """
    model = onnx.load(source)
    types = types_of(model)
    rounded = {name for name, (kind, _) in types.items() if kind == TensorProto.BFLOAT16}
    outside = sorted(rounded & {value.name for value in (*model.graph.input, *model.graph.output)})
    if outside:
        raise ValueError(f"{source}: {outside[0]} is bfloat16 at the edge of the graph; make it float16 or float32")
    graph = Rewriting(model)
    for name in rounded:
        if graph.is_constant(name):
            graph.add_tensor(numpy_helper.from_array(graph.constant(name).astype(np.float32)), name)
    nodes: list[Any] = []
    for node in graph.nodes:
        nodes.append(node)
        for place, out in enumerate(node.output):
            if out not in rounded:
                continue
            if node.op_type == "Cast":
                del node.attribute[:]
                node.attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
            if node.op_type not in _MOVING:
                exact, narrow = graph.fresh("exact"), graph.fresh("narrow")
                node.output[place] = exact
                nodes += [cast(exact, TensorProto.BFLOAT16, narrow), cast(narrow, TensorProto.FLOAT, out)]
    graph.set_nodes(nodes)
    made = graph.finish()
    onnx.checker.check_model(made)
    onnx.save(made, target)
