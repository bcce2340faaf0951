"""Impacts that are seen, and their distance from those that are heard."""

from __future__ import annotations

import numpy as np
import pytest

from streamgen_export.pocket.judge.impacts import check_detector, heights, seen_impacts, synchrony
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ
from tests.export.judge_material import bounce_path


@pytest.mark.parametrize("phase", [3.0, 3.3, 7.7])
def test_lowest_points_are_found_finer_than_a_picture(phase: float) -> None:
    expected = np.arange(phase, 58, 16) / PICTURE_RATE_HZ
    np.testing.assert_allclose(seen_impacts(bounce_path(16, phase, 60)), expected, atol=0.016)


def test_a_still_or_wobbling_or_hidden_subject_hits_nothing() -> None:
    assert seen_impacts(np.full(40, 0.5)) == []
    assert seen_impacts(0.5 + 0.01 * np.sin(np.arange(40.0))) == []
    hidden = bounce_path(16, 8, 40)
    hidden[7:10] = np.nan
    hidden[23:26] = np.nan
    assert seen_impacts(hidden) == []


def test_height_follows_the_mask_and_is_missing_without_one() -> None:
    masks = np.zeros((3, 24, 40), np.float32)
    masks[0, 0:4, 10:16] = 1
    masks[1, 20:24, 10:16] = 0.9
    path = heights(masks)
    assert path[0] == pytest.approx(1 - 2 / 24)
    assert path[1] == pytest.approx(2 / 24)
    assert np.isnan(path[2])


def test_synchrony_measures_the_shift() -> None:
    result = synchrony([[1.0, 2.0, 3.0], [0.5]], [[1.05, 2.05, 3.05], [1.5]], duration_s=8.0)
    assert result.matched == 0.75
    assert result.median_s == pytest.approx(0.05)
    assert result.lag_s == pytest.approx(0.05)
    assert result.seen_per_s == 0.5
    silent = synchrony([[]], [[]], duration_s=4.0)
    assert silent.matched is None
    assert silent.p95_s is None


def test_detectors_are_checked_against_the_truth() -> None:
    found = check_detector([[1.0, 2.0], []], [[1.04], [0.5]])
    assert found.impacts == 2
    assert found.recall == 0.5
    assert found.precision == 0.5
    assert found.median_error_s == pytest.approx(0.04)
