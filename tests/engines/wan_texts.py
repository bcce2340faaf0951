"""A bundle whose text graph is a few operators with known results, for tests of what encodes Wan's texts."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from streamgen_engines.bundle import Bundle
from streamgen_engines.runtimes import Array
from streamgen_export.onnx_net import OnnxNet
from tests.tiny_bundle import write_tiny_bundle

PLACES: Final = 16
WIDTH: Final = 4
SLOPE: Final = (1.0, 0.5, -0.25, 3.0)
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz'\"&<>.,0123456789"


def text_graph(tokens: int = PLACES, scale: float = 1.0) -> Any:
    """`context` is each token's id times `SLOPE`, and what stands in the padding is not zero: nobody may look at it."""
    net = OnnxNet("text")
    ids = net("Cast", net("Unsqueeze", "input_ids", net.shape(2)), to=TensorProto.FLOAT)
    attended = net("Cast", net("Unsqueeze", "attention_mask", net.shape(2)), to=TensorProto.FLOAT)
    outside = net("Sub", net.constant(1.0), attended)
    told = net("Mul", net("Add", ids, net("Mul", outside, net.constant(777.0))), net.constant(scale))
    net("Mul", told, net.constant(SLOPE), out="context")
    integers = (TensorProto.INT64, (1, tokens))
    return net.model(
        {"input_ids": integers, "attention_mask": integers}, {"context": (TensorProto.FLOAT, (1, tokens, WIDTH))}
    )


def tokenizer() -> Tokenizer:
    """A token per letter, and the end: `<pad>` 0, `</s>` 1, `<unk>` 2, a space 3, "a" 4 and so on."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0)]
    made = Tokenizer(models.Unigram([*pieces, *((letter, -2.0) for letter in LETTERS)], 2, False))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    made.add_special_tokens(["<pad>", "</s>"])
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made


def write_bundle(folder: Path, graph: Any = None, places: int = PLACES, name: str = "texts") -> Bundle:
    """A bundle in which only text graph and tokenizer are of use."""
    write_tiny_bundle(folder, name=name)
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "text.onnx").unlink()
    onnx.save(graph or text_graph(), folder / "text.onnx")
    (folder / "tokenizer.json").unlink()
    tokenizer().save(str(folder / "tokenizer.json"))
    raw["text"] |= {"max_tokens": places, "width": WIDTH}
    raw["graphs"]["text"]["sha256"] = digest(folder / "text.onnx")
    raw["text"]["tokenizer"]["sha256"] = digest(folder / "tokenizer.json")
    (folder / "manifest.json").write_text(json.dumps(raw))
    return Bundle.open(folder)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def expected(ids: list[int], places: int = PLACES) -> Array:
    """What the graph makes of these tokens."""
    context = np.zeros((1, places, WIDTH), np.float32)
    context[0, : len(ids)] = np.outer(ids, SLOPE)
    return context
