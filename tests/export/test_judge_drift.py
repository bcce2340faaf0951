"""Drift: a fade that is put in is found and measured."""

from __future__ import annotations

import numpy as np
import pytest

from streamgen_export.pocket.judge.drift import (
    LOOKS,
    MEASURES,
    departures,
    drift,
    measure_look,
    spread_of,
    typical_distance,
)
from streamgen_export.pocket.judge.takes import CHUNK_S

CHUNKS = 375  # 2 minutes
MINUTES = (np.arange(CHUNKS) + 0.5) * CHUNK_S / 60
SPREAD = dict.fromkeys(MEASURES, 0.1)


def test_look_of_flat_colour() -> None:
    video = np.zeros((4, 8, 8, 3), np.uint8)
    video[..., 0] = 255
    look = measure_look(video, np.full((2, 100), 0.1, np.float32))
    assert set(look) == set(LOOKS)
    assert look["luminance"] == pytest.approx(0.299)
    assert look["saturation"] == pytest.approx(1.0)
    assert look["sharpness"] == look["motion"] == 0.0
    assert look["loudness_db"] == pytest.approx(-20, abs=0.01)


def test_a_fade_of_the_pictures_is_found() -> None:
    rng = np.random.default_rng(0)
    chunk = rng.integers(60, 200, (4, 12, 20, 3), dtype=np.uint8)
    sound = (0.1 * rng.standard_normal((2, 480))).astype(np.float32)

    def luminance(fade_per_minute: float) -> float | None:
        levels = 1 - fade_per_minute * MINUTES
        looks = [measure_look((chunk * level).astype(np.uint8), sound) for level in levels]
        curves = {name: np.array([look[name] for look in looks]) for name in LOOKS}
        return drift("p", curves, SPREAD).trends["luminance"].moved

    assert luminance(0.0) == pytest.approx(0.0, abs=1e-9)
    faded = luminance(0.25)
    assert faded is not None
    assert faded < -2  # from 0.51 to 0.25, in units of 0.1


def test_a_trend_is_measured_in_units_of_the_spread() -> None:
    found = drift(
        "a prompt", {"luminance": 0.4 + 0.1 * MINUTES, "motion": np.full(CHUNKS, 0.2)}, SPREAD | {"motion": 0.0}
    )
    assert found.prompt == "a prompt"
    assert found.duration_s == pytest.approx(120)
    assert len(found.sections) == 4
    trend = found.trends["luminance"]
    assert trend.slope_per_minute == pytest.approx(0.1)
    assert trend.moved == pytest.approx(2.0)
    assert trend.last - trend.first == pytest.approx(0.15, abs=0.01)
    assert found.trends["motion"].moved is None
    with pytest.raises(ValueError, match="at least one"):
        drift("", {"luminance": np.zeros(0)}, SPREAD)


def test_content_that_changes_departs_and_content_that_stays_does_not() -> None:
    rng = np.random.default_rng(0)
    there, elsewhere = rng.standard_normal((2, 32)).astype(np.float32)
    unit = typical_distance([np.tile(there, (5, 1)), np.tile(elsewhere, (5, 1))])
    stays = np.tile(there, (60, 1))
    leaves = np.concatenate([np.tile(there, (40, 1)), np.tile(elsewhere, (20, 1))])
    assert departures(stays, unit).max() == pytest.approx(0.0, abs=1e-5)
    assert departures(leaves, unit)[:40].max() == pytest.approx(0.0, abs=1e-5)
    assert departures(leaves, unit)[-1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two takes"):
        typical_distance([stays])


def test_spread_is_that_of_different_renders() -> None:
    looks = [dict.fromkeys(LOOKS, value) for value in (0.4, 0.6)]
    spread = spread_of(looks)
    assert spread["luminance"] == pytest.approx(0.1)
    assert spread["departure"] == 1.0
