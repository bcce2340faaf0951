"""Every file of a causal Wan in its published layout, with random weights and few of them."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from streamgen_export.wan.config import TINY
from streamgen_export.wan.request import DIMENSIONS
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.transformer import CausalWan, randomise
from streamgen_export.wan.umt5 import random_weights
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_parity import randomise as randomise_decoder
from streamgen_export.wan.vae_weights import published, taehv_names, wan_names
from tests.export.wan.tiny_umt5 import CONFIG, tiny_tokenizer, wan_layout

CHECKPOINT: Final = "self_forcing_dmd.pt"
TEXT: Final = replace(CONFIG, width=TINY.text_width)
STARE: Final = 6.0
"""Gain of queries and keys of the text. A prompt has a few tokens among 512 places, which random attention would spread
itself over; a trained one looks at the words."""
HEED: Final = 15.0
"""Gain of what the text adds."""
APART: Final = 0.02
"""Gain of what a place of the picture asks of the text: so all places look at the same words, and take their colour."""


def transformer(seed: int = 0) -> CausalWan:
    """Random weights that mind the text."""
    model = randomise(CausalWan(TINY), seed).eval().requires_grad_(False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("cross_attn.norm_q.weight", "cross_attn.norm_k.weight")):
                parameter.mul_(STARE)
            elif name.endswith("cross_attn.q.weight"):
                parameter.mul_(APART)
            elif name.endswith("cross_attn.o.weight"):
                parameter.mul_(HEED)
    return model


def write_files(folder: Path) -> Path:
    """Write all of them into `folder`, which is made, and return the checkpoint."""
    folder.mkdir(parents=True)
    weights = {f"model.{name}": each.detach().clone() for name, each in transformer().named_parameters()}
    other = {name: torch.zeros_like(each) for name, each in weights.items()}
    torch.save({"generator": other, "generator_ema": weights}, folder / CHECKPOINT)
    sizes = DIMENSIONS["tiny"]
    vae, taehv = WanDecoder(sizes.vae), TaehvDecoder(sizes.taehv)
    randomise_decoder(vae, seed=3)
    randomise_decoder(taehv, seed=4)
    torch.save(renamed(vae, wan_names(sizes.vae)) | {"encoder.conv1.weight": torch.zeros(1)}, folder / "Wan2.1_VAE.pth")
    torch.save(renamed(taehv, taehv_names(sizes.taehv)), folder / "taew2_1.pth")
    encoder = {name: each.to(torch.bfloat16) for name, each in wan_layout(random_weights(TEXT, 5)).items()}
    torch.save(encoder, folder / "models_t5_umt5-xxl-enc-bf16.pth")
    place = folder / "google" / "umt5-xxl"
    place.mkdir(parents=True)
    tiny_tokenizer().save(str(place / "tokenizer.json"))
    return folder / CHECKPOINT


def renamed(module: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """Its tensors under their published names."""
    return {published(own, names): tensor.detach().clone() for own, tensor in module.state_dict().items()}
