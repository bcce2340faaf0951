"""The published weights of both decoders, read from their files.

Wan's decoder: `Wan2.1_VAE.pth`, or diffusers' `vae/diffusion_pytorch_model.safetensors` (the file or its folder).
TAEHV's: `taew2_1.pth`. Files are mapped into memory, and of a pickle nothing but tensors is read. Encoders, which the
files hold too, are left out.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from streamgen_export.wan.taehv import TAEW2_1, TaehvConfig, TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import WAN_VAE, VaeConfig

NAMED: Final = 4
"""Tensors that a message names of each kind; of the others it says how many there are."""
DIFFUSERS_FILE: Final = "diffusion_pytorch_model.safetensors"
_DIFFUSERS_SIGN: Final = "decoder.mid_block."
"""Names of diffusers' layout begin so, and none of Wan's."""
_WAN_ENCODER: Final = ("encoder.", "conv1.")
_DIFFUSERS_ENCODER: Final = ("encoder.", "quant_conv.")


class WeightsError(ValueError):
    """A file of weights cannot be read, or is not of this model; the message says what is wrong and what to do."""


def read_wan_decoder(path: Path, config: VaeConfig = WAN_VAE) -> WanDecoder:
    """Wan's decoder in float32 from a file of either layout, or from the folder of diffusers.

    Raises:
        WeightsError: the file cannot be read, or lacks tensors, or has others.
    """
    tensors = _tensors(path / DIFFUSERS_FILE if path.is_dir() else path)
    if any(name.startswith(_DIFFUSERS_SIGN) for name in tensors):
        names, others = diffusers_names(config), _DIFFUSERS_ENCODER
    else:
        names, others = wan_names(config), _WAN_ENCODER
    with torch.device("meta"):
        decoder = WanDecoder(config)
    advice = f"Wan 2.1's autoencoder (Wan2.1_VAE.pth, or diffusers' {DIFFUSERS_FILE}) is needed"
    _fill(decoder, tensors, names, others, path, advice)
    return decoder.eval()


def read_taehv_decoder(path: Path, config: TaehvConfig = TAEW2_1) -> TaehvDecoder:
    """TAEHV's decoder in float32.

    Raises:
        WeightsError: the file cannot be read, or lacks tensors, or has others.
    """
    tensors, names = _tensors(path), taehv_names(config)
    with torch.device("meta"):
        decoder = TaehvDecoder(config)
    shapes = {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    for place in range(len(config.repeats)):
        # Where a size makes no more pictures, files may have been trained with two: the later one counts.
        own = f"growths.{place}.time.weight"
        name = published(own, names)
        if name in tensors and tensors[name].shape[0] > shapes[own][0]:
            tensors[name] = tensors[name][-shapes[own][0] :]
    _fill(decoder, tensors, names, ("encoder.",), path, "TAEHV's weights for Wan 2.1 (taew2_1.pth) are needed")
    return decoder.eval()


def published(own: str, names: Mapping[str, str]) -> str:
    """A tensor's name in a file from its name here; `names` is that of the part which it belongs to."""
    part, _, leaf = own.rpartition(".")
    return f"{names[part]}.{leaf}"


def wan_names(config: VaeConfig) -> dict[str, str]:
    """Name in `Wan2.1_VAE.pth` of each part of `WanDecoder` that has tensors."""
    within = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"}
    within["shortcut"] = "shortcut"
    names = {"entry": "conv2", "conv_in": "decoder.conv1", "norm_out": "decoder.head.0", "conv_out": "decoder.head.2"}
    names |= _below("attention", "decoder.middle.1", {part: part for part in ("norm", "to_qkv", "proj")})
    names |= _below("middle.0", "decoder.middle.0", within) | _below("middle.1", "decoder.middle.2", within)
    place = 0
    for level, stage in enumerate(config.stages):
        for block in range(config.blocks):
            names |= _below(f"levels.{level}.blocks.{block}", f"decoder.upsamples.{place}", within)
            place += 1
        if stage.doubles_space:
            growth = {"space": "resample.1", "time": "time_conv"}
            names |= _below(f"levels.{level}.growth", f"decoder.upsamples.{place}", growth)
            place += 1
    return names


