"""Where files of a Wan model are when nobody says: beside the checkpoint, under their published names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streamgen_export.wan.request import Decoder
from streamgen_export.wan.tokenizer import TokenizerError, find_tokenizer

DECODER_FILES: Final[dict[Decoder, tuple[str, ...]]] = {
    "wan": ("Wan2.1_VAE.pth", "vae/diffusion_pytorch_model.safetensors"),
    "taehv": ("taew2_1.pth", "taew2_1.safetensors"),
}
DECODER_SOURCES: Final[dict[Decoder, str]] = {
    "wan": "huggingface.co/Wan-AI/Wan2.1-T2V-1.3B",
    "taehv": "github.com/madebyollin/taehv",
}
TEXT_FILES: Final = ("models_t5_umt5-xxl-enc-bf16.pth", "text_encoder/model.safetensors.index.json")
TEXT_SOURCE: Final = "huggingface.co/Wan-AI/Wan2.1-T2V-1.3B"


class MissingFileError(ValueError):
    """A file that an export needs is not there; the message says where it is published."""


def find_decoder(folder: Path, chosen: Decoder | None, given: dict[Decoder, Path | None]) -> tuple[Decoder, Path]:
    """Which decoder, and the file of its weights.

    Args:
        folder: of the checkpoint.
        chosen: which one is asked for; None takes the one whose file is given, and else Wan's own.
        given: files that were named.

    Raises:
        MissingFileError: there is no file for it, or two are given and none is chosen.
    """
    named: list[Decoder] = [decoder for decoder, file in given.items() if file is not None]
    if chosen is None and len(named) > 1:
        raise MissingFileError("files of both decoders are given; say which one to export: --decoder wan or taehv")
    decoder: Decoder = chosen or (named[0] if named else "wan")
    file = given.get(decoder) or _first(folder, DECODER_FILES[decoder])
    if file is None:
        flag = "--vae" if decoder == "wan" else "--taehv"
        raise MissingFileError(
            f"the weights of the decoder are missing: there is no {DECODER_FILES[decoder][0]} in {folder}; give it "
            f"with {flag}, it is published at {DECODER_SOURCES[decoder]}"
        )
    return decoder, file


def find_text(folder: Path, text: Path | None, tokenizer: Path | None) -> tuple[Path, Path]:
    """The file of the text encoder's weights, and the tokenizer's.

    Raises:
        MissingFileError: one is not there.
    """
    weights = text or _first(folder, TEXT_FILES)
    if weights is None:
        raise MissingFileError(
            f"the weights of the text encoder are missing: there is no {TEXT_FILES[0]} in {folder}; give it with "
            f"--text, it is published at {TEXT_SOURCE}"
        )
    for place in (tokenizer,) if tokenizer is not None else (folder, weights.parent):
        try:
            return weights, find_tokenizer(place)
        except TokenizerError as error:
            reason = str(error)
    raise MissingFileError(f"the tokenizer is missing: {reason}; name it with --tokenizer")


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
