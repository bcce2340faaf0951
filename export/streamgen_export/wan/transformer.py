"""The causal transformer of Wan 2.1, with the names of tensors under which its weights are published.

Wan Team 2025 ("Wan: Open and Advanced Large-Scale Video Generative Models"), section 4.2: patches of 1x2x2 latent
cells, blocks of self-attention, cross-attention to the text and a feed-forward network, the first and the last
modulated by the noise level (adaLN with one projection for all blocks and a bias per block). Queries and keys are
RMS-normalised over the full width, before they are split into heads. Causal by chunks: Yin et al. 2024 (CausVid),
section 4.1.

How tokens attend to one another is given from outside, so that the same blocks serve a ring and a plain reference.

Shapes: C width, H heads, D width of a head, L layers, N tokens, T latent frames, G noise levels (one for all tokens, or
one for each latent frame).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.wan.config import PATCH, WanConfig

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, query, key, value), each [1, H, N, D], not turned -> [1, H, N, D]."""
Prompt = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of the text for each layer, each [1, H, text tokens, D]."""


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of neighbouring channels. x [..., N, D]; cos, sin [N, D / 2]."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, computed in the type of the values; bias [1, 1, N, keys]."""
    kind = value.dtype
    mask = None if bias is None else bias.to(kind)
    return F.scaled_dot_product_attention(query.to(kind), key.to(kind), value, attn_mask=mask)


def held(kind: torch.dtype) -> torch.dtype:
    """The type of keys and values, and so of attention, of linears of a type.

    Beside linears in bfloat16 they are float16: hosts have no bfloat16 (neither numpy nor the edges of ONNX Runtime).
    Keys are normalised, and gain three bits by it. A value beyond 65504 would not fit; nothing here bounds values.
    """
    return torch.float16 if kind == torch.bfloat16 else kind


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """A linear layer, or several in a row, in the type of their weights."""
    out: Tensor = layer(x.to(next(layer.parameters()).dtype))
    return out


class Norm(nn.Module):
    """RMS normalisation of the last axis with a gain (Zhang and Sennrich 2019), in float32."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape ending in the width -> the same, float32."""
        return F.rms_norm(x.float(), x.shape[-1:], eps=self.epsilon) * self.weight


class Attention(nn.Module):
    """The linears of one attention; the same for tokens among themselves and for tokens to the text."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q, self.k, self.v, self.o = (nn.Linear(config.width, config.width) for _ in range(4))
        self.norm_q = Norm(config.width, config.epsilon)
        self.norm_k = Norm(config.width, config.epsilon)

    def query(self, x: Tensor) -> Tensor:
        """Tokens [1, N, C] -> queries [1, H, N, D], float32."""
        return self._split(self.norm_q(linear(self.q, x)))

    def key(self, x: Tensor) -> Tensor:
        """Tokens [1, N, C] -> keys [1, H, N, D], float32."""
        return self._split(self.norm_k(linear(self.k, x)))

    def value(self, x: Tensor) -> Tensor:
        """Tokens [1, N, C] -> values [1, H, N, D], in the type that goes with the weights (`held`)."""
        values = linear(self.v, x)
        return self._split(values.to(held(values.dtype)))

    def out(self, y: Tensor) -> Tensor:
        """What was attended to [1, H, N, D] -> [1, N, C], float32."""
        return linear(self.o, y.transpose(1, 2).flatten(2)).float()

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads.transpose(1, 2)


def modulated(x: Tensor, shift: Tensor, scale: Tensor, epsilon: float) -> Tensor:
    """Layer normalisation, then shift and scale of each noise level. x [1, N, C]; shift, scale [1, G, C]."""
    normal: Tensor = F.layer_norm(x, x.shape[-1:], eps=epsilon).unflatten(1, (shift.shape[1], -1))
    return (normal * (1 + scale[:, :, None]) + shift[:, :, None]).flatten(1, 2)


def gated(y: Tensor, gate: Tensor) -> Tensor:
    """y [1, N, C] times the gate [1, G, C] of its noise level."""
    parts: Tensor = y.unflatten(1, (gate.shape[1], -1))
    return (parts * gate[:, :, None]).flatten(1, 2)


class Block(nn.Module):
    """Self-attention, cross-attention to the text, feed-forward network. Tokens between blocks are float32."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        c = config.width
        self.epsilon = config.epsilon
        self.modulation = nn.Parameter(torch.zeros(1, 6, c))
        self.self_attn = Attention(config)
        self.norm3 = nn.LayerNorm(c, eps=config.epsilon)
        self.cross_attn = Attention(config)
        self.ffn = nn.Sequential(
            nn.Linear(c, config.feed_forward), nn.GELU(approximate="tanh"), nn.Linear(config.feed_forward, c)
        )

    def forward(
        self, x: Tensor, layer: int, modulation: Tensor, prompt: tuple[Tensor, Tensor], attend: Attend
    ) -> Tensor:
        """Tokens [1, N, C] -> [1, N, C]. modulation [1, G, 6, C], each of whose G is for N / G tokens in a row."""
        parts = (modulation + self.modulation[:, None]).unbind(2)
        shift_a, scale_a, gate_a, shift_b, scale_b, gate_b = parts
        h = modulated(x, shift_a, scale_a, self.epsilon)
        own = self.self_attn
        x = x + gated(own.out(attend(layer, own.query(h), own.key(h), own.value(h))), gate_a)
        x = x + self.cross_attn.out(attention(self.cross_attn.query(self.norm3(x)), *prompt))
        h = modulated(x, shift_b, scale_b, self.epsilon)
        return x + gated(linear(self.ffn, h).float(), gate_b)


