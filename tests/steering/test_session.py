from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar, get_args

import pytest

from streamgen.packets import SetConfig, SetPrompt
from streamgen.protocol import (
    Accepted,
    Applied,
    Buffering,
    Chunk,
    Config,
    ConfigUpdate,
    Panic,
    PanicAction,
    Permission,
    PromptSet,
    Queued,
    Received,
    Rejected,
    Schedule,
    ServerMessage,
    State,
    Superseded,
    TimelineLoad,
    Weighted,
)
from streamgen.steering.effects import Effects
from streamgen.steering.programme import START_ID
from streamgen.steering.session import MAX_SETTLED_SHOWN, SteeringSession
from tests.steering.records import record

ALL: frozenset[Permission] = frozenset({"prompt", "config"})
PANIC: frozenset[Permission] = frozenset({"panic"})
Message = TypeVar("Message", bound=ServerMessage)


def running(prompt: str = "calm sea") -> SteeringSession:
    session = SteeringSession("main", prompt=prompt)
    session.generator_ready()
    return session


def to(effects: Effects, client: str) -> list[ServerMessage]:
    """What is meant for this client alone, in order."""
    return [each.message for each in effects.deliveries if each.client == client]


def everybody(effects: Effects, kind: type[Message]) -> list[Message]:
    return [each.message for each in effects.deliveries if each.client is None and isinstance(each.message, kind)]


def types(messages: Iterable[ServerMessage]) -> list[str]:
    return [message.type for message in messages]


def test_a_prompt_walks_from_received_to_applied() -> None:
    session = running()

    asked = session.request("ann", PromptSet(id="a", text="rain", cut=True), ALL)
    assert to(asked, "ann") == [Received(id="a"), Accepted(id="a")]
    assert asked.commands == (SetPrompt(id="a", text="rain", cut=True),)

    queued = session.queued("a", 412.6)
    assert to(queued, "ann") == [Queued(id="a", eta_ms=413)]
    assert everybody(queued, State)[-1].pending[0].eta_ms == 413

    shown = session.chunk_started(record(7, "a", "rain", applied=("a",)))
    assert to(shown, "ann") == [Applied(id="a", chunk=7, media_time=7 * 0.32, rtp_video=7 * 28_800)]
    state = everybody(shown, State)[-1]
    assert (state.prompt, state.prompt_id, state.pending) == ("rain", "a", ())
    assert everybody(shown, Chunk) == [
        Chunk(index=7, media_time=7 * 0.32, prompt="rain", prompt_id="a", rtp_video=7 * 28_800)
    ]


def test_a_prompt_carries_all_that_it_asks_for() -> None:
    blend = (Weighted(text="rain", weight=3.0), Weighted(text="snow"))
    asked = running().request("ann", PromptSet(id="a", blend=blend, keep=2, target="video", transition_ms=800), ALL)
    assert asked.commands == (
        SetPrompt(
            id="a",
            text="75 % rain + 25 % snow",
            blend=(("rain", 3.0), ("snow", 1.0)),
            keep=2,
            target="video",
            transition_ms=800,
        ),
    )


def play(session: SteeringSession, chunk: int, **asked: Any) -> None:
    """Ask for a prompt and let a chunk show it."""
    session.request("ann", PromptSet(**asked), ALL)
    session.chunk_started(record(chunk, asked["id"], asked.get("text", ""), applied=(asked["id"],)))


def test_a_new_generator_is_told_what_the_picture_and_what_the_sound_was_told() -> None:
    session = running()
    play(session, 1, id="a", text="a city", cut=True, transition_ms=0)
    assert session.generator_ready().commands == (SetPrompt(id="a", text="a city"),)
    play(session, 2, id="b", text="thunder", target="audio", transition_ms=500)
    assert (session.state().prompt, session.state().sound) == ("a city", "thunder")
    assert session.state().prompt_id == "a"
    assert session.generator_ready().commands == (SetPrompt(id="a", text="a city", sound=(("thunder", 1.0),)),)
    play(session, 3, id="c", text="a desert", target="video")
    assert session.generator_ready().commands == (SetPrompt(id="c", text="a desert", sound=(("thunder", 1.0),)),)
    play(session, 4, id="d", text="a forest")
    assert session.state().sound is None
    assert session.generator_ready().commands == (SetPrompt(id="d", text="a forest"),)


