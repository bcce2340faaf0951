"""How well the lists and policies that ship judge the written prompts. The floors lie just under what was measured;
`python -m bench.moderation` prints the figures."""

from collections import Counter
from collections.abc import Sequence

import pytest

from bench.moderation import Judged, calibrate, count, judge, parts, read_prompts
from streamgen.moderation.rules import Rules
from streamgen.moderation.similarity import Similarity

CATEGORIES = {"minors", "sexual", "violence", "self_harm", "hate", "extremism", "drugs", "harassment"}


@pytest.fixture(scope="module")
def path() -> tuple[Rules, Similarity]:
    return parts()


@pytest.fixture(scope="module")
def judged(path: tuple[Rules, Similarity]) -> tuple[Judged, ...]:
    return judge(read_prompts(), *path)


def of(judged: Sequence[Judged], split: str, language: str | None = None) -> list[Judged]:
    return [each for each in judged if each.prompt.split == split and language in (None, each.prompt.language)]


def test_the_prompts_are_what_the_figures_are_said_to_be_of() -> None:
    prompts = read_prompts()
    assert len({each.text for each in prompts}) == len(prompts) >= 800
    splits = Counter((each.split, each.category is None) for each in prompts)
    assert min(splits["dev", True], splits["dev", False], splits["test", True], splits["test", False]) >= 150
    assert {each.category for each in prompts} == {None, *CATEGORIES}
    assert len({each.language for each in prompts}) == 14
    assert sum(each.evasion for each in prompts) >= 60


def test_held_out_prompts(judged: tuple[Judged, ...]) -> None:
    found = count(of(judged, "test"), "both")
    assert found.recall >= 0.96
    assert found.false_positive_rate <= 0.03


def test_the_similarity_finds_some_of_it_alone_and_little_else(judged: tuple[Judged, ...]) -> None:
    found = count(of(judged, "test", "en"), "similarity")
    assert found.recall >= 0.5
    assert found.false_positive_rate <= 0.03


def test_other_words_than_the_lists_hold(judged: tuple[Judged, ...]) -> None:
    """The honest figure, and a low one: most of what is said in other words is not seen. It is not to fall further."""
    found = count(of(judged, "fresh"), "both")
    assert found.recall >= 0.33
    assert found.false_positive_rate <= 0.02


def test_evasions(judged: tuple[Judged, ...]) -> None:
    evasions = [each for each in of(judged, "test") if each.prompt.evasion]
    assert count(evasions, "rules").recall >= 0.95


def test_nothing_on_the_development_prompts_is_judged_wrongly(judged: tuple[Judged, ...]) -> None:
    """They are where lists are mended, so one that is judged wrongly is one that somebody broke."""
    wrong = [
        each.prompt.text
        for each in of(judged, "dev")
        if (each.verdict("both").decision == "allow") != (each.prompt.category is None)
    ]
    assert wrong == []


def test_the_margins_that_ship_are_those_of_the_calibration(path: tuple[Rules, Similarity]) -> None:
    _, similarity = path
    margins = calibrate([each for each in read_prompts() if each.split == "dev"], similarity)
    shipped = {policy.category.name: (policy.hold, policy.refuse) for policy in similarity.policies}
    assert shipped == margins
