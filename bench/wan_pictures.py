"""Latents of Wan to pictures and planes in torch, with random weights: both decoders, a latent at a time."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.roofline import Work
from bench.wan_torch import PEAKS, Precision, Way, recorded
from streamgen_engines.planes.graph import CHROMA_ZERO, LUMA_BLACK, LUMA_RANGE, colour_matrix, products
from streamgen_engines.planes.resampling import plane_filters
from streamgen_export.wan.taehv import TAEW2_1, TaehvConfig, TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import PICTURES_PER_LATENT, WAN_VAE, VaeConfig
from streamgen_export.wan.vae_cost import decoder_cost
from streamgen_export.wan.vae_graphs import graphs_of
from streamgen_export.wan.vae_streaming import FIRST, STEADY

DecoderName = Literal["taehv", "wan"]
DECODERS: Final[tuple[DecoderName, ...]] = ("taehv", "wan")
TINY_CONFIGS: Final = {"wan": VaeConfig(base=8), "taehv": TaehvConfig(widths=(32, 16, 8, 8))}
"""All layers and few channels, for a rehearsal."""
Decoder = WanDecoder | TaehvDecoder


def build(name: DecoderName, precision: Precision, device: torch.device, *, tiny: bool) -> Decoder:
    """A decoder with torch's own random weights."""
    torch.manual_seed(0)
    with torch.device(device):
        made: Decoder
        if name == "wan":
            made = WanDecoder(cast(VaeConfig, TINY_CONFIGS[name]) if tiny else WAN_VAE)
        else:
            made = TaehvDecoder(cast(TaehvConfig, TINY_CONFIGS[name]) if tiny else TAEW2_1)
    made.eval().requires_grad_(False)
    if precision == "fp32":
        return made
    return made.half() if precision == "fp16" else made.bfloat16()


def work_of(decoder: Decoder, width: int, height: int, precision: Precision, *, first: bool = False) -> Work:
    """Of one latent, with its pictures as RGB."""
    graph = FIRST if first and isinstance(decoder, WanDecoder) else STEADY
    cost = decoder_cost(decoder, width, height, "fp32" if precision == "fp32" else "fp16", graph)
    moved = cost.weight_bytes + 2 * cost.state_bytes + cost.pictures * width * height * 3
    return Work({PEAKS[precision]: cost.flops}, moved)


class Decoding:
    """A stream of latents through a decoder.

    Args:
        decoder: on the device.
        width, height: of the pictures, in pixels.
        device: where.
        way: `eager`, or `compiled` with torch.compile and, on a GPU, played as a CUDA graph.
        backend: of torch.compile.
    """

    def __init__(
        self,
        decoder: Decoder,
        width: int,
        height: int,
        device: torch.device,
        way: Way,
        backend: str = "inductor",
    ) -> None:
        rows, columns = height // 8, width // 8
        graphs = graphs_of(decoder)
        self._latent = torch.zeros(1, 16, 1, rows, columns, device=device)
        steady = graphs[STEADY].to(device)
        self._states = [each.to(device) for each in steady.zeros(rows, columns).values()]
        self._first_graph = graphs.get(FIRST, steady).to(device)
        forward: Callable[..., tuple[Tensor, ...]] = steady
        if way == "compiled":
            forward = torch.compile(steady, backend=backend, dynamic=False)

        def run() -> Tensor:
            frames, *left = forward(self._latent, *self._states)
            for state, new in zip(self._states, left, strict=True):
                state.copy_(new)
            return frames

        self._run, self._way, self._device = run, way, device
        self._play: Callable[[], Tensor] | None = None

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """latent [1, Z, 1, h, w] -> frames uint8 [4, 8 h, 8 w, 3]."""
        self._latent.copy_(latent)
        if self._way == "eager":
            return self._run()
        if self._play is None:
            self._play = recorded(self._run, self._device)
        return self._play()

    @torch.no_grad()
    def first(self, latent: Tensor) -> Tensor:
        """The first latent of a stream, in the eager way: frames uint8 [1 or 4, 8 h, 8 w, 3]."""
        for state in self._states:
            state.zero_()
        frames, *left = self._first_graph(latent, *self._states)
        for state, new in zip(self._states, left, strict=True):
            state.copy_(new)
        return cast(Tensor, frames)


class Planes(nn.Module):
    """RGB pictures to I420 planes of several sizes, by the filters that graphs have (`streamgen_engines.planes`).

    Args:
        source: (width, height) of the pictures.
        sizes: (width, height) of each set of planes.
        kind: of the products.
    """

    def __init__(self, source: tuple[int, int], sizes: Sequence[tuple[int, int]], kind: torch.dtype) -> None:
        super().__init__()
        self._kind, self._count = kind, len(sizes)
        self.register_buffer("matrix", _constant(colour_matrix(), torch.float32)[:, :, None, None])
        self.register_buffer("middle", torch.tensor([-LUMA_RANGE / 2, 0.0, 0.0]))
        for place, size in enumerate(sizes):
            found = plane_filters(source, size)
            each = (found.luma_rows, found.luma_columns.T, found.chroma_rows, found.chroma_columns.T)
            for part, matrix in enumerate(each):
                self.register_buffer(f"filter_{place}_{part}", _constant(matrix, kind))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """frames uint8 [T, H, W, 3] -> uint8 [T, 3/2 h, w] of each size."""
        yuv = F.conv2d(frames.permute(0, 3, 1, 2).float(), self.get_buffer("matrix"), self.get_buffer("middle")).to(
            self._kind
        )
        made = []
        for place in range(self._count):
            filters = [self.get_buffer(f"filter_{place}_{part}") for part in range(4)]
            luma_rows, luma_columns, chroma_rows, chroma_columns = filters
            luma = (luma_rows @ yuv[:, :1] @ luma_columns).float() + (LUMA_BLACK + LUMA_RANGE / 2 + 0.5)
            chroma = (chroma_rows @ yuv[:, 1:] @ chroma_columns).float() + (CHROMA_ZERO + 0.5)
            flat = torch.cat((luma.flatten(1), chroma.flatten(1)), dim=1).floor().clamp(0, 255).to(torch.uint8)
            high, wide = luma.shape[-2:]
            made.append(flat.reshape(-1, high * 3 // 2, wide))
        return made


def planes_work(source: tuple[int, int], sizes: Sequence[tuple[int, int]], kind: str) -> Work:
    """Of the pictures of one latent."""
    flops = sum(products(source, size) for size in sizes)
    moved = source[0] * source[1] * 3 + sum(width * height * 3 // 2 for width, height in sizes)
    return Work({kind: flops}, moved) * PICTURES_PER_LATENT


def _constant(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]], kind: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix)).to(kind)
