"""Prompts of the `wan` family: from text to the context that `prompt_kv` reads.

Wan's video models attend to all 512 places of a text, zeros where there is no token, so a context has no mask. A text
without words is one token, the end: it is what the model learnt for captions that were dropped.

Encoding takes seconds on a CPU: UMT5-XXL does 4.8 trillion operations for 512 tokens. So encoders are asked off the hot
path, look into an `EmbeddingCache` first, and may be elsewhere: on another runtime than the model (the `runtime` that
`WanTextEncoder` is given), or on another machine (`wan_text_remote`). `text_placement` says where.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array
from streamgen_engines.embedding_cache import EmbeddingCache, Rows
from streamgen_engines.errors import GraphMismatchError, PromptError
from streamgen_engines.families.wan_cleaning import CLEANING, cleaned
from streamgen_engines.runtimes.interface import Runtime, Signature, TensorSpec
from streamgen_engines.text import load_tokenizer

LARGEST_HALF: Final = 65_504.0


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """A text as the model reads it. The array is read-only and may be shared by all threads.

    Attributes:
        text: what was encoded, cleaned.
        context: float32 `[1, T, W]`, zero from place `tokens` on. Its numbers are those of float16, in which they are
            kept, so that a text is the same whether it was kept or not.
        tokens: places that have a token, the end of the text among them.
    """

    text: str
    context: Float32Array
    tokens: int

    @classmethod
    def from_rows(cls, text: str, rows: Rows, places: int) -> "EncodedText":
        """From float16 `[n, W]`, a row per token; `places` is T."""
        context = np.zeros((1, places, rows.shape[1]), np.float32)
        context[0, : len(rows)] = rows
        context.setflags(write=False)
        return cls(text, context, len(rows))


class TextEncoding(Protocol):
    """What encodes texts, here or elsewhere. Threads may share it."""

    def encode(self, text: str) -> EncodedText:
        """Encode a text in any language and of any length; what the model does not know degrades, it does not fail.

        Raises:
            PromptError: it cannot be encoded now; another one may.
            GraphRunError: the text graph failed.
        """
        ...

    def close(self) -> None:
        """Give back what it holds. Idempotent; nothing is encoded after it."""
        ...


class WanTextEncoder:
    """Tokenizer and text graph of a bundle.

    Args:
        bundle: of the `wan` family.
        runtime: what the text graph runs on, which may be another one than the model's: the CPU, say, when the GPU's
            memory is the model's.
        threads: compute threads of the graph.
        cache: where encoded texts are kept; one in memory when it is None.

    Raises:
        BundleError: the tokenizer or the graph does not load, or the graph is not the manifest's.
        RuntimeUnavailableError: the runtime finds no device.
        OutOfMemoryError: the graph does not fit.
    """

    def __init__(
        self, bundle: Bundle, runtime: Runtime, *, threads: int = 1, cache: EmbeddingCache | None = None
    ) -> None:
        text = bundle.manifest.text
        self._places, self._width = text.max_tokens, text.width
        self._tokenizer = load_tokenizer(bundle)  # before the graph, which is large: a bad one is told at once
        self._engine = runtime.load(bundle.path("text"), bundle.manifest.graphs["text"].states, threads=threads)
        self._tokens = _tokens(self._engine.signature, text.max_tokens, text.width)
        # The end of the text is among the tokens that stay: the tokenizer cuts before it adds that.
        self._tokenizer.enable_truncation(self._tokens)
        made_by = (bundle.manifest.graphs["text"].sha256, text.tokenizer.sha256, runtime.name, str(CLEANING))
        self._identity = hashlib.sha256("\0".join(made_by).encode()).hexdigest()
        self._cache = cache or EmbeddingCache()
        self._lock = threading.Lock()  # one thread at a time runs the engine; kept texts do not wait for it

    @property
    def identity(self) -> str:
        """A hash of everything that a context depends on besides the text: graph, tokenizer, cleaning, runtime."""
        return self._identity

    @property
    def places(self) -> int:
        """T: places of a context."""
        return self._places

    @property
    def width(self) -> int:
        """W: numbers per place."""
        return self._width

    def encode(self, text: str) -> EncodedText:
        """Encode a text, or take it from the cache; see `TextEncoding`."""
        text = cleaned(text)
        key = cache_key(self._identity, text)
        rows = self._cache.find(key)
        if rows is None:
            with self._lock:
                rows = self._cache.find(key)  # somebody else may have asked for the same
                if rows is None:
                    rows = self._run(text)
                    self._cache.keep(key, rows)
        return EncodedText.from_rows(text, rows, self._places)

    def close(self) -> None:
        """Nothing to give back: the graph goes with this object."""

    def _run(self, text: str) -> Rows:
        tokens = self._tokenizer.encode(text).ids
        ids = np.zeros((1, self._tokens), np.int64)
        mask = np.zeros((1, self._tokens), np.int64)
        ids[0, : len(tokens)] = tokens
        mask[0, : len(tokens)] = 1
        context = self._engine.run({"input_ids": ids, "attention_mask": mask})["context"][0, : len(tokens)]
        if not (np.abs(context) <= LARGEST_HALF).all():  # also false for what is no number
            raise PromptError(
                "the text graph returned infinities or numbers beyond float16; export the text encoder as bf16 or int8"
            )
        rows: Rows = context.astype(np.float16)
        return rows


def cache_key(identity: str, text: str) -> str:
    """What a text is kept under.

    Args:
        identity: of the encoder.
        text: cleaned.
    """
    return hashlib.sha256(f"{identity}\0{text}".encode()).hexdigest()


def _tokens(signature: Signature, places: int, width: int) -> int:
    """Tokens that the graph takes: as many as there are places, or fewer where slow machines should be spared.

    Raises:
        GraphMismatchError: the graph is not the manifest's.
    """
    found = signature.inputs.get("input_ids")
    tokens = found.shape[1] if found is not None and len(found.shape) == 2 else places
    ids = TensorSpec((1, tokens), "int64")
    signature.require(
        Signature({"input_ids": ids, "attention_mask": ids}, {"context": TensorSpec((1, tokens, width), "float32")}),
        graph="text",
    )
    if tokens > places:
        raise GraphMismatchError(
            f"graphs.text takes {tokens} tokens, field text.max_tokens says {places}. Export the bundle again."
        )
    return tokens
