"""Prompts: from text to what a denoise graph attends to. Thread-safe; encoding takes milliseconds, so it belongs
to a thread of its own, not to the one that denoises.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array
from streamgen_engines.errors import BundleError, PromptError
from streamgen_engines.manifest import Text
from streamgen_engines.runtimes.interface import Runtime, Signature, TensorSpec

PADDING_BIAS: Final = -1e4
"""Added to the attention score of a place without a token: no weight is left, and no float type overflows."""
MAX_CHARACTERS: Final = 4_096
"""Of a longer text only the beginning is read; it holds many times the tokens that any model takes."""
CACHED_PROMPTS: Final = 128  # about 50 kB each


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """An encoded text. Arrays are read-only and may be shared by all threads.

    Attributes:
        text: what was encoded, at most `MAX_CHARACTERS` of it.
        context: float32 `[1, T, W]`, hidden state per token; zero where there is none.
        context_bias: float32 `[1, T]`, added to attention scores: 0 = attend, `PADDING_BIAS` = no token here.
        pooled: float32 `[1, W]`, the whole text as one vector of length 1 (0 for the null prompt).
    """

    text: str
    context: Float32Array
    context_bias: Float32Array
    pooled: Float32Array

    def __post_init__(self) -> None:
        for array in (self.context, self.context_bias, self.pooled):
            array.setflags(write=False)


def null_prompt(text: Text) -> Prompt:
    """No text at all: what a model saw when its caption was dropped in training. Guidance starts from it."""
    bias = np.full((1, text.max_tokens), PADDING_BIAS, np.float32)
    bias[0, 0] = 0.0  # one place must stay open, or attention would have nothing to divide by
    return Prompt(
        "", np.zeros((1, text.max_tokens, text.width), np.float32), bias, np.zeros((1, text.width), np.float32)
    )


class TextEncoder:
    """Tokenizer and text graph of a bundle, with the last `CACHED_PROMPTS` texts remembered (least recent goes)."""

    def __init__(self, bundle: Bundle, runtime: Runtime, *, cached: int = CACHED_PROMPTS) -> None:
        text = bundle.manifest.text
        self._tokens = text.max_tokens
        self._null = null_prompt(text)
        self._tokenizer = _load_tokenizer(bundle)
        self._engine = runtime.load(bundle.path("text"), bundle.manifest.graphs["text"].states)
        ids = TensorSpec((1, text.max_tokens), "int64")
        self._engine.signature.require(
            Signature(
                {"input_ids": ids, "attention_mask": ids},
                {
                    "context": TensorSpec((1, text.max_tokens, text.width), "float32"),
                    "pooled": TensorSpec((1, text.width), "float32"),
                },
            ),
            graph="text",
        )
        self._cached = cached
        self._cache: OrderedDict[str, Prompt] = OrderedDict()
        # Guards the cache and the engine, which one thread at a time may run.
        self._lock = threading.Lock()

    def encode(self, text: str) -> Prompt:
        """Encode a text in any language and of any length; what the model does not know degrades, it does not fail.

        A blank text is the null prompt: the model goes on as it likes.
        """
        text = _readable(text)
        if not text:
            return self._null
        with self._lock:
            prompt = self._cache.get(text)
            if prompt is None:
                prompt = self._cache[text] = self._run(text)
                if len(self._cache) > self._cached:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(text)
            return prompt

    def blend(self, weighted: Sequence[tuple[str, float]]) -> Prompt:
        """Mix texts: pooled vectors by weight, and token by token the hidden states of those that have one there.

        A place that only some texts fill is attended to in proportion to their weight. One text alone gives exactly
        its own `encode`.

        Args:
            weighted: (text, weight) pairs; weights are relative, those of 0 drop out.

        Raises:
            PromptError: no positive weight, or one that is negative or not finite.
        """
        if any(not math.isfinite(weight) or weight < 0 for _, weight in weighted):
            raise PromptError("a weight of a blend is negative or not finite; give numbers from 0 up")
        total = sum(weight for _, weight in weighted)
        if not 0 < total < math.inf:
            raise PromptError(f"the weights of a blend add up to {total}; give at least one text a weight above 0")
        parts = [(self.encode(text), weight / total) for text, weight in weighted if weight > 0]
        if len(parts) == 1:
            return parts[0][0]
        shares = [share * (prompt.context_bias == 0) for prompt, share in parts]  # [1, T] each
        filled = sum(shares[1:], shares[0])
        context = np.stack([s[..., None] * p.context for s, (p, _) in zip(shares, parts, strict=True)]).sum(axis=0)
        context /= np.maximum(filled, np.finfo(np.float32).tiny)[..., None]
        bias = np.where(filled > 0, np.log(filled, where=filled > 0, out=np.zeros_like(filled)), PADDING_BIAS)
        pooled = np.stack([share * prompt.pooled for prompt, share in parts]).sum(axis=0)
        length = np.linalg.norm(pooled)
        return Prompt(
            " + ".join(f"{share:.2g} {prompt.text}" for prompt, share in parts),
            context.astype(np.float32),
            bias.astype(np.float32),
            (pooled / length if length > 0 else pooled).astype(np.float32),
        )

    def _run(self, text: str) -> Prompt:
        tokens = self._tokenizer.encode(text).ids
        ids = np.zeros((1, self._tokens), np.int64)
        mask = np.zeros((1, self._tokens), np.int64)
        ids[0, : len(tokens)] = tokens
        mask[0, : len(tokens)] = 1
        out = self._engine.run({"input_ids": ids, "attention_mask": mask})
        return Prompt(
            text,
            out["context"] * mask[..., None].astype(np.float32),
            np.where(mask == 1, 0.0, PADDING_BIAS).astype(np.float32),
            out["pooled"],
        )


def _readable(text: str) -> str:
    """The part of a text that is encoded; half a surrogate pair (possible in JSON) becomes a question mark."""
    return text.strip()[:MAX_CHARACTERS].strip().encode("utf-8", "replace").decode("utf-8")


def _load_tokenizer(bundle: Bundle) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(bundle.tokenizer_path))
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(
            f"{bundle.tokenizer_path} (field text.tokenizer) is not a tokenizer ({error}); export the bundle again"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(bundle.manifest.text.max_tokens)
    return tokenizer
