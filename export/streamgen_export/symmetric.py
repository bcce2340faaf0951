"""int8 and fp8 for GPUs: linears between Quantize- and DequantizeLinear, symmetric, with ranges measured on real calls.

TensorRT computes a product in int8 or fp8 when both of its operands come from DequantizeLinear; zero points are zero. A
weight has one scale per output channel, an activation one in all: the largest value that was seen over the calls. The
rest of the graph is what `prepare` makes of it in float16. Attention and convolutions stay float16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Runtime
from streamgen_engines.tensorrt.graph import Rewriting
from streamgen_engines.tensorrt.halve import SMALLEST
from streamgen_engines.tensorrt.prepare import prepare

Kind = Literal["int8", "fp8"]
LARGEST: Final[Mapping[Kind, float]] = {"int8": 127.0, "fp8": 448.0}
"""Largest value that each type holds."""
_TYPES: Final = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}
_LEAST_SCALE: Final = 1e-4
"""float16 holds it well; smaller ones would lose digits."""


def quantise_symmetric(
    source: bytes,
    kind: Kind,
    calls: Sequence[Mapping[str, Array]],
    states: Sequence[State],
    runtime: Runtime,
    *,
    name: str,
) -> bytes:
    """A bundle's graph with quantised linears.

    Args:
        source: the ONNX file's bytes.
        kind: what the linears compute in.
        calls: inputs without states, in order, on which ranges are measured.
        states: what it carries.
        runtime: runs it for that; ONNX Runtime on the CPU.
        name: how error messages name the graph.

    Raises:
        GraphLoadError: it has no linears, or there are no calls to measure.
    """
    half = prepare(source, "fp16", name=name).model
    graph = Rewriting(onnx.load_from_string(half))
    linears = [node for node in graph.nodes if _is_linear(graph, node)]
    if not linears or not calls:
        raise GraphLoadError(f"{name}: there is nothing to quantise: {len(linears)} linears, {len(calls)} calls")
    activations = sorted({node.input[0] for node in linears})
    ranges = _ranges(half, activations, calls, states, runtime)
    nodes: list[Any] = []
    done: dict[str, str] = {}
    for node in graph.nodes:
        if _is_linear(graph, node):
            activation, weight = node.input
            if activation not in done:
                done[activation] = _activation(graph, nodes, activation, ranges[activation], kind)
            if weight not in done:
                done[weight] = _weight(graph, nodes, weight, kind)
            node.input[0], node.input[1] = done[activation], done[weight]
        nodes.append(node)
    graph.set_nodes(nodes)
    model = graph.finish()
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def has_linears(source: bytes, *, name: str) -> bool:
    """Whether a graph has linears that are worth it."""
    graph = Rewriting(onnx.load_from_string(prepare(source, "fp16", name=name).model))
    return any(_is_linear(graph, node) for node in graph.nodes)


def _is_linear(graph: Rewriting, node: Any) -> bool:
    if node.op_type != "MatMul" or not graph.is_constant(node.input[1]) or graph.is_constant(node.input[0]):
        return False
    weight = graph.constant(node.input[1])
    return weight.ndim == 2 and weight.dtype == np.float16 and weight.size >= SMALLEST


def _ranges(
    model: bytes,
    activations: Sequence[str],
    calls: Sequence[Mapping[str, Array]],
    states: Sequence[State],
    runtime: Runtime,
) -> dict[str, float]:
    """Largest absolute value of each activation."""
    told = onnx.load_from_string(model)
    inferred = onnx.shape_inference.infer_shapes(told, data_prop=True)
    known = {value.name: value for value in inferred.graph.value_info}
    outputs = {value.name for value in told.graph.output}
    told.graph.output.extend(known[name] for name in activations if name not in outputs)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "told.onnx"
        onnx.save(told, file)
        engine = runtime.load(file, states)
    found = dict.fromkeys(activations, 0.0)
    for call in calls:
        out = engine.run(call)
        for name in activations:
            found[name] = max(found[name], float(np.abs(out[name].astype(np.float32)).max()))
    return found


def _activation(graph: Rewriting, nodes: list[Any], name: str, most: float, kind: Kind) -> str:
    scale = graph.add_constant(np.array(max(most / LARGEST[kind], _LEAST_SCALE), np.float16), f"{name}_range")
    zero = graph.add_tensor(helper.make_tensor(f"{name}_zero", _TYPES[kind], (), [0]), f"{name}_zero")
    codes, out = f"{name}_codes", f"{name}_again"
    nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [codes], name=f"{name}/quantise"))
    nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], [out], name=f"{name}/dequantise"))
    return out


def _weight(graph: Rewriting, nodes: list[Any], name: str, kind: Kind) -> str:
    weight: NDArray[np.float32] = graph.constant(name).astype(np.float32)
    # Rounded up, so that nothing is clipped because float16 is coarse.
    scales = np.maximum(np.abs(weight).max(axis=0) / LARGEST[kind], float(np.finfo(np.float16).tiny))
    scales = np.nextafter(scales.astype(np.float16), np.float16(np.inf))
    values = weight / scales.astype(np.float32)
    held = np.clip(np.rint(values) if kind == "int8" else values, -LARGEST[kind], LARGEST[kind])
    codes = graph.add_constant(held.astype(helper.tensor_dtype_to_np_dtype(_TYPES[kind])), f"{name}_codes")
    scale = graph.add_constant(scales, f"{name}_scales")
    out = f"{name}_again"
    nodes.append(helper.make_node("DequantizeLinear", [codes, scale], [out], name=f"{name}/dequantise", axis=1))
    return out
