"""What the graphs of a bundle compute in, for each precision that an export is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch import nn

from streamgen_export.quantised_linear import Fp8Linear, Int8Linear, replace_linears
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.umt5_graphs import Variant as TextPrecision

Precision = Literal["fp32", "fp16", "bf16", "fp8", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)
WeightPrecision = Literal["fp32", "fp16", "bf16", "int8"]
"""How weights are read from a checkpoint. fp8 is made of float16 once its activations are measured."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The precision of each part of a bundle.

    Attributes:
        loaded: of the transformer's weights when they are read.
        prompt_kv: of this graph. It runs once for a text and its error stays for as long as the text does, so that
            eight bits pay where they save memory alone: on a CPU.
        half: whether the ring, keys and values of the text, and the decoder are float16; else they are float32. In
            bfloat16 the steps of its pictures would show.
        text: of the text encoder where nothing is said.
    """

    loaded: WeightPrecision
    prompt_kv: Precision
    half: bool
    text: TextPrecision


HALVES: Final[Mapping[str, torch.dtype]] = {"fp16": torch.float16, "bf16": torch.bfloat16}
"""torch's type of linears, for precisions of two bytes."""
PARTS: Final[Mapping[Precision, Parts]] = {
    "fp32": Parts("fp32", "fp32", half=False, text="int8"),
    "fp16": Parts("fp16", "fp16", half=True, text="bf16"),
    "bf16": Parts("bf16", "bf16", half=True, text="bf16"),
    "fp8": Parts("fp16", "fp16", half=True, text="bf16"),
    "int8": Parts("int8", "int8", half=False, text="int8"),
}


def fp8_names(model: CausalWan) -> Iterator[str]:
    """Linears that are in eight bits in fp8: those of the blocks that run in every pass.

    Keys and values of the text are made by `prompt_kv`, and stay float16.
    """
    for name in int8_names(model):
        if not name.endswith((".cross_attn.k", ".cross_attn.v")):
            yield name


def int8_names(model: CausalWan) -> Iterator[str]:
    """Linears that are in eight bits in int8: all of the blocks.

    The text's own two stay float32. They are small, and a few loud numbers of what the encoder makes would leave few
    steps to the rest.
    """
    for name, module in model.named_modules():
        if name.startswith("blocks.") and isinstance(module, nn.Linear):
            yield name


def to_fp8(model: CausalWan, largest: Mapping[str, float]) -> CausalWan:
    """Turn the big linears of a float16 model into fp8, one by one; the model itself.

    Args:
        model: after `halve`.
        largest: absolute value of what each linear of `fp8_names` reads (`calibration.measure`).

    Raises:
        ValueError: one was not measured, or measured as nothing.
    """
    names = list(fp8_names(model))
    missing = [name for name in names if name not in largest]
    if missing:
        raise ValueError(f"{len(missing)} linears were not measured (the first: {missing[0]}); calibrate this model")
    replace_linears(model, names, lambda name, linear: Fp8Linear(linear, largest[name]))
    return model


def to_int8(model: CausalWan) -> CausalWan:
    """Turn the big linears of a float32 model into int8, one by one; the model itself."""
    replace_linears(model, list(int8_names(model)), lambda name, linear: Int8Linear(linear))
    return model


def shaped(model: CausalWan, precision: Precision) -> CausalWan:
    """A float32 model in the types of a precision.

    In fp8 the scales of its activations mean nothing, so that what it takes can be counted, and nothing computed: see
    `to_fp8`.

    Args:
        model: it is changed; it may be without numbers (on the device `meta`).
        precision: of the result.
    """
    if precision == "int8":
        return to_int8(model)
    if precision == "fp8":
        return to_fp8(model.halve(), dict.fromkeys(fp8_names(model), 1.0))
    return model if precision == "fp32" else model.halve(HALVES[precision])


def model_bytes(model: nn.Module) -> int:
    """Bytes of the parameters and constants of a model, with or without numbers."""
    return sum(each.numel() * each.element_size() for each in (*model.parameters(), *model.buffers()))