def test_a_prompt_for_one_side_that_waits_brings_the_other_along_to_a_new_generator() -> None:
    session = running("calm sea")
    session.request("ann", PromptSet(id="a", text="thunder", target="audio"), ALL)
    (told,) = session.generator_ready().commands
    assert told == SetPrompt(id="a", text="calm sea", blend=(("calm sea", 1.0),), sound=(("thunder", 1.0),))
    session.request("ann", PromptSet(id="b", text="a storm", target="video"), ALL)
    first, then = session.generator_ready().commands
    assert first == told
    assert then == SetPrompt(id="b", text="a storm", target="video")
    session.request("ann", PromptSet(id="c", text="wind", target="audio"), ALL)
    first, then = session.generator_ready().commands
    assert first == SetPrompt(id="b", text="a storm", sound=(("calm sea", 1.0),))
    assert then == SetPrompt(id="c", text="wind", target="audio")


def test_panic_acts_at_once_and_needs_no_generator() -> None:
    session = SteeringSession("main", prompt="calm sea")
    held = session.request("op", Panic(id="p", action="hold"), PANIC, media_time_s=2.0)
    assert held.panic == "hold"
    assert held.commands == ()
    applied = Applied(id="p", chunk=None, media_time=2.0, rtp_video=180_000)
    assert to(held, "op") == [Received(id="p"), Accepted(id="p"), applied]
    assert (everybody(held, State)[-1].cover, everybody(held, State)[-1].muted) == ("hold", False)
    again = session.request("op", Panic(id="p", action="hold"), PANIC, media_time_s=9.0)
    assert again.panic is None, "sent again it acts once"
    assert to(again, "op") == to(held, "op")


def test_each_panic_replaces_the_cover_and_off_takes_all_back() -> None:
    session = running()
    found = []
    for number, action in enumerate(get_args(PanicAction)):
        session.request("op", Panic(id=f"p{number}", action=action), PANIC)
        found.append((action, session.state().cover, session.state().muted))
    assert found == [
        ("hold", "hold", False),
        ("slate", "slate", False),
        ("black", "black", False),
        ("mute", "black", True),
        ("off", "none", False),
    ]
    assert session.outcomes["applied"] == 5


def test_panic_is_not_for_everybody() -> None:
    refused = running().request("ann", Panic(id="p", action="black"), ALL)
    assert refused.panic is None
    assert to(refused, "ann")[-1].type == "rejected"


def test_a_cover_outlives_the_generator_and_a_closed_channel_takes_none() -> None:
    session = running()
    session.request("op", Panic(id="p", action="black"), PANIC)
    session.generator_lost()
    session.generator_ready()
    assert session.state().cover == "black"
    session.close()
    assert session.request("op", Panic(id="q", action="off"), PANIC).panic is None


def test_the_latest_prompt_wins_whatever_the_generator_reports_about_older_ones() -> None:
    session = running()
    for id in "abc":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    shown = session.chunk_started(record(3, "c", "c", applied=("c",)))
    assert to(shown, "ann") == [
        Superseded(id="a", by="c"),
        Superseded(id="b", by="c"),
        Applied(id="c", chunk=3, media_time=3 * 0.32, rtp_video=3 * 28_800),
    ]
    late = session.chunk_started(record(4, "a", "a", applied=("a",)))
    assert to(late, "ann") == []


