"""A graph `upscale` for tests, which enlarges by nearest neighbours.

Pictures are enlarged exactly, so that whatever lies around the graph can be compared to the byte. One that carries adds
the mean level of the picture before, which shows whether states go on, begin anew, and see what they should.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE
from streamgen_export.onnx_net import OnnxNet

UPSCALE = "upscale"
SHARE = 0.125
"""Of the mean level before, in what a graph that carries adds."""


def nearest(pictures: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """What the graph without states makes of pictures `[T, H, W, 3]`."""
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def carried(pictures: NDArray[np.uint8], factor: int, before: float = 0.0) -> tuple[NDArray[np.uint8], float]:
    """What one run of the graph with a state makes, and the state after it."""
    wide = nearest(pictures, factor).astype(np.float32) * (1 - SHARE) + SHARE * before
    return np.floor(wide).astype(np.uint8), float(pictures[-1].astype(np.float32).mean())


def upscale_model(count: int, height: int, width: int, factor: int, *, carries: bool = False) -> Any:
    """The graph for runs of `count` pictures."""
    net = OnnxNet("upscale")
    shape = (count, height, width, 3)
    wide = net("Cast", "pictures", to=TensorProto.FLOAT)
    larger = net("Reshape", wide, net.shape(count, height, 1, width, 1, 3))
    larger = net("Expand", larger, net.shape(count, height, factor, width, factor, 3))
    larger = net("Reshape", larger, net.shape(count, height * factor, width * factor, 3))
    inputs: dict[str, tuple[int, Any]] = {"pictures": (TensorProto.UINT8, shape)}
    outputs: dict[str, tuple[int, Any]] = {"frames": (TensorProto.UINT8, (count, height * factor, width * factor, 3))}
    if carries:
        kept = net("Mul", larger, net.constant(1 - SHARE))
        larger = net("Floor", net("Add", kept, net("Mul", "level", net.constant(SHARE))))
        last = net.cut(wide, count - 1, count, 0)
        net("ReduceMean", net("Reshape", last, net.shape(1, -1)), net.shape(1), keepdims=0, out="level_out")
        inputs["level"] = outputs["level_out"] = (TensorProto.FLOAT, (1,))
    net("Cast", larger, out="frames", to=TensorProto.UINT8)
    return net.model(inputs, outputs)


def add_upscaler(folder: Path, factor: int = 2, *, carries: bool = False) -> Bundle:
    """Add the graph to a bundle of any family."""
    manifest = Bundle.open(folder).manifest
    video = manifest.video
    model = upscale_model(manifest.pictures_per_decoding, video.height, video.width, factor, carries=carries)
    onnx.save(model, folder / "upscale.onnx")
    document = json.loads((folder / MANIFEST_FILE).read_text())
    document["graphs"][UPSCALE] = {
        "file": "upscale.onnx",
        "sha256": hashlib.sha256((folder / "upscale.onnx").read_bytes()).hexdigest(),
        "precision": "fp32",
        "factor": factor,
        "states": [{"name": "level", "shape": [1], "dtype": "float32"}] if carries else [],
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(document))
    return Bundle.open(folder)
