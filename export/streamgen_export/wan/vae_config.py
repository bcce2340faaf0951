"""Sizes of the decoder of Wan 2.1's autoencoder, and what it carries from latent to latent.

Source: Wan, arXiv 2503.20314, section 4.1 (Wan-VAE and its feature cache); numbers and order are those of the published
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PICTURES_PER_LATENT: Final = 4
PIXELS_PER_CELL: Final = 8
CARRIED_PICTURES: Final = 2
"""A convolution over three pictures looks back on two."""
LATENT_MEAN: Final = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
LATENT_STD: Final = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)
"""The transformer's latents are the autoencoder's less the mean, over the deviation, channel by channel."""


@dataclass(frozen=True)
class Stage:
    """Residual blocks at one size of picture, and how it grows after them.

    Attributes:
        inner: channels that come in.
        width: channels of the blocks.
        scale: rows and columns for each row and column of the latent.
        doubles_space: an upsampling to twice the size, and half the channels, ends it.
        doubles_time: every picture becomes two before that.
    """

    inner: int
    width: int
    scale: int
    doubles_space: bool
    doubles_time: bool


@dataclass(frozen=True)
class VaeConfig:
    """Sizes of the decoder, by default those of the published weights (73.3 million parameters)."""

    base: int = 96
    """Channels at full size."""
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    """Of these channels, from full size down to the latent's."""
    blocks: int = 3
    """Residual blocks of each stage."""
    doubles_time: tuple[bool, ...] = (True, True, False)
    """Of the stages that an upsampling ends, from the latent's size on."""
    latent_mean: tuple[float, ...] = LATENT_MEAN
    latent_std: tuple[float, ...] = LATENT_STD

    def __post_init__(self) -> None:
        if len(self.latent_mean) != len(self.latent_std):
            raise ValueError(f"{len(self.latent_mean)} means and {len(self.latent_std)} deviations of latents")
        if 2 ** (len(self.multipliers) - 1) != PIXELS_PER_CELL or 2 ** sum(self.doubles_time) != PICTURES_PER_LATENT:
            raise ValueError(f"a latent must become {PICTURES_PER_LATENT} pictures of {PIXELS_PER_CELL} times its size")
        if len(self.doubles_time) != len(self.multipliers) - 1 or self.base % 2:
            raise ValueError(f"{self.base} channels and {len(self.multipliers)} stages do not divide")

    @property
    def channels(self) -> int:
        """Of a latent."""
        return len(self.latent_mean)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """From the latent's size to that of the pictures."""
        widths = [self.base * multiplier for multiplier in reversed(self.multipliers)]
        inner = [widths[0], *(width // 2 for width in widths[:-1])]
        grows = [True] * (len(widths) - 1) + [False]
        doubles = [*self.doubles_time, False]
        return tuple(
            Stage(inner[place], width, 2**place, grows[place], doubles[place]) for place, width in enumerate(widths)
        )

    def carried_shapes(self, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the states for latents of `rows` and `columns`, in the order of the convolutions.

        Each is [1, C, 2, H, W]: the last two pictures that one convolution saw. There are 32 in the published model.
        """
        return {
            f"carried_{place}": (1, width, CARRIED_PICTURES, scale * rows, scale * columns)
            for place, (width, scale) in enumerate(self._convolutions())
        }

    def _convolutions(self) -> Iterator[tuple[int, int]]:
        """Channels that each convolution over three pictures reads, and the scale at which it does."""
        stages = self.stages
        yield self.channels, 1
        yield from [(stages[0].inner, 1)] * 4  # two residual blocks around the attention
        for stage in stages:
            yield stage.inner, stage.scale
            yield from [(stage.width, stage.scale)] * (2 * self.blocks - 1)
            if stage.doubles_time:
                yield stage.width, stage.scale
        yield stages[-1].width, stages[-1].scale


WAN_VAE: Final = VaeConfig()