def test_the_generator_says_at_once_that_a_prompt_was_given_up() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="a"), ALL)
    session.request("bob", PromptSet(id="b", text="b"), ALL)
    effects = session.superseded("a", "b")
    assert to(effects, "ann") == [Superseded(id="a", by="b")]
    # Everybody still sees it in the state, until the one that took its place plays.
    assert [(each.id, each.stage) for each in everybody(effects, State)[-1].pending] == [
        ("a", "superseded"),
        ("b", "accepted"),
    ]
    assert session.chunk_started(record(1, "b", "b", applied=("b",)))
    assert session.state().pending == ()


@pytest.mark.parametrize("by", ["a", "b", "unknown"])
def test_only_a_newer_prompt_can_take_the_place(by: str) -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="a"), ALL)
    session.request("ann", PromptSet(id="b", text="b"), ALL)
    assert session.superseded("b", by) == Effects()


def test_a_chunk_record_names_prompts_that_were_given_up() -> None:
    session = running()
    for id in "abc":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    effects = session.chunk_started(record(1, START_ID, "calm sea", superseded=("a",)))
    assert to(effects, "ann") == [Superseded(id="a", by="c")]


def test_a_prompt_is_told_which_one_took_its_place() -> None:
    session = running()
    for id in "abc":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    effects = session.chunk_started(record(1, "b", "b", applied=("b",), superseded=("a",)))
    assert to(effects, "ann")[0] == Superseded(id="a", by="b")


def test_a_prompt_counts_as_applied_when_the_chunk_that_announced_it_was_lost() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    effects = session.chunk_started(record(9, "a", "rain"))
    assert types(to(effects, "ann")) == ["applied"]


def test_a_prompt_that_the_generator_cannot_use_is_rejected() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    effects = session.failed("a", "the text encoder failed")
    assert to(effects, "ann") == [Rejected(id="a", reason="invalid", field="text", message="the text encoder failed")]
    assert session.failed("a", "again") == Effects()


def test_the_same_request_gets_the_same_answers_and_acts_once() -> None:
    session = running()
    message = PromptSet(id="a", text="rain")
    first = session.request("ann", message, ALL)
    session.queued("a", 900)
    session.queued("a", 400)
    again = session.request("ann", message, ALL)
    assert again.commands == ()
    assert to(again, "ann") == [*to(first, "ann"), Queued(id="a", eta_ms=400)]
    session.chunk_started(record(2, "a", "rain", applied=("a",)))
    assert types(to(session.request("ann", message, ALL), "ann")) == ["received", "accepted", "queued", "applied"]


def test_the_same_id_with_another_content_is_refused_and_the_first_request_goes_on() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    effects = session.request("ann", PromptSet(id="a", text="snow"), ALL)
    (answer,) = to(effects, "ann")
    assert isinstance(answer, Rejected)
    assert (answer.reason, answer.field, effects.commands) == ("id_reused", "id", ())
    assert types(to(session.chunk_started(record(1, "a", "rain", applied=("a",))), "ann")) == ["applied"]


def test_ids_belong_to_the_client_that_chose_them() -> None:
    session = running()
    session.request("ann", PromptSet(id="1", text="rain"), ALL)
    effects = session.request("bob", PromptSet(id="1", text="snow"), ALL)
    (command,) = effects.commands
    assert isinstance(command, SetPrompt)
    assert command.id not in ("1", START_ID)
    shown = session.chunk_started(record(1, command.id, "snow", applied=(command.id,)))
    assert to(shown, "bob") == [Applied(id="1", chunk=1, media_time=0.32, rtp_video=28_800)]
    assert to(shown, "ann") == [Superseded(id="1", by=command.id)]


def test_the_id_of_the_first_prompt_cannot_be_taken() -> None:
    session = running()
    (command,) = session.request("ann", PromptSet(id=START_ID, text="rain"), ALL).commands
    assert isinstance(command, SetPrompt)
    assert command.id != START_ID
    assert to(session.chunk_started(record(0, START_ID, "calm sea", applied=(START_ID,))), "ann") == []


