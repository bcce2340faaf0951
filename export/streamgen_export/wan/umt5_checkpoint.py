"""Reads published UMT5 encoders, without holding them: each weight is read when it is asked for.

Two layouts, each as a torch archive or as safetensors: Wan's own (`models_t5_umt5-xxl-enc-bf16.pth`), and that of
transformers (`google/umt5-xxl`, the folder `text_encoder` of Wan's models for diffusers), which may be in shards.
A torch archive is opened with weights only, so nothing in it is executed.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from streamgen_export.wan.umt5 import PAD_BIAS, Umt5Config

INDEX: Final = "model.safetensors.index.json"
ROWS_AT_ONCE: Final = 16_384
"""Rows of the embedding table that are in memory at once: 268 MB of float32 at its full width."""
_NAMED: Final = 5  # tensors that a message names; of the others it tells how many
_READABLE: Final = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
_GET_IT: Final = (
    "give Wan's models_t5_umt5-xxl-enc-bf16.pth, or the folder text_encoder of a Wan model for diffusers, "
    "or the encoder of google/umt5-xxl"
)


class CheckpointError(ValueError):
    """The file or folder given holds no UMT5 encoder that can be read; the message says what is wrong."""


@dataclass(frozen=True)
class _Stored:
    """A tensor in a file: shape, type, and how it is read."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class _Layout:
    """What a layout calls the weights; `{}` is the layer's number."""

    title: str
    embedding: tuple[str, ...]
    gain: str
    layer: Mapping[str, str]
    ignored: tuple[str, ...] = ()

    def names(self, layers: int, embedding: str) -> dict[str, str]:
        """The encoder's name of every weight to the file's."""
        found = {"embedding": embedding}
        for index in range(layers):
            found |= {f"layers.{index}.{name}": pattern.format(index) for name, pattern in self.layer.items()}
        return found | {"gain": self.gain}


_WAN: Final = _Layout(
    title="Wan's",
    embedding=("token_embedding.weight",),
    gain="norm.weight",
    layer={
        "attention_gain": "blocks.{}.norm1.weight",
        "query": "blocks.{}.attn.q.weight",
        "key": "blocks.{}.attn.k.weight",
        "value": "blocks.{}.attn.v.weight",
        "output": "blocks.{}.attn.o.weight",
        "positions": "blocks.{}.pos_embedding.embedding.weight",
        "feed_gain": "blocks.{}.norm2.weight",
        "gate": "blocks.{}.ffn.gate.0.weight",
        "widen": "blocks.{}.ffn.fc1.weight",
        "narrow": "blocks.{}.ffn.fc2.weight",
    },
)
_TRANSFORMERS: Final = _Layout(
    title="transformers'",
    embedding=("shared.weight", "encoder.embed_tokens.weight"),
    gain="encoder.final_layer_norm.weight",
    layer={
        "attention_gain": "encoder.block.{}.layer.0.layer_norm.weight",
        "query": "encoder.block.{}.layer.0.SelfAttention.q.weight",
        "key": "encoder.block.{}.layer.0.SelfAttention.k.weight",
        "value": "encoder.block.{}.layer.0.SelfAttention.v.weight",
        "output": "encoder.block.{}.layer.0.SelfAttention.o.weight",
        "positions": "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight",
        "feed_gain": "encoder.block.{}.layer.1.layer_norm.weight",
        "gate": "encoder.block.{}.layer.1.DenseReluDense.wi_0.weight",
        "widen": "encoder.block.{}.layer.1.DenseReluDense.wi_1.weight",
        "narrow": "encoder.block.{}.layer.1.DenseReluDense.wo.weight",
    },
    # The other half of a whole UMT5, and a tokenizer that some put among the weights.
    ignored=("decoder.", "lm_head.", "spiece_model"),
)


