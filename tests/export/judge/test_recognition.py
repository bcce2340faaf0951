"""Shares of right answers, how soon a change of the prompt shows, and whether the rest stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.judge.labels import JUDGED, WINDOW_CHUNKS
from streamgen_export.pocket.judge.recognition import SETTLING_CHUNKS, accuracy, follow, stay
from streamgen_export.pocket.world.attributes import COLOURS, VOCABULARY
from tests.export.judge.material import BLUE, FORM, MEADOW, brief, seen


def test_only_settled_chunks_count() -> None:
    assert SETTLING_CHUNKS == 2
    wanted = (MEADOW,) * 3 + (BLUE,) * 3
    got = seen(MEADOW, MEADOW, BLUE, MEADOW, MEADOW, BLUE)
    found = accuracy([brief(wanted)], [got])
    # Chunk 2 (wrong) and chunk 5 (right) are the only settled ones.
    assert found["colour"].share == 0.5
    assert found["colour"].counted == 2
    assert found["colour"].takes == 1
    assert found["colour"].margin is None  # one take says nothing about how much takes differ
    assert found["place"].share == 1.0
    assert found["place"].values == len(VOCABULARY["place"])


def test_what_needs_several_chunks_counts_later() -> None:
    found = accuracy([brief((MEADOW,) * 12)], [seen(*[MEADOW] * 12)])
    assert found["place"].counted == 10
    assert found["motion"].counted == found["mood"].counted == 12 - SETTLING_CHUNKS - WINDOW_CHUNKS + 1


def test_what_is_not_named_or_not_recognised_is_not_counted() -> None:
    got = seen(*[MEADOW] * 4)
    got[3, JUDGED.index("colour")] = -1
    found = accuracy([brief((MEADOW,) * 4, named=("place", "colour"))], [got])
    assert found["colour"].counted == 1
    assert found["place"].counted == 2
    assert found["subject"].share is found["subject"].chance is None


def test_mislabelled_takes_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    shown = [replace(MEADOW, colour=str(rng.choice(COLOURS))) for _ in range(300)]
    asked = [brief((replace(MEADOW, colour=str(rng.choice(COLOURS))),) * 3) for _ in range(300)]
    found = accuracy(asked, [seen(*[attributes] * 3) for attributes in shown])["colour"]
    assert found.share is not None
    assert found.chance == pytest.approx(1 / len(COLOURS), abs=0.01)
    assert found.margin is not None
    assert abs(found.share - 1 / len(COLOURS)) < 2 * found.margin
    assert accuracy(asked, [seen(*made.wanted) for made in asked])["colour"].share == 1.0


def test_a_change_is_in_time_when_a_chunk_that_ends_within_a_second_shows_it() -> None:
    wanted = (MEADOW,) * 4 + (BLUE,) * 6
    fourth = seen(*[MEADOW] * 7, *[BLUE] * 3)  # the fourth chunk ends 0.96 s after the change
    fifth = seen(*[MEADOW] * 8, *[BLUE] * 2)
    result = follow([brief(wanted)] * 2, [fourth, fifth], FORM.chunk_s)["colour"]
    assert result.changes == 2
    assert result.within_limit == 0.5
    assert result.at_end == 1.0
    assert result.median_s == pytest.approx(4.5 * FORM.chunk_s)
    assert result.before == 0.0


def test_false_alarms_and_changes_that_never_show_are_counted() -> None:
    wanted = (MEADOW,) * 4 + (BLUE,) * 2
    result = follow([brief(wanted)], [seen(*[BLUE] * 2, *[MEADOW] * 4)], FORM.chunk_s)["colour"]
    assert result.before == 0.5
    assert result.within_limit == result.at_end == 0.0
    assert result.median_s is None
    assert follow([brief(wanted)], [seen(*[MEADOW] * 6)], FORM.chunk_s)["place"].changes == 0


def test_what_should_stay_is_looked_at_before_and_after() -> None:
    wanted = (MEADOW,) * 5 + (BLUE,) * 5
    night = replace(BLUE, time="night", subject="cube")
    got = seen(*[MEADOW] * 5, BLUE, BLUE, BLUE, night, night)
    by_change, by_attribute = stay([brief(wanted, named=("place", "time", "colour"))], [got])
    assert by_attribute["time"].before == 1.0
    assert by_attribute["time"].after == pytest.approx(1 / 3)  # two chunks after the change settle
    assert by_attribute["place"].after == 1.0
    assert by_attribute["subject"].cases == 0, "not named, so not asked"
    assert by_attribute["colour"].cases == 0, "it was to change"
    assert by_change["colour"].cases == 2
    assert by_change["colour"].after == pytest.approx((1.0 + 1 / 3) / 2)
    assert by_change["place"].after is None