class Head(nn.Module):
    """Tokens to the velocity of their patches."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.modulation = nn.Parameter(torch.zeros(1, 2, config.width))
        self.head = nn.Linear(config.width, config.channels * PATCH * PATCH)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Tokens [1, N, C], embedded noise levels [1, G, C] -> [1, N, 4 * channels]."""
        shift, scale = (time[:, :, None] + self.modulation[:, None]).unbind(2)
        out: Tensor = self.head(modulated(x, shift, scale, self.epsilon))
        return out


class CausalWan(nn.Module):
    """Velocity (noise minus clean latent) of latent frames, given their noise levels, a text, and who sees whom."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.config = config
        c = config.width
        self.patch_embedding = nn.Conv3d(config.channels, c, (1, PATCH, PATCH), (1, PATCH, PATCH))
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_width, c), nn.GELU(approximate="tanh"), nn.Linear(c, c)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.time_width, c), nn.SiLU(), nn.Linear(c, c))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(c, 6 * c))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Head(config)

    def halve(self, kind: torch.dtype = torch.float16) -> CausalWan:
        """Turn what is heavy into float16 or bfloat16: linears of attentions, of feed-forward networks and of the text.

        Norms, modulation, noise level, patches, output and the sums between blocks stay float32.
        """
        self.text_embedding.to(kind)
        for block in self.blocks:
            for layer in block.modules():
                if isinstance(layer, nn.Linear):
                    layer.to(kind)
        return self

    @property
    def compute(self) -> torch.dtype:
        """The type of what is heavy: float32, or that of `halve`."""
        return next(self.text_embedding.parameters()).dtype

    @property
    def held(self) -> torch.dtype:
        """The type of keys and values, in the ring and of the text."""
        return held(self.compute)

    def tokens(self, latent: Tensor) -> Tensor:
        """Latents [1, channels, T, h, w] -> tokens [1, N, C], frame by frame, row by row."""
        out: Tensor = self.patch_embedding(latent).flatten(2).transpose(1, 2)
        return out

    def latents(self, patches: Tensor, frames: int, rows: int, columns: int) -> Tensor:
        """Patches [1, N, 4 * channels] -> latents [1, channels, T, h, w]."""
        x = patches.reshape(frames, rows, columns, PATCH, PATCH, self.config.channels)
        return x.permute(5, 0, 1, 3, 2, 4).reshape(1, self.config.channels, frames, rows * PATCH, columns * PATCH)

    def prompt(self, context: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Encoded text [1, text tokens, text width] -> `Prompt`, in the type `held`."""
        text = linear(self.text_embedding, context)
        attentions = [cast(Block, block).cross_attn for block in self.blocks]
        return [(each.key(text).to(self.held), each.value(text)) for each in attentions]

    def run(self, latent: Tensor, sinusoids: Tensor, prompt: Prompt, attend: Attend) -> Tensor:
        """One pass.

        Args:
            latent: float32 [1, channels, T, h, w].
            sinusoids: float32 [G, time width], of the noise levels; G is 1 or T.
            prompt: keys and values of the text.
            attend: who sees whom, and at which positions.

        Returns:
            the velocity, shaped like `latent`, float32.
        """
        time = self.time_embedding(sinusoids)[None]
        modulation = self.time_projection(time).unflatten(-1, (6, -1))
        x = self.tokens(latent)
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, modulation, prompt[layer], attend)
        frames, height, width = latent.shape[2:]
        return self.latents(self.head(x, time), frames, height // PATCH, width // PATCH)


def randomise(model: CausalWan, seed: int = 0) -> CausalWan:
    """Random weights, nowhere zero, of a scale at which signals neither vanish nor grow: for checks without weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and not name.endswith("modulation"):
                spread, centre = parameter[0].numel() ** -0.5, 0.0
            elif name.endswith("weight"):
                spread, centre = 0.1, 1.0
            else:
                spread, centre = 0.1, 0.0
            drawn = torch.empty(parameter.shape).normal_(centre, spread, generator=generator)
            parameter.copy_(drawn)
    return model
