"""Prompts: from text to what a denoise graph attends to. Thread-safe; encoding takes milliseconds, so it belongs
to a thread of its own, not to the one that denoises.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import BundleError, PromptError
from streamgen_engines.prompt import MAX_BLENDED, blend
from streamgen_engines.prompt import PADDING_BIAS as PADDING_BIAS
from streamgen_engines.prompt import Prompt as Prompt
from streamgen_engines.prompt import null_prompt as null_prompt
from streamgen_engines.runtimes.interface import Runtime, Signature, TensorSpec

MAX_CHARACTERS: Final = 4_096
"""Of a longer text only the beginning is read; it holds many times the tokens that any model takes."""
CACHED_PROMPTS: Final = 128  # about 50 kB each


class TextEncoder:
    """Tokenizer and text graph of a bundle, with the last `CACHED_PROMPTS` texts remembered (least recent goes).

    The graph also gives a text as one vector (`pooled`), and padding is masked. Texts of the `wan` family are
    encoded by `families.wan_text`.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, *, cached: int = CACHED_PROMPTS) -> None:
        text = bundle.manifest.text
        self._tokens = text.max_tokens
        self._null = null_prompt(text)
        self._tokenizer = load_tokenizer(bundle)
        self._engine = runtime.load(bundle.path("text"), bundle.manifest.graphs["text"].states)
        ids = TensorSpec((1, text.max_tokens), "int64")
        outputs = {
            "context": TensorSpec((1, text.max_tokens, text.width), "float32"),
            "pooled": TensorSpec((1, text.width), "float32"),
        }
        self._engine.signature.require(
            Signature({"input_ids": ids, "attention_mask": ids}, outputs),
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
        """Mix texts, as `streamgen_engines.prompt` describes. One text alone gives exactly its own `encode`.

        Args:
            weighted: (text, weight) pairs; weights are relative, those of 0 drop out.

        Raises:
            PromptError: no positive weight, one that is negative or not finite, or more than `MAX_BLENDED` texts.
        """
        texts = dict.fromkeys(text for text, weight in weighted if weight > 0)
        if len(texts) > MAX_BLENDED:
            raise PromptError(f"a blend has {len(texts)} texts, at most {MAX_BLENDED} fit; leave some out")
        return blend([(self.encode(text), weight) for text, weight in weighted])

    def close(self) -> None:
        """Nothing to give back: the graph goes with this object."""

    def _run(self, text: str) -> Prompt:
        tokens = self._tokenizer.encode(text).ids
        ids = np.zeros((1, self._tokens), np.int64)
        mask = np.zeros((1, self._tokens), np.int64)
        ids[0, : len(tokens)] = tokens
        mask[0, : len(tokens)] = 1
        out = self._engine.run({"input_ids": ids, "attention_mask": mask})
        context = out["context"] * mask[..., None].astype(np.float32)
        return Prompt(
            text,
            context,
            np.where(mask == 1, 0.0, PADDING_BIAS).astype(np.float32),
            out["pooled"],
        )


def _readable(text: str) -> str:
    """The part of a text that is encoded; half a surrogate pair (possible in JSON) becomes a question mark."""
    return text.strip()[:MAX_CHARACTERS].strip().encode("utf-8", "replace").decode("utf-8")


def load_tokenizer(bundle: Bundle) -> Tokenizer:
    """The tokenizer of a bundle, which cuts texts at its `text.max_tokens`.

    Raises:
        BundleError: the file is none.
    """
    try:
        tokenizer = Tokenizer.from_file(str(bundle.tokenizer_path))
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(
            f"{bundle.tokenizer_path} (field text.tokenizer) is not a tokenizer ({error}); export the bundle again"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(bundle.manifest.text.max_tokens)
    return tokenizer
