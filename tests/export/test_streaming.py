"""Training and streaming are one function: attention over clips equals attention over the ring, chunk by chunk."""

from dataclasses import replace

import pytest
import torch

from streamgen_export.pocket.config import POCKET, PocketConfig
from streamgen_export.pocket.streaming import Denoise
from streamgen_export.pocket.transformer import JointTransformer, Text

CHUNKS = 11
TINY = replace(POCKET, name="tiny", width=192, height=128, dim=96, layers=2, heads=2)


@pytest.mark.parametrize("config", [POCKET, TINY], ids=lambda config: config.name)
def test_the_ring_gives_what_training_saw(config: PocketConfig) -> None:
    torch.manual_seed(2)
    model = JointTransformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    video = torch.randn(2, 1, CHUNKS, config.video_channels, config.rows, config.columns)
    audio = torch.randn(2, 1, CHUNKS, 16, config.audio_latents)
    sigma = torch.rand(1, CHUNKS, 2)
    context, pooled = torch.randn(CHUNKS, 32, 384), torch.randn(CHUNKS, 384) / 20
    bias = torch.zeros(CHUNKS, 32)
    bias[:, 20:] = -1.0e4
    text = Text(context, bias, pooled)
    with torch.no_grad():
        whole = model.train_forward(
            (video[0], audio[0]),
            (video[1], audio[1]),
            sigma,
            text,
            torch.ones(1, dtype=torch.bool),
            torch.zeros(1, CHUNKS, dtype=torch.int64),
        )
        module = Denoise(model)
        rings = [torch.zeros(shape) for shape in module.states().values()]
        n, window = config.tokens, config.window
        for chunk in range(CHUNKS):
            slot = 1 + chunk % (window + 1)
            age = torch.full((config.slots,), -1.0)
            for past in range(max(chunk - window, 0), chunk + 1):
                age[1 + past % (window + 1)] = chunk - past
            if chunk > window:
                age[0] = window + 1
            told = (context[chunk : chunk + 1], bias[chunk : chunk + 1], pooled[chunk : chunk + 1])
            index = torch.tensor([slot * n])
            # The noisy pass first, the context pass last: it leaves the clean keys, as the sampler does.
            out = module(video[1][:, chunk], audio[1][:, chunk], sigma[:, chunk, 1], *told, age, index, *rings)
            torch.testing.assert_close(out[0], whole[0][:, chunk], atol=2e-4, rtol=1e-3)
            torch.testing.assert_close(out[1], whole[1][:, chunk], atol=2e-4, rtol=1e-3)
            out = module(video[0][:, chunk], audio[0][:, chunk], sigma[:, chunk, 0], *told, age, index, *rings)
            rings = list(out[2:])
            if chunk == 0:
                for ring in rings:
                    ring[:, :, :n] = ring[:, :, n : 2 * n]
