"""A compact network as the graph `upscale`: pictures in and out as `decode_video` has them, uint8 `[T, H, W, 3]`.

The picture itself is added before pixels are shuffled, as r^2 channels of the same numbers: that is what enlarging by
nearest neighbours is, and it needs no `Resize`, of which runtimes have different ideas.
"""

from __future__ import annotations

from typing import Final

from onnx import TensorProto

from streamgen_export.onnx_net import OnnxNet
from streamgen_export.upscaler.checkpoint import COLOURS, KERNEL, Compact

INPUT: Final = "pictures"
OUTPUT: Final = "frames"
LEVELS: Final = 255.0


def upscale_graph(network: Compact, *, pictures: int, width: int, height: int) -> bytes:
    """The ONNX file's bytes, in float32.

    Args:
        network: the weights.
        pictures: how many one run of the bundle's `decode_video` makes.
        width, height: of them, in pixels.
    """
    factor = network.factor
    net = OnnxNet("upscale")
    # TensorRT converts bytes first and makes them last, and has them nowhere else.
    levels = net("Transpose", net("Cast", INPUT, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    shown = net("Mul", levels, net.constant(1 / LEVELS))
    value = shown
    for place, (weight, bias) in enumerate(network.convolutions):
        value = net(
            "Conv",
            value,
            net.constant(weight),
            net.constant(bias),
            name=convolution_name(place),
            kernel_shape=[KERNEL, KERNEL],
            pads=[KERNEL // 2] * 4,
        )
        if place < len(network.slopes):
            value = net("PRelu", value, net.constant(network.slopes[place][:, None, None]))
    apart = net("Reshape", shown, net.shape(pictures, COLOURS, 1, height, width))
    copies = net("Expand", apart, net.shape(pictures, COLOURS, factor**2, height, width))
    copies = net("Reshape", copies, net.shape(pictures, COLOURS * factor**2, height, width))
    larger = net("DepthToSpace", net("Add", value, copies), blocksize=factor, mode="CRD")
    within = net("Clip", larger, net.constant(0.0), net.constant(1.0))
    rounded = net("Floor", net("Add", net("Mul", within, net.constant(LEVELS)), net.constant(0.5)))
    net("Cast", net("Transpose", rounded, perm=[0, 2, 3, 1]), out=OUTPUT, to=TensorProto.UINT8)
    model = net.model(
        {INPUT: (TensorProto.UINT8, (pictures, height, width, COLOURS))},
        {OUTPUT: (TensorProto.UINT8, (pictures, height * factor, width * factor, COLOURS))},
    )
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def convolution_name(place: int) -> str:
    """Name of the node of a convolution, counted from 0."""
    return f"convolution_{place}"
