"""The small sibling shares latents and transformer with the large one; its decoder is its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import ClipArrays, orders_of, render
from streamgen_export.pocket.config import POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.export import GUARD_FILE, guard_for
from streamgen_export.pocket.flow import STILL_SHARE, _some_start_from_a_picture
from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.streaming import EncodePicture
from streamgen_export.pocket.train import PLANS, Machine, train_decoder
from streamgen_export.pocket.train_autoencoders import VideoTraining
from streamgen_export.pocket.transformer import JointTransformer, Text
from streamgen_export.pocket.video_autoencoder import pictures_to_float, shrunk

SIZES = pytest.mark.parametrize("config", [POCKET, POCKET_SMALL], ids=lambda config: config.name)


@pytest.fixture(scope="module")
def full() -> list[ClipArrays]:
    return [render(order) for order in orders_of(POCKET, [11, 12], chunks=2)]


def test_both_sizes_have_the_same_latents_and_the_same_transformer() -> None:
    shapes = []
    for config in (POCKET, POCKET_SMALL):
        with torch.device("meta"):
            model, encoder = JointTransformer(config), Encoders(config).video
        both = {**model.state_dict(), **encoder.state_dict()}
        shapes.append({name: value.shape for name, value in both.items()})
    assert shapes[0] == shapes[1]
    assert POCKET.seen == POCKET_SMALL.seen == (POCKET_SMALL.width, POCKET_SMALL.height)
    assert (POCKET.rows, POCKET.columns) == (POCKET_SMALL.rows, POCKET_SMALL.columns)
    assert PLANS["pocket-small"].larger == "pocket"


@SIZES
def test_clips_of_the_wide_world_fit_the_model(config: PocketConfig) -> None:
    (order,) = orders_of(config, [11], chunks=2)
    clip = render(order)
    assert clip.rgb.shape == (8, config.height, config.width, 3)
    assert clip.controls.shape == (2 * config.control_frames, config.controls)
    assert clip.impact.shape == (2 * config.control_frames,)
    assert len(clip.captions) == 2
    assert np.abs(clip.controls[:, -2:]).max() <= 1
    (small,) = orders_of(config, [11], chunks=2, seen=True)
    assert render(small).rgb.shape == (8, 128, 224, 3)


@torch.no_grad()
def test_full_pictures_are_seen_as_their_means(full: list[ClipArrays]) -> None:
    torch.manual_seed(0)
    encoders = Encoders(POCKET).eval()
    picture = torch.from_numpy(full[0].rgb[:1])
    seen = picture.float().unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean((2, 4)).round().to(torch.uint8)
    whole = encoders.encode_video(picture.expand(4, -1, -1, -1))
    assert whole.shape == (1, 48, 8, 14)
    torch.testing.assert_close(whole, encoders.encode_video(seen.expand(4, -1, -1, -1)), atol=0.05, rtol=0.05)
    (latent,) = EncodePicture(encoders, POCKET.upscale)(picture[0])
    torch.testing.assert_close(whole, latent, atol=0.05, rtol=0.05)


def test_the_picture_autoencoder_learns_from_both_kinds_of_clips(full: list[ClipArrays], tmp_path: Path) -> None:
    seen = [render(order) for order in orders_of(POCKET, [13], chunks=2, seen=True)]
    training = VideoTraining(replace(POCKET, crop=64), tmp_path, 1)
    training.run([*full, *seen], Budget(2), batch=1, chunks=2)
    assert training.step == 2
    assert all(torch.isfinite(p).all() for p in training.decoder.parameters())


def test_a_decoder_is_trained_alone_and_leaves_everything_else_as_it_is(tmp_path: Path) -> None:
    # The clips on which it will train: components of other clips would mean nothing there, so few as they are.
    full = [render(order) for order in orders_of(POCKET, range(1_500_000, 1_500_004), chunks=3)]
    config = replace(POCKET, crop=64)
    larger = VideoTraining(config, tmp_path, 1)
    larger.run(full, Budget(1), batch=1, chunks=2)
    encoders = Encoders(POCKET)
    encoders.video.load_state_dict(larger.encoder.state_dict())
    encoders.video_decoder.load_state_dict(larger.decoder.state_dict())
    encoders.measure(full[:1])
    checkpoint.save(tmp_path / "pocket" / "encoders.pt", encoders.state_dict())
    checkpoint.save(tmp_path / "pocket" / "transformer.pt", {"step": 0})
    (tmp_path / "pocket" / GUARD_FILE).write_text(json.dumps({"limit": 4.5}))
    few: dict[str, Any] = {"autoencoder_clips": 4, "video_steps": 2, "autoencoder_chunks": 3, "video_batch": 1}
    truth = shrunk(pictures_to_float(torch.from_numpy(full[0].rgb[:4])), 2)[0]
    plain = float((truth - truth.mean()).abs().mean())
    for size in ("pocket-small", "pocket"):
        plan, run = replace(PLANS[size], **few), tmp_path / size
        train_decoder(plan, run, 1, Machine(workers=1))
        own = load_encoders(plan.config, run)
        for name, value in encoders.state_dict().items():
            if not name.startswith("video_decoder."):
                torch.testing.assert_close(own.state_dict()[name], value)
        assert (run / "transformer.pt").is_file()
        assert guard_for(run) == {"limit": 4.5}
        assert not list((run / "decoder").glob("*.pt")), "the next training of the decoder begins a schedule of its own"
        with torch.no_grad():
            z = own.encode_video(torch.from_numpy(full[0].rgb[:4]))
            z = z * own.video_scale[:, None, None] + own.video_mean[:, None, None]
            made = own.video_decoder.clips(z[None])[0]
        assert float((shrunk(made, plan.config.upscale)[0] - truth).abs().mean()) < 0.6 * plain
    kept = (own.video_decoder.linear.weight - encoders.video_decoder.linear.weight).detach()
    assert float(kept.abs().max()) < 0.01, "it goes on from the decoder that was there"


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
