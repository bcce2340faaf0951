"""The small sibling shares latents and transformer with the large one; its decoder lacks the last stage."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

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
from streamgen_export.pocket.train import PLANS, Machine, take_from_larger, train_decoder
from streamgen_export.pocket.train_autoencoders import PictureTraining
from streamgen_export.pocket.transformer import JointTransformer, Text
from streamgen_export.pocket.video_autoencoder import pictures_to_float

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


@pytest.fixture(scope="module")
def seen() -> list[ClipArrays]:
    """Those on which a decoder will train: components of other clips would mean nothing there, so few as they are."""
    return [render(order) for order in orders_of(POCKET, range(1_500_000, 1_500_004), chunks=3, seen=True)]


@dataclass(frozen=True)
class Trained:
    """What a run of the large one has after a step: its folder, which nobody writes into, and its encoders."""

    folder: Path
    encoders: Encoders

    def copy(self, work: Path) -> Path:
        """A run of one's own in another folder of runs."""
        return shutil.copytree(self.folder / "pocket", work / "pocket")


@pytest.fixture(scope="module")
def trained(seen: list[ClipArrays], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, clips = tmp_path_factory.mktemp("runs"), seen
    training = PictureTraining(POCKET, folder, 1)
    training.run(clips, [], Budget(1), batch=1)
    encoders = Encoders(POCKET)
    encoders.video.load_state_dict(training.encoder.state_dict())
    encoders.video_decoder.take_over(training.decoder)
    encoders.measure(clips[:1])
    checkpoint.save(folder / "pocket" / "encoders.pt", encoders.state_dict())
    checkpoint.save(folder / "pocket" / "transformer.pt", {"step": 0})
    (folder / "pocket" / GUARD_FILE).write_text(json.dumps({"limit": 4.5}))
    return Trained(folder, encoders)


def test_a_decoder_is_trained_alone_and_leaves_everything_else_as_it_is(trained: Trained, tmp_path: Path) -> None:
    encoders, run = trained.encoders, trained.copy(tmp_path)
    plan = replace(
        PLANS["pocket"], autoencoder_clips=4, autoencoder_lone_clips=0, full_clips=1, video_steps=1, enlarger_steps=2
    )
    train_decoder(replace(plan, video_batch=1, full_batch=1), run, 1, Machine(workers=1))
    own = load_encoders(POCKET, run)
    for name, value in encoders.state_dict().items():
        if not name.startswith("video_decoder."):
            torch.testing.assert_close(own.state_dict()[name], value)
    assert not list(run.rglob("video_autoencoder.pt")), "the next training begins a schedule of its own"
    assert not list(run.rglob("enlarger.pt"))
    kept = (own.video_decoder.linear.weight - encoders.video_decoder.linear.weight).detach()
    assert float(kept.abs().max()) < 0.01, "it goes on from the decoder that was there"
    assert own.video_decoder.enlarger is not None
    assert own.video_decoder.enlarger.out.weight.any(), "the last stage has learnt"


@torch.no_grad()
def test_the_small_one_is_the_large_one_without_the_last_stage(
    trained: Trained, seen: list[ClipArrays], tmp_path: Path
) -> None:
    encoders = trained.encoders
    trained.copy(tmp_path)
    run = tmp_path / "pocket-small"
    take_from_larger(PLANS["pocket-small"], run)
    own = load_encoders(POCKET_SMALL, run)
    assert (run / "transformer.pt").is_file()
    assert guard_for(run) == {"limit": 4.5}
    rgb = torch.from_numpy(seen[0].rgb[:4])
    z = own.encode_video(rgb)
    torch.testing.assert_close(z, encoders.encode_video(rgb))
    z = z * own.video_scale[:, None, None] + own.video_mean[:, None, None]
    made, truth = own.video_decoder.clips(z[None])[0], pictures_to_float(rgb)
    assert made.shape == truth.shape
    assert float((made - truth).abs().mean()) < 0.6 * float((truth - truth.mean()).abs().mean())
    small, _ = encoders.video_decoder.sketches(z[None])
    torch.testing.assert_close(made, small)


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
