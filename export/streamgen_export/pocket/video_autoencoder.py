"""The picture autoencoder: one latent per chunk of four pictures, a decoder that is strictly causal.

The encoder sees its own chunk only. The decoder sees the latents of its chunk and of two before it, through two
carried states of finite reach, so an error in one chunk is forgotten three chunks later and nothing can drift.
A latent says little about what moves within its chunk, so chunks would follow each other in jumps: `faded` spreads each
jump over the pictures of the later chunk.
Latents are the principal components of patches (16 x 16 pixels x 4 pictures), in closed form: nothing about them has to
be learnt, a place of a picture and its latent cell say the same, and the decoder can train on after the transformer
has. The decoder starts as the same linear code, beside which a learned branch starts at zero; it learns from noisy
latents, because a transformer's are never exact and must still be painted as something whole.

The decoder's pictures may be larger than those that the encoder sees (`PocketConfig.upscale`): it paints those first,
and then, in a last stage of its own, what edges and textures look like at full size.

Shapes: B batch, T chunks. Pictures are float32 [B, 12, H, W] in [-1, 1], the 12 being four RGB pictures in order;
latents float32 [B, Z, H / 16, W / 16] of the pictures that the encoder sees, Z the config's `video_channels`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.pocket.config import PocketConfig

CHANNELS = 12  # four pictures of three colours
INEXACT = 0.08
"""Variance of the error that the linear reconstruction expects in latents, whose own is one on average."""


FADE = (0.66, 0.4, 0.15, 0.0)
"""Share of a jump between chunks by which each picture after it is held back. The last picture is as decoded, so that
nothing adds up; with these, change across joints is as large as change elsewhere."""


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; the second starts at zero.

    Nothing is normalised over the picture, so a square of it becomes what it is in the whole. Convolution and ReLU are
    one operation in ONNX Runtime.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, h, w], same shape out."""
        out: Tensor = x + self.second(F.relu(self.first(levelled(x))))
        return out


def residuals(width: int, depth: int) -> nn.Module:
    """`depth` blocks in a row."""
    return Residual(width) if depth == 1 else nn.Sequential(*(Residual(width) for _ in range(depth)))


def levelled(x: Tensor) -> Tensor:
    """Each point's channels [B, C, h, w] at a mean square of one (Karras et al. 2018, section 4.2).

    It looks at one point only, so a square of a picture becomes what it is in the whole picture; without it the
    branches grow until they are dead.
    """
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-4)


def in_float32(module: nn.Module, x: Tensor) -> Tensor:
    """A patch-wise linear map, never in bfloat16.

    On CPUs with AMX, torch 2.13 computes nonsense for convolutions with wide strides over few channels in that type,
    and so for what flows back through transposed ones.
    """
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = module(x.float())
    return out


