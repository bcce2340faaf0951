"""TAEHV's decoder for Wan 2.1's latents (`taew2_1`): small convolutions that remember one picture each.

It takes the transformer's latents as they are, without mean and deviation, and makes four pictures of each. What it
makes of the first latent of a stream begins with three that it has no past for: its own recipe leaves them out
(`LEAD`), so that one picture stands for the first latent, as with Wan's decoder.

Source: github.com/madebyollin/taehv (MIT), whose weights these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamgen_export.wan.vae_config import PICTURES_PER_LATENT, PIXELS_PER_CELL
from streamgen_export.wan.vae_streaming import DecodeLatent

LEAD: Final = PICTURES_PER_LATENT - 1
"""Pictures of a stream's first latent that are not shown."""
SOFT_LIMIT: Final = 3.0
"""Latents are bent smoothly to stay below this."""


@dataclass(frozen=True)
class TaehvConfig:
    """Sizes of the decoder, by default those of the published weights (9.84 million parameters)."""

    channels: int = 16
    """Of a latent."""
    widths: tuple[int, ...] = (256, 128, 64, 64)
    """From the latent's size to that of the pictures, each twice as large as the one before."""
    memories: int = 3
    """Blocks with memory at each size but the last."""
    repeats: tuple[int, ...] = (1, 2, 2)
    """Pictures that one becomes when the size doubles."""

    def __post_init__(self) -> None:
        product = 1
        for repeat in self.repeats:
            product *= repeat
        if len(self.repeats) != len(self.widths) - 1 or 2 ** len(self.repeats) != PIXELS_PER_CELL:
            raise ValueError(f"{len(self.widths)} widths do not make pictures of {PIXELS_PER_CELL} times the size")
        if product != PICTURES_PER_LATENT:
            raise ValueError(f"{self.repeats} does not make {PICTURES_PER_LATENT} pictures of a latent")

    def memory_shapes(self, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the states for latents of that size: the last picture that each block saw."""
        sizes = [(width, 2**place) for place, width in enumerate(self.widths[:-1]) for _ in range(self.memories)]
        return {
            f"memory_{place}": (1, width, scale * rows, scale * columns) for place, (width, scale) in enumerate(sizes)
        }


TAEW2_1: Final = TaehvConfig()


class Memory(nn.Module):
    """Three convolutions over a picture and the one before it, beside the picture itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            around(2 * width, width), nn.ReLU(), around(width, width), nn.ReLU(), around(width, width)
        )

    def forward(self, x: Tensor, last: Tensor) -> Tensor:
        """Pictures [T, C, H, W] and the one before them [1, C, H, W] -> [T, C, H, W]."""
        before = torch.cat((last, x), dim=0)[:-1]
        return F.relu(self.conv(torch.cat((x, before), dim=1)) + x)


class Growth(nn.Module):
    """Pictures of twice the size, and `repeat` times as many."""

    def __init__(self, inner: int, width: int, repeat: int) -> None:
        super().__init__()
        self.repeat = repeat
        self.time = nn.Conv2d(inner, inner * repeat, 1, bias=False)
        self.space = around(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[T, C, H, W] -> [T * repeat, C', 2 H, 2 W]."""
        # A 1x1 convolution of a picture that is only repeated in space can as well be done before.
        more = self.time(x).unflatten(1, (self.repeat, -1)).flatten(0, 1)
        made: Tensor = self.space(F.interpolate(more, scale_factor=2.0, mode="nearest"))
        return made


class TaehvDecoder(nn.Module):
    """Latents, as the transformer makes them, to pictures."""

    def __init__(self, config: TaehvConfig = TAEW2_1) -> None:
        super().__init__()
        self.config = config
        self.entry = around(config.channels, config.widths[0])
        self.memories = nn.ModuleList(Memory(width) for width in config.widths[:-1] for _ in range(config.memories))
        self.growths = nn.ModuleList(
            Growth(inner, width, repeat)
            for inner, width, repeat in zip(config.widths, config.widths[1:], config.repeats, strict=False)
        )
        self.exit = around(config.widths[-1], 3)

    def forward(self, latents: Tensor, memories: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Successive latents float32 [T, Z, h, w] and what each block saw last.

        Returns:
            pictures [4 T, 3, 8 h, 8 w], nominally in [0, 1], and what each block saw last now.
        """
        bent = torch.tanh(latents / SOFT_LIMIT) * SOFT_LIMIT
        x = F.relu(self.entry(bent.to(memories[0].dtype)))
        left: list[Tensor] = []
        for place, growth in enumerate(self.growths):
            for block in range(place * self.config.memories, (place + 1) * self.config.memories):
                left.append(x[-1:])
                x = self.memories[block](x, memories[block])
            x = growth(x)
        return self.exit(F.relu(x)), left


class DecodeTaehv(DecodeLatent):
    """`decode_video` of TAEHV's decoder; there is no graph for the first latent, see `LEAD`.

    Args:
        decoder: in float32, or in float16.
    """

    pictures = PICTURES_PER_LATENT

    def __init__(self, decoder: TaehvDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.channels = decoder.config.channels

    def decoded(self, latent: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """See `DecodeLatent`."""
        pictures, left = self.decoder(latent[:, :, 0], states)
        return pictures.float(), left

    def state_shapes(self, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
        """See `DecodeLatent`."""
        return self.decoder.config.memory_shapes(rows, columns)


def around(inner: int, width: int, *, bias: bool = True) -> nn.Conv2d:
    """A convolution over 3x3 pixels."""
    return nn.Conv2d(inner, width, 3, padding=1, bias=bias)
