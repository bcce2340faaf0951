"""The joint transformer's pieces: the arrangement of tokens and positions that depend on differences of age only."""

from dataclasses import replace

import pytest
import torch

from streamgen_export.pocket.config import POCKET, PocketConfig
from streamgen_export.pocket.transformer import JointTransformer, rotate

FLAT = replace(POCKET, name="flat", merge_rows=1)


@pytest.mark.parametrize("config", [FLAT, POCKET], ids=lambda config: config.name)
def test_latents_undoes_the_arrangement_of_tokens(config: PocketConfig) -> None:
    model = JointTransformer(config)
    with torch.no_grad():
        for inward, outward in ((model.video_in, model.video_out), (model.audio_in, model.audio_out)):
            inward.weight.zero_()
            inward.bias.zero_()
            eye = torch.eye(inward.in_features)
            inward.weight[: inward.in_features] = eye
            outward.weight[:, : inward.in_features] = eye
        model.place.zero_()
        video, audio = torch.randn(2, 48, config.rows, config.columns), torch.randn(2, 16, config.audio_latents)
        back_video, back_audio = model.latents(model.tokens(video, audio))
    assert config.token_channels <= config.dim
    assert torch.equal(back_video, video)
    assert torch.equal(back_audio, audio)


def test_attention_sees_only_the_difference_of_ages() -> None:
    model = JointTransformer(POCKET)
    q, k = torch.randn(POCKET.tokens, POCKET.head_dim), torch.randn(POCKET.tokens, POCKET.head_dim)

    def scores(now: float, then: float) -> torch.Tensor:
        return rotate(q, *model.rotation(torch.tensor([now]))) @ rotate(k, *model.rotation(torch.tensor([then]))).T

    torch.testing.assert_close(scores(0.0, 3.0), scores(2.0, 5.0), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(scores(0.0, 3.0), scores(0.0, 4.0), atol=1e-2)


def test_a_token_is_a_square_of_neighbouring_cells() -> None:
    model = JointTransformer(POCKET)
    video, audio = torch.zeros(1, 48, 8, 14), torch.zeros(1, 16, 6)
    with torch.no_grad():
        plain = model.tokens(video, audio)
        video[0, 5, 2:4, 6:8] = 1.0
        changed = (model.tokens(video, audio) - plain).abs().amax(-1)[0].nonzero()
    assert changed.flatten().tolist() == [1 * 7 + 3]
