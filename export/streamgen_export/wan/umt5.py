"""The encoder of UMT5 in plain torch, for one text of static length, ready for ONNX.

UMT5 (Chung et al. 2023, "UniMax", section 4) is T5 v1.1 (Raffel et al. 2020, section 2.1; Shazeer 2020 for the gated
feed-forward) in which every layer has relative position biases of its own. Wan's video models read its last hidden
states. Scores are not divided by the square root of the head's width, norms have no mean, and no linear has a bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS: Final = 512
"""Tokens per text in Wan; a text is padded to it, and cut after it."""
PAD_BIAS: Final = -3e4
"""Added to the attention scores of padding: no weight is left, and float16 and bfloat16 hold it."""


@dataclass(frozen=True)
class Umt5Config:
    """Sizes of an encoder; the defaults are those of UMT5-XXL.

    Attributes:
        layers: transformer layers.
        width: numbers per token between them.
        heads: attention heads per layer.
        head_width: numbers per head.
        feed: width inside the feed-forward part.
        vocabulary: rows of the embedding table.
        buckets: relative positions that are told apart, both directions together.
        furthest: tokens from which on all distances are the same.
    """

    layers: int = 24
    width: int = 4096
    heads: int = 64
    head_width: int = 64
    feed: int = 10_240
    vocabulary: int = 256_384
    buckets: int = 32
    furthest: int = 128

    @property
    def attention_width(self) -> int:
        """Numbers per token in queries, keys and values, all heads together."""
        return self.heads * self.head_width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight of the encoder by its name, linears as [in, out]."""
        inside, outside = (self.width, self.attention_width), (self.attention_width, self.width)
        found: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, self.width)}
        for index in range(self.layers):
            layer: dict[str, tuple[int, ...]] = {
                "attention_gain": (self.width,),
                "query": inside,
                "key": inside,
                "value": inside,
                "output": outside,
                "positions": (self.heads, self.buckets + 1),
                "feed_gain": (self.width,),
                "gate": (self.width, self.feed),
                "widen": (self.width, self.feed),
                "narrow": (self.feed, self.width),
            }
            found |= {f"layers.{index}.{name}": shape for name, shape in layer.items()}
        return found | {"gain": (self.width,)}


LINEARS: Final = ("query", "key", "value", "output", "gate", "widen", "narrow")
"""The weights of a layer that are matrix products."""


def position_buckets(tokens: int, config: Umt5Config) -> Tensor:
    """Which position bias each pair of tokens gets: int64 [T, T], row = the token that attends.

    Half of the buckets are for tokens behind, half for tokens ahead. In each half, near distances have a bucket of
    their own, and farther ones share buckets that widen logarithmically (Raffel et al. 2020, section 2.1).
    """
    places = torch.arange(tokens)
    ahead = places[None, :] - places[:, None]
    half = config.buckets // 2
    near = half // 2
    distance = ahead.abs()
    # In float32 and in this order, as the published models were trained: a boundary must not move by a rounding.
    far = torch.log(distance.clamp(min=1).float() / near) / math.log(config.furthest / near) * (half - near)
    far = (near + far.long()).clamp(max=half - 1)
    return torch.where(distance < near, distance, far) + (ahead > 0).long() * half


class EncoderLayer(nn.Module):
    """Self-attention and gated feed-forward, each after a norm and added to what came in (pre-norm)."""

    def __init__(self, config: Umt5Config) -> None:
        super().__init__()
        self._heads = (config.heads, config.head_width)
        for name, shape in replace(config, layers=1).shapes().items():
            if name.startswith("layers.0."):
                self.register_parameter(name.rpartition(".")[2], _empty(shape))
        self.attention_gain: Tensor
        self.query: Tensor
        self.key: Tensor
        self.value: Tensor
        self.output: Tensor
        self.positions: Tensor
        self.feed_gain: Tensor
        self.gate: Tensor
        self.widen: Tensor
        self.narrow: Tensor

    def forward(self, x: Tensor, buckets: Tensor) -> Tensor:
        """One layer.

        Args:
            x: float32 [1, T, width].
            buckets: int64 [T * T], the bias of each pair; the last one hides a token.
        """
        tokens = x.shape[1]

        def heads(y: Tensor) -> Tensor:
            return y.reshape(1, tokens, *self._heads).transpose(1, 2)

        normed = _norm(x, self.attention_gain)
        bias = torch.index_select(self.positions, 1, buckets).reshape(1, self._heads[0], tokens, tokens)
        query, key, value = (heads(torch.matmul(normed, weight)) for weight in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        x = x + torch.matmul(attended.transpose(1, 2).flatten(2), self.output)
        normed = _norm(x, self.feed_gain)
        gate = F.gelu(torch.matmul(normed, self.gate), approximate="tanh")
        return x + torch.matmul(gate * torch.matmul(normed, self.widen), self.narrow)


class Umt5Encoder(nn.Module):
    """Token ids to hidden states, for one text.

    Biases of all layers and the padding's are one look-up in each layer: a token that is none has a bucket of its own.
    So the biases depend on an input, and no runtime folds them into a constant of 64 x 512 x 512 numbers per layer.
    """

    def __init__(self, config: Umt5Config, tokens: int = TOKENS) -> None:
        super().__init__()
        self.config = config
        self.embedding = _empty((config.vocabulary, config.width))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.gain = _empty((config.width,))
        self.register_buffer("buckets", position_buckets(tokens, config), persistent=False)
        self.buckets: Tensor

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode one padded text.

        Args:
            input_ids: int64 [1, T].
            attention_mask: int64 [1, T], 1 for a token, 0 for padding.

        Returns:
            context float32 [1, T, width], zero where there is no token.
        """
        hidden = torch.full_like(self.buckets, self.config.buckets)
        buckets = torch.where(attention_mask == 1, self.buckets, hidden).flatten()
        x = F.embedding(input_ids, self.embedding)
        for layer in self.layers:
            x = layer(x, buckets)
        return _norm(x, self.gain) * attention_mask.to(x.dtype)[..., None]


def random_weight(config: Umt5Config, name: str, seed: int = 0) -> Tensor:
    """A weight at the scale at which training starts, for tests and measurements without a checkpoint.

    The deviations are those of Wan's own `init_weights`; gains spread around 1.
    """
    shapes = config.shapes()
    generator = torch.Generator().manual_seed(seed * len(shapes) + list(shapes).index(name))
    deviations = {
        "embedding": 1.0,
        "query": (config.width * config.attention_width) ** -0.5,
        "key": config.width**-0.5,
        "value": config.width**-0.5,
        "output": (config.heads * config.attention_width) ** -0.5,
        "positions": (2 * config.buckets * config.heads) ** -0.5,
        "gate": config.width**-0.5,
        "widen": config.width**-0.5,
        "narrow": config.feed**-0.5,
    }
    kind = name.rpartition(".")[2]
    values = torch.randn(shapes[name], generator=generator)
    if kind.endswith("gain"):
        return 1 + 0.1 * values
    values *= deviations[kind]
    if kind == "positions":
        values[:, -1] = PAD_BIAS
    return values


def random_weights(config: Umt5Config, seed: int = 0) -> dict[str, Tensor]:
    """Every weight as `random_weight` makes it."""
    return {name: random_weight(config, name, seed) for name in config.shapes()}


def _empty(shape: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape), requires_grad=False)


def _norm(x: Tensor, gain: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), eps=1e-6) * gain
