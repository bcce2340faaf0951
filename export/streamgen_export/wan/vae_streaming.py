"""Decoding latent by latent, with everything that is carried an input and an output.

The states of Wan's decoder are the last two pictures that each causal convolution saw. They start at zero, and that is
exact: the reference pads with zeros where it has nothing yet. The first latent of a stream goes through `first`, which
makes one picture and leaves the two convolutions that double the number of pictures alone; their states stay zero, so
that the second latent finds zeros there, as in the reference, which marks these two as skipped and pads at the second
latent. (Self-Forcing's own TensorRT wrapper pads there at every latent, which never matches.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from streamgen_engines.manifest import State
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import CARRIED_PICTURES, PICTURES_PER_LATENT, PIXELS_PER_CELL

Halves = Literal["fp32", "fp16"]
FIRST, STEADY = "decode_video_first", "decode_video"
"""Names of the graphs."""


class Carried:
    """`vae.Past` of a stream: hands each convolution its state, and keeps what it leaves.

    Args:
        states: in the order of the convolutions.
        first: this is the first latent, so that nothing doubles.
    """

    def __init__(self, states: Sequence[Tensor], *, first: bool) -> None:
        self._rest: Iterator[Tensor] = iter(states)
        self._first = first
        self.left: list[Tensor] = []

    def before(self, x: Tensor) -> Tensor:
        """See `vae.Past`."""
        joined = torch.cat((next(self._rest), x), dim=2)
        self.left.append(joined[:, :, -CARRIED_PICTURES:])
        return joined

    def doubled(self, x: Tensor, double: Callable[[Tensor], Tensor]) -> Tensor:
        """See `vae.Past`."""
        if not self._first:
            return double(self.before(x))
        self.left.append(next(self._rest).clone())
        return x


class DecodeLatent(nn.Module, ABC):
    """One graph: a latent and the states to pictures and the new states."""

    pictures: int
    """How many one call makes."""
    channels: int
    """Of a latent."""

    @abstractmethod
    def decoded(self, latent: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """A latent float32 [1, Z, 1, h, w], normalised, and the states.

        Returns:
            pictures float32 [T, 3, 8 h, 8 w], nominally in [0, 1], and the new states.
        """

    @abstractmethod
    def state_shapes(self, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the states for a latent of that size, in the order of `forward`."""

    @property
    def precision(self) -> Halves:
        """What weights, states and all but the norms are."""
        return "fp16" if next(self.parameters()).dtype == torch.float16 else "fp32"

    def forward(self, latent: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """latent float32 [1, Z, 1, h, w] -> frames uint8 [T, 8 h, 8 w, 3] and the new states."""
        pictures, left = self.decoded(latent, states)
        return (as_bytes(pictures), *left)

    def manifest_states(self, rows: int, columns: int) -> tuple[State, ...]:
        """The states as a manifest has them: the one source of their names, shapes and type."""
        kind: Literal["float16", "float32"] = "float16" if self.precision == "fp16" else "float32"
        shapes = self.state_shapes(rows, columns)
        return tuple(State(name=name, shape=shape, dtype=kind) for name, shape in shapes.items())

    def zeros(self, rows: int, columns: int) -> dict[str, Tensor]:
        """The states before the first latent."""
        dtype = next(self.parameters()).dtype
        return {name: torch.zeros(shape, dtype=dtype) for name, shape in self.state_shapes(rows, columns).items()}


class DecodeWan(DecodeLatent):
    """`decode_video_first` and `decode_video` of Wan's decoder.

    Args:
        decoder: in float32, or in float16: then all but the norms and the scaling of latents is.
        first: the graph for the first latent of a stream.
    """

    def __init__(self, decoder: WanDecoder, *, first: bool) -> None:
        super().__init__()
        self.decoder, self.first = decoder, first
        self.pictures = 1 if first else PICTURES_PER_LATENT
        self.channels = decoder.config.channels
        for name, numbers in (("mean", decoder.config.latent_mean), ("std", decoder.config.latent_std)):
            self.register_buffer(name, torch.tensor(numbers).reshape(1, -1, 1, 1, 1))

    def decoded(self, latent: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See `DecodeLatent`."""
        own = latent * self.get_buffer("std") + self.get_buffer("mean")
        carried = Carried(states, first=self.first)
        pictures = self.decoder(own.to(states[0].dtype), carried)
        return pictures[0].transpose(0, 1).float() * 0.5 + 0.5, carried.left

    def state_shapes(self, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
        """See `DecodeLatent`."""
        return self.decoder.config.carried_shapes(rows, columns)


class LatentStream:
    """A stream in torch: the reference for graphs, and what measures are taken on.

    Args:
        graphs: by name, `decode_video` and, where the decoder has one, `decode_video_first`.
    """

    def __init__(self, graphs: dict[str, DecodeLatent]) -> None:
        self._graphs = graphs
        self.states: list[Tensor] = []
        """What is carried; nothing before the first latent."""

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """latent float32 [1, Z, 1, h, w] -> float32 [T, 3, 8 h, 8 w], nominally in [0, 1]."""
        steady = self._graphs[STEADY]
        graph = steady if self.states else self._graphs.get(FIRST, steady)
        carried = self.states or list(steady.zeros(*latent.shape[-2:]).values())
        pictures, self.states = graph.decoded(latent, carried)
        return pictures


def as_bytes(pictures: Tensor) -> Tensor:
    """float32 [T, 3, H, W] in [0, 1] -> uint8 [T, H, W, 3], each value the nearest byte (halves go up).

    Wan's own tool cuts off what is behind the point, which makes pictures half a step darker.
    """
    return (pictures.clamp(0.0, 1.0) * 255.0 + 0.5).permute(0, 2, 3, 1).to(torch.uint8)


def cells(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the latent of pictures of that size in pixels.

    Raises:
        ValueError: the size is no whole number of cells.
    """
    if width < 1 or height < 1 or width % PIXELS_PER_CELL or height % PIXELS_PER_CELL:
        raise ValueError(f"{width}x{height}: width and height must be multiples of {PIXELS_PER_CELL} pixels")
    return height // PIXELS_PER_CELL, width // PIXELS_PER_CELL
