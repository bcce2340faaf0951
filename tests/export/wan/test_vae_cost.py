"""Counted costs against the written graphs, and against what is known of the published decoders."""

import math
from pathlib import Path
from typing import Any

import onnx
import pytest

from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_cost import decoder_cost
from tests.export.wan.tiny_vae import HEIGHT, WIDTH, Name, tiny, tiny_vae, written


def flops_of(path: Path) -> int:
    """Of a graph's convolutions and attentions, from the shapes that ONNX infers."""
    model: Any = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    graph = model.graph
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.input, *graph.output]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2 * math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "Attention":
            total += 4 * math.prod(shapes[node.input[0]]) * shapes[node.input[1]][2]
    return total


@pytest.mark.parametrize("which", ["wan", "taehv"])
def test_what_is_counted_is_what_the_graphs_do(which: Name) -> None:
    decoder = tiny(which)
    for name, graph in written(which, "fp32").items():
        cost = decoder_cost(decoder, WIDTH, HEIGHT, "fp32", name)
        assert cost.flops == flops_of(graph.path)
        assert cost.pictures == graph.pictures
        assert cost.state_bytes == sum(4 * math.prod(state.shape) for state in graph.states)
        assert cost.parameters == sum(parameter.numel() for parameter in decoder.parameters())


def test_the_published_decoders_at_480p() -> None:
    with_all = decoder_cost(WanDecoder(), 832, 480, "fp16")
    assert with_all.parameters == pytest.approx(73.3e6, rel=0.001)
    assert with_all.flops == pytest.approx(13.55e12, rel=0.01)
    assert with_all.state_bytes == 1_888_573_440
    assert with_all.largest_tensor_bytes == 192 * 4 * 480 * 832 * 2  # upsampled, before half of its channels go
    fast = decoder_cost(TaehvDecoder(), 832, 480, "fp16")
    assert fast.parameters == pytest.approx(9.84e6, rel=0.001)
    assert fast.state_bytes == 67_092_480
    assert fast.flops < with_all.flops / 20


def test_half_of_the_bytes_are_half_of_the_bytes() -> None:
    whole, half = (decoder_cost(tiny_vae(), WIDTH, HEIGHT, precision) for precision in ("fp32", "fp16"))
    assert whole.flops == half.flops
    assert whole.weight_bytes == 2 * half.weight_bytes
    assert whole.state_bytes == 2 * half.state_bytes
    assert whole.largest_tensor_bytes == 2 * half.largest_tensor_bytes
