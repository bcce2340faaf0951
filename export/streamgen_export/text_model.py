"""The MiniLM sentence encoder in plain torch: a six-layer post-norm BERT, static shapes, ready for ONNX."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 384
HEADS = 12
NORM_EPS = 1e-12
MAX_TOKENS = 32
PAD_BIAS = -1e4
"""Added to the attention scores of padding; finite, so that a row of padding stays a number."""

Weights = Mapping[str, NDArray[np.float32]]


class _Linear(nn.Module):
    """A linear layer whose weight is stored [in, out], so that it exports as one MatMul with a constant."""

    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(weights[f"{name}.weight"].T.copy()))
        self.register_buffer("bias", torch.from_numpy(weights[f"{name}.bias"].copy()))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(x, self.weight) + self.bias


def _norm(weights: Weights, name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(WIDTH, eps=NORM_EPS)
    norm.weight = nn.Parameter(torch.from_numpy(weights[f"{name}.weight"].copy()), requires_grad=False)
    norm.bias = nn.Parameter(torch.from_numpy(weights[f"{name}.bias"].copy()), requires_grad=False)
    return norm


class _Layer(nn.Module):
    """Self-attention and feed-forward, each followed by an addition and a norm (post-norm)."""

    def __init__(self, weights: Weights, index: int) -> None:
        super().__init__()
        prefix = f"encoder.layer.{index}"
        self.query = _Linear(weights, f"{prefix}.attention.self.query")
        self.key = _Linear(weights, f"{prefix}.attention.self.key")
        self.value = _Linear(weights, f"{prefix}.attention.self.value")
        self.project = _Linear(weights, f"{prefix}.attention.output.dense")
        self.attention_norm = _norm(weights, f"{prefix}.attention.output.LayerNorm")
        self.widen = _Linear(weights, f"{prefix}.intermediate.dense")
        self.narrow = _Linear(weights, f"{prefix}.output.dense")
        self.output_norm = _norm(weights, f"{prefix}.output.LayerNorm")

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            return y.reshape(*y.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = self.attention_norm(x + self.project(attended.transpose(1, 2).flatten(2)))
        narrowed: Tensor = self.narrow(F.gelu(self.widen(x)))
        normed: Tensor = self.output_norm(x + narrowed)
        return normed


class WordTable(nn.Module):
    """Word vectors in float32: int64 [B, T] -> float32 [B, T, 384]. The reference of the packed table."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(rows.copy()))
        self.rows: Tensor

    def forward(self, ids: Tensor) -> Tensor:
        """Looks the rows up."""
        return F.embedding(ids, self.rows)


class SentenceEncoder(nn.Module):
    """BERT encoder of all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; Reimers and Gurevych 2019, Sentence-BERT).

    `words` maps token ids to word vectors, so that the table can be float32 or packed.
    """

    def __init__(self, weights: Weights, words: nn.Module) -> None:
        super().__init__()
        self.words = words
        positions = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        segment = weights["embeddings.token_type_embeddings.weight"][0]
        # A prompt is always segment 0, so its vector is a constant beside the positions.
        self.register_buffer("offsets", torch.from_numpy(positions + segment))
        self.offsets: Tensor
        self.embedding_norm = _norm(weights, "embeddings.LayerNorm")
        layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
        self.layers = nn.ModuleList(_Layer(weights, index) for index in range(len(layers)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes one padded text.

        Args:
            input_ids: int64 [B, 32].
            attention_mask: int64 [B, 32], 1 for a token, 0 for padding.

        Returns:
            context float32 [B, 32, 384] (hidden states; those of padding mean nothing) and
            pooled float32 [B, 384] (mean over the tokens, unit length).
        """
        mask = attention_mask.to(torch.float32)
        # ONNX Runtime's Attention wants the mask at its full size [B, 1, T, T]: it does not repeat rows.
        bias = ((1.0 - mask) * PAD_BIAS)[:, None, None, :].expand(-1, -1, mask.shape[1], -1)
        x = self.embedding_norm(self.words(input_ids) + self.offsets)
        for layer in self.layers:
            x = layer(x, bias)
        summed = (x * mask[:, :, None]).sum(dim=1)
        pooled = summed / torch.sqrt((summed * summed).sum(dim=-1, keepdim=True) + 1e-12)
        return x, pooled
