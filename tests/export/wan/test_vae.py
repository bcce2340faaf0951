"""Wan's decoder against diffusers, and a stream against the whole clip."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from streamgen_export.wan.vae import Norm, WholeClip
from streamgen_export.wan.vae_graphs import graphs_of
from streamgen_export.wan.vae_parity import from_diffusers
from streamgen_export.wan.vae_streaming import LatentStream
from tests.export.wan.tiny_vae import COLUMNS, LATENTS, ROWS, random_latents, tiny_vae

CLOSE = 1e-4
"""Of values in [-1, 1]; sums in another order."""


def test_a_stream_of_30_latents_is_what_diffusers_decodes() -> None:
    decoder = tiny_vae()
    latents = list(random_latents(decoder, LATENTS, ROWS, COLUMNS, seed=5))
    assert from_diffusers(decoder, latents) < CLOSE


def test_diffusers_would_show_a_wrong_recipe() -> None:
    """Without the graph for the first latent pictures differ visibly: the comparison is one that can fail."""
    decoder = tiny_vae()
    latents = list(random_latents(decoder, 2, ROWS, COLUMNS, seed=5))
    right, wrong = LatentStream(graphs_of(decoder)), LatentStream({"decode_video": graphs_of(decoder)["decode_video"]})
    for latent in latents:
        made, other = right.decode(latent), wrong.decode(latent)
    assert float((made - other).abs().max()) > 100 * CLOSE


def test_a_stream_is_the_clip_decoded_at_once() -> None:
    decoder = tiny_vae()
    latents = list(random_latents(decoder, 6, ROWS, COLUMNS, seed=6))
    stream = LatentStream(graphs_of(decoder))
    made = torch.cat([stream.decode(latent) for latent in latents])
    mean = torch.tensor(decoder.config.latent_mean).reshape(1, -1, 1, 1, 1)
    std = torch.tensor(decoder.config.latent_std).reshape(1, -1, 1, 1, 1)
    whole = decoder.clip(torch.cat(latents, dim=2) * std + mean)
    assert whole.shape == (1, 3, 4 * 6 - 3, 8 * ROWS, 8 * COLUMNS)
    assert float(whole.std()) > 0.1
    torch.testing.assert_close(made * 2.0 - 1.0, whole[0].transpose(0, 1), rtol=0.0, atol=CLOSE)


def test_the_first_picture_is_never_doubled() -> None:
    def double(x: Tensor) -> Tensor:
        return torch.cat((x[:, :, :-2], x[:, :, 2:]), dim=2)

    alone = torch.ones(1, 1, 1, 2, 2)
    assert WholeClip().doubled(alone, double) is alone
    three = torch.arange(1.0, 4.0).reshape(1, 1, 3, 1, 1)
    assert WholeClip().doubled(three, double).flatten().tolist() == [1.0, 0.0, 0.0, 2.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_norms_are_in_float32(dtype: torch.dtype) -> None:
    norm = Norm(96, 3).to(dtype)
    x = (torch.randn(1, 96, 2, 3, 3, generator=torch.Generator().manual_seed(0)) * 1000).to(dtype)  # squares overflow
    made = norm(x)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, F.normalize(x.float(), dim=1) * 96**0.5)
    assert norm(torch.zeros_like(x)).count_nonzero() == 0
