"""Files of tensors, mapped into memory and read one tensor at a time: PyTorch's `.pt`, safetensors, and shards of it.

Which kind a file is, its first bytes say, not its name. Nothing in a file is ever run: pickles are read by PyTorch's
reader that knows tensors only (`weights_only`).
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from streamgen_export.wan.errors import CheckpointError, UnsafeCheckpointError

INDEX_ENDING: Final = ".safetensors.index.json"
ENDINGS: Final = (".safetensors", ".sft", ".pt", ".pth", ".ckpt", ".bin")
"""Names of files in a folder that are looked at."""
_SHOWN: Final = 6
_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file.

    Attributes:
        shape: as stored.
        dtype: as stored; None for a type that this reader does not know.
        read: maps it into memory; a change of the result never reaches the file.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    read: Callable[[], Tensor]


Tensors = dict[str, Stored]
"""Everything in a file, by the names that it uses."""


def open_tensors(path: Path, entries: Sequence[str] = ()) -> Tensors:
    """Open a file, or a folder with one set of weights in it.

    Args:
        path: the file, the index of a set of shards, or the folder.
        entries: of a `.pt` that holds several sets of weights, the wanted ones, best first.

    Raises:
        CheckpointError: it is missing, cut short, or not a file of tensors.
        UnsafeCheckpointError: it holds more than weights.
    """
    if path.is_dir():
        path = _only_file(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; check the path, or download the weights again")
    if path.name.endswith(INDEX_ENDING):
        return _shards(path)
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"PK\x03\x04":
        return _pickled(path, entries)
    if len(head) > 8 and head[8:9] == b"{":
        return _safetensors(path)
    raise CheckpointError(f"{path}: {_not_weights(head)}")


def _only_file(folder: Path) -> Path:
    files = sorted(each for each in folder.iterdir() if each.is_file())
    indices = [each for each in files if each.name.endswith(INDEX_ENDING)]
    found = indices or [each for each in files if each.suffix in ENDINGS]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CheckpointError(f"{folder}: no file of weights is in this folder; name the file itself")
    names = ", ".join(each.name for each in found[:_SHOWN])
    raise CheckpointError(f"{folder}: {len(found)} files could be meant ({names}); name one of them")


def _not_weights(head: bytes) -> str:
    """What a file without weights seems to be."""
    if not head:
        return "this file is empty; download it again"
    if head.startswith(b"version https://git-lfs"):
        return "this is the pointer that git-lfs puts in the place of a file; run `git lfs pull` where it came from"
    if head.lstrip()[:1] == b"<":
        return "this is a web page, not weights; download the file behind it"
    if head[:1] == b"\x80":
        return (
            "this is a pickle of PyTorch before 1.6, which cannot be mapped into memory; load it with "
            "weights_only=True, and save it again with torch.save"
        )
    return "neither a .pt of PyTorch nor safetensors begins like this; it may be damaged or another kind of file"


# safetensors


def _safetensors(path: Path) -> Tensors:
    try:
        file: Any = safe_open(str(path), framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_cut_short(path, error)) from error
    found: Tensors = {}
    for name in list(file.keys()):
        part = file.get_slice(name)
        found[name] = Stored(tuple(part.get_shape()), _DTYPES.get(part.get_dtype()), _reader(file, name))
    return found


def _reader(file: Any, name: str) -> Callable[[], Tensor]:
    return lambda: cast(Tensor, file.get_tensor(name))


def _shards(index: Path) -> Tensors:
    try:
        places = json.loads(index.read_text())["weight_map"]
        files = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: not an index of shards ({error}); download it again") from error
    strange = [name for name in files if not isinstance(name, str) or Path(name).name != name]
    if strange:
        raise CheckpointError(f"{index}: it names {strange[0]!r}, which is not a file beside it; download it again")
    missing = [name for name in files if not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index}: {len(missing)} of {len(files)} shards are not beside it ({', '.join(missing[:_SHOWN])}); "
            f"download them into the same folder"
        )
    shards = {name: _safetensors(index.parent / name) for name in files}
    lost = [name for name, file in places.items() if name not in shards[file]]
    if lost:
        raise CheckpointError(
            f"{index}: {len(lost)} tensors are not in the shard that should hold them (the first: {lost[0]}); "
            f"index and shards are of different downloads"
        )
    return {name: shards[file][name] for name, file in places.items()}


# PyTorch


def _pickled(path: Path, entries: Sequence[str]) -> Tensors:
    if not zipfile.is_zipfile(path):
        raise CheckpointError(_cut_short(path, "its end, which lists what is in it, is missing"))
    try:
        loaded = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|global:?)\s+([\w.]+)", str(error))
        what = f"{named.group(1)}" if named else "an object that is not a tensor"
        raise UnsafeCheckpointError(
            f"{path}: it holds more than weights ({what}), and reading that would run code; nothing was run. Use "
            f"another copy, or have its publisher's own tools save the weights as safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(_cut_short(path, error)) from error
    return _flat(path, loaded, entries)


def _flat(path: Path, loaded: object, entries: Sequence[str]) -> Tensors:
    """The tensors of the wanted entry, or of the file itself when it has no entries."""
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: it holds a {type(loaded).__name__} and no tensors by name")
    inside = [loaded[entry] for entry in entries if isinstance(loaded.get(entry), Mapping)]
    held: Mapping[object, object] = inside[0] if inside else loaded
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    if not tensors:
        names = ", ".join(sorted(str(name) for name in held)[:_SHOWN]) or "nothing"
        wanted = ", ".join(entries) or "tensors by name"
        raise CheckpointError(f"{path}: none of {wanted} is in this file, but {names}; is it of another variant?")
    return {name: Stored(tuple(each.shape), each.dtype, _constant(each)) for name, each in tensors.items()}


def _constant(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _cut_short(path: Path, reason: object) -> str:
    size = path.stat().st_size
    said = " ".join(str(reason).split())
    return f"{path}: cut short or damaged after {size:,} bytes ({said}); compare its size and download it again"
