"""Drift: a fade that is put in is found and measured, and a stream that died is seen to be dead."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamgen_export.pocket.judge.drift import MEASURES, Watcher, drift, slope_per_minute, typical_distance
from streamgen_export.pocket.judge.eye import Eye
from streamgen_export.pocket.judge.looks import LOOKS, measure_look
from streamgen_export.pocket.judge.takes import Footage
from tests.export.judge.material import FORM, footage

SPREAD = dict.fromkeys(MEASURES, 0.1)
CHUNKS = 40


@pytest.fixture(scope="module")
def eye() -> Eye:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Eye().eval()


def watched(eye: Eye, parts: list[Footage], window: int = 3) -> Watcher:
    watcher = Watcher(eye, window)
    for chunk, part in enumerate(parts):
        watcher.measure(part, (chunk + 0.5) * FORM.chunk_s)
    return watcher


def test_look_of_flat_colour() -> None:
    video = np.zeros((4, 8, 8, 3), np.uint8)
    video[..., 0] = 255
    look = measure_look(video, np.full((2, 100), 0.1, np.float32))
    assert set(look) == set(LOOKS)
    assert look["luminance"] == pytest.approx(0.299, abs=0.003)
    assert look["saturation"] == pytest.approx(1.0)
    assert look["sharpness"] == look["motion"] == look["contrast"] == 0.0
    assert look["loudness_db"] == pytest.approx(-20, abs=0.01)


def test_a_fade_of_the_pictures_is_found(eye: Eye) -> None:
    (video, sound) = footage(1)[0]

    def moved(fade: float) -> tuple[float, float]:
        parts = [((video * (1 - fade * i / CHUNKS)).astype(np.uint8), sound) for i in range(CHUNKS)]
        trend = drift("p", CHUNKS * FORM.chunk_s, watched(eye, parts), 1.0, SPREAD).trends["luminance"]
        assert trend.moved is not None
        assert trend.moved_margin is not None
        return trend.moved, trend.moved_margin

    assert moved(0.0) == pytest.approx((0.0, 0.0), abs=1e-6)
    faded, margin = moved(0.5)
    assert faded == pytest.approx(-2.5, abs=0.1)  # from 0.5 to 0.25, in units of 0.1
    assert margin < 0.1


def test_the_margin_of_a_slope_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(600, dtype=np.float64) * np.float64(0.24)
    covered = 0
    for _ in range(100):
        slope, margin = slope_per_minute(times, 0.3 * times / 60 + rng.standard_normal(600), 144.0)
        assert margin is not None
        covered += abs(slope - 0.3) < margin
    assert 88 <= covered <= 100
    assert slope_per_minute(times[:1], times[:1], 144.0) == (0.0, None)


def test_content_that_changes_departs(eye: Eye) -> None:
    there, elsewhere = footage(1)[0], (np.full((4, 64, 112, 3), (200, 30, 30), np.uint8), footage(1)[0][1])
    parts = [there] * 50 + [elsewhere] * 10
    watcher = watched(eye, parts)
    away = watcher.departures(unit=1.0)
    assert away[:40].max() == pytest.approx(0.0, abs=1e-5)
    assert away[-1] > 0.01
    assert watcher.departures(unit=float(away[-1]))[-1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two takes"):
        typical_distance([np.zeros((3, 2), np.float32)])


def test_frozen_looping_flat_and_silent_streams_are_told_apart(eye: Eye) -> None:
    moving = footage(12)
    silent = [(video, 0 * sound) for video, sound in moving]
    flat = [(np.full_like(video, 90 + i), sound) for i, (video, sound) in enumerate(moving)]
    healthy = watched(eye, moving).failures()
    assert (healthy.like_last, healthy.like_earlier, healthy.flat, healthy.silent) == (0, 0, 0, 0)
    assert watched(eye, moving[:1] * 12).failures().like_last == 1.0
    looping = watched(eye, moving[:3] * 4).failures()
    assert (looping.like_last, looping.like_earlier) == (0.0, 1.0)
    assert watched(eye, flat).failures().flat == 1.0
    assert watched(eye, silent).failures().silent == 1.0


def test_sections_are_minutes_of_a_long_stream_and_tenths_of_a_short_one(eye: Eye) -> None:
    found = drift("p", CHUNKS * FORM.chunk_s, watched(eye, footage(CHUNKS)), 1.0, SPREAD)
    assert len(found.sections) == 10
    watcher = Watcher(eye, 3)
    for minute in range(12):
        watcher.measure(footage(1, seed=minute)[0], 60 * minute + 30)
    long = drift("p", 720, watcher, 1.0, SPREAD)
    assert long.section_s == 60
    assert len(long.sections) == 12
    with pytest.raises(ValueError, match="at least one"):
        drift("p", 1.0, Watcher(eye, 3), 1.0, SPREAD)
