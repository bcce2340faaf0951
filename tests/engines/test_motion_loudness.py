"""Louder with what moves: bounded, smooth, and nothing where nothing happens."""

import numpy as np
import pytest

from streamgen_engines.chunk import Float32Array, UInt8Array
from streamgen_engines.motion_loudness import RANGE_DB, MotionLoudness

RATE, SAMPLES = 16, 12_000  # 4 pictures of 3,000 samples


def flicker(levels: int, chunks: int = 1) -> list[UInt8Array]:
    """Chunks whose pictures differ by so many levels from each other."""
    values = np.where(np.arange(4) % 2, 100 + levels, 100).astype(np.uint8)
    return [np.broadcast_to(values[:, None, None, None], (4, 2, 3, 3))] * chunks


def decibels(tested: MotionLoudness, chunks: list[UInt8Array], *, cut: bool = False) -> Float32Array:
    gains = [tested.gains(chunk, SAMPLES, cut=cut) for chunk in chunks]
    assert all(gain.shape == (SAMPLES,) for gain in gains)
    return 20 * np.log10(np.concatenate(gains))


@pytest.mark.parametrize("levels", [0, 20])
def test_what_goes_on_evenly_is_left_as_it_is(levels: int) -> None:
    assert np.abs(decibels(MotionLoudness(RATE), flicker(levels, 20))).max() < 1e-5


def test_a_jolt_is_louder_at_its_time_and_quiet_is_softer() -> None:
    tested = MotionLoudness(RATE)
    decibels(tested, flicker(4, 20))
    jolt = flicker(4)[0].copy()
    jolt[2] += 60
    raised = decibels(tested, [jolt])
    assert np.abs(raised[:6_000]).max() < 0.5
    assert raised[9_000] > 3
    assert decibels(tested, flicker(0, 2))[-1] < -3


def test_it_is_bounded_and_smooth() -> None:
    random = np.random.default_rng(2)
    noise = [random.integers(0, 256, (4, 2, 3, 3), dtype=np.uint8) for _ in range(10)]
    mixed = [chunk for pair in zip(noise, flicker(0, 10), strict=True) for chunk in pair]
    found = decibels(MotionLoudness(RATE), mixed)
    assert RANGE_DB - 1 < np.abs(found).max() <= RANGE_DB + 1e-4
    # The whole range takes a picture at least.
    assert np.abs(np.diff(found)).max() <= 2 * RANGE_DB / 3_000 + 1e-4


def test_a_cut_is_no_motion() -> None:
    tested, other = MotionLoudness(RATE), MotionLoudness(RATE)
    for each in (tested, other):
        decibels(each, flicker(0, 10))
    white = [np.full((4, 2, 3, 3), 255, np.uint8)]
    assert np.abs(decibels(tested, white, cut=True)).max() < 1e-5
    assert decibels(other, white).max() > 5


def test_reset_begins_anew() -> None:
    tested = MotionLoudness(RATE)
    chunks = [*flicker(0, 3), *flicker(50, 2)]
    first = decibels(tested, chunks)
    tested.reset()
    np.testing.assert_array_equal(decibels(tested, chunks), first)
