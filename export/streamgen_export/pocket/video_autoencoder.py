"""The picture autoencoder: one latent per chunk of four pictures, a decoder that is strictly causal.

The encoder sees its own chunk only. The decoder sees the latents of its chunk and of two before it, through two
carried states of finite reach, so an error in one chunk is forgotten three chunks later and nothing can drift.
Both halves start as the closed-form principal components of patches (16 x 16 pixels x 4 pictures), beside which
learned branches start at zero: training begins where the linear code ends.

The decoder's pictures may be larger than those that the encoder sees (`PocketConfig.upscale`): it learns what edges
and textures of the world look like at full size, and latents cost what the smaller pictures cost.

Shapes: B batch, T chunks. Pictures are float32 [B, 12, H, W] in [-1, 1], the 12 being four RGB pictures in order;
latents float32 [B, Z, H / 16, W / 16] of the pictures that the encoder sees, Z the config's `video_channels`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.config import PocketConfig

CHANNELS = 12  # four pictures of three colours


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, normalised over the picture; the second starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, h, w], same shape out."""
        out: Tensor = x + self.second(F.silu(self.first(F.silu(self.norm(x)))))
        return out


class LocalResidual(nn.Module):
    """Two 3x3 convolutions beside the identity; the second starts at zero.

    Nothing is normalised, so a square of a picture becomes what it is in the whole picture. Convolution and ReLU
    are one operation in ONNX Runtime.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, h, w], same shape out."""
        out: Tensor = x + self.second(F.relu(self.first(x)))
        return out


def residuals(config: PocketConfig, width: int, depth: int) -> nn.Module:
    """`depth` blocks in a row, of the kind that the way of training needs."""
    block = LocalResidual if config.crop else Residual
    return block(width) if depth == 1 else nn.Sequential(*(block(width) for _ in range(depth)))


class VideoEncoder(nn.Module):
    """Pictures of the size that it sees [B, 12, H, W] -> latents [B, Z, H / 16, W / 16]."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.encoder_widths
        edge = config.patch // config.upscale
        self.linear = nn.Conv2d(CHANNELS, config.video_channels, edge, stride=edge)
        self.stem = nn.Conv2d(CHANNELS * 16, fine, 3, padding=1)
        self.fine = residuals(config, fine, 1)
        self.down = nn.Conv2d(fine * 4, middle, 1)
        self.middle = residuals(config, middle, 1)
        self.down_again = nn.Conv2d(middle * 4, coarse, 1)
        self.coarse = residuals(config, coarse, 1)
        self.out = nn.Conv2d(coarse, config.video_channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode; see the class."""
        x = self.fine(self.stem(F.pixel_unshuffle(pictures, 4)))
        x = self.middle(self.down(F.pixel_unshuffle(x, 2)))
        x = self.coarse(self.down_again(F.pixel_unshuffle(x, 2)))
        # Never in bfloat16: on CPUs with AMX, torch 2.13 computes nonsense for wide strides over few channels.
        with torch.autocast(pictures.device.type, enabled=False):
            linear = self.linear(pictures.float())
        latents: Tensor = linear + self.out(F.silu(x))
        return latents


