"""Training survives a stop: a resumed run is the unbroken run, checkpoints are whole, the null text is text 0."""

import itertools
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamgen_export.pocket import checkpoint, latents, train_autoencoders, train_transformer
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import ClipArrays, arrays_of, by_place, orders_of, render
from streamgen_export.pocket.config import POCKET_SMALL, SMOKE
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.export import load_transformer
from streamgen_export.pocket.few_step import FewStepTraining
from streamgen_export.pocket.latents import HELDOUT_SHARD, LatentSet, Stock, batch_of, read_shard, write_shard
from streamgen_export.pocket.train import LONE_SHARD, PLANS, SHARD, Machine, train, wait_for_clips
from streamgen_export.pocket.train_autoencoders import AudioTraining, EnlargerTraining, PictureTraining
from streamgen_export.pocket.train_transformer import TransformerTraining, is_alone, rate_factor
from streamgen_export.pocket.video_autoencoder import pictures_to_float
from streamgen_export.pocket.world.clip import render_clip
from streamgen_export.pocket.world.formats import Format
from streamgen_export.pocket.world.world import sample_world

CELLS = (SMOKE.rows, SMOKE.columns)
THIN = replace(POCKET_SMALL, decoder_widths=SMOKE.decoder_widths[1:], decoder_depths=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def clips() -> list[ClipArrays]:
    return [render(order) for order in orders_of(POCKET_SMALL, range(4), chunks=3)]


def test_steps_without_a_past_come_first_or_in_turns() -> None:
    first = [is_alone(step, step / 8, 0.25, in_turns=False) for step in range(8)]
    assert first == [True, True, *[False] * 6]
    turns = [is_alone(step, step / 8, 0.25, in_turns=True) for step in range(8)]
    assert turns == [False, False, False, True] * 2
    assert not any(is_alone(step, 0.0, 0.0, in_turns=True) for step in range(8))
    assert all(is_alone(step, 0.0, 1.0, in_turns=True) for step in range(8))


def test_impacts_are_marked_where_they_sound() -> None:
    form = Format(POCKET_SMALL.width, POCKET_SMALL.height, Fraction(*POCKET_SMALL.fps))
    bouncing = [seed for seed in range(100) if sample_world(seed, form).attributes[0].motion == "bounces"]
    assert bouncing, "among a hundred worlds some bounce"
    clip = render_clip(bouncing[0], form)
    marked = arrays_of(clip).impact
    assert marked.any()
    loudness = clip.controls.noise.sum(1) + clip.controls.tones.sum(1)
    assert loudness[marked].mean() > loudness[~marked].mean()


def test_the_sound_autoencoder_resumes_exactly(
    clips: list[ClipArrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_autoencoders, "SAVE_EVERY", 1)
    whole = AudioTraining(SMOKE, tmp_path / "whole", 1)
    whole.run(clips, Budget(4), batch=2)
    AudioTraining(SMOKE, tmp_path / "broken", 1).run(clips, Budget(2), batch=2)
    # The rate follows the planned number of steps, so the plan must be the same on both sides of the break.
    first = checkpoint.load(tmp_path / "broken" / "audio_autoencoder.pt")
    assert first is not None
    assert first["step"] == 2
    resumed = AudioTraining(SMOKE, tmp_path / "broken", 1)
    resumed.run(clips, Budget(4), batch=2)
    assert resumed.step == whole.step == 4
    assert all(torch.isfinite(p).all() for p in resumed.parameters())


def test_the_picture_decoder_learns_and_resumes(
    clips: list[ClipArrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_autoencoders, "SAVE_EVERY", 2)
    lone = [render(order) for order in orders_of(POCKET_SMALL, range(8, 10), chunks=1)]

    def train(folder: Path, steps: int) -> PictureTraining:
        training = PictureTraining(THIN, folder, 1)
        training.run(clips, lone, Budget(steps), batch=2)
        return training

    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "broken", 2)
    resumed = train(tmp_path / "broken", 4)
    assert resumed.step == whole.step == 4
    assert all(torch.isfinite(p).all() for p in resumed.decoder.parameters())
    for mine, theirs in zip(resumed.encoder.parameters(), whole.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs), "the encoder is in closed form"
    lines = [json.loads(line) for line in (tmp_path / "whole" / "video_autoencoder.jsonl").read_text().splitlines()]
    # The first step is already the linear code, far better than a grey picture.
    assert lines[0]["pictures"] < 0.6
    assert (tmp_path / "whole" / "video_autoencoder.png").stat().st_size > 0


def test_the_last_stage_learns_alone(tmp_path: Path) -> None:
    full = [render(order) for order in orders_of(SMOKE, range(2), chunks=2)]
    torch.manual_seed(0)
    known = Encoders(SMOKE)
    before = {name: value.clone() for name, value in known.state_dict().items()}
    training = EnlargerTraining(SMOKE, tmp_path, 1, "cpu", known)
    training.run(full, Budget(3), batch=1)
    changed = {name for name, value in known.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("video_decoder.enlarger.") for name in changed)


def test_measured_sound_has_unit_variance_and_pictures_keep_theirs(clips: list[ClipArrays]) -> None:
    torch.manual_seed(0)
    encoders = Encoders(THIN).eval()
    encoders.measure(clips)
    with torch.no_grad():
        video = torch.cat([encoders.encode_video(torch.from_numpy(clip.rgb)) for clip in clips])
        audio = torch.cat([encoders.encode_audio(torch.from_numpy(clip.controls)) for clip in clips])
        plain = torch.cat([encoders.video(pictures_to_float(torch.from_numpy(clip.rgb))) for clip in clips])
    torch.testing.assert_close(video.mean((0, 2, 3)), torch.zeros(48), atol=1e-3, rtol=0)
    torch.testing.assert_close(video.std((0, 2, 3)), plain.std((0, 2, 3)), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(audio.mean((0, 2)), torch.zeros(16), atol=0.05, rtol=0)
    assert encoders.video_weight.min() >= 0.25
    assert encoders.video_weight.max() <= 4


def _write_shard(path: Path, seed: int, chunks: int = 10) -> None:
    rng = np.random.default_rng(seed)
    texts = 5
    arrays: dict[str, NDArray[np.generic]] = {
        "video": rng.standard_normal((SHARD, chunks, 48, *CELLS)).astype(np.float16),
        "still": rng.standard_normal((SHARD, 48, *CELLS)).astype(np.float16),
        "audio": rng.standard_normal((SHARD, chunks, 16, SMOKE.audio_latents)).astype(np.float16),
        "cells": rng.random((SHARD, chunks, *CELLS)).astype(np.float16),
        "impacts": rng.random((SHARD, chunks, SMOKE.audio_latents)).astype(np.float16),
        "caption": rng.integers(0, texts, (SHARD, chunks)).astype(np.int32),
        "context": rng.standard_normal((texts, 32, 384)).astype(np.float16),
        "mask": np.arange(32)[None] < rng.integers(3, 30, (texts, 1)),
        "pooled": rng.standard_normal((texts, 384)).astype(np.float32) / 20,
    }
    write_shard(path, arrays)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "latents").mkdir()
    _write_shard(tmp_path / "latents" / "00000", 0)
    _write_shard(tmp_path / "latents" / HELDOUT_SHARD, 1)
    return tmp_path


def test_text_zero_is_the_null_condition(run: Path) -> None:
    shard = read_shard(run / "latents" / "00000")
    rng = np.random.default_rng(0)
    kept = batch_of([(shard, 0), (shard, 1)], rng, drop=0.0)
    assert kept.text.index is not None
    assert (kept.text.index > 0).all()
    dropped = batch_of([(shard, 0), (shard, 1)], rng, drop=1.0)
    assert dropped.text.index is not None
    assert (dropped.text.index == 0).all()
    assert not dropped.text.context[0].any()
    assert not dropped.text.pooled[0].any()
    assert dropped.text.bias[0, 0] == 0
    assert (dropped.text.bias[0, 1:] < -1000).all()
    told = kept.text.context[kept.text.index[3]]
    np.testing.assert_array_equal(told.numpy(), shard["context"][shard["caption"][0, 3]].astype(np.float32))


def test_shards_that_appear_later_are_used(run: Path) -> None:
    data = LatentSet(run / "latents")
    assert data.refresh() == SHARD
    _write_shard(run / "latents" / "00001", 2)
    assert data.refresh() == 2 * SHARD


def test_the_transformer_resumes_exactly(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_transformer, "SAVE_EVERY", 2)
    monkeypatch.setattr(train_transformer, "CHECK_EVERY", 2)
    weight = torch.ones(48)

    def train(steps: int) -> TransformerTraining:
        training = TransformerTraining(SMOKE, run, 1)
        training.run(Budget(steps), alone_share=1 / steps, batch=1, rate=1e-3, channel_weight=weight, wait_clips=SHARD)
        return training

    whole = train(4)
    (run / "transformer.pt").unlink()
    train(2)
    resumed = train(4)
    assert resumed.step == 4
    for (name, expected), actual in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True
    ):
        assert torch.allclose(actual, expected, atol=1e-6), name
    entries = [json.loads(line) for line in (run / "transformer.jsonl").read_text().splitlines()]
    assert any("heldout_video" in entry for entry in entries)


def test_the_few_step_stage_learns_from_the_transformer_and_resumes(run: Path) -> None:
    weight = torch.ones(48)
    TransformerTraining(SMOKE, run, 1).run(
        Budget(3), alone_share=0.0, batch=1, rate=1e-2, channel_weight=weight, wait_clips=SHARD
    )
    teacher = load_transformer(SMOKE, run)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}

    def learn(steps: int) -> FewStepTraining:
        training = FewStepTraining(SMOKE, run, 1, "cpu", teacher, compiled=False)
        training.run(Budget(steps), alone_share=0.0, batch=1, rate=1e-3, channel_weight=weight, wait_clips=SHARD)
        return training

    assert learn(2).step == 2
    student = learn(4)
    assert student.step == 4
    learnt, kept = student.averaged().state_dict(), load_transformer(SMOKE, run).state_dict()
    assert all(torch.equal(teacher.state_dict()[name], value) for name, value in before.items()), "it only teaches"
    assert all(torch.equal(kept[name], value) for name, value in before.items()), "its checkpoint stays"
    assert any(not torch.equal(learnt[name], value) for name, value in before.items())
    assert torch.equal(load_transformer(SMOKE, run, "few_step").place, learnt["place"])


