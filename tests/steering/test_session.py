import pytest

from streamgen.packets import SetConfig, SetPrompt
from streamgen.protocol import (
    Accepted,
    Applied,
    Buffering,
    Chunk,
    Config,
    ConfigUpdate,
    PromptSet,
    Queued,
    Received,
    Rejected,
    State,
    Superseded,
    Weighted,
)
from streamgen.steering.effects import Effects
from streamgen.steering.programme import START_ID
from streamgen.steering.session import MAX_SETTLED_SHOWN, SteeringSession
from tests.steering.asking import ALL, everybody, running, to, types
from tests.steering.records import record


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
