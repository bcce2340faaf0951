"""How far the exported sentence encoder is from the published one, over 200 varied English sentences."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from streamgen_export.captions import CaptionEncoder
from streamgen_export.text_model import MAX_TOKENS, SentenceEncoder


@dataclass(frozen=True)
class Fidelity:
    """Cosines between the exported and the published encoder, and the time of one text.

    Attributes:
        pooled_mean: mean cosine of the sentence vectors.
        pooled_min: the worst sentence.
        context_mean: mean cosine of the token vectors, of sentences that both tokenizers cut alike.
        context_min: the worst token of those.
        cut_differently: sentences that the pruned vocabulary cuts into other pieces.
        encode_ms: mean time of one text on one thread, tokenizer included.
    """

    pooled_mean: float
    pooled_min: float
    context_mean: float
    context_min: float
    cut_differently: int
    encode_ms: float


def sentences() -> list[str]:
    """The 200 sentences, in and far outside the caption grammar."""
    text = files("streamgen_export").joinpath("text_sentences.txt").read_text(encoding="utf-8")
    return text.splitlines()


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    product = (a * b).sum(axis=-1)
    cosines: NDArray[np.float32] = product / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return cosines


def measure(reference: SentenceEncoder, tokenizer: Tokenizer, folder: Path, texts: Sequence[str]) -> Fidelity:
    """Encodes the texts with both and compares.

    Args:
        reference: the published weights in float32.
        tokenizer: the published tokenizer (its padding and truncation are overridden).
        folder: where `text.onnx` and `tokenizer.json` of the export lie.
        texts: what to encode.
    """
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(length=MAX_TOKENS)
    exported = CaptionEncoder(folder)
    exported.encode(texts[:1], threads=1, progress=False)  # the first run allocates
    begin = time.perf_counter()
    got = exported.encode(texts, threads=1, progress=False)
    encode_ms = 1000 * (time.perf_counter() - begin) / len(texts)

    pooled, tokens, cut_differently = [], [], 0
    for row, text in enumerate(texts):
        encoding = tokenizer.encode(text)
        mask = np.array(encoding.attention_mask, dtype=np.int64)
        with torch.no_grad():
            context, mean = reference(torch.tensor([encoding.ids]), torch.from_numpy(mask[None]))
        pooled.append(_cosines(mean[0].numpy(), got.pooled[row]))
        if not np.array_equal(mask == 1, got.mask[row]):
            cut_differently += 1
            continue
        is_token = mask == 1
        tokens.append(_cosines(context[0].numpy()[is_token], got.context[row][is_token].astype(np.float32)))
    every_token = np.concatenate(tokens)
    return Fidelity(
        pooled_mean=float(np.mean(pooled)),
        pooled_min=float(np.min(pooled)),
        context_mean=float(every_token.mean()),
        context_min=float(every_token.min()),
        cut_differently=cut_differently,
        encode_ms=encode_ms,
    )