def test_what_has_no_past_is_learnt_from_clips_of_one_chunk(tmp_path: Path) -> None:
    _write_shard(tmp_path / "alone" / "00000", 3, chunks=1)
    training = TransformerTraining(SMOKE, tmp_path, 1)
    # There is no clip of the usual length: a step that took one would wait for ever.
    training.run(Budget(1), alone_share=1.0, batch=1, rate=1e-3, channel_weight=torch.ones(48), wait_clips=SHARD)
    assert training.step == 1


def test_what_goes_on_from_weights_takes_both_kinds_in_turns(tmp_path: Path) -> None:
    _write_shard(tmp_path / "alone" / "00000", 3, chunks=1)
    first = TransformerTraining(SMOKE, tmp_path, 1)
    checkpoint.save(first.path, {"ema": first.ema})
    training = TransformerTraining(SMOKE, tmp_path, 1)
    # The first step is one with a past, whose clips are not there: it does not wait for them.
    training.run(Budget(2), alone_share=0.5, batch=1, rate=1e-3, channel_weight=torch.ones(48), wait_clips=SHARD)
    assert training.step == 2
    again = TransformerTraining(SMOKE, tmp_path, 1)
    again.restore()
    assert again.in_turns, "a run that is resumed goes on as it began"


def test_a_training_does_not_wait_for_clips_that_nobody_makes() -> None:
    maker = multiprocessing.get_context("spawn").Process(target=sys.exit, args=(3,))
    maker.start()
    with pytest.raises(ChildProcessError, match="ended with 3"):
        wait_for_clips([maker], None)


