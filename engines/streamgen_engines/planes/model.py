"""A bundle's file with planes added, for runtimes that load graphs as they are."""

from pathlib import Path

import onnx

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.planes.graph import append_planes
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.graph import Rewriting


def with_planes(path: Path, request: PlaneRequest, *, half: bool = True) -> bytes:
    """The graph of a file with the outputs of a request; see `append_planes`.

    Raises:
        GraphLoadError: the file is no ONNX, or makes no pictures.
    """
    try:
        graph = Rewriting(onnx.load(path))
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's, of whichever implementation is installed
            raise
        raise GraphLoadError(f"{path}: not an ONNX file ({error}); download or export the bundle again") from error
    append_planes(graph, request, half=half)
    made: bytes = graph.finish().SerializeToString()
    return made
