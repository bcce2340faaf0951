"""Whether pictures are enlarged by a bundle's graph `upscale`: what is asked for, and what happens by itself."""

from streamgen_engines.errors import MissingGraphError
from streamgen_engines.manifest import UPSCALE_GRAPH, Manifest
from streamgen_engines.runtime_name import GPU_RUNTIMES, RuntimeName


def upscales(manifest: Manifest, runtime: RuntimeName, asked: bool | None) -> bool:
    """The answer for one bundle on one runtime.

    Args:
        manifest: of the bundle.
        runtime: what its graphs run on.
        asked: what the settings say; None is wherever the graph is there and a GPU runs it.

    Raises:
        MissingGraphError: it is asked for, and the bundle has no such graph.
    """
    there = UPSCALE_GRAPH in manifest.graphs
    if asked and not there:
        raise MissingGraphError(
            f"bundle {manifest.name} cannot enlarge pictures: it has no graph {UPSCALE_GRAPH}; add one with "
            f"`streamgen export upscaler`, or leave out upscale"
        )
    return there and runtime in GPU_RUNTIMES if asked is None else asked
