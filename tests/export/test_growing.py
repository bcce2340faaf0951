"""A sibling of another size begins with what the smaller one learnt: places mean the same in both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamgen_export.pocket.clips import orders_of, render
from streamgen_export.pocket.config import POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.flow import STILL_SHARE, _some_start_from_a_picture
from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.train import PLANS, stages
from streamgen_export.pocket.train_transformer import TransformerTraining, resized_places
from streamgen_export.pocket.transformer import JointTransformer, Text


def thin(config: PocketConfig) -> PocketConfig:
    return replace(config, dim=48, layers=2, heads=2, text_narrow=16)


def test_the_small_one_is_trained_first() -> None:
    assert stages("pocket") == ["pocket-small", "pocket"]
    assert stages("nano") == ["nano"]
    assert all(PLANS[plan.after].config.dim == plan.config.dim for plan in PLANS.values() if plan.after)


def test_angles_mean_the_same_place_at_both_sizes() -> None:
    small, large = (JointTransformer(thin(config)) for config in (POCKET_SMALL, POCKET))
    # The small picture's cell (1, 2) covers the large one's cells from (2, 4) on; tokens are 2 x 2 cells each.
    narrow = small.space[1 * POCKET_SMALL.token_columns + 2]
    wide = large.space[2 * POCKET.token_columns + 4]
    torch.testing.assert_close(narrow, wide)
    torch.testing.assert_close(small.space[-POCKET.audio_tokens :], large.space[-POCKET.audio_tokens :])


def test_learnt_places_are_spread_and_those_of_sound_kept() -> None:
    row, column = torch.meshgrid(torch.arange(4.0), torch.arange(7.0), indexing="ij")
    few = torch.cat((torch.stack((row, column), dim=-1).flatten(0, 1), torch.full((3, 2), 9.0)))
    spread = resized_places(few, torch.zeros(POCKET.tokens, 2), POCKET)
    assert spread.shape == (POCKET.tokens, 2)
    torch.testing.assert_close(spread[-3:], few[-3:])
    grid = spread[:-3].unflatten(0, (POCKET.token_rows, POCKET.token_columns))
    assert grid[0, 0].tolist() == [0, 0]
    assert grid[-1, -1].tolist() == [3, 6]
    assert (grid[:, 1:, 1] >= grid[:, :-1, 1]).all()
    assert (grid[1:, :, 0] >= grid[:-1, :, 0]).all()


def test_a_grown_model_knows_what_the_small_one_knew(tmp_path: Path) -> None:
    small = TransformerTraining(thin(POCKET_SMALL), tmp_path / "small", 1)
    large = TransformerTraining(thin(POCKET), tmp_path / "large", 2)
    large.grow_from(small.averaged().state_dict())
    for name, value in small.model.state_dict().items():
        if name not in ("place", "space"):
            torch.testing.assert_close(large.model.state_dict()[name], value)
            torch.testing.assert_close(large.ema[name], value)


@pytest.mark.parametrize("config", [POCKET, POCKET_SMALL], ids=["pocket", "pocket-small"])
def test_clips_of_the_wide_world_fit_the_model(config: object) -> None:
    assert config in (POCKET, POCKET_SMALL)
    size = POCKET if config is POCKET else POCKET_SMALL
    (order,) = orders_of(size, [11], chunks=2)
    clip = render(order)
    assert clip.rgb.shape == (8, size.height, size.width, 3)
    assert clip.controls.shape == (2 * size.control_frames, size.controls)
    assert clip.impact.shape == (2 * size.control_frames,)
    assert len(clip.captions) == 2
    assert np.abs(clip.controls[:, -2:]).max() <= 1


def test_some_clips_start_from_a_picture_that_stands_still() -> None:
    torch.manual_seed(0)
    clips, chunks = 400, 3
    text = Text(torch.zeros(1, 4, 8), torch.zeros(1, 4), torch.zeros(1, 8))
    batch = Batch(
        torch.randn(clips, chunks, 2, 2, 2),
        torch.randn(clips, chunks, 2, 2),
        torch.zeros(clips, chunks, 2, 2),
        torch.zeros(clips, chunks, 2),
        torch.randn(clips, 2, 2, 2),
        text,
    )
    video, audio = _some_start_from_a_picture(batch)
    still = (video[:, 0] == batch.still).flatten(1).all(1)
    assert 0.5 * STILL_SHARE < still.float().mean() < 1.6 * STILL_SHARE
    assert (audio[still, 0] == 0).all()
    torch.testing.assert_close(video[~still], batch.video[~still])
    torch.testing.assert_close(audio[:, 1:], batch.audio[:, 1:])
