"""A tiny transformer with random weights, rings for it, and its weights in the layouts of the published files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.transformer import CausalWan, randomise

SHAPES = {
    "three frames, sink": RingShape(chunk=3, window=3, sink=3, height=4, width=6),
    "three frames, no sink": RingShape(chunk=3, window=6, sink=0, height=4, width=6),
    "one frame, sink": RingShape(chunk=1, window=2, sink=3, height=4, width=6),
    "no window": RingShape(chunk=1, window=0, sink=1, height=4, width=4),
}


def tiny(seed: int = 0) -> CausalWan:
    return randomise(CausalWan(TINY), seed).eval().requires_grad_(False)


def weights(model: CausalWan) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def save_pt(path: Path, entries: Mapping[str, object]) -> Path:
    torch.save(dict(entries), path)
    return path


def save_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({name: each.contiguous() for name, each in tensors.items()}, str(path))
    return path
