"""A bundle's graph as TensorRT takes it, in the precision that is asked for. The bundle itself is never changed.

`prepare` is a pure function from bytes to bytes, and `VERSION` is part of what plans are kept under: raise it when the
result changes. Weights in a file beside the graph stay there; the exporter puts their hash into the graph, so that
bytes tell them apart too.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import onnx
from onnx import TensorProto

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.gpu_options import Precision as Precision
from streamgen_engines.planes.graph import append_planes
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.fuse import fuse_attention
from streamgen_engines.tensorrt.graph import Rewriting, types_of
from streamgen_engines.tensorrt.halve import halve
from streamgen_engines.tensorrt.vary import vary_writes
from streamgen_engines.tensorrt.widen import widen_bytes, widen_linears, widen_weights

VERSION: Final = 1
_HALVES: Final = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A graph for TensorRT.

    Attributes:
        model: the ONNX file's bytes.
        precision: what it computes heavy operators in.
        sha256: of them.
        linears: linears that were quantised for a CPU and are matrix products again.
        weights: weights that were stored as int8 and are plain constants again.
        bytes_inside: values of one byte that became float16.
        attentions: attentions that were written out and are one operator now.
        halved: nodes that compute in half precision.
    """

    model: bytes
    sha256: str
    precision: Precision
    linears: int = 0
    weights: int = 0
    bytes_inside: int = 0
    attentions: int = 0
    halved: int = 0


def prepare(
    source: bytes, precision: Precision | None = None, *, name: str = "graph", planes: PlaneRequest | None = None
) -> Prepared:
    """Rewrite one graph.

    Args:
        source: the ONNX file's bytes.
        precision: of heavy operators; int8 and fp8 are what the graph's Q/DQ nodes say, and the rest is fp16. None is
            what the graph was exported in, where that is one for GPUs, and else fp16: what is made for CPUs has no int8
            that TensorRT takes, and there is no fused attention in fp32.
        name: how error messages name the graph.
        planes: what a graph that makes pictures shall give besides or in place of RGB; in float16 unless the precision
            is fp32, whatever the rest is in: bfloat16 would show.

    Raises:
        GraphLoadError: it is not ONNX, or it has no Q/DQ nodes and int8 or fp8 was asked for.
    """
    try:
        model = onnx.load_from_string(source)
        graph = Rewriting(model)
        if planes is not None:
            append_planes(graph, planes, half=precision != "fp32")
        linears, weights = widen_linears(graph), widen_weights(graph)
        vary_writes(graph)
        graph.finish()
        inside = widen_bytes(graph, types_of(model))
        attentions = fuse_attention(graph, types_of(model))
        graph.finish()
        chosen = precision or _exported_in(graph)
        if chosen in {"int8", "fp8"}:
            _require_quantised(graph, chosen, name)
        half = _HALVES.get(chosen, TensorProto.FLOAT16)
        halved = halve(graph, types_of(model), half) if chosen != "fp32" else 0
        done = graph.finish()
        onnx.checker.check_model(_without_outside(done))
        made: bytes = done.SerializeToString(deterministic=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise GraphLoadError(
            f"{name}: this graph cannot be prepared for TensorRT ({error}); export it again"
        ) from error
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's, of whichever implementation is installed
            raise
        raise GraphLoadError(f"{name}: not an ONNX file ({error}); download or export the bundle again") from error
    digest = hashlib.sha256(made).hexdigest()
    return Prepared(made, digest, chosen, linears, weights, inside, attentions, halved)


def _without_outside(model: Any) -> Any:
    """The model with weights from other files as inputs: the checker would look for the files."""
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    if not outside:
        return model
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    inside = [tensor for tensor in checked.graph.initializer if tensor.data_location != TensorProto.EXTERNAL]
    del checked.graph.initializer[:]
    checked.graph.initializer.extend(inside)
    checked.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in outside
    )
    return checked


def _exported_in(graph: Rewriting) -> Precision:
    """The precision that a graph for GPUs says itself; fp16 for every other one."""
    kinds = {graph.constant_type(name) for name in graph.constant_names()}
    if any(node.op_type == "DequantizeLinear" for node in graph.nodes):
        return "fp8" if TensorProto.FLOAT8E4M3FN in kinds else "int8"
    return "bf16" if TensorProto.BFLOAT16 in kinds else "fp16"


def _require_quantised(graph: Rewriting, precision: str, name: str) -> None:
    kinds = {node.op_type for node in graph.nodes}
    if "QuantizeLinear" in kinds or "DequantizeLinear" in kinds:
        return
    raise GraphLoadError(
        f"{name}: there is no {precision} in this graph: TensorRT takes the precision from QuantizeLinear and "
        f"DequantizeLinear nodes, and it has none. Compile it with --precision fp16, or export it with Q/DQ nodes"
    )