def diffusers_names(config: VaeConfig) -> dict[str, str]:
    """Name in diffusers' `AutoencoderKLWan` of each part of `WanDecoder` that has tensors."""
    within = {part: part for part in ("norm1", "conv1", "norm2", "conv2")} | {"shortcut": "conv_shortcut"}
    names = {"entry": "post_quant_conv"} | {part: f"decoder.{part}" for part in ("conv_in", "norm_out", "conv_out")}
    attention = {part: part for part in ("norm", "to_qkv", "proj")}
    names |= _below("attention", "decoder.mid_block.attentions.0", attention)
    for place in range(2):
        names |= _below(f"middle.{place}", f"decoder.mid_block.resnets.{place}", within)
    for level in range(len(config.stages)):
        for block in range(config.blocks):
            names |= _below(f"levels.{level}.blocks.{block}", f"decoder.up_blocks.{level}.resnets.{block}", within)
        growth = {"space": "resample.1", "time": "time_conv"}
        names |= _below(f"levels.{level}.growth", f"decoder.up_blocks.{level}.upsamplers.0", growth)
    return names


def taehv_names(config: TaehvConfig) -> dict[str, str]:
    """Name in `taew2_1.pth`, where all layers lie in one row, of each part of `TaehvDecoder` that has tensors."""
    names = {"entry": "decoder.1"}
    place, memory = 3, 0
    for growth in range(len(config.repeats)):
        for _ in range(config.memories):
            convolutions = {f"conv.{layer}": f"conv.{layer}" for layer in (0, 2, 4)}
            names |= _below(f"memories.{memory}", f"decoder.{place}", convolutions)
            place, memory = place + 1, memory + 1
        names |= {
            f"growths.{growth}.time": f"decoder.{place + 1}.conv",
            f"growths.{growth}.space": f"decoder.{place + 2}",
        }
        place += 3
    return names | {"exit": f"decoder.{place + 1}"}


def _below(own: str, name: str, parts: Mapping[str, str]) -> dict[str, str]:
    return {f"{own}.{mine}": f"{name}.{theirs}" for mine, theirs in parts.items()}


def _fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    names: Mapping[str, str],
    others: tuple[str, ...],
    path: Path,
    advice: str,
) -> None:
    """Give a module that has no memory yet its tensors, or say everything that is wrong with them."""
    wanted = {published(own, names): (own, tensor.shape) for own, tensor in module.state_dict().items()}
    shaped = [
        f"{name} (is {list(tensors[name].shape)}, should be {list(shape)})"
        for name, (_, shape) in wanted.items()
        if name in tensors and tensors[name].shape != shape
    ]
    faults = [
        _listed("is missing", [name for name in wanted if name not in tensors]),
        _listed("is unexpected", [name for name in tensors if name not in wanted and not name.startswith(others)]),
        _listed("has another shape", shaped),
    ]
    if any(faults):
        raise WeightsError(f"{path}: {'; '.join(fault for fault in faults if fault)}. {advice}")
    state = {own: tensors[name].float() for name, (own, _) in wanted.items()}
    broken = [published(own, names) for own, tensor in state.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise WeightsError(f"{path}: {_listed('is not finite', broken)}. Download the file again")
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False)


def _listed(what: str, names: Iterable[str]) -> str:
    """Some of the names, and how many more there are; nothing where there are none."""
    every = list(names)
    more = f" (and {len(every) - NAMED} more)" if len(every) > NAMED else ""
    return f"{what}: {', '.join(every[:NAMED])}{more}" if every else ""


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name, mapped from it.

    Raises:
        WeightsError: there is no such file, or it is damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not there; give the file of the weights")
    try:
        found = _from_safetensors(path) if path.suffix == ".safetensors" else _from_torch(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is no file of weights, or holds more than tensors, and what would run code is not read; "
            f"download the published file again"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} is cut short or damaged ({reason}); download it again") from error
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        inside = _listed("it holds", map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise WeightsError(f"{path} is not a plain list of tensors ({inside}); give the file of the decoder's weights")
    return {str(name): tensor for name, tensor in found.items()}


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def _from_torch(path: Path) -> Any:
    # What torch wrote before 1.6 is no archive, and cannot be mapped.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
