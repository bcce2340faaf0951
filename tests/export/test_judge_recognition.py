"""Shares of right answers, and how soon a change of the prompt shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.judge.recognition import SETTLING_CHUNKS, accuracy, follow
from streamgen_export.pocket.judge.takes import CHUNK_S
from streamgen_export.pocket.scenes.attributes import COLOURS, VOCABULARY
from tests.export.judge_material import BLUE_SEA, SEA, seen, take


def test_only_settled_chunks_count() -> None:
    assert SETTLING_CHUNKS == 2
    wanted = (SEA,) * 3 + (BLUE_SEA,) * 3
    got = seen(SEA, SEA, BLUE_SEA, SEA, SEA, BLUE_SEA)
    found = accuracy([take(wanted)], [got])
    # Chunk 2 (wrong) and chunk 5 (right) are the only settled ones.
    assert found["colour"].share == 0.5
    assert found["colour"].counted == 2
    assert found["colour"].margin is None  # one take says nothing about how much takes differ
    assert found["scene"].share == 1.0
    assert found["scene"].values == len(VOCABULARY["scene"])


def test_what_needs_several_chunks_counts_later() -> None:
    found = accuracy([take((SEA,) * 8)], [seen(*[SEA] * 8)])
    assert found["scene"].counted == 6
    assert found["motion"].counted == 3
    assert found["mood"].counted == 1


def test_too_little_to_judge_by_is_not_a_wrong_answer() -> None:
    got = seen(*[SEA] * 4)
    got[3, 0] = -1
    assert accuracy([take((SEA,) * 4)], [got])["scene"].counted == 1


def test_two_subjects_are_not_counted_and_nothing_is_none() -> None:
    two = replace(SEA, second="cube", second_colour="green")
    found = accuracy([take((two,) * 4)], [seen(*[SEA] * 4)])
    assert found["subject"].share is None
    assert found["subject"].chance is None
    assert found["scene"].counted == 2


def test_mislabelled_takes_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    shown = [replace(SEA, colour=str(rng.choice(COLOURS))) for _ in range(300)]
    asked = [replace(SEA, colour=str(rng.choice(COLOURS))) for _ in range(300)]
    takes = [take((attributes,) * 3) for attributes in asked]
    found = accuracy(takes, [seen(*[attributes] * 3) for attributes in shown])["colour"]
    assert found.share is not None
    assert found.chance == pytest.approx(1 / len(COLOURS), abs=0.01)
    assert found.margin is not None
    assert abs(found.share - 1 / len(COLOURS)) < 2 * found.margin
    right = accuracy(takes, [seen(*[attributes] * 3) for attributes in asked])["colour"]
    assert right.share == 1.0


def test_chance_is_high_where_one_answer_fits_nearly_all() -> None:
    takes = [take((SEA,) * 3)] * 9 + [take((BLUE_SEA,) * 3)]
    found = accuracy(takes, [seen(*[SEA] * 3)] * 10)["colour"]
    assert found.share == pytest.approx(0.9)
    assert found.chance == pytest.approx(0.9)


def test_a_change_is_in_time_when_a_chunk_that_ends_within_a_second_shows_it() -> None:
    wanted = (SEA,) * 4 + (BLUE_SEA,) * 5
    third = seen(*[SEA] * 6, *[BLUE_SEA] * 3)  # the third chunk ends 0.96 s after the change
    fourth = seen(*[SEA] * 7, *[BLUE_SEA] * 2)
    result = follow([take(wanted), take(wanted)], [third, fourth])["colour"]
    assert result.changes == 2
    assert result.within_limit == 0.5
    assert result.at_end == 1.0
    assert result.median_s == pytest.approx(3.5 * CHUNK_S)
    assert result.before == 0.0


def test_false_alarms_and_changes_that_never_show_are_counted() -> None:
    wanted = (SEA,) * 4 + (BLUE_SEA,) * 2
    result = follow([take(wanted)], [seen(*[BLUE_SEA] * 2, *[SEA] * 4)])["colour"]
    assert result.before == 0.5
    assert result.within_limit == result.at_end == 0.0
    assert result.median_s is None
    nothing = follow([take(wanted)], [seen(*[SEA] * 6)])["scene"]
    assert nothing.changes == 0
    assert nothing.within_limit is None
