"""Events that are seen, and their distance from those that are heard."""

from __future__ import annotations

import numpy as np
import pytest

from streamgen_export.pocket.judge.peaks import peaks
from streamgen_export.pocket.judge.sync import ALL, check_detector, synchrony


def test_peaks_are_found_finer_than_a_step_and_once_each() -> None:
    likely = np.zeros(60, np.float32)
    likely[[10, 11]] = 0.9, 0.9
    likely[[30, 33]] = 0.8, 0.7
    likely[50] = 0.4
    assert peaks(likely, 0.06) == pytest.approx([10.5 * 0.06, 30 * 0.06])
    assert peaks(np.zeros(0, np.float32), 0.06) == []


def test_synchrony_measures_the_shift_kind_by_kind() -> None:
    seen = [{"contact": [1.0, 2.0, 3.0], "burst": [4.0]}, {"contact": [0.5]}]
    heard = [{"contact": [1.05, 2.05, 3.05], "splash": [4.0]}, {"contact": [1.5]}]
    result = synchrony(seen, heard, duration_s=8.0)
    assert set(result) == {"contact", "burst", ALL}
    contact = result["contact"]
    assert contact.matched == 0.75
    assert contact.median_s == pytest.approx(0.05)
    assert contact.lag_s == pytest.approx(0.05)
    assert contact.seen_per_s == 0.5
    assert result["burst"].matched == 0.0, "a splash is not the sound of a burst"
    assert result[ALL].seen == 5
    assert result[ALL].heard == 5
    silent = synchrony([{}], [{}], duration_s=4.0)
    assert silent[ALL].matched is None
    assert silent[ALL].p95_s is None


def test_detectors_are_checked_against_the_truth() -> None:
    found = check_detector([{"flash": [1.0, 2.0]}, {}], [{"flash": [1.04]}, {"flash": [0.5]}])
    assert found["flash"].events == 2
    assert found["flash"].recall == 0.5
    assert found["flash"].precision == 0.5
    assert found["flash"].median_error_s == pytest.approx(0.04)
    assert found["splash"].recall is None
