"""Trained weights as one file, far smaller than a checkpoint, from which training goes on.

Large tensors are int8 with one scale for each slice of their first axis, as in the bundle's graphs; the others stay
float32. The file is safetensors, so it holds numbers and nothing that is run when it is read.

    python -m streamgen_export.pocket.weights --size pocket --run runs/pocket --out export/weights/pocket.safetensors
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from streamgen_export.compact import LARGEST_CODE, SMALLEST
from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.config import CONFIGS, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.export import GUARD_FILE, guard_for, load_transformer
from streamgen_export.pocket.transformer import JointTransformer

CODE, SCALE = ".code", ".scale"
GUARD = "guard"
"""Name in the file's metadata: the ranges in which latents live."""


class WeightsError(ValueError):
    """A file of weights is not of this model; the message says what differs."""


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large tensors as codes and scales, small ones and those of one axis as they are."""
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2 or tensor.numel() < SMALLEST:
            small[name] = tensor.contiguous()
            continue
        axes = tuple(range(1, tensor.dim()))
        scale = tensor.abs().amax(dim=axes, keepdim=True).clamp(min=1e-12) / LARGEST_CODE
        small[name + CODE] = (tensor / scale).round().to(torch.int8).contiguous()
        small[name + SCALE] = scale.contiguous()
    return small


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `packed`, up to rounding."""
    full: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(CODE):
            plain = name.removesuffix(CODE)
            full[plain] = tensor.float() * tensors[plain + SCALE]
        elif not name.endswith(SCALE):
            full[name] = tensor
    return full


def write_weights(path: Path, config: PocketConfig, run: Path) -> None:
    """Write the averaged weights and the autoencoders of a run."""
    parts = {
        "encoders": load_encoders(config, run).state_dict(),
        "transformer": load_transformer(config, run).state_dict(),
    }
    tensors = {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"name": config.name, "licence": "Apache-2.0", GUARD: json.dumps(guard_for(run))}
    save_file(packed(tensors), path, about)


def read_weights(path: Path, config: PocketConfig) -> tuple[Encoders, JointTransformer]:
    """Autoencoders and transformer from a file that `write_weights` wrote.

    Raises:
        WeightsError: it is of another model.
    """
    with safe_open(path, "pt") as file:
        tensors = unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a mapping)
    encoders, transformer = Encoders(config), JointTransformer(config)
    for part, module in (("encoders", encoders), ("transformer", transformer)):
        state = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"{path} does not hold the {part} of {config.name}: {error}") from error
    return encoders.eval(), transformer.eval()


def take_over(path: Path, config: PocketConfig, run: Path) -> None:
    """Let a run that has nothing yet begin with published weights: its autoencoders are theirs and stay as they are.

    Raises:
        WeightsError: they are of another model.
    """
    if (run / "encoders.pt").is_file():
        return
    encoders, transformer = read_weights(path, config)
    run.mkdir(parents=True, exist_ok=True)
    with safe_open(path, "pt") as file:
        (run / GUARD_FILE).write_text(file.metadata()[GUARD])
    checkpoint.save(run / "transformer.pt", {"ema": transformer.state_dict()})
    checkpoint.save(run / "encoders.pt", encoders.state_dict())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the weights of a run as one small file.")
    parser.add_argument("--size", choices=sorted(CONFIGS), default="pocket")
    parser.add_argument("--run", type=Path, help="folder of the training (default runs/SIZE)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_weights(options.out, CONFIGS[options.size], options.run or Path("runs") / options.size)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