class Umt5Checkpoint:
    """An encoder on disk, checked by names and shapes.

    Attributes:
        config: its sizes, as the shapes tell them.
        layout: whose layout it is in.
    """

    def __init__(self, stored: Mapping[str, _Stored], source: Path) -> None:
        layout, embedding = _layout(stored, source)
        self.layout = layout.title
        self._source = source
        self._stored = stored
        self._names = _checked_names(stored, layout, embedding, source)
        self.config = _config(self._shape, (len(self._names) - 2) // len(layout.layer), source)
        self._check_shapes()

    def blocks(self, name: str) -> Iterator[Tensor]:
        """A weight in float32 as `Umt5Config.shapes` has it, in pieces along its first axis, each read when it is due.

        Only the embedding table comes in more than one.

        Raises:
            CheckpointError: it holds infinities or what is no number, or the file ends inside of it.
        """
        try:
            raw = self._stored[self._names[name]].read()
        except (RuntimeError, SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{self._source}: {self._names[name]} cannot be read ({_first_line(error)}); download it again"
            ) from error
        kind = name.rpartition(".")[2]
        for block in raw.split(ROWS_AT_ONCE) if kind == "embedding" else (raw,):
            made = block.to(torch.float32)
            if not bool(torch.isfinite(made).all()):
                raise CheckpointError(
                    f"{self._source}: {self._names[name]} holds values that are not finite; download it again"
                )
            if kind == "positions":  # and a bucket of its own for padding
                made = torch.cat([made.T, torch.full((made.shape[1], 1), PAD_BIAS)], dim=1)
            elif kind != "embedding" and made.ndim == 2:
                made = made.T
            yield made.contiguous()

    def tensor(self, name: str) -> Tensor:
        """A weight as `blocks` gives it, in one piece."""
        blocks = list(self.blocks(name))
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._stored[self._names[name]].shape

    def _check_shapes(self) -> None:
        wrong = []
        for name, shape in self.config.shapes().items():
            kind, found = name.rpartition(".")[2], self._stored[self._names[name]]
            if kind == "positions":
                shape = (shape[1] - 1, shape[0])
            elif kind != "embedding":
                shape = shape[::-1]
            if found.shape != shape:
                wrong.append(f"{self._names[name]} is {list(found.shape)}, should be {list(shape)}")
            elif found.dtype not in _READABLE.values():
                wrong.append(f"{self._names[name]} is {found.dtype}, should be bfloat16, float16 or float32")
        if wrong:
            raise CheckpointError(f"{self._source} is not a whole UMT5 encoder: {_some(wrong)}; {_GET_IT}")


def open_checkpoint(source: Path) -> Umt5Checkpoint:
    """Open a file (.pth, .pt, .bin, .safetensors) or a folder of safetensors, and check what it holds.

    Raises:
        CheckpointError: there is none, it is cut short, would run code, is another model, or lacks tensors.
    """
    return Umt5Checkpoint(_stored(source), source)


def _stored(source: Path) -> dict[str, _Stored]:
    if source.is_dir():
        return _in_folder(source)
    if not source.is_file():
        raise CheckpointError(f"there is no {source}; {_GET_IT}")
    return _in_safetensors(source) if source.suffix == ".safetensors" else _in_archive(source)


def _in_folder(folder: Path) -> dict[str, _Stored]:
    index = folder / INDEX
    if not index.is_file():
        files = sorted(folder.glob("*.safetensors"))
        if len(files) != 1:
            raise CheckpointError(f"{folder} holds {len(files)} files *.safetensors and no {INDEX}; {_GET_IT}")
        return _in_safetensors(files[0])
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted({str(name) for name in places.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is no index of shards ({error!r}); download it again") from error
    lacking = [name for name in shards if Path(name).name != name or not (folder / name).is_file()]
    if lacking:
        raise CheckpointError(f"{folder} lacks {_some(lacking)}, which {INDEX} names; download the rest")
    found: dict[str, _Stored] = {}
    for name in shards:
        found |= _in_safetensors(folder / name)
    return found


def _in_safetensors(file: Path) -> dict[str, _Stored]:
    try:
        # Kept open by what reads from it; the file is mapped, and nothing is read before it is asked for.
        opened: Any = safe_open(file, framework="pt")
        names: list[str] = list(opened.keys())
        slices = {name: opened.get_slice(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({_first_line(error)}); download it again") from error

    def reader(name: str) -> Callable[[], Tensor]:
        def read() -> Tensor:
            tensor: Tensor = opened.get_tensor(name)
            return tensor

        return read

    types = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    return {
        name: _Stored(tuple(part.get_shape()), types.get(part.get_dtype(), part.get_dtype()), reader(name))
        for name, part in slices.items()
    }


def _in_archive(file: Path) -> dict[str, _Stored]:
    if not zipfile.is_zipfile(file):
        raise CheckpointError(f"{file} is not a torch archive, or is cut short; download it again, or {_GET_IT}")
    try:
        loaded: Any = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file} holds more than weights, and would run code when it is opened ({_first_line(error)}); {_GET_IT}"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({_first_line(error)}); download it again") from error
    if not isinstance(loaded, dict) or not all(isinstance(tensor, Tensor) for tensor in loaded.values()):
        raise CheckpointError(f"{file} is not a table of tensors; {_GET_IT}")
    tensors: dict[str, Tensor] = {str(name): tensor for name, tensor in loaded.items()}

    def reader(tensor: Tensor) -> Callable[[], Tensor]:
        return lambda: tensor

    return {
        name: _Stored(tuple(tensor.shape), _READABLE.get(tensor.dtype, str(tensor.dtype)), reader(tensor))
        for name, tensor in tensors.items()
    }


def _layout(stored: Mapping[str, _Stored], source: Path) -> tuple[_Layout, str]:
    for layout in (_WAN, _TRANSFORMERS):
        for name in layout.embedding:
            if name in stored:
                return layout, name
    found = _some(sorted(stored)) if stored else "nothing"
    hint = ""
    if any("patch_embedding" in name for name in stored):
        hint = " (these are weights of a video model, whose text encoder is a file of its own)"
    raise CheckpointError(f"{source} is not a UMT5 encoder: it holds {found}{hint}; {_GET_IT}")


def _checked_names(stored: Mapping[str, _Stored], layout: _Layout, embedding: str, source: Path) -> dict[str, str]:
    numbered = re.compile(re.escape(layout.layer["query"]).replace(r"\{\}", r"(\d+)"))
    numbers = [int(found.group(1)) for name in stored if (found := numbered.fullmatch(name))]
    names = layout.names(max(numbers, default=0) + 1, embedding)
    missing = [name for name in names.values() if name not in stored]
    wanted = {*names.values(), *layout.embedding}
    unexpected = [name for name in stored if name not in wanted and not name.startswith(layout.ignored)]
    faults = [f"{len(missing)} tensors are missing: {_some(missing)}"] if missing else []
    faults += [f"{len(unexpected)} are unexpected: {_some(unexpected)}"] if unexpected else []
    if faults:
        biases = [name for name in missing if "relative_attention_bias" in name]
        if biases and biases == missing:
            faults.append("T5 and mT5 share the position biases of their first layer, UMT5 does not")
        raise CheckpointError(
            f"{source} is not a UMT5 encoder in {layout.title} layout: {'; '.join(faults)}. Now {_GET_IT}"
        )
    return names


def _config(shape: Callable[[str], tuple[int, ...]], layers: int, source: Path) -> Umt5Config:
    embedding, positions = shape("embedding"), shape("layers.0.positions")
    query, gate = shape("layers.0.query"), shape("layers.0.gate")
    if any(len(each) != 2 for each in (embedding, positions, query, gate)) or query[0] % max(positions[1], 1):
        raise CheckpointError(f"{source} is not a UMT5 encoder: its tables have other shapes; {_GET_IT}")
    return Umt5Config(
        layers=layers,
        width=embedding[1],
        heads=positions[1],
        head_width=query[0] // positions[1],
        feed=gate[0],
        vocabulary=embedding[0],
        buckets=positions[0],
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
