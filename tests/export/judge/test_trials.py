"""Trials of samplers: what differs, what is counted, and how sure a gain is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from streamgen_engines.bundle import bundled
from streamgen_export.pocket.judge.labels import CHANGED
from streamgen_export.pocket.judge.trials import EARLY, LATE, OWN, Tally, Trial, read_trials, score, tally
from tests.export.judge.material import BLUE, MEADOW, brief, seen

COLOUR = CHANGED.index("colour")
PLACE = CHANGED.index("place")


def test_a_trial_changes_only_its_fields() -> None:
    bundle = bundled("testcard")
    own = bundle.manifest.sampler
    varied = Trial("more", {"guidance": own.guidance + 1.5}).of(bundle)
    assert varied.manifest.sampler == own.model_copy(update={"guidance": own.guidance + 1.5})
    assert varied.root == bundle.root
    assert bundle.manifest.sampler is own
    assert Trial(OWN).of(bundle).manifest == bundle.manifest


@pytest.mark.parametrize("fields", [{"guidanse": 2.0}, {"sigmas": [1.0, 0.5]}, {"guidance": "much"}])
def test_what_no_sampler_has_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Trial("wrong", fields).of(bundled("testcard"))


def test_trials_are_read_with_the_bundles_own_first(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    path.write_text(json.dumps({"more": {"guidance": 4.0}, OWN: {}}))
    assert read_trials(path) == [Trial(OWN), Trial("more", {"guidance": 4.0})]


@pytest.mark.parametrize("wrong", ["[]", '{"more": 4.0}', '{"own": {"guidance": 4.0}}'])
def test_what_are_no_trials_is_refused(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    path.write_text(wrong)
    with pytest.raises(ValueError, match="trial"):
        read_trials(path)


def test_chunks_are_counted_in_two_halves_of_each_prompt() -> None:
    # Of each prompt's four chunks, two are early and two late.
    wanted = (MEADOW,) * 4 + (BLUE,) * 4
    got = seen(MEADOW, MEADOW, BLUE, MEADOW, *[MEADOW] * 2, BLUE, BLUE)
    found = {part: tally([brief(wanted)], [got], part) for part in (None, EARLY, LATE)}
    assert [found[part].asked[0, COLOUR] for part in (None, EARLY, LATE)] == [8, 4, 4]
    assert [found[part].hits[0, COLOUR] for part in (None, EARLY, LATE)] == [5, 2, 3]
    assert found[None].hits[0, PLACE] == 8


def test_what_is_not_named_is_not_asked() -> None:
    found = tally([brief((MEADOW,) * 4, named=("place",))], [seen(*[MEADOW] * 4)])
    assert found.asked[0, PLACE] == 4
    assert found.asked.sum() == 4
    assert score(found).by_attribute == {"place": 1.0}


def tallied(rights: list[int], asked: int = 10) -> Tally:
    hits, chunks = np.zeros((len(rights), len(CHANGED))), np.zeros((len(rights), len(CHANGED)))
    hits[:, PLACE], chunks[:, PLACE] = rights, asked
    return Tally(hits, chunks)


def test_a_gain_is_the_difference_of_shares_and_its_margin_that_of_pairs() -> None:
    own = tallied([0, 10] * 20)
    same = score(own, own)
    assert (same.share, same.gain, same.margin) == (0.5, 0.0, 0.0)
    # Each take gains the same: takes differ widely, their pairs not at all.
    better = score(tallied([2, 12] * 20, 20), tallied([0, 10] * 20, 20))
    assert better.gain == pytest.approx(0.1)
    assert better.margin == pytest.approx(0.0, abs=1e-9)
    mixed = score(tallied([10, 0] * 20), own)
    assert mixed.gain == 0.0
    assert mixed.margin is not None
    assert 0.2 < mixed.margin < 0.45  # 1.96 * 1 / sqrt(40) = 0.31


def test_attributes_weigh_the_same_however_often_they_are_asked() -> None:
    found = tallied([10])
    found.hits[0, COLOUR], found.asked[0, COLOUR] = 0, 1000
    assert score(replace(found)).share == 0.5
