"""The plans of the chunk loop: `sampler_graphs` as TensorRT takes them, for whoever builds, tries or loads them.

They are in no bundle: they follow from its manifest. Plans are kept under the hash of the prepared graph like all
others, so what is built here ahead of a start is what `TensorRt.chunk_sampler` finds.
"""

from typing import Final

import numpy as np
import onnx
from onnx import helper

from streamgen_engines.device.sampler_graphs import SamplerGraphs, sampler_graphs
from streamgen_engines.manifest import Graph, Manifest, PocketManifest
from streamgen_engines.tensorrt.prepare import Precision, Prepared, prepare
from streamgen_engines.tensorrt.recording import CHUNKS, Call

PRECISION: Final[Precision] = "fp32"
"""Between the passes every bit counts and nothing is heavy."""


def prepared_sampler(manifest: Manifest) -> dict[str, Prepared]:
    """The graphs step, weigh and finish, in this order, by name; none for a family whose loop stays on the host."""
    if not isinstance(manifest, PocketManifest):
        return {}
    graphs = sampler_graphs(manifest)
    every = {f"sampler {part}": getattr(graphs, part) for part in SamplerGraphs.__slots__}
    return {name: prepare(graph, PRECISION, name=name) for name, graph in every.items()}


def sampler_entry(name: str, prepared: Prepared) -> Graph:
    """What a manifest would say of one of them: it carries nothing from call to call."""
    return Graph(file=f"{name.replace(' ', '_')}.onnx", sha256=prepared.sha256, precision=PRECISION)


def random_calls(prepared: Prepared, *, count: int = CHUNKS, seed: int = 1) -> list[Call]:
    """Inputs to try one of them with: standard normal numbers of the declared shapes and types."""
    random = np.random.default_rng(seed)
    inputs = onnx.load_from_string(prepared.model).graph.input

    def drawn() -> Call:
        call: Call = {}
        for value in inputs:
            kind = value.type.tensor_type
            shape = [axis.dim_value for axis in kind.shape.dim]
            call[value.name] = random.standard_normal(shape).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
        return call

    return [drawn() for _ in range(count)]