def test_watching_is_not_steering() -> None:
    session = running()
    message = PromptSet(id="a", text="rain")
    effects = session.request("ann", message, frozenset({"config"}))
    assert types(to(effects, "ann")) == ["received", "rejected"]
    assert effects.commands == ()
    # Not remembered: with the operator's token the very same request is taken.
    assert session.request("ann", message, ALL).commands != ()
    denied = to(session.request("ann", ConfigUpdate(id="b", seed=1), frozenset({"prompt"})), "ann")[-1]
    assert isinstance(denied, Rejected)
    assert denied.reason == "forbidden"


def test_settings_are_applied_when_a_chunk_shows_them() -> None:
    session = running()
    asked = session.request("ann", ConfigUpdate(id="a", guidance=2.5, seed=7), ALL)
    assert asked.commands == (SetConfig(guidance=2.5, seed=7),)
    assert session.state().config == Config(guidance=2.5, seed=7)
    assert to(session.chunk_started(record(1)), "ann") == []
    assert to(session.chunk_started(record(2, guidance=2.5)), "ann") == []
    assert types(to(session.chunk_started(record(3, guidance=2.5, seed=7)), "ann")) == ["applied"]


def test_settings_are_superseded_only_when_nothing_of_them_is_left() -> None:
    session = running()
    session.request("ann", ConfigUpdate(id="a", guidance=2.5, seed=7), ALL)
    assert types(to(session.request("ann", ConfigUpdate(id="b", seed=8), ALL), "ann")) == ["received", "accepted"]
    assert session.state().config == Config(guidance=2.5, seed=8)
    # The guidance of a still counts; its seed no longer does.
    assert types(to(session.chunk_started(record(1, guidance=2.5, seed=0)), "ann")) == ["applied"]
    over = session.request("ann", ConfigUpdate(id="c", seed=9), ALL)
    assert to(over, "ann")[-1] == Superseded(id="b", by="c")


def test_before_the_generator_runs_only_the_newest_prompt_waits() -> None:
    session = SteeringSession("main", prompt="calm sea")
    assert session.request("ann", PromptSet(id="a", text="rain"), ALL).commands == ()
    effects = session.request("ann", PromptSet(id="b", text="snow"), ALL)
    assert to(effects, "ann")[-1] == Superseded(id="a", by="b")
    assert effects.commands == ()
    assert session.generator_ready().commands == (SetPrompt(id="b", text="snow"),)


def test_a_new_generator_gets_what_is_in_force() -> None:
    session = SteeringSession("main", prompt="calm sea")
    assert session.generator_ready().commands == (SetPrompt(id=START_ID, text="calm sea"),)
    session.request("ann", ConfigUpdate(id="c", guidance=3.0), ALL)
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    session.chunk_started(record(1, "a", "rain", applied=("a",), guidance=3.0))
    session.generator_lost()
    assert session.generator_ready().commands == (
        SetConfig(guidance=3.0, seed=None),
        SetPrompt(id="a", text="rain"),
    )


def test_a_lost_generator_takes_the_older_prompts_with_it_but_not_the_newest() -> None:
    session = running()
    for id in "ab":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    assert to(session.generator_lost(), "ann") == [Superseded(id="a", by="b")]
    assert session.generator_ready().commands == (SetPrompt(id="b", text="b"),)


def test_without_a_prompt_a_new_generator_is_told_none() -> None:
    assert SteeringSession("main").generator_ready().commands == ()


def test_open_prompts_are_bounded_and_the_oldest_gives_way() -> None:
    session = SteeringSession("main", max_open_prompts=3)
    session.generator_ready()
    for id in "abc":
        session.request("ann", PromptSet(id=id, text=id), ALL)
    assert to(session.request("ann", PromptSet(id="d", text="d"), ALL), "ann")[-1] == Superseded(id="a", by="d")


