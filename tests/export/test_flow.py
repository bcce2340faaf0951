"""What the transformer is trained on: chunks without a past, and clips that begin anew in the middle."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamgen_export.pocket import flow
from streamgen_export.pocket.config import SMOKE
from streamgen_export.pocket.latents import batch_of
from streamgen_export.pocket.transformer import JointTransformer, Text

CHUNKS = 5


def lively(seed: int) -> JointTransformer:
    """A transformer whose outputs are not zero, as they are before training."""
    torch.manual_seed(seed)
    model = JointTransformer(SMOKE).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return model


def texts(count: int) -> Text:
    bias = torch.zeros(count, 32)
    bias[:, 12:] = -1.0e4
    return Text(torch.randn(count, 32, 384), bias, torch.randn(count, 384) / 20)


def clip(chunks: int) -> tuple[Tensor, Tensor]:
    return torch.randn(1, chunks, 48, SMOKE.rows, SMOKE.columns), torch.randn(1, chunks, 16, SMOKE.audio_latents)


def part(text: Text, first: int) -> Text:
    return Text(text.context[first:], text.bias[first:], text.pooled[first:])


def test_a_chunk_without_a_past_is_the_first_chunk_of_a_clip() -> None:
    model, text = lively(1), texts(CHUNKS)
    clean, noisy, sigma = clip(CHUNKS), clip(CHUNKS), torch.rand(1, CHUNKS, 2)
    start = torch.arange(CHUNKS)[None]
    with torch.no_grad():
        whole = model.train_forward(clean, noisy, sigma, text, torch.ones(1, dtype=torch.bool), start)
        alone = model.alone_forward((noisy[0][0], noisy[1][0]), sigma[0, :, 1], text)
    torch.testing.assert_close(alone[0], whole[0][0], atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(alone[1], whole[1][0], atol=2e-4, rtol=1e-3)


def test_a_new_beginning_hides_everything_before_it() -> None:
    model, text, begin = lively(2), texts(CHUNKS), 2
    clean, noisy, sigma = clip(CHUNKS), clip(CHUNKS), torch.rand(1, CHUNKS, 2)
    sink = torch.ones(1, dtype=torch.bool)
    start = torch.tensor([[0, 0, begin, begin, begin]])
    with torch.no_grad():
        whole = model.train_forward(clean, noisy, sigma, text, sink, start)
        later = model.train_forward(
            (clean[0][:, begin:], clean[1][:, begin:]),
            (noisy[0][:, begin:], noisy[1][:, begin:]),
            sigma[:, begin:],
            part(text, begin),
            sink,
            torch.zeros(1, CHUNKS - begin, dtype=torch.int64),
        )
        seen = model.train_forward(clean, noisy, sigma, text, sink, torch.zeros(1, CHUNKS, dtype=torch.int64))
    torch.testing.assert_close(whole[0][:, begin:], later[0], atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(whole[1][:, begin:], later[1], atol=2e-4, rtol=1e-3)
    assert not torch.allclose(whole[0][:, begin:], seen[0][:, begin:], atol=1e-2)


def test_streams_begin_anew_at_changes_of_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "BEGINNING_SHARE", 0.0)
    monkeypatch.setattr(flow, "CHANGE_BEGINNING_SHARE", 1.0)
    # Caption 0 is a dropped one: to lose it, or to get it back, is no change.
    told = torch.tensor([1, 1, 2, 2, 2, 3, 0, 3, 3, 3])
    text = Text(torch.zeros(4, 1, 1), torch.zeros(4, 1), torch.zeros(4, 1), told)
    assert flow.beginnings(text, 2, 5).tolist() == [[0, 0, 2, 2, 2], [0, 0, 0, 0, 0]]


def test_beginnings_are_random_and_never_later_than_the_chunk() -> None:
    torch.manual_seed(0)
    text = Text(torch.zeros(1, 1, 1), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(4000, dtype=torch.int64))
    start = flow.beginnings(text, 400, 10)
    assert (start <= torch.arange(10)).all()
    assert (start.diff(dim=1) >= 0).all()
    share = (start[:, 1:] == torch.arange(1, 10)).double().mean().item()
    assert share == pytest.approx(flow.BEGINNING_SHARE, abs=0.03)


def test_some_chunks_of_a_clip_keep_their_own_captions_and_order() -> None:
    length = 6
    shard: dict[str, NDArray[np.generic]] = {
        "video": np.arange(length, dtype=np.float32).reshape(1, length, 1, 1, 1),
        "audio": np.zeros((1, length, 1, 1), np.float32),
        "still": np.zeros((1, 1, 1, 1), np.float32),
        "cells": np.zeros((1, length, 1, 1), np.float32),
        "impacts": np.zeros((1, length, 1), np.float32),
        "caption": np.arange(length, dtype=np.int32)[None],
        "context": np.zeros((length, 2, 3), np.float32),
        "mask": np.ones((length, 2), bool),
        "pooled": np.arange(length, dtype=np.float32)[:, None],
    }
    batch = batch_of([(shard, 0)] * 8, np.random.default_rng(0), 0.0, chunks=3)
    assert batch.video.shape[:2] == (8, 3)
    taken = batch.video.flatten(1)
    assert (taken.diff(dim=1) > 0).all()
    assert torch.equal(batch.text.per_group(batch.text.pooled).view(8, 3), taken)
