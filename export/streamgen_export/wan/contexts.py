"""Texts as the transformer reads them, from a published encoder of which one layer is in memory at a time.

For measurements during an export. ONNX Runtime has no products in bfloat16 on a CPU, so that the text graph of a bundle
for GPUs cannot be asked there. At the size of UMT5-XXL a layer is 0.8 GB in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from streamgen_export.wan.umt5 import TOKENS, EncoderLayer, Umt5Config, position_buckets
from streamgen_export.wan.umt5_graphs import Weights


def encode_texts(weights: Weights, tokenizer: Tokenizer, texts: Sequence[str], places: int = TOKENS) -> list[Tensor]:
    """Contexts of texts, which are longer than `places` tokens nowhere, or are cut.

    Args:
        weights: of the encoder.
        tokenizer: that goes with it.
        texts: cleaned.
        places: of a context.

    Returns:
        float32 [1, places, width] for each, zero where there is no token.
    """
    config = weights.config
    tokens = [torch.tensor(tokenizer.encode(text).ids[:places], dtype=torch.int64) for text in texts]
    whole = position_buckets(places, config)
    found = _embedded(weights, tokens, places)
    # The last bucket hides a token, as in `Umt5Encoder`.
    buckets = [
        torch.where(torch.arange(places)[None, :] < len(each), whole, torch.full_like(whole, config.buckets)).flatten()
        for each in tokens
    ]
    with torch.no_grad():
        for index in range(config.layers):
            layer = _layer(weights, config, index)
            found = [layer(x, hidden) for x, hidden in zip(found, buckets, strict=True)]
        gain = _whole(weights, "gain")
        contexts = [F.rms_norm(x, (config.width,), eps=1e-6) * gain for x in found]
    for context, each in zip(contexts, tokens, strict=True):
        context[:, len(each) :] = 0.0
    return contexts


def _embedded(weights: Weights, tokens: Sequence[Tensor], places: int) -> list[Tensor]:
    """Rows of the table, which comes in pieces; what is no token is row 0, and nobody sees it."""
    ids = torch.zeros((len(tokens), places), dtype=torch.int64)
    for place, each in enumerate(tokens):
        ids[place, : len(each)] = each
    rows = torch.zeros((*ids.shape, weights.config.width))
    begin = 0
    for block in weights.blocks("embedding"):
        here = (ids >= begin) & (ids < begin + len(block))
        rows[here] = block[ids[here] - begin]
        begin += len(block)
    return list(rows.split(1))


def _layer(weights: Weights, config: Umt5Config, index: int) -> EncoderLayer:
    with torch.device("meta"):
        layer = EncoderLayer(config)
    for name, _ in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(_whole(weights, f"layers.{index}.{name}"), requires_grad=False))
    return layer


def _whole(weights: Weights, name: str) -> Tensor:
    return torch.cat(list(weights.blocks(name)))