def test_memory_is_bounded_over_any_number_of_requests() -> None:
    session = SteeringSession("main", max_open_prompts=4, max_finished=10)
    session.generator_ready()
    for number in range(500):
        session.request(f"client {number % 7}", PromptSet(id=str(number), text=str(number)), ALL)
        session.request("x", ConfigUpdate(id=f"c{number}", seed=number), ALL)
        assert session.remembered <= 10 + 4 + 1
        assert len(session.state().pending) <= 4 + MAX_SETTLED_SHOWN
    # A forgotten id is a new request.
    assert session.request("client 0", PromptSet(id="0", text="0"), ALL).commands != ()


def test_the_status_follows_what_viewers_see() -> None:
    session = running()
    assert session.status == "starting"
    assert session.set_status("slate") == Effects()  # it plays before the first chunk, and nothing was interrupted
    assert session.status == "starting"
    first = session.chunk_started(record(0, START_ID, "calm sea"))
    assert everybody(first, Buffering) == [Buffering(active=False, media_time=0.0)]
    assert everybody(first, State)[-1].status == "live"
    assert everybody(session.chunk_started(record(1, START_ID, "calm sea")), State) == []

    stalled = session.set_status("buffering")
    assert everybody(stalled, Buffering) == [Buffering(active=True, reason="underrun", media_time=0.32)]
    assert session.set_status("buffering") == Effects()
    assert everybody(session.set_status("slate"), Buffering)[0].reason == "restarting"
    assert everybody(session.set_status("live"), Buffering) == [Buffering(active=False, media_time=0.32)]


def test_the_prompt_of_the_start_has_no_id_of_a_request() -> None:
    session = running()
    effects = session.chunk_started(record(0, START_ID, "calm sea"))
    assert everybody(effects, Chunk)[0].prompt_id is None
    assert session.state().prompt_id is None
    assert session.state().prompt == "calm sea"


def test_late_joiners_get_the_whole_situation() -> None:
    session = running()
    session.set_viewers(3)
    session.request("ann", ConfigUpdate(id="c", guidance=2.0), ALL)
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    session.chunk_started(record(5, "a", "rain", applied=("a",)))
    session.request("ann", PromptSet(id="b", text="snow"), ALL)
    state = session.state(("config", "prompt"))
    assert (state.channel, state.status, state.viewers, state.chunk) == ("main", "live", 3, 5)
    assert (state.prompt, state.prompt_id, state.media_time) == ("rain", "a", 5 * 0.32)
    assert [(each.id, each.text, each.stage) for each in state.pending] == [("b", "snow", "accepted")]
    assert (state.config, state.can) == (Config(guidance=2.0), ("config", "prompt"))


def test_viewers_change_the_state_once() -> None:
    session = running()
    assert everybody(session.set_viewers(2), State)[0].viewers == 2
    assert session.set_viewers(2) == Effects()


def test_closing_gives_every_open_request_its_final_answer() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="rain"), ALL)
    session.request("bob", ConfigUpdate(id="c", seed=3), ALL)
    effects = session.close()
    assert [types(to(effects, client)) for client in ("ann", "bob")] == [["rejected"], ["rejected"]]
    assert session.close() == Effects()
    late = to(session.request("ann", PromptSet(id="b", text="snow"), ALL), "ann")[-1]
    assert isinstance(late, Rejected)
    assert late.reason == "unavailable"


def test_outcomes_are_counted() -> None:
    session = running()
    session.request("ann", PromptSet(id="a", text="a"), ALL)
    session.request("ann", PromptSet(id="b", text="b"), ALL)
    session.chunk_started(record(1, "b", "b", applied=("b",)))
    session.request("ann", PromptSet(id="c", text="c"), frozenset())
    assert session.outcomes == {"applied": 1, "superseded": 1, "rejected": 1}
    assert session.rejections == {"forbidden": 1}


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
