"""Pictures as encoders take them, YUV 4:2:0 planes of several sizes, made by the graph that decodes them."""

from streamgen_engines.planes.interface import PlanesRuntime, advance, begin
from streamgen_engines.planes.request import PlaneOrder, PlaneRequest

__all__ = ["PlaneOrder", "PlaneRequest", "PlanesRuntime", "advance", "begin"]
