"""A low-rank change of a model's linears (Hu et al. 2021, LoRA), published beside it, to be added to its weights.

LongLive publishes one as the library peft writes it: for each linear `lora_A` [r, in] and `lora_B` [out, r], in a `.pt`
under `generator_lora` or bare. `lora_down` and `lora_up` are the same two in other tools' words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from streamgen_export.wan.errors import CheckpointError
from streamgen_export.wan.names import plain
from streamgen_export.wan.tensor_files import Stored, open_tensors

ENTRIES: Final = ("generator_lora",)
_PART: Final = re.compile(r"^(?P<linear>.+)\.lora_(?P<part>A|B|down|up)(?:\.default)?\.weight$")
_ALPHA: Final = re.compile(r"^(?P<linear>.+)\.alpha$")
_SHOWN: Final = 4


def is_part(name: str) -> bool:
    """Whether a tensor of this name belongs to a LoRA."""
    return _PART.match(name) is not None


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one linear.

    Attributes:
        down: [r, in].
        up: [out, r].
        scale: what their product is multiplied by.
    """

    down: Stored
    up: Stored
    scale: float

    def added(self, weight: Tensor) -> Tensor:
        """The weight [out, in] with the change, float32."""
        up, down = self.up.read().float(), self.down.read().float()
        return torch.addmm(weight.float(), up, down, alpha=self.scale)


def read_lora(path: Path, shapes: dict[str, tuple[int, ...]], scale: float) -> dict[str, Change]:
    """The changes in a file, by the name of the weight that each changes.

    Args:
        path: the file.
        shapes: of the model's weights, by their names.
        scale: of every change, where the file does not say it by itself (`alpha`).

    Raises:
        CheckpointError: it is no LoRA, or not one of this model; the message names what does not fit.
        UnsafeCheckpointError: it holds more than weights.
    """
    down: dict[str, Stored] = {}
    up: dict[str, Stored] = {}
    alpha: dict[str, float] = {}
    others: list[str] = []
    for name, tensor in open_tensors(path, ENTRIES).items():
        part, said = _PART.match(name), _ALPHA.match(name)
        if part is not None:
            side = down if part["part"] in {"A", "down"} else up
            side[plain(part["linear"] + ".weight")] = tensor
        elif said is not None:
            alpha[plain(said["linear"] + ".weight")] = float(tensor.read())
        else:
            others.append(name)
    if not down:
        raise CheckpointError(f"{path}: no LoRA is in this file; its tensors are called {', '.join(others[:_SHOWN])}")
    faults = [f"{name} is no part of a LoRA" for name in others]
    faults += [f"{name} has only one of its two halves" for name in sorted(down.keys() ^ up.keys())]
    for name in sorted(down.keys() & up.keys()):
        wanted, (a, b) = shapes.get(name), (down[name].shape, up[name].shape)
        if wanted is None:
            faults.append(f"the model has no {name}")
        elif len(a) != 2 or len(b) != 2 or a[0] != b[1] or (b[0], a[1]) != wanted:
            faults.append(f"{name} is {list(wanted)}, and the LoRA is for {[*b[:1], *a[1:]]}")
    if faults:
        raise CheckpointError(
            f"{path}: this LoRA is not for this model: {'; '.join(faults[:_SHOWN])}"
            + (f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else "")
        )
    return {
        name: Change(part, up[name], alpha[name] / part.shape[0] if name in alpha else scale)
        for name, part in down.items()
    }