class VideoDecoder(nn.Module):
    """Latents and two carried states -> pictures and the new states."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        z = config.video_channels
        coarse, middle, fine, *finer = config.decoder_widths
        depths = config.decoder_depths
        self.rectify = F.relu if config.crop else F.silu
        self.linear = nn.ConvTranspose2d(z, CHANNELS, config.patch, stride=config.patch)
        self.stem = nn.Conv2d(2 * z, coarse, 3, padding=1)
        self.coarse = residuals(config, coarse, depths[0])
        self.up = nn.Conv2d(coarse, middle * 4, 1)
        self.middle = residuals(config, middle, depths[1])
        self.up_again = nn.Conv2d(middle, fine * 4, 1)
        self.join = nn.Conv2d(2 * fine, fine, 1) if config.crop else nn.Conv2d(2 * fine, fine, 3, padding=1)
        self.fine = residuals(config, fine, depths[2])
        self.ups = nn.ModuleList(
            nn.Conv2d(before, width * 4, 1) for before, width in zip((fine, *finer), finer, strict=False)
        )
        self.finer = nn.ModuleList(
            residuals(config, width, depth) for width, depth in zip(finer, depths[3:], strict=True)
        )
        self.out = nn.Conv2d(finer[-1], CHANNELS * 4, 3, padding=1)
        nn.init.zeros_(self.out.weight)

    def forward(self, latents: Tensor, previous: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """One chunk.

        Args:
            latents: [B, Z, h, w].
            previous: [B, Z, h, w], latents of the chunk before (zeros at the start).
            features: [B, D, 4 h, 4 w], features of the chunk before (zeros at the start), D the width at 1/4.

        Returns:
            pictures [B, 12, P h, P w], P the config's `patch`, nominally in [-1, 1], and the features to carry.
        """
        now = self.ascend(latents, previous)
        return self.paint(latents, now, features), now

    def ascend(self, latents: Tensor, previous: Tensor) -> Tensor:
        """Latents of this chunk and the one before -> features [B, D, 4 h, 4 w]."""
        x = self.coarse(self.stem(torch.cat((latents, previous), dim=1)))
        x = self.middle(F.pixel_shuffle(self.up(x), 2))
        features: Tensor = F.pixel_shuffle(self.up_again(x), 2)
        return features

    def paint(self, latents: Tensor, now: Tensor, before: Tensor) -> Tensor:
        """Features of this chunk and the one before -> pictures."""
        x = self.fine(self.join(torch.cat((now, before), dim=1)))
        for up, blocks in zip(self.ups, self.finer, strict=True):
            x = blocks(F.pixel_shuffle(up(x), 2))
        pictures: Tensor = self.linear(latents) + F.pixel_shuffle(self.out(self.rectify(x)), 2)
        return pictures

    def clips(self, latents: Tensor) -> Tensor:
        """Whole clips [B, T, Z, h, w] -> pictures [B, T, 12, H, W]: the same as one chunk after another."""
        before = torch.cat((torch.zeros_like(latents[:, :1]), latents[:, :-1]), dim=1)
        shape = latents.shape[:2]
        now = self.ascend(latents.flatten(0, 1), before.flatten(0, 1)).unflatten(0, shape)
        last = torch.cat((torch.zeros_like(now[:, :1]), now[:, :-1]), dim=1)
        pictures = self.paint(latents.flatten(0, 1), now.flatten(0, 1), last.flatten(0, 1))
        shaped: Tensor = pictures.unflatten(0, shape)
        return shaped


def principal_components(encoder: VideoEncoder, decoder: VideoDecoder, pictures: Tensor) -> None:
    """Set the linear branches to the principal components of patches, each latent channel of unit variance.

    Args:
        encoder: its `linear` is set.
        decoder: its `linear` is set to the matching reconstruction.
        pictures: [B, 12, H, W] of the size that the encoder sees, a sample of the data (some thousand patches).
    """
    size = encoder.linear.kernel_size[0]
    upscaled = decoder.linear.kernel_size != encoder.linear.kernel_size
    patches = F.unfold(pictures, size, stride=size).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    _, scale, components = torch.pca_lowrank(patches, q=encoder.linear.out_channels, niter=4)
    deviation = scale / (len(patches) - 1) ** 0.5
    basis = components.T.unflatten(1, (-1, size, size))
    spread = deviation[:, None, None, None]
    with torch.no_grad():
        encoder.linear.weight.copy_(basis / spread)
        if encoder.linear.bias is None or decoder.linear.bias is None:
            raise AssertionError("the linear branches have biases")
        encoder.linear.bias.copy_(-(components.T @ mean) / deviation)
        full = F.interpolate(basis, size=decoder.linear.kernel_size, mode="bilinear") if upscaled else basis
        decoder.linear.weight.copy_(full * spread)
        # The mean patch is a picture of one patch's size; a transposed convolution's bias is one number per channel.
        decoder.linear.bias.copy_(mean.unflatten(0, (-1, size * size)).mean(1))


def shrunk(pictures: Tensor, factor: int) -> Tensor:
    """Pictures [B, 12, H, W] at the size that the encoder sees: means of squares of `factor` pixels."""
    return pictures if factor == 1 else F.avg_pool2d(pictures, factor)


def pictures_to_float(rgb: Tensor) -> Tensor:
    """uint8 [..., T * 4, H, W, 3] -> float32 [..., T, 12, H, W] in [-1, 1]."""
    x: Tensor = rgb.unflatten(-4, (-1, 4)).movedim(-1, -3).flatten(-4, -3)
    return x.float() / 127.5 - 1.0


def float_to_pictures(x: Tensor) -> Tensor:
    """float [..., 12, H, W] -> uint8 [..., 4, H, W, 3]."""
    rgb: Tensor = x.unflatten(-3, (4, 3)).movedim(-3, -1)
    return ((rgb.clamp(-1, 1) + 1.0) * 127.5 + 0.5).to(torch.uint8)


def reconstruction_loss(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """L1 of the pictures, of their spatial gradients (half) and of their change from picture to picture (half).

    made, true [B, T, 12, H, W]; weight [B, T, 4, H, W], mean about one.
    """
    w = weight.repeat_interleave(3, dim=2)
    error = made - true
    loss = (error.abs() * w).mean()
    down, right = error.diff(dim=-2).abs(), error.diff(dim=-1).abs()
    loss = loss + 0.5 * ((down * w[..., 1:, :]).mean() + (right * w[..., 1:]).mean())
    pictures: Tensor = error.unflatten(2, (4, 3)).flatten(1, 2)
    change = pictures.diff(dim=1).abs() * weight.flatten(1, 2)[:, 1:, None]
    return loss + 0.5 * change.mean()
