"""The rule by which a variant is shipped or not."""

from __future__ import annotations

import pytest

from streamgen_export.variants.verdict import LARGEST_ERROR, LARGEST_LOSS, WIDEST_MARGIN, verdict
from tests.export.variants.material import judged

FINE = {"denoise": {"video_velocity": 0.06, "audio_velocity": 0.03}}


@pytest.mark.parametrize(
    ("gain", "margin", "result"),
    [
        (0.0, 0.02, "holds"),
        (0.03, 0.01, "holds"),
        (-0.03, 0.04, "holds"),  # the interval has room for 0
        (-LARGEST_LOSS, 0.001, "holds"),  # surely lower, and by so little that it does not count
        (-LARGEST_LOSS - 0.01, 0.02, "lost"),
        (-0.3, 0.2, "lost"),  # however wide: all of the interval is below what is allowed
        (-0.03, WIDEST_MARGIN + 0.01, "undecided"),
        (0.0, WIDEST_MARGIN + 0.01, "undecided"),  # with few takes every interval has room for 0
        (0.0, float("nan"), "undecided"),
    ],
)
def test_the_score_decides(gain: float, margin: float, result: str) -> None:
    found = verdict(FINE, judged(gain, margin))
    assert found.result == result
    assert "points against float32" in found.reason


@pytest.mark.parametrize("error", [None, LARGEST_ERROR + 0.01, float("nan")])
def test_a_mistake_is_lost_whatever_the_score(error: float | None) -> None:
    found = verdict({**FINE, "decode_audio": {"samples": error}}, judged(0.1, 0.01))
    assert found.result == "lost"
    assert "samples of decode_audio" in found.reason


def test_nobody_looked() -> None:
    assert verdict(FINE, None).result == "undecided"


def test_float32_is_the_yardstick() -> None:
    assert verdict({}, judged(None)).result == "holds"
    assert verdict({}, None).result == "undecided"