def test_a_training_waits_for_clips_so_long_and_no_longer() -> None:
    maker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    maker.start()
    try:
        wait_for_clips([maker], 0.1)
        assert maker.is_alive(), "it goes on beside the training"
    finally:
        maker.terminate()
        maker.join()


@pytest.mark.parametrize("name", ["pocket", "smoke"])
def test_shards_are_made_in_the_order_in_which_they_are_needed(name: str, tmp_path: Path) -> None:
    plan = PLANS[name]
    heldout, lone, whole = plan.stocks(tmp_path, 3)
    assert (heldout.folder, heldout.clips) == (whole.folder, 0), "the checks need the held-out clips from the start"
    assert (lone.folder.name, lone.clips, lone.chunks) == ("alone", plan.lone_clips, 1)
    assert (whole.folder.name, whole.clips, whole.chunks) == ("latents", plan.clips, 0)
    assert lone.shard <= min(lone.clips, LONE_SHARD)
    assert whole.shard <= min(whole.clips, SHARD)
    assert whole.first_seed + whole.clips <= lone.first_seed, "no world is in both"


def test_clips_of_a_shard_are_those_of_its_seeds_in_whatever_order_they_are_drawn(tmp_path: Path) -> None:
    stock = Stock(tmp_path, clips=6, chunks=1, shard=3, first_seed=40)
    orders = orders_of(SMOKE, range(40, 46), chunks=1, seen=True)
    assert [order.seed for order in by_place(orders)] != list(range(40, 46)), "else this shows nothing"
    shards = latents._rendered(SMOKE, stock, [0, 1])
    assert [len(clips) for clips in shards] == [3, 3]
    for order, clip in zip(orders, itertools.chain.from_iterable(shards), strict=True):
        expected = render(order)
        assert clip.captions == expected.captions
        assert np.array_equal(clip.rgb, expected.rgb)


