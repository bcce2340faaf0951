"""What a sudden prompt does to the past where the request says nothing, and that a request's word comes first."""

from typing import Any

import numpy as np
import pytest

from streamgen_engines.condition import Condition
from streamgen_engines.families.wan.switch import PromptSwitch, Switched
from streamgen_engines.manifest.wan import Switch
from streamgen_engines.prompt import Prompt, transition


def prompt(text: str) -> Prompt:
    return Prompt(text, np.ones((1, 2, 2), np.float32), np.zeros((1, 2), np.float32), np.zeros((1, 0), np.float32))


SEA, FIRE, SNOW = prompt("sea"), prompt("fire"), prompt("snow")
MODES: tuple[Switch, ...] = ("keep", "blend", "recache", "cut")


def shares(switched: Switched) -> dict[str, float]:
    return {text: round(share, 3) for text, share in switched.prompt.shares}


def followed(switch: PromptSwitch, *conditions: Condition) -> list[Switched]:
    return [switch.follow(condition) for condition in conditions]


@pytest.mark.parametrize("mode", MODES)
def test_the_first_prompt_and_one_that_stays_do_nothing(mode: Switch) -> None:
    for switched in followed(PromptSwitch(mode, 4), *[Condition(SEA)] * 3):
        assert (switched.prompt, switched.cut, switched.recache) == (SEA, False, False)


@pytest.mark.parametrize(
    ("mode", "cut", "recache", "told"),
    [
        ("keep", False, False, {"fire": 1.0}),
        ("recache", False, True, {"fire": 1.0}),
        ("cut", True, False, {"fire": 1.0}),
        ("blend", False, False, {"sea": 0.75, "fire": 0.25}),
    ],
)
def test_a_sudden_prompt_does_what_the_bundle_says_once(
    mode: Switch, cut: bool, recache: bool, told: dict[str, float]
) -> None:
    _, switched, after = followed(PromptSwitch(mode, 4), Condition(SEA), Condition(FIRE), Condition(FIRE))
    assert (switched.cut, switched.recache, shares(switched)) == (cut, recache, told)
    assert (after.cut, after.recache) == (False, False)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("asked", "cut", "recache"),
    [
        ({"recache": False}, False, False),
        ({"recache": True}, False, True),
        ({"keep": 1}, False, False),
        ({"cut": True}, True, False),
    ],
)
def test_the_word_of_a_request_comes_first(mode: Switch, asked: dict[str, Any], cut: bool, recache: bool) -> None:
    _, switched = followed(PromptSwitch(mode, 4), Condition(SEA), Condition(FIRE, **asked))
    assert (switched.prompt, switched.cut, switched.recache) == (FIRE, cut, recache)


def test_a_blend_moves_evenly_and_arrives_exactly() -> None:
    switch = PromptSwitch("blend", 4)
    way = followed(switch, Condition(SEA), *[Condition(FIRE)] * 5)[1:]
    assert [shares(each).get("fire") for each in way] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert way[3].prompt is FIRE


def test_a_blend_that_is_turned_goes_on_from_where_it_is() -> None:
    switch = PromptSwitch("blend", 2)
    way = followed(switch, Condition(SEA), Condition(FIRE), Condition(SNOW), Condition(SNOW))
    assert shares(way[1]) == {"sea": 0.5, "fire": 0.5}
    assert shares(way[2]) == {"sea": 0.25, "fire": 0.25, "snow": 0.5}
    assert shares(way[3]) == {"snow": 1.0}


def test_a_cut_ends_a_blend() -> None:
    switch = PromptSwitch("blend", 4)
    way = followed(switch, Condition(SEA), Condition(FIRE), Condition(FIRE, cut=True), Condition(FIRE))
    assert [each.prompt is FIRE for each in way[2:]] == [True, True]


@pytest.mark.parametrize("mode", MODES)
def test_the_steps_of_a_transition_are_not_sudden(mode: Switch) -> None:
    switch = PromptSwitch(mode, 4)
    way = followed(switch, Condition(SEA), *[Condition(transition(SEA, FIRE, n / 4)) for n in range(1, 5)])
    assert [shares(each).get("fire") for each in way[1:]] == [0.25, 0.5, 0.75, 1.0]
    assert not any(each.cut or each.recache for each in way)


def test_after_a_reset_the_next_prompt_follows_nothing() -> None:
    switch = PromptSwitch("blend", 4)
    followed(switch, Condition(SEA), Condition(FIRE))
    switch.reset()
    assert followed(switch, Condition(SNOW))[0].prompt is SNOW
