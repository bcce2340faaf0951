"""bfloat16 is a matter of rounding: what training computes in it is what float32 computes, forward and backward.

Not so by itself: on CPUs with AMX, torch 2.13 computes nonsense in bfloat16 for convolutions with wide strides over few
channels, and so for what flows back through their transposed ones.
"""

from dataclasses import replace

import pytest
import torch

from streamgen_export.pocket.config import POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.video_autoencoder import VideoDecoder, VideoEncoder, shrunk

ROUNDING = 0.4
"""Share by which gradients may differ; nonsense is off by more than one."""


def computed(config: PocketConfig, *, mixed: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    encoder, decoder = VideoEncoder(config), VideoDecoder(config)
    parameters = {**dict(encoder.named_parameters(prefix="e")), **dict(decoder.named_parameters(prefix="d"))}
    with torch.no_grad():
        for parameter in parameters.values():
            if not parameter.any():
                parameter.normal_(0, 0.02)
    true = torch.rand(2, 12, 128, 128) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        latents = encoder(shrunk(true, config.upscale))
        made = decoder.clips(latents[:, None])[:, 0]
    (made.float() - true).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in parameters.items() if parameter.grad is not None}
    assert gradients.keys() == parameters.keys()
    return latents.detach().float(), gradients


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("config", [POCKET, POCKET_SMALL], ids=lambda config: config.name)
def test_the_picture_autoencoder_learns_the_same_in_both_types(config: PocketConfig) -> None:
    thin = replace(
        config,
        decoder_widths=tuple(max(width // 8, 8) for width in config.decoder_widths),
    )
    latents, gradients = computed(thin, mixed=True)
    true_latents, true_gradients = computed(thin, mixed=False)
    assert distance(latents, true_latents) < 0.02
    off = {name: distance(gradients[name], true) for name, true in true_gradients.items()}
    assert max(off.values()) < ROUNDING, sorted(off.items(), key=lambda item: -item[1])[:5]