def even(module: nn.Module) -> None:
    """Let every convolution but the linear branch and those that start at zero keep the variance of its input.

    By default each would shrink it to a third, and without normalisation nothing would bring it back.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and name != "linear":
            if not name.endswith(("second", "out")):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu" if name.endswith("first") else "linear")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class VideoEncoder(nn.Module):
    """Pictures of the size that it sees [B, 12, H, W] -> latents [B, Z, H / 16, W / 16]: a linear map of patches."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        edge = config.patch // config.upscale
        self.linear = nn.Conv2d(CHANNELS, config.video_channels, edge, stride=edge)

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode; see the class."""
        return in_float32(self.linear, pictures)


class VideoDecoder(nn.Module):
    """Latents and two carried states -> pictures and the new states."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        z = config.video_channels
        coarse, middle, fine, finer, *finest = config.decoder_widths
        depths = config.decoder_depths
        self.edge = config.patch // config.upscale
        # Beyond the edge it goes on as at the edge: with zeros, every picture would get the border that some have.
        self.linear = nn.Conv2d(z, CHANNELS * self.edge**2, 3, padding=1, padding_mode="replicate")
        self.stem = nn.Conv2d(2 * z, coarse, 3, padding=1)
        self.coarse = residuals(coarse, depths[0])
        self.up = nn.Conv2d(coarse, middle * 4, 1)
        self.middle = residuals(middle, depths[1])
        self.up_again = nn.Conv2d(middle, fine * 4, 1)
        self.join = nn.Conv2d(2 * fine, fine, 1)
        self.fine = residuals(fine, depths[2])
        self.up_finer = nn.Conv2d(fine, finer * 4, 1)
        self.finer = residuals(finer, depths[3])
        self.out = nn.Conv2d(finer, CHANNELS * 4, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        self.enlarger = Enlarger(finer, finest[0], depths[4]) if finest else None
        even(self)

    def take_over(self, other: VideoDecoder) -> None:
        """Become another decoder in all but the last stage; the own one, if any, stays as it is."""
        own = {name: value for name, value in self.state_dict().items() if name.startswith("enlarger.")}
        taken = {name: value for name, value in other.state_dict().items() if not name.startswith("enlarger.")}
        self.load_state_dict({**taken, **own})

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
        small, x = self.sketch(latents, now, before)
        if self.enlarger is None:
            return small
        enlarged: Tensor = self.enlarger(small, x)
        return enlarged

    def sketch(self, latents: Tensor, now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures at the size that the encoder sees, and the features from which they were painted."""
        x = self.fine(self.join(torch.cat((now, before), dim=1)))
        x = self.finer(F.pixel_shuffle(self.up_finer(x), 2))
        learnt = F.pixel_shuffle(self.out(F.leaky_relu(levelled(x), 0.2)), 2)
        return self.reconstructed(latents) + learnt, x

    def reconstructed(self, latents: Tensor) -> Tensor:
        """The linear code alone: each patch from its cell and the eight around it, so that patches meet."""
        pictures: Tensor = F.pixel_shuffle(self.linear(latents), self.edge)
        return pictures

    def sketches(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """`sketch` of whole clips [B, T, Z, h, w]: pictures and features of B * T chunks."""
        before = torch.cat((torch.zeros_like(latents[:, :1]), latents[:, :-1]), dim=1)
        now = self.ascend(latents.flatten(0, 1), before.flatten(0, 1)).unflatten(0, latents.shape[:2])
        last = torch.cat((torch.zeros_like(now[:, :1]), now[:, :-1]), dim=1)
        return self.sketch(latents.flatten(0, 1), now.flatten(0, 1), last.flatten(0, 1))

    def clips(self, latents: Tensor) -> Tensor:
        """Whole clips [B, T, Z, h, w] -> pictures [B, T, 12, H, W]: the same as one chunk after another."""
        small, x = self.sketches(latents)
        pictures: Tensor = (small if self.enlarger is None else self.enlarger(small, x)).unflatten(0, latents.shape[:2])
        return pictures


class Enlarger(nn.Module):
    """The last stage of a decoder: pictures at twice the size, and what was too fine to be seen before."""

    def __init__(self, before: int, width: int, depth: int) -> None:
        super().__init__()
        self.up = nn.Conv2d(before, width * 4, 1)
        self.blocks = residuals(width, depth)
        self.out = nn.Conv2d(width, CHANNELS * 4, 3, padding=1)
        nn.init.zeros_(self.out.weight)

    def forward(self, small: Tensor, features: Tensor) -> Tensor:
        """Pictures [B, 12, H, W] and features [B, D, H / 2, W / 2] -> pictures [B, 12, 2 H, 2 W]."""
        x = self.blocks(F.pixel_shuffle(self.up(features), 2))
        learnt = F.pixel_shuffle(self.out(F.leaky_relu(levelled(x), 0.2)), 2)
        return F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False) + learnt


def faded(pictures: Tensor, last: Tensor, begun: Tensor) -> Tensor:
    """Spread the jump from the chunk before over the pictures of this one.

    Args:
        pictures: [1, 12, H, W] as decoded.
        last: [1, 3, H, W], the last picture of the chunk before.
        begun: [1], 1, or 0 where there is no chunk before.
    """
    each = pictures.unflatten(1, (4, 3))
    share = torch.tensor(FADE, device=pictures.device)[:, None, None, None] * begun
    out: Tensor = (each + share * (last[:, None] - each[:, :1])).flatten(1, 2)
    return out


def principal_components(encoder: VideoEncoder, pictures: Tensor) -> None:
    """Set the encoder to the principal components of patches, each channel as loud as it matters.

    A component of variance v becomes a channel of a variance in proportion to its square root, one on average. Of all
    scales that have the same power, these lose least when the same noise is added to every channel, and what a model
    of flows does not know is such noise; with unit variance everywhere an error of half the noise costs four decibels
    more (bench/judge/scales.json).

    Args:
        encoder: is set.
        pictures: [B, 12, H, W] of the size that the encoder sees, a sample of the data (some ten thousand patches).
    """
    size = encoder.linear.kernel_size[0]
    patches = F.unfold(pictures, size, stride=size).transpose(1, 2).flatten(0, 1)
    _, scale, components = torch.pca_lowrank(patches, q=encoder.linear.out_channels, niter=4)
    deviation = scale / (len(patches) - 1) ** 0.5
    gain = loudness(deviation) / deviation
    basis = components.T.unflatten(1, (-1, size, size)) * gain[:, None, None, None]
    bias = -(components.T @ patches.mean(0)) * gain
    encoder.linear.load_state_dict({"weight": basis, "bias": bias})


def loudness(deviation: Tensor) -> Tensor:
    """The standard deviation that each channel gets, from those of the principal components."""
    return (deviation / deviation.mean()).sqrt()


def least_squares(encoder: VideoEncoder, decoder: VideoDecoder, pictures: Iterable[Tensor]) -> None:
    """Set the decoder's linear branch to the best linear reconstruction of whole pictures from their latents.

    Args:
        encoder: makes the latents.
        decoder: its `linear` is set.
        pictures: some of [B, 12, H, W] at the size that the encoder sees, together a sample of the data.
    """
    size, reach = decoder.edge, decoder.linear.kernel_size[0]
    moments: Tensor | float = 0.0
    products: Tensor | float = 0.0
    cells = 0
    with torch.no_grad():
        for some in pictures:
            patches = F.unfold(some, size, stride=size).transpose(1, 2).flatten(0, 1)
            latents = F.pad(encoder(some), [reach // 2] * 4, mode="replicate")
            around = F.pad(F.unfold(latents, reach).transpose(1, 2).flatten(0, 1), (0, 1), value=1.0)
            moments, products, cells = moments + around.T @ around, products + around.T @ patches, cells + len(patches)
        assert isinstance(moments, Tensor)
        # As if the latents were that inexact: those of the transformer are.
        loading = torch.full_like(moments[0], INEXACT * cells)
        loading[-1] = 0.0
        solution = torch.linalg.solve(moments + torch.diag(loading), products)
    weight, bias = solution[:-1].T, solution[-1]
    decoder.linear.load_state_dict({"weight": weight.unflatten(1, (-1, reach, reach)), "bias": bias})


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
