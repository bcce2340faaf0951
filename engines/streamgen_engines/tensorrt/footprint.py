"""What graphs take of a GPU, read from the ONNX files: the figures of `memory_plan`. Needs the package `onnx`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.device_sampler import sampler_memory
from streamgen_engines.device.double_buffered import TURNS
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.gpu_options import Precision
from streamgen_engines.manifest import UPSCALE_GRAPH, Graph, Manifest, PocketManifest, State
from streamgen_engines.memory_plan import GraphMemory, MemoryPlan, Step, activation_peak
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.graph import types_of
from streamgen_engines.tensorrt.halve import HEAVY, KEPT, SMALLEST
from streamgen_engines.tensorrt.plans import PlanCache, PlanKey, PlanMemory
from streamgen_engines.tensorrt.prepare import Prepared, prepare
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler, sampler_entry

ON_THE_HOST: Final = frozenset({"encode_picture", "encode_video"})
"""Graphs that are never loaded onto the GPU: pictures to start from, or to make sound for, are encoded on the CPU."""
PICTURES: Final = "decode_video"
"""The graph to which planes are added, where the graph `upscale` does not follow it."""
LOOPED: Final = "denoise"
"""The graph that the chunk loop runs, on buffers of the loop's own."""
CHUNK_LOOP: Final = "chunk loop"
"""What all that the loop adds is called in the plan of memory."""
_VIEWS: Final = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_FLOATS: Final = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})
_BYTES: Final = frozenset({TensorProto.INT8, TensorProto.UINT8})
_NIBBLES: Final = frozenset({TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1})


@dataclass(frozen=True, slots=True)
class Survey:
    """What a bundle takes, and what was found out on the way.

    Attributes:
        plan: parts and sums.
        hashes: SHA-256 of each graph as TensorRT takes it, by its file: preparing them takes a while, so it is not done
            again to find their plans.
    """

    plan: MemoryPlan
    hashes: Mapping[Path, str]


def survey(
    bundle: Bundle,
    precision: Precision | None = None,
    *,
    flavour: Flavour | None = None,
    gpu: Gpu | None = None,
    plans: PlanCache | None = None,
    planes: PlaneRequest | None = None,
    apart: Mapping[str, str] | None = None,
    upscale: bool = False,
) -> Survey:
    """What one channel of a bundle takes of a GPU.

    Args:
        bundle: whose graphs.
        precision: of every graph; None chooses for each.
        flavour: which TensorRT, to look for its plans.
        gpu: which GPU, likewise.
        plans: where plans are kept; without flavour, GPU and plans everything is estimated.
        planes: what is taken of the pictures in place of RGB, as a server does.
        apart: graphs that run elsewhere, and where, in words; they take nothing.
        upscale: whether pictures are enlarged by the graph `upscale`; else it takes nothing.

    Raises:
        GraphLoadError: a graph cannot be read, or not be prepared for TensorRT.
    """
    graphs: list[GraphMemory] = []
    hashes: dict[Path, str] = {}
    elsewhere = apart or {}

    def told(prepared: Prepared) -> PlanMemory | None:
        """What TensorRT said when it loaded this plan."""
        if flavour is None or gpu is None or plans is None:
            return None
        return plans.memory(PlanKey(prepared.sha256, flavour.name, flavour.version, gpu.name, gpu.capability))

    for name, graph in bundle.manifest.graphs.items():
        if name in ON_THE_HOST or name in elsewhere or (name == UPSCALE_GRAPH and not upscale):
            continue
        path, label = bundle.path(name), f"{bundle.manifest.name}/{name}"
        outside = _weights_outside(path, label)
        if outside is not None:
            usual = "fp16" if graph.precision == "fp32" else graph.precision  # as `prepare` chooses
            graphs.append(_memory(name, graph, outside, precision or usual))
            continue
        wanted = planes if name == (UPSCALE_GRAPH if upscale else PICTURES) else None
        prepared = prepare(path.read_bytes(), precision, name=label, planes=wanted)
        if wanted is None:  # with planes it is another graph of the same file
            hashes[path] = prepared.sha256
        turns = TURNS if wanted is not None else 0
        stays = results_stay(bundle.manifest, name, upscale=upscale)
        made = graph_memory(
            name, graph, prepared.model, prepared.precision, told(prepared), turns=turns, fetched=not stays
        )
        graphs.append(made)
    loop = {name: told(prepared) for name, prepared in prepared_sampler(bundle.manifest).items()}
    every = with_chunk_loop(bundle.manifest, graphs, loop)
    return Survey(MemoryPlan(bundle.manifest.name, every, apart=tuple(elsewhere.items())), hashes)


