"""Smaller files with the arithmetic unchanged: weights stored as int8 and widened when the graph is loaded.

Each weight becomes an int8 tensor, a scale per slice of its first axis and two nodes (Cast, Mul) that every runtime
folds into a float32 constant at load, so speed and activations stay those of the float32 graph. For graphs that are
fast enough in float32, this keeps quality that int8 activations would cost.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

SMALLEST = 2048
"""Tensors with fewer elements stay as they are."""
LARGEST_CODE = 127
WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
"""Operators whose constant inputs are weights."""


def store_as_int8(source: Path, target: Path, keep: tuple[str, ...] = ()) -> int:
    """Rewrite the large weights of `source`.

    Args:
        source: a float32 graph.
        target: where the smaller one is written.
        keep: parts of names of tensors that stay float32.

    Returns:
        how many tensors became int8.
    """
    model = onnx.load(source)
    graph = model.graph
    weights = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input}
    widening: list[onnx.NodeProto] = []
    rest: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        fits = tensor.name in weights and values.dtype == np.float32 and values.size >= SMALLEST
        if not fits or any(part in tensor.name for part in keep):
            rest.append(tensor)
            continue
        axes = tuple(range(1, values.ndim))
        scale = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-12).astype(np.float32) / LARGEST_CODE
        codes = np.clip(np.rint(values / scale), -LARGEST_CODE, LARGEST_CODE).astype(np.int8)
        parts = {"code": codes, "scale": scale}
        rest += [numpy_helper.from_array(part, f"{tensor.name}_{kind}") for kind, part in parts.items()]
        wide = f"{tensor.name}_wide"
        widening += [
            helper.make_node("Cast", [f"{tensor.name}_code"], [wide], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [wide, f"{tensor.name}_scale"], [tensor.name]),
        ]
    nodes = [*widening, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(rest)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return len(widening) // 2
