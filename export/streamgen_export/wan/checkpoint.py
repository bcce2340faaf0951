"""Published weights into a model: every layout, one tensor at a time, and nothing is read before all of it fits.

The model is made without memory (`meta`); each tensor is mapped from its file, cast to the type that the model has for
it, and put in its place. What keeps its type stays mapped, so that loading takes no more memory than the weights do in
the model's own types.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import torch
from torch import Tensor, nn

from streamgen_export.quantised_linear import Int8Linear, replace_linears
from streamgen_export.wan.config import WanConfig
from streamgen_export.wan.diagnosis import guess
from streamgen_export.wan.errors import CheckpointError
from streamgen_export.wan.lora import Change, read_lora
from streamgen_export.wan.names import plain
from streamgen_export.wan.precision import HALVES, WeightPrecision, int8_names
from streamgen_export.wan.tensor_files import Stored, Tensors, open_tensors
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.variants import Variant

SHOWN: Final = 4
"""Tensors that an error names of each kind; it tells how many there are."""
UNUSED: Final = frozenset({"freqs", "rope.freqs", "rope.freqs_cos", "rope.freqs_sin"})
"""Tables that some files hold and the model computes by itself."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with published weights.

    Attributes:
        model: ready to be exported.
        dtypes: how many tensors were stored in each type.
        changed: weights to which a LoRA was added.
    """

    model: CausalWan
    dtypes: dict[str, int]
    changed: int


def load(
    path: Path,
    variant: Variant,
    *,
    lora: Path | None = None,
    precision: WeightPrecision = "fp32",
    config: WanConfig | None = None,
    available_bytes: int | None = None,
) -> Loaded:
    """Read the weights of a variant.

    Args:
        path: a `.pt`, a `.safetensors`, the index of shards, or a folder with one of them.
        variant: whose weights they are.
        lora: a LoRA to be added to them, where the variant publishes one.
        precision: of the model's heavy linears; the rest is float32. In int8 each becomes one when it has been read, so
            that no more than one is there in float32.
        config: another size than the variant's, for tests.
        available_bytes: memory that may be taken; None asks the machine.

    Raises:
        CheckpointError: the file is missing, cut short, or not these weights; the message says what it seems to be.
        UnsafeCheckpointError: it holds more than weights. Nothing of it was run.
    """
    model, wanted, found, changes = _matched(path, variant, lora, precision, config, available_bytes)
    narrowed = set(int8_names(model)) if precision == "int8" else set()
    for name, parameter in wanted.items():
        _place(model, name, _read(path, name, found[name], parameter.dtype, changes.get(name)))
        module, _, leaf = name.rpartition(".")
        if module in narrowed and leaf == "bias":  # which comes after the weight
            replace_linears(model, [module], lambda _, linear: Int8Linear(linear))
    dtypes: dict[str, int] = {}
    for name in wanted:
        kind = str(found[name].dtype).removeprefix("torch.")
        dtypes[kind] = dtypes.get(kind, 0) + 1
    return Loaded(model, dtypes, len(changes))


def check(
    path: Path,
    variant: Variant,
    *,
    lora: Path | None = None,
    precision: WeightPrecision = "fp32",
    config: WanConfig | None = None,
    available_bytes: int | None = None,
) -> None:
    """See whether `load` with the same arguments would find what it needs, and room for it, without reading weights.

    Raises:
        CheckpointError: as `load`, but for damage inside of tensors.
        UnsafeCheckpointError: it holds more than weights. Nothing of it was run.
    """
    _matched(path, variant, lora, precision, config, available_bytes)


def _matched(
    path: Path,
    variant: Variant,
    lora: Path | None,
    precision: WeightPrecision,
    config: WanConfig | None,
    available_bytes: int | None,
) -> tuple[CausalWan, dict[str, nn.Parameter], Tensors, Mapping[str, Change]]:
    """The model without memory, its parameters, the file's tensor for each, and what a LoRA changes in them."""
    config = config or variant.config
    with torch.device("meta"):
        model = CausalWan(config)
    if precision in HALVES:
        model.halve(HALVES[precision])
    model.eval().requires_grad_(False)
    wanted = dict(model.named_parameters())
    found = _renamed(path, open_tensors(path, variant.entries))
    _require_match(path, wanted, found, config)
    shapes = {name: tuple(parameter.shape) for name, parameter in wanted.items()}
    changes = read_lora(lora, shapes, variant.lora_scale or 1.0) if lora is not None else {}
    eighth = {f"{name}.weight" for name in int8_names(model)} if precision == "int8" else set()
    _require_memory(path, wanted, found, changes, eighth, available_bytes)
    return model, wanted, found, changes


def _renamed(path: Path, tensors: Tensors) -> Tensors:
    found: Tensors = {}
    for name, tensor in tensors.items():
        own = plain(name)
        if own in UNUSED:
            continue
        if own in found:
            raise CheckpointError(
                f"{path}: two tensors are {own} (one of them is called {name}); name one model's file"
            )
        found[own] = tensor
    return found


def _require_match(path: Path, wanted: Mapping[str, Tensor], found: Tensors, config: WanConfig) -> None:
    """All names and shapes, before anything is read."""
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    wrong = [
        f"{name} {list(found[name].shape)} in place of {list(parameter.shape)}"
        for name, parameter in wanted.items()
        if name in found and found[name].shape != tuple(parameter.shape)
    ]
    untyped = [name for name in wanted if name in found and not _is_number(found[name])]
    faults = (("missing", missing), ("unexpected", unexpected), ("wrongly shaped", wrong), ("not of numbers", untyped))
    said = [
        f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        for kind, names in faults
        if names
    ]
    if said:
        seems = guess({name: tensor.shape for name, tensor in found.items()}, config)
        what = f"not the weights of Wan {config.name}: of {len(wanted)} tensors, {'; '.join(said)}. {seems}"
        raise CheckpointError(f"{path}: {what.rstrip()}")


def _is_number(stored: Stored) -> bool:
    """Whether it is of a floating-point type that this reader knows."""
    return stored.dtype is not None and stored.dtype.is_floating_point


def _require_memory(
    path: Path,
    wanted: Mapping[str, Tensor],
    found: Tensors,
    changes: Mapping[str, Change],
    eighth: Container[str],
    available: int | None,
) -> None:
    """What changes its type needs memory of its own, of `eighth` a byte for each number; the rest stays in the file."""
    needed = sum(
        parameter.numel() * (1 if name in eighth else parameter.element_size())
        for name, parameter in wanted.items()
        if found[name].dtype != parameter.dtype or name in changes or name in eighth
    )
    free = psutil.virtual_memory().available if available is None else available
    if needed > free:
        raise CheckpointError(
            f"{path}: loading takes {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; close other "
            f"programs, export in float16, or use a machine with more"
        )


def _read(path: Path, name: str, stored: Stored, kind: torch.dtype, change: Change | None) -> Tensor:
    try:
        tensor = stored.read()
    except (RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {name} cannot be read ({error}); download the file again") from error
    if change is not None:
        tensor = change.added(tensor)
    out = tensor.to(kind).contiguous()
    # The sum is one pass over the tensor. It can overflow where every number is finite, so it only raises a suspicion.
    if not torch.isfinite(out.sum(dtype=torch.float32)) and not bool(torch.isfinite(out).all()):
        if bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(f"{path}: {name} has numbers too large for float16; export it in float32")
        raise CheckpointError(f"{path}: {name} holds NaN or infinity; the file is damaged, download it again")
    return out


def _place(model: nn.Module, name: str, tensor: Tensor) -> None:
    module, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(module), leaf, nn.Parameter(tensor, requires_grad=False))
