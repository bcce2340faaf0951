"""Takes are gathered chunk by chunk, at fixed sizes, whatever the size of the original."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.judge.findings import examine
from streamgen_export.pocket.judge.looks import picture_changes
from streamgen_export.pocket.judge.takes import NEAR, SMALL, resized, taken
from streamgen_export.pocket.world.formats import POCKET
from tests.export.judge.material import FORM, MEADOW, brief, footage, take


def test_a_take_in_parts_is_the_take_at_once() -> None:
    parts = footage(4)
    whole = [(np.concatenate([video for video, _ in parts]), np.concatenate([sound for _, sound in parts], axis=1))]
    wanted = brief((MEADOW,) * 4)
    one, other = taken(FORM, wanted, parts), taken(FORM, wanted, whole)
    for name in ("small", "near", "audio", "changes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.look == other.look
    np.testing.assert_array_equal(one.changes, picture_changes(whole[0][0]))
    assert one.small.shape == (16, SMALL[1], SMALL[0], 3)
    assert one.near.shape == (4, NEAR[1], NEAR[0], 3)
    assert one.duration_s == pytest.approx(0.96)


def test_both_sizes_of_the_family_look_alike_to_the_eye() -> None:
    large = np.kron(np.arange(128).reshape(8, 16) % 7, np.ones((32, 28))).astype(np.uint8)[None, ..., None] * 30
    large = np.repeat(large, 3, axis=3)
    assert large.shape[1:3] == (POCKET.height, POCKET.width)
    half = resized(large, NEAR)
    np.testing.assert_array_equal(resized(large, SMALL), resized(half, SMALL))
    assert resized(half, NEAR) is half
    assert resized(np.zeros((1, 96, 160, 3), np.uint8), NEAR).shape == (1, 128, 224, 3)


def test_a_take_is_a_whole_number_of_chunks() -> None:
    good = take((MEADOW,) * 2)
    with pytest.raises(ValueError, match="pictures"):
        replace(good, small=good.small[:-1])
    with pytest.raises(ValueError, match="samples"):
        replace(good, audio=good.audio[:, :-1])


def test_what_was_found_keeps_the_take_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen_export.pocket.judge.findings.judge_take", lambda tools, take: None)
    eventful = replace(take((MEADOW,) * 2), events=(("contact", 0.1), ("flash", 0.2), ("contact", 0.3)))
    found = examine(None, eventful, keep=False)  # type: ignore[arg-type]
    assert found.take is None
    assert found.truth == {"contact": [0.1, 0.3], "flash": [0.2]}
    assert examine(None, eventful, keep=True).take is eventful  # type: ignore[arg-type]
