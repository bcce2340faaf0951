"""The decoder of Wan 2.1's autoencoder, one definition for whole clips and for streams.

Every convolution over time is causal: it needs two pictures before those that it computes. Where they come from is the
caller's (`Past`): zeros before a whole clip, the carried states in a stream (`vae_streaming`). The first latent of a
stream stands for one picture and every other one for four, so the two convolutions that double the number of pictures
leave the first one out, and begin with zeros at the second.

Source: Wan, arXiv 2503.20314, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamgen_export.wan.vae_config import CARRIED_PICTURES, WAN_VAE, Stage, VaeConfig

SHORTEST = 1e-12
"""Length below which a vector is not normalised any further."""


class Past(Protocol):
    """Where causal layers find the pictures before."""

    def before(self, x: Tensor) -> Tensor:
        """Pictures [1, C, T, H, W] with two more in front: [1, C, T + 2, H, W]."""
        ...

    def doubled(self, x: Tensor, double: Callable[[Tensor], Tensor]) -> Tensor:
        """Pictures [1, C, T, H, W], of which each but a stream's first one becomes two.

        `double` takes pictures with two more in front.
        """
        ...


class WholeClip:
    """`Past` of a clip from its beginning: zeros."""

    def before(self, x: Tensor) -> Tensor:
        """See `Past`."""
        return F.pad(x, (0, 0, 0, 0, CARRIED_PICTURES, 0))

    def doubled(self, x: Tensor, double: Callable[[Tensor], Tensor]) -> Tensor:
        """See `Past`."""
        if x.shape[2] == 1:
            return x
        return torch.cat((x[:, :, :1], double(self.before(x[:, :, 1:]))), dim=2)


class Norm(nn.Module):
    """Channels of each point brought to a root mean square of one, times a gain; in float32, whatever comes in.

    Args:
        channels: of axis 1.
        axes: how many follow them.
    """

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * axes))
        self.scale = channels**0.5

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> float32 [B, C, ...]."""
        wide = x.float()
        length = (wide * wide).sum(dim=1, keepdim=True).sqrt().clamp_min(SHORTEST)
        normal: Tensor = wide / length * (self.gamma.float() * self.scale)
        return normal


def causal(inner: int, width: int) -> nn.Conv3d:
    """3x3 pixels of three pictures; `Past` brings the two before."""
    return nn.Conv3d(inner, width, 3, padding=(0, 1, 1))


class Residual(nn.Module):
    """Two normalised, activated causal convolutions beside a shortcut."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = Norm(inner, 3), causal(inner, width)
        self.norm2, self.conv2 = Norm(width, 3), causal(width, width)
        self.shortcut = nn.Conv3d(inner, width, 1) if inner != width else nn.Identity()

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, C, T, H, W] -> [1, C', T, H, W]."""
        made = self.conv1(past.before(activated(self.norm1, x)))
        made = self.conv2(past.before(activated(self.norm2, made)))
        out: Tensor = made + self.shortcut(x)
        return out


class Attention(nn.Module):
    """Every point of a picture attends to all points of the same picture; one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[1, C, T, H, W] -> the same."""
        each = pictures_first(x)
        mixed = self.to_qkv(self.norm(each).to(x.dtype))
        query, key, value = (part.flatten(2).transpose(1, 2)[:, None] for part in mixed.chunk(3, dim=1))
        seen = F.scaled_dot_product_attention(query, key, value)[:, 0]
        made = self.proj(seen.transpose(1, 2).reshape(each.shape))
        return x + channels_first(made)


class Growth(nn.Module):
    """Twice the pictures, where the stage says so, and pictures of twice the size with half the channels."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.time = nn.Conv3d(stage.width, 2 * stage.width, (3, 1, 1)) if stage.doubles_time else None
        self.space = nn.Conv2d(stage.width, stage.width // 2, 3, padding=1)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, C, T, H, W] -> [1, C / 2, T or 2 T, 2 H, 2 W]."""
        if self.time is not None:
            x = past.doubled(x, self.twice)
        large = F.interpolate(pictures_first(x), scale_factor=2.0, mode="nearest")
        return channels_first(self.space(large))

    def twice(self, x: Tensor) -> Tensor:
        """[1, C, T + 2, H, W] -> [1, C, 2 T, H, W]: half of the channels made are the earlier picture of each two."""
        assert self.time is not None
        made: Tensor = self.time(x)
        twice: Tensor = made.unflatten(1, (2, -1)).movedim(1, 3).flatten(2, 3)
        return twice


class Level(nn.Module):
    """A stage's blocks and its growth."""

    def __init__(self, stage: Stage, blocks: int) -> None:
        super().__init__()
        widths = [stage.inner, *(stage.width,) * blocks]
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.growth = Growth(stage) if stage.doubles_space else None

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, C, T, H, W] -> what the next level reads."""
        for block in self.blocks:
            x = block(x, past)
        return x if self.growth is None else self.growth(x, past)


class WanDecoder(nn.Module):
    """Latents, as the autoencoder has them, to pictures."""

    def __init__(self, config: VaeConfig = WAN_VAE) -> None:
        super().__init__()
        self.config = config
        stages = config.stages
        wide = stages[0].inner
        self.entry = nn.Conv3d(config.channels, config.channels, 1)
        self.conv_in = causal(config.channels, wide)
        self.middle = nn.ModuleList((Residual(wide, wide), Residual(wide, wide)))
        self.attention = Attention(wide)
        self.levels = nn.ModuleList(Level(stage, config.blocks) for stage in stages)
        self.norm_out = Norm(stages[-1].width, 3)
        self.conv_out = causal(stages[-1].width, 3)

    def forward(self, latents: Tensor, past: Past) -> Tensor:
        """Latents [1, Z, T, h, w], not normalised -> pictures [1, 3, P, 8 h, 8 w], nominally in [-1, 1]."""
        x = self.conv_in(past.before(self.entry(latents)))
        x = self.middle[1](self.attention(self.middle[0](x, past)), past)
        for level in self.levels:
            x = level(x, past)
        out: Tensor = self.conv_out(past.before(activated(self.norm_out, x)))
        return out

    def clip(self, latents: Tensor) -> Tensor:
        """A whole clip of T latents [1, Z, T, h, w] at once -> pictures [1, 3, 4 T - 3, 8 h, 8 w]."""
        pictures: Tensor = self(latents, WholeClip())
        return pictures


def activated(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalised, through SiLU, both in float32; in the type of `x`."""
    return F.silu(norm(x)).to(x.dtype)


def pictures_first(x: Tensor) -> Tensor:
    """[1, C, T, H, W] -> [T, C, H, W]."""
    return x[0].transpose(0, 1)


def channels_first(x: Tensor) -> Tensor:
    """[T, C, H, W] -> [1, C, T, H, W]."""
    return x.transpose(0, 1)[None]
