"""What each chunk is told: at once, on the way, and for picture and sound apart."""

from typing import Any

import numpy as np
import pytest

from streamgen.generation.prompt_flow import ARRIVAL_KEEP, PromptFlow, Told
from streamgen.generation.prompts import Taken
from streamgen.packets import SetPrompt
from streamgen_engines.condition import ALONE_IN_TRANSITION, SUDDEN, Condition
from streamgen_engines.prompt import Prompt, moved

CHUNK_MS = 240.0


def prompt(text: str) -> Prompt:
    rng = np.random.default_rng(len(text))
    pooled = rng.standard_normal((1, 8)).astype(np.float32)
    context = rng.standard_normal((1, 4, 8)).astype(np.float32)
    return Prompt(text, context, np.zeros((1, 4), np.float32), pooled / np.linalg.norm(pooled))


NULL, SEA, CITY, STORM = (prompt(text) for text in ("", "a sea", "the city", "some storm"))


def asked(what: Prompt, **how: Any) -> Taken[Prompt]:
    return Taken(SetPrompt("id", what.text, **how), what)


def shares(told: Told) -> dict[str, float]:
    return {text: round(share, 3) for text, share in told.prompt.shares}


def after(flow: PromptFlow, chunks: int) -> list[Told]:
    found = [flow.next() for _ in range(chunks)]
    for told in found:  # whatever happens, it is a condition
        Condition(
            told.prompt,
            cut=told.cut,
            keep=told.keep,
            alone_above=told.alone_above,
            sound=told.sound,
            recache=told.recache,
        )
    return found


def test_nobody_has_asked_for_anything() -> None:
    assert after(PromptFlow(NULL, CHUNK_MS), 2) == [Told(NULL), Told(NULL)]


def test_a_prompt_holds_from_the_next_chunk_on_and_cuts_once() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA, cut=True))
    assert after(flow, 2) == [Told(SEA, cut=True), Told(SEA)]
    flow.take(asked(CITY, keep=2))
    assert after(flow, 2) == [Told(CITY, keep=2), Told(CITY)]


def test_a_transition_is_even_takes_its_time_and_arrives_exactly() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA))
    flow.next()
    flow.take(asked(CITY, transition_ms=900.0))
    way = after(flow, 5)
    assert [shares(told).get("the city", 0.0) for told in way] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert way[3].prompt is CITY
    assert [told.alone_above for told in way] == [ALONE_IN_TRANSITION] * 4 + [None]
    assert [told.keep for told in way] == [None, None, None, ARRIVAL_KEEP, None]


def test_a_prompt_in_the_middle_of_a_transition_goes_on_from_there() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA))
    flow.next()
    flow.take(asked(CITY, transition_ms=2 * CHUNK_MS))
    flow.next()
    flow.take(asked(STORM, transition_ms=2 * CHUNK_MS))
    assert shares(flow.next()) == {"a sea": 0.25, "the city": 0.25, "some storm": 0.5}
    assert shares(flow.next()) == {"some storm": 1.0}


def test_picture_and_sound_can_be_told_apart_and_together_again() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA))
    flow.next()
    flow.take(asked(STORM, target="audio"))
    (told,) = after(flow, 1)
    assert (told.prompt, told.sound) == (SEA, STORM)
    flow.take(asked(CITY, target="video"))
    (told,) = after(flow, 1)
    assert (told.prompt, told.sound) == (CITY, STORM)
    flow.take(asked(CITY))
    assert after(flow, 1) == [Told(CITY)]


def test_a_transition_of_the_sound_alone_leaves_the_picture_its_past() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA))
    flow.next()
    flow.take(asked(STORM, target="audio", transition_ms=2 * CHUNK_MS))
    way = after(flow, 3)
    assert [(told.keep, told.alone_above) for told in way] == [(None, None)] * 3
    assert [told.prompt for told in way] == [SEA] * 3
    assert way[-1].sound is STORM


