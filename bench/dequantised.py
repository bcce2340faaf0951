"""A bundle without quantisation, made from one with it: what plain float32 costs.

The weights are the quantised ones, turned back into float32, so its pictures are those of the bundle but for the
rounding of activations; as a model it is no better. It is as large and as slow as an export in float32 would be.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE

_QUANTISE: Final = "DynamicQuantizeLinear"
_MULTIPLY: Final = "MatMulInteger"


def dequantised(bundle: Bundle, folder: Path) -> Bundle:
    """Write the bundle into a new folder, graphs with int8 products as ones in float32, and open it."""
    folder.mkdir(parents=True)
    manifest = bundle.manifest
    graphs = {}
    for name, graph in manifest.graphs.items():
        model = onnx.load(bundle.path(name))
        changed = dequantise(model)
        target = folder / graph.file
        if changed:
            onnx.save(model, target)
        else:
            os.symlink(bundle.path(name), target)
        sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
        precision = "fp32" if changed else graph.precision
        graphs[name] = graph.model_copy(update={"sha256": sha256, "precision": precision})
    os.symlink(bundle.tokenizer_path, folder / manifest.text.tokenizer.file)
    # No sibling: it would be looked for beside this folder.
    written = manifest.model_copy(update={"graphs": graphs, "smaller": None})
    (folder / MANIFEST_FILE).write_text(written.model_dump_json(), encoding="utf-8")
    return Bundle.open(folder)


def dequantise(model: Any) -> bool:
    """Replace dynamic quantisation and the products of integers by products in float32; whether there was any.

    The scale of an activation becomes 1 and its zero point 0, so whatever the graph does with them stays as it is.
    """
    graph = model.graph
    stored = {each.name: each for each in graph.initializer}
    weights: dict[tuple[str, ...], str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type == _QUANTISE:
            quantised, scale, zero = node.output
            nodes.append(helper.make_node("Identity", [node.input[0]], [quantised]))
            graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), scale))
            graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), zero))
        elif node.op_type == _MULTIPLY:
            weight = (node.input[1], *node.input[3:4])
            if weight not in weights:
                weights[weight] = f"{node.input[1]}_float32"
                values = [numpy_helper.to_array(stored[name]).astype(np.float32) for name in weight if name]
                graph.initializer.append(numpy_helper.from_array(values[0] - sum(values[1:]), weights[weight]))
            nodes.append(helper.make_node("MatMul", [node.input[0], weights[weight]], [node.output[0]]))
        else:
            nodes.append(node)
    if not weights:
        return False
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return True
