"""The command's parts, on tiny decoders."""

import argparse
from pathlib import Path

import pytest
import torch

from streamgen_export.wan import vae_parity
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_graphs import graphs_of
from streamgen_export.wan.vae_parity import TAEHV_SPREAD, WAN_SPREAD, report
from streamgen_export.wan.vae_streaming import LatentStream
from tests.export.wan.tiny_vae import HEIGHT, WIDTH, Name, random_latents, tiny, tiny_taehv, tiny_vae, written


@pytest.mark.parametrize("name", ["wan", "taehv"])
def test_it_tells_what_it_found(
    name: Name, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_parity, "write_decoder", lambda *given: written(name, "fp32"))
    options = argparse.Namespace(width=WIDTH, height=HEIGHT, latents=3, threads=1)
    found, took = report(name, tiny(name), tmp_path, options)
    assert found.steps <= 1
    assert took > 0
    said = capsys.readouterr().out
    assert ("from diffusers: " in said) == (name == "wan")
    for words in ("parameters", "GFLOP for a latent", "joint", "ms for a latent"):
        assert words in said


@pytest.mark.parametrize(("decoder", "spread"), [(tiny_vae(), WAN_SPREAD / 2), (tiny_taehv(), TAEHV_SPREAD)])
def test_random_weights_make_pictures_with_contrast(decoder: WanDecoder | TaehvDecoder, spread: float) -> None:
    stream = LatentStream(graphs_of(decoder))
    pictures = torch.cat([stream.decode(latent) for latent in random_latents(decoder, 4, 4, 4, seed=11)])
    assert float(pictures[-4:].mean()) == pytest.approx(0.5, abs=0.25)
    assert float(pictures[-4:].std()) == pytest.approx(spread, rel=0.5)
