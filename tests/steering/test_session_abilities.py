"""A session asks of a model what it can do, and no more."""

from dataclasses import replace
from typing import Any

import pytest

from streamgen.packets import SetPrompt
from streamgen.protocol import Permission, PromptSet, Rejected, Schedule, State, TimelineLoad
from tests.steering.asking import ALL, everybody, running, to
from tests.steering.records import record


def test_knobs_go_with_their_prompt_and_survive_a_restart() -> None:
    session = running()
    offered = session.offer({"camera": ["still", "left"], "mood": ["calm"]})
    told = everybody(offered, State)[-1]
    assert (told.choices, told.recaches) == ({"camera": ("still", "left"), "mood": ("calm",)}, False)
    assert everybody(running().offer({}, recaches=True), State)[-1].recaches

    asked = session.request("ann", PromptSet(id="a", text="rain", knobs={"camera": "left"}), ALL)
    assert asked.commands == (SetPrompt(id="a", text="rain", knobs={"camera": "left"}),)
    shown = session.chunk_started(replace(record(7, "a", "rain", applied=("a",)), knobs={"camera": "left"}))
    assert everybody(shown, State)[-1].knobs == {"camera": "left"}

    session.generator_lost()
    assert session.generator_ready().commands == (SetPrompt(id="a", text="rain", knobs={"camera": "left"}),)
    session.request("ann", PromptSet(id="b", text="snow"), ALL)
    shown = session.chunk_started(record(8, "b", "snow", applied=("b",)))
    assert everybody(shown, State)[-1].knobs == {}


@pytest.mark.parametrize(
    ("knobs", "field", "told"),
    [
        ({"camera": "up"}, "knobs.camera", "it can be still, left"),
        ({"zoom": "in"}, "knobs.zoom", "this model has no such knob"),
    ],
)
def test_a_knob_that_the_model_lacks_is_refused(knobs: dict[str, str], field: str, told: str) -> None:
    session = running()
    session.offer({"camera": ["still", "left"]})
    asked = session.request("ann", PromptSet(id="a", text="rain", knobs=knobs), ALL)
    assert asked.commands == ()
    rejected = to(asked, "ann")[-1]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.field) == ("invalid", field)
    assert told in rejected.message


RECACHES: tuple[Any, ...] = (
    PromptSet(id="a", text="rain", recache=True),
    Schedule.model_validate({"id": "a", "at": {"chunk": 4}, "prompt": {"text": "rain", "recache": True}}),
    TimelineLoad.model_validate(
        {
            "id": "a",
            "document": {
                "entries": [
                    {"id": "x", "at": {"chunk": 4}, "action": {"type": "cut"}},
                    {"id": "y", "at": {"chunk": 5}, "action": {"type": "prompt", "text": "rain", "recache": True}},
                ]
            },
        }
    ),
)


@pytest.mark.parametrize(
    ("message", "field"),
    [*zip(RECACHES, ("recache", "prompt.recache", "document.entries.1.action.recache"), strict=True)],
    ids=["prompt.set", "schedule", "timeline.load"],
)
def test_a_model_that_cannot_read_its_past_again_is_not_asked_to(message: Any, field: str) -> None:
    session = running()
    can: frozenset[Permission] = ALL | frozenset({"schedule"})
    session.offer({})
    asked = session.request("ann", message, can)
    assert asked.commands == ()
    rejected = to(asked, "ann")[-1]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.field) == ("invalid", field)
    assert "cannot read its past again" in rejected.message
    session.offer({}, recaches=True)
    assert session.request("ann", message.model_copy(update={"id": "b"}), can).commands


def for_the_sound(message: Any) -> Any:
    """The same request, for the sound alone."""
    told = message.model_dump(mode="json", exclude_unset=True)
    match message:
        case PromptSet():
            told["target"] = "audio"
        case Schedule():
            told["prompt"]["target"] = "audio"
        case _:
            told["document"]["entries"][1]["action"]["target"] = "audio"
    return type(message).model_validate(told)


@pytest.mark.parametrize(
    ("message", "field"),
    [*zip(RECACHES, ("recache", "prompt.recache", "document.entries.1.action.recache"), strict=True)],
    ids=["prompt.set", "schedule", "timeline.load"],
)
def test_the_past_is_not_read_again_for_the_sound_alone(message: Any, field: str) -> None:
    session = running()
    can: frozenset[Permission] = ALL | frozenset({"schedule"})
    session.offer({}, recaches=True)
    asked = session.request("ann", for_the_sound(message), can)
    assert asked.commands == ()
    rejected = to(asked, "ann")[-1]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.field) == ("invalid", field)
    assert "for the sound alone; leave recache out" in rejected.message
    quiet = PromptSet(id="b", text="rain", recache=False, target="audio")
    assert session.request("ann", quiet, can).commands


def test_a_past_that_is_read_again_goes_to_the_generator_and_not_to_a_restart() -> None:
    session = running()
    session.offer({}, recaches=True)
    asked = session.request("ann", PromptSet(id="a", text="rain", recache=True), ALL)
    assert asked.commands == (SetPrompt(id="a", text="rain", recache=True),)
    session.chunk_started(record(3, "a", "rain", applied=("a",)))
    session.generator_lost()
    assert session.generator_ready().commands == (SetPrompt(id="a", text="rain"),)
    assert session.request("ann", PromptSet(id="b", text="snow", recache=False), ALL).commands == (
        SetPrompt(id="b", text="snow", recache=False),
    )
