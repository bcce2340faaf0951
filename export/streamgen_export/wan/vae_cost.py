"""What a decoder costs, computed from its own arithmetic without doing it: for memory plans and floors of speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_graphs import graphs_of
from streamgen_export.wan.vae_streaming import STEADY, DecodeLatent, Halves, cells

NUMBER_BYTES: Final[dict[Halves, int]] = {"fp32": 4, "fp16": 2}


@dataclass(frozen=True)
class DecoderCost:
    """Of one graph, for one size of pictures.

    Attributes:
        parameters: numbers of the decoder's weights; the graph for the first latent has two convolutions less.
        weight_bytes: of them.
        state_bytes: of one set of states. A runtime that does not write a state in place has two.
        flops: of one latent, additions and multiplications counted apart, products and convolutions only.
        pictures: that these FLOPs make.
        largest_tensor_bytes: that a convolution reads or makes. A workspace holds at least the two of one convolution;
            what it holds beside them is the runtime's.
    """

    parameters: int
    weight_bytes: int
    state_bytes: int
    flops: int
    pictures: int
    largest_tensor_bytes: int


def decoder_cost(
    decoder: WanDecoder | TaehvDecoder, width: int, height: int, precision: Halves, graph: str = STEADY
) -> DecoderCost:
    """Count, on tensors that have shapes and no memory.

    Args:
        decoder: any of its kind and config, on any device; it is not changed.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        precision: of weights and states.
        graph: `decode_video`, or `decode_video_first` where the decoder has it.

    Raises:
        ValueError: the size is no whole number of latent cells.
    """
    rows, columns = cells(width, height)
    with torch.device("meta"):
        same = type(decoder)(decoder.config)  # type: ignore[arg-type]
        module: DecodeLatent = graphs_of(same.half() if precision == "fp16" else same)[graph]
        latent = torch.zeros(1, module.channels, 1, rows, columns)
        states = module.zeros(rows, columns)
    size = NUMBER_BYTES[precision]
    parameters = sum(parameter.numel() for parameter in same.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter, _Largest() as largest:
        module(latent, *states.values())
    return DecoderCost(
        parameters=parameters,
        weight_bytes=parameters * size,
        state_bytes=sum(math.prod(shape) for shape in module.state_shapes(rows, columns).values()) * size,
        flops=counter.get_total_flops(),
        pictures=module.pictures,
        largest_tensor_bytes=largest.bytes,
    )


class _Largest(TorchDispatchMode):
    """Watches every convolution for the largest tensor that it reads or makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.bytes = max(self.bytes, *(each.numel() * each.element_size() for each in (args[0], made)))
        return made