@pytest.mark.parametrize("transition_ms", [0.0, 1.0, CHUNK_MS])
def test_a_way_of_one_chunk_is_none(transition_ms: float) -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA, transition_ms=transition_ms))
    assert after(flow, 1) == [Told(SEA)]


def test_a_new_prompt_takes_back_a_cut_that_no_chunk_has_made() -> None:
    flow = PromptFlow(NULL, CHUNK_MS)
    flow.take(asked(SEA, cut=True))
    flow.take(asked(CITY, keep=1))
    assert after(flow, 1) == [Told(CITY, keep=1)]


def recaches(flow: PromptFlow, chunks: int) -> list[bool | None]:
    return [told.recache for told in after(flow, chunks)]


def test_the_past_is_read_again_once_where_the_new_prompt_is_there() -> None:
    flow = PromptFlow(NULL, CHUNK_MS, hides_past=False)
    flow.take(asked(SEA, recache=True))
    assert recaches(flow, 2) == [True, None]
    flow.take(asked(CITY, recache=True, transition_ms=3 * CHUNK_MS))
    assert recaches(flow, 4) == [None, None, True, None]
    flow.take(asked(SEA, recache=False))
    assert recaches(flow, 2) == [False, None]


def test_a_later_prompt_takes_the_wish_to_read_again_away_and_one_for_the_sound_does_not() -> None:
    flow = PromptFlow(NULL, CHUNK_MS, hides_past=False)
    flow.take(asked(SEA, recache=True, transition_ms=2 * CHUNK_MS))
    flow.take(asked(STORM, target="audio"))
    assert recaches(flow, 3) == [None, True, None]
    flow.take(asked(CITY, recache=True))
    flow.take(asked(STORM))
    assert recaches(flow, 2) == [None, None]
    flow.take(asked(CITY, recache=True, target="audio"))
    assert recaches(flow, 2) == [None, None]


def test_a_cut_leaves_nothing_to_be_read_again() -> None:
    flow = PromptFlow(NULL, CHUNK_MS, hides_past=False)
    flow.take(asked(SEA, recache=True))
    flow.take(asked(STORM, target="audio", cut=True))
    assert [(told.cut, told.recache) for told in after(flow, 2)] == [(True, None), (False, None)]


def test_a_model_that_need_not_hide_its_past_sees_it_in_transitions() -> None:
    flow = PromptFlow(NULL, CHUNK_MS, hides_past=False)
    flow.take(asked(SEA))
    flow.next()
    flow.take(asked(CITY, transition_ms=900.0))
    way = after(flow, 5)
    assert [shares(told).get("the city", 0.0) for told in way] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert {(told.alone_above, told.keep) for told in way} == {(None, None)}


WAYS: list[dict[str, Any]] = [
    {},
    {"recache": True},
    {"recache": False},
    {"keep": 1},
    {"cut": True},
    {"transition_ms": 2 * CHUNK_MS},
    {"recache": True, "transition_ms": 2 * CHUNK_MS},
    {"target": "audio"},
    {"target": "video", "recache": True},
]


@pytest.mark.parametrize("second", [None, *WAYS])
@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("by_itself", [False, True])
def test_a_recache_is_foreseen_and_taken_prompts_bear_it_out(
    first: dict[str, Any], second: dict[str, Any] | None, by_itself: bool
) -> None:
    """What is foreseen is what a model would do that reads again at sudden changes, or only where it is asked."""
    flow = PromptFlow(NULL, CHUNK_MS, hides_past=False)
    flow.take(asked(STORM))
    before = flow.next().prompt
    waiting = [asked(SEA, **first), *([] if second is None else [asked(CITY, **second)])]
    for _ in range(4):
        foreseen = flow.rereads([each.request for each in waiting], by_itself=by_itself)
        for each in waiting:
            flow.take(each)
        told, waiting = flow.next(), []
        sudden = moved(before, told.prompt) > SUDDEN and not told.cut and told.keep is None
        assert foreseen is ((by_itself and sudden) if told.recache is None else told.recache)
        before = told.prompt
