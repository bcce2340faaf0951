"""Streams that go on from what they made: no distance from themselves, a known one from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_export.variants.distance import Streams, distance

STREAMS = Streams(("waves", "a red ball"), chunks=3, seed=4)


def test_a_stream_is_not_apart_from_itself(variants: dict[str, Bundle]) -> None:
    right = list(STREAMS.made_by(variants["float32"]))
    assert len(right) == 6
    found = distance(right, STREAMS.made_by(variants["float32"]), STREAMS.chunks)
    assert found.video == found.audio == found.picture_levels == (0.0, 0.0, 0.0)


def test_variants_are_a_little_apart(variants: dict[str, Bundle]) -> None:
    right = list(STREAMS.made_by(variants["float32"]))
    half = distance(right, STREAMS.made_by(variants["fp16"]), STREAMS.chunks)
    eight = distance(right, STREAMS.made_by(variants["int8-static"]), STREAMS.chunks)
    assert 0 < max(half.video) < max(eight.video) < 1
    assert max(eight.picture_levels) > 0


def test_distances_are_those_of_each_chunk(variants: dict[str, Bundle]) -> None:
    right = list(STREAMS.made_by(variants["float32"]))
    second = (1, 4)  # of each stream
    moved = [
        replace(
            made,
            latents=replace(made.latents, video=made.latents.video * np.float32(1.5)),
            chunk=replace(made.chunk, video=255 - made.chunk.video),
        )
        if index in second
        else made
        for index, made in enumerate(right)
    ]
    found = distance(right, iter(moved), STREAMS.chunks)
    np.testing.assert_allclose(found.video, (0, 0.5, 0), atol=1e-6)
    assert found.audio == (0.0, 0.0, 0.0)
    wanted = np.mean([np.abs(255 - 2.0 * right[index].chunk.video).mean() for index in second])
    np.testing.assert_allclose(found.picture_levels, (0, wanted, 0))