def with_chunk_loop(
    manifest: Manifest, graphs: Sequence[GraphMemory], known: Mapping[str, PlanMemory | None]
) -> tuple[GraphMemory, ...]:
    """What the graphs of a bundle take where the chunk loop runs on the GPU, and what the loop adds.

    Inputs and outputs of the denoise graph are the loop's buffers, and nobody copies its ring to the host. In a family
    whose loop stays on the host, graphs take what they take.

    Args:
        manifest: of the bundle.
        graphs: what each takes by itself.
        known: what TensorRT said when it loaded a plan of the loop, by name; without it, or with None, it is estimated.
    """
    if not isinstance(manifest, PocketManifest):
        return tuple(graphs)
    parts = [
        graph_memory(name, sampler_entry(name, prepared), prepared.model, prepared.precision, known.get(name))
        for name, prepared in prepared_sampler(manifest).items()
    ]
    buffers = sampler_memory(manifest)
    loop = GraphMemory(
        graph=CHUNK_LOOP,
        precision=parts[0].precision,
        weights=sum(part.weights for part in parts),
        states=0,
        tensors=buffers.device,
        activations=sum(part.activations for part in parts),
        host=buffers.host,
        estimated=any(part.estimated for part in parts),
    )
    return (*(replace(graph, tensors=0, host=0) if graph.graph == LOOPED else graph for graph in graphs), loop)


def results_stay(manifest: Manifest, name: str, *, upscale: bool) -> bool:
    """Whether nobody fetches what a graph makes: pictures that are enlarged before anybody sees them.

    In families whose sound is made from the pictures, these come to the host all the same.
    """
    return upscale and name == PICTURES and isinstance(manifest, PocketManifest)


def graph_memory(
    name: str,
    graph: Graph,
    model: bytes,
    precision: str,
    known: PlanMemory | None = None,
    *,
    turns: int = 0,
    fetched: bool = True,
) -> GraphMemory:
    """What one prepared graph takes.

    Args:
        name: in the manifest.
        graph: its entry there.
        model: the prepared graph, as `prepare` makes it.
        precision: of it.
        known: what TensorRT said when it loaded its plan; None estimates.
        turns: more buffers of each output, which take turns while results are copied to the host; 0 has none.
        fetched: whether outputs come to the host at all.
    """
    return _memory(name, graph, onnx.load_from_string(model), precision, known, turns, fetched=fetched)


def _weights_outside(path: Path, label: str) -> Any | None:
    """The graph without its weights, if they lie in a file beside it; None if they lie inside."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's, of whichever implementation is installed
            raise
        raise GraphLoadError(f"{label}: not an ONNX file ({error}); download or export the bundle again") from error
    outside = any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer)
    return model if outside else None


def _memory(
    name: str,
    graph: Graph,
    model: Any,
    precision: str,
    known: PlanMemory | None = None,
    turns: int = 0,
    *,
    fetched: bool = True,
) -> GraphMemory:
    types = types_of(model)
    sizes = {value: _size(kind, shape) for value, (kind, shape) in types.items() if shape is not None}
    carried = {state.name: state for state in graph.states}
    returned = {state.output for state in graph.states}
    in_place = _written_in_place(model, graph.states)
    inputs = [value.name for value in model.graph.input if value.name not in carried]
    outputs = [value.name for value in model.graph.output if value.name not in returned]
    given, made = (sum(sizes.get(value, 0) for value in values) for values in (inputs, outputs))
    once = {state.name: prod(state.shape) * np.dtype(state.dtype).itemsize for state in graph.states}
    if known is None:
        outside = {*carried, *returned, *inputs, *outputs, *(tensor.name for tensor in model.graph.initializer)}
        weights, activations = _weights(model, precision), activation_peak(_steps(model), sizes, outside)
    else:
        weights, activations = known.weights, known.activations
    return GraphMemory(
        graph=name,
        precision=precision,
        weights=weights,
        states=sum(size if state in in_place else 2 * size for state, size in once.items()),
        tensors=given + made * (1 + turns),
        activations=activations,
        host=given + (made * max(turns, 1) if fetched else 0),
        estimated=known is None,
    )


def _steps(model: Any) -> list[Step]:
    return [
        Step(tuple(name for name in node.input if name), tuple(node.output), node.op_type in _VIEWS)
        for node in model.graph.node
        if node.op_type != "Constant"  # counted with the weights
    ]


def _written_in_place(model: Any, states: Iterable[State]) -> set[str]:
    """States that are a ring: TensorRT writes their new rows over the old ones, and nothing else."""
    writes = {(node.input[0], node.output[0]) for node in model.graph.node if node.op_type == "TensorScatter"}
    return {state.name for state in states if (state.name, state.output) in writes}


def _weights(model: Any, precision: str) -> int:
    """Bytes of all constants. In a prepared graph they are as TensorRT gets them; in any other as it would get them."""
    heavy: set[str] = set()
    widened: set[str] = set()
    constants = [tensor for tensor in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type in HEAVY and not node.name.endswith(KEPT):
            heavy.update(node.input)
        if node.op_type in {"MatMulInteger", "Cast"}:
            widened.update(node.input)
        if node.op_type == "Constant":
            constants += [attribute.t for attribute in node.attribute if attribute.name == "value"]
    total = 0
    for tensor in constants:
        count = prod(tensor.dims)
        halved = precision != "fp32" and count >= SMALLEST and tensor.name in heavy
        if (tensor.data_type in _FLOATS and halved) or (tensor.data_type in _BYTES and tensor.name in widened):
            total += 2 * count if precision != "fp32" else 4 * count
        else:
            total += _size(int(tensor.data_type), tuple(tensor.dims))
    return total


def _size(kind: int, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of an ONNX type."""
    if kind in _NIBBLES:
        return (prod(shape) + 1) // 2
    if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        return 0
    return prod(shape) * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