def test_a_bundle_without_the_text_graph_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"text\.onnx is missing"):
        train(PLANS["smoke"], tmp_path / "run", tmp_path, 1, Machine(workers=1))
    assert not (tmp_path / "run").exists()


def test_the_rate_rises_holds_and_falls() -> None:
    factors = [rate_factor(step, step / 1000) for step in range(1000)]
    assert factors[0] < 0.02
    assert factors[100] == factors[490] == 1.0
    assert factors[-1] < 0.05


def test_a_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    assert checkpoint.load(path) is None
    checkpoint.save(path, {"step": 1})
    checkpoint.save(path, {"step": 2})
    loaded = checkpoint.load(path)
    assert loaded == {"step": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_a_budget_of_time_ends_by_the_clock_and_one_of_steps_by_count() -> None:
    now = 100.0
    steps, seconds = Budget(8), Budget(8, 20.0, spent_s=5.0, clock=lambda: now)
    assert [steps.share(step) for step in (0, 4, 8, 9)] == [0, 0.5, 1, 1]
    assert not steps.over(7)
    assert steps.over(8)
    assert seconds.share(1000) == 0.25
    now = 112.0
    assert seconds.share(0) == 0.85
    assert not seconds.over(1000)
    now = 115.0
    assert seconds.over(0)


def test_training_for_a_time_goes_on_where_it_stopped(run: Path) -> None:
    def train(seconds: float) -> TransformerTraining:
        training = TransformerTraining(SMOKE, run, 1)
        ticks = itertools.count()
        budget = Budget(5, seconds, clock=lambda: float(next(ticks)))  # a second passes whenever it is looked at
        weight = torch.ones(48)
        training.run(budget, alone_share=1.0, batch=1, rate=1e-3, channel_weight=weight, wait_clips=SHARD)
        return training

    first = train(6)
    assert 1 <= first.step < 5, "the time ends it, not the steps"
    again = train(6)
    assert again.step == first.step, "the time was spent"
    assert train(20).step > first.step
