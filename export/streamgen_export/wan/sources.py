"""Everything that can be wrong with an export, looked for before anything heavy starts; it takes seconds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import torch

from streamgen_export.wan import checkpoint
from streamgen_export.wan.errors import NoRoomError
from streamgen_export.wan.precision import shaped
from streamgen_export.wan.request import Request
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.tokenizer import load_tokenizer
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.umt5 import TOKENS, Umt5Config
from streamgen_export.wan.umt5_checkpoint import open_checkpoint
from streamgen_export.wan.umt5_graphs import weights_bytes
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_weights import read_taehv_decoder, read_wan_decoder

HEADROOM_BYTES: Final = 10**9
"""Of memory that an export takes beside converted weights; measured: half of it (`docs/wan-transformer.md`)."""
SPARE_BYTES: Final = 256 * 2**20
"""Room on the disk beside weights: the graphs themselves, tables, the tokenizer."""
TEXT_SIDE: Final = ("text_embedding.", ".cross_attn.k.", ".cross_attn.v.", ".cross_attn.norm_k.")
"""Parameters and buffers that `prompt_kv` has; `denoise` has all others."""


class MismatchError(ValueError):
    """Files that were given do not go together."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        text: sizes of the text encoder.
        step_bytes: about what each step of the export writes.
    """

    text: Umt5Config
    step_bytes: dict[str, int]


def check(request: Request, *, available_bytes: int | None = None) -> Checked:
    """Open every file of a request and compare it with what is asked for.

    Args:
        request: what is to be exported.
        available_bytes: memory that may be taken; None asks the machine.

    Raises:
        ValueError: a file is missing, damaged, or of another model; each subclass's message says what to do.
    """
    available = psutil.virtual_memory().available if available_bytes is None else available_bytes
    checkpoint.check(
        request.checkpoint,
        request.variant,
        lora=request.lora,
        precision=request.parts.loaded,
        config=request.config,
        available_bytes=max(0, available - HEADROOM_BYTES),
    )
    text = open_checkpoint(request.text).config
    if text.width != request.config.text_width:
        raise MismatchError(
            f"{request.text} encodes a token into {text.width} numbers, and the transformer reads "
            f"{request.config.text_width}: it is another text encoder than the one that the model was trained with"
        )
    if request.config.text_tokens != TOKENS:
        raise MismatchError(f"{request.config.name} reads {request.config.text_tokens} tokens, not {TOKENS}")
    load_tokenizer(request.tokenizer, text.vocabulary)
    read_decoder(request)
    return Checked(text, step_bytes(request, text))


def read_decoder(request: Request) -> WanDecoder | TaehvDecoder:
    """The decoder in float32.

    Raises:
        WeightsError: the file is not its weights.
    """
    if request.decoder == "taehv":
        return read_taehv_decoder(request.decoder_file, request.dimensions.taehv)
    return read_wan_decoder(request.decoder_file, request.dimensions.vae)


def step_bytes(request: Request, text: Umt5Config) -> dict[str, int]:
    """About how many bytes each step writes, from shapes alone."""
    with torch.device("meta"):
        model = CausalWan(request.config)
        decoder = (
            TaehvDecoder(request.dimensions.taehv) if request.decoder == "taehv" else WanDecoder(request.dimensions.vae)
        )
    shaped(model, request.precision)
    if request.parts.half:
        decoder.half()
    told, rest = 0, 0
    for name, parameter in (*model.named_parameters(), *model.named_buffers()):
        size = parameter.numel() * parameter.element_size()
        if any(part in f".{name}" for part in TEXT_SIDE):
            told += size
        else:
            rest += size
    graphs = 1 if request.decoder == "taehv" else 2
    pictures = graphs * sum(each.numel() * each.element_size() for each in decoder.parameters())
    return {
        "prompt_kv": told,
        "denoise": rest,
        "decoder": pictures,
        "text": weights_bytes(text, request.text_precision),
    }


def require_room(folder: Path, needed: int) -> None:
    """See whether a disk has room.

    Args:
        folder: on it; parts of the path may not be there yet.
        needed: bytes.

    Raises:
        NoRoomError: it has not.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed + SPARE_BYTES > free:
        raise NoRoomError(
            f"{folder}: the bundle takes {(needed + SPARE_BYTES) / 1e9:.1f} GB more and {free / 1e9:.1f} GB are free; "
            f"make room, or write it to another disk with --out"
        )
