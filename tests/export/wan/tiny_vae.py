"""Both decoders with few channels and all layers, pictures of a few cells, and their graphs, written once."""

import atexit
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from streamgen_export.wan.taehv import TaehvConfig, TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import VaeConfig
from streamgen_export.wan.vae_graphs import WrittenGraph, write_decoder
from streamgen_export.wan.vae_parity import random_latents, randomise
from streamgen_export.wan.vae_streaming import Halves

Name = Literal["wan", "taehv"]
VAE: Final = VaeConfig(base=8)
TAEHV: Final = TaehvConfig(widths=(32, 16, 8, 8))
ROWS, COLUMNS = 4, 6
WIDTH, HEIGHT = 8 * COLUMNS, 8 * ROWS
LATENTS: Final = 30


def tiny_vae() -> WanDecoder:
    decoder = WanDecoder(VAE).eval().requires_grad_(False)
    randomise(decoder, seed=3)
    return decoder


def tiny_taehv() -> TaehvDecoder:
    decoder = TaehvDecoder(TAEHV).eval().requires_grad_(False)
    randomise(decoder, seed=4)
    return decoder


def tiny(name: Name, precision: Halves = "fp32") -> WanDecoder | TaehvDecoder:
    decoder = tiny_vae() if name == "wan" else tiny_taehv()
    return decoder.half() if precision == "fp16" else decoder


@cache
def written(name: Name, precision: Halves) -> dict[str, WrittenGraph]:
    """The graphs of `tiny(name, precision)`, in a folder that goes with the process; a test must not change them."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    return write_decoder(Path(folder.name) / "new", tiny(name, precision), WIDTH, HEIGHT)


__all__ = ["random_latents"]
