"""Both decoders with few channels and all layers, and pictures of a few cells."""

from streamgen_export.wan.taehv import TaehvConfig, TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import VaeConfig
from streamgen_export.wan.vae_parity import random_latents, randomise

VAE = VaeConfig(base=8)
TAEHV = TaehvConfig(widths=(32, 16, 8, 8))
ROWS, COLUMNS = 4, 6
WIDTH, HEIGHT = 8 * COLUMNS, 8 * ROWS
LATENTS = 30


def tiny_vae(seed: int = 3) -> WanDecoder:
    decoder = WanDecoder(VAE).eval().requires_grad_(False)
    randomise(decoder, seed)
    return decoder


def tiny_taehv(seed: int = 4) -> TaehvDecoder:
    decoder = TaehvDecoder(TAEHV).eval().requires_grad_(False)
    randomise(decoder, seed)
    return decoder


__all__ = ["COLUMNS", "HEIGHT", "LATENTS", "ROWS", "TAEHV", "VAE", "WIDTH", "random_latents", "tiny_taehv", "tiny_vae"]
