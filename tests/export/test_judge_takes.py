"""Takes and briefs of the judge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamgen_export.pocket.judge.briefs import bounce_briefs, change_briefs, long_briefs
from streamgen_export.pocket.judge.takes import JUDGED, PICTURED, label
from streamgen_export.pocket.scenes.attributes import VOCABULARY, held_out, possible
from tests.export.judge_material import BLUE_SEA, SEA, take


def test_a_take_is_a_whole_number_of_chunks() -> None:
    good = take((SEA, SEA))
    assert good.duration_s == pytest.approx(0.64)
    with pytest.raises(ValueError, match="pictures"):
        replace(good, video=good.video[:-1])
    with pytest.raises(ValueError, match="samples"):
        replace(good, audio=good.audio[:, :-1])
    with pytest.raises(ValueError, match="prompts"):
        replace(good, prompts=("one",))


def test_ages_count_chunks_since_the_last_change() -> None:
    assert take((SEA, SEA, BLUE_SEA, BLUE_SEA, SEA)).ages == (0, 1, 0, 1, 0)


def test_labels_are_places_in_the_vocabulary_and_two_subjects_have_none() -> None:
    classes = dict(zip(JUDGED, label(BLUE_SEA), strict=True))
    assert {name: VOCABULARY[name][number] for name, number in classes.items()} == {
        "scene": "sea",
        "light": "clear",
        "subject": "ball",
        "colour": "blue",
        "motion": "bounces",
        "mood": "calm",
    }
    two = dict(zip(JUDGED, label(replace(SEA, second="cube", second_colour="green")), strict=True))
    assert two["subject"] == two["colour"] == -1
    assert two["scene"] == classes["scene"]


def test_change_briefs_are_held_out_and_change_one_thing_in_turn() -> None:
    briefs = change_briefs(seed=3, count=8, before=4, after=3)
    assert briefs == change_briefs(seed=3, count=8, before=4, after=3)
    for index, brief in enumerate(briefs):
        first, second = brief.wanted[0], brief.wanted[-1]
        assert len(brief.wanted) == len(brief.prompts) == 7
        asked = PICTURED[index % 4]
        differing = {name for name in PICTURED if getattr(first, name) != getattr(second, name)}
        assert differing == {asked} or (asked == "scene" and differing == {"scene", "light"})
        assert possible(first)
        assert possible(second)
        assert all(held_out(combination) for combination in (*first.combinations, *second.combinations))
        assert brief.prompts[3] != brief.prompts[4]
    assert len({brief.seed for brief in briefs}) == 8


def test_bouncing_and_long_briefs_stay_the_same() -> None:
    bouncing = bounce_briefs(seed=1, count=3, chunks=5)
    assert all(attributes.motion == "bounces" for brief in bouncing for attributes in brief.wanted)
    for brief in (*bouncing, *long_briefs(seed=1, count=2, chunks=5)):
        assert len(brief.wanted) == 5
        assert len(set(brief.wanted)) == len(set(brief.prompts)) == 1
        assert all(held_out(combination) for combination in brief.wanted[0].combinations)
