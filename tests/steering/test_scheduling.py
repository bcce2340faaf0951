"""The timeline through the session: requests, what the generator is told, and what it reports."""

from dataclasses import replace

import pytest

from streamgen.moderation.verdict import Verdict
from streamgen.packets import (
    ClearTimeline,
    Command,
    DropContext,
    Occurred,
    ScheduleEntry,
    SetConfig,
    SetPaused,
    SetPrompt,
    SetTempos,
    UnscheduleEntry,
)
from streamgen.protocol import (
    At,
    Loop,
    LoopEntries,
    Pause,
    Permission,
    Play,
    PromptSet,
    Queued,
    Rejected,
    Reset,
    Schedule,
    ScheduledPrompt,
    ServerMessage,
    SetTempo,
    Superseded,
    Timeline,
    TimelineClear,
    TimelineDocument,
    TimelineLoad,
    Unschedule,
    encode,
)
from streamgen.protocol.entries import MAX_TEMPOS
from streamgen.steering.effects import Effects
from streamgen.steering.open_request import Request
from streamgen.steering.scheduling import MAX_TEXTS, MAX_TIMELINE_BYTES
from streamgen.steering.session import MAX_RESETS, SteeringSession
from streamgen.timeline.document import read_entry
from tests.steering.records import record

CAN: frozenset[Permission] = frozenset({"prompt", "config", "schedule", "moderate"})
ALLOW, REFUSE, HOLD = Verdict("allow"), Verdict("refuse", "x", "no"), Verdict("hold", "x", "wait")


def running(*, moderated: bool = False) -> SteeringSession:
    session = SteeringSession("main", prompt="sea", moderated=moderated)
    session.offer({"camera": ("left", "right")}, chunk_s=0.32)
    session.generator_ready()
    return session


def ask(session: SteeringSession, message: Request, client: str = "op", at_s: float = 0.0) -> Effects:
    return session.request(client, message, CAN, media_time_s=at_s)


def at_chunk(id: str, chunk: int, text: str = "rain", **more: object) -> Schedule:
    return Schedule.model_validate({"id": id, "at": At(chunk=chunk), "prompt": ScheduledPrompt(text=text), **more})


def told(effects: Effects, client: str = "op") -> list[ServerMessage]:
    return [each.message for each in effects.deliveries if each.client == client]


def kinds(effects: Effects, client: str = "op") -> list[str]:
    return [message.type for message in told(effects, client)]


def entries(session: SteeringSession) -> list[str]:
    return [entry.id for entry in session.timeline().document.entries]


def plays(session: SteeringSession, chunk: int, *brought: tuple[str, str], prompt: str = "rain") -> Effects:
    """A chunk starts that was made with these entries and actions."""
    made = record(chunk, brought[-1][1], prompt, applied=tuple(action for _, action in brought))
    occurred = tuple(Occurred(entry, action) for entry, action in brought)
    return session.chunk_started(replace(made, scheduled=occurred))


def test_a_scheduled_prompt_walks_from_accepted_through_queued_to_applied() -> None:
    session = running()
    asked = ask(session, at_chunk("a", 9))
    assert kinds(asked) == ["received", "accepted"]
    (command,) = asked.commands
    assert isinstance(command, ScheduleEntry)
    assert (command.id, command.action, command.prompt) == ("a", "a", SetPrompt("a", "rain"))
    assert read_entry(command.entry).at == At(chunk=9)
    (shown,) = [each.message for each in asked.deliveries if isinstance(each.message, Timeline)]
    (coming,) = shown.next
    assert (coming.id, round(coming.media_time, 6)) == ("a", 2.88)
    assert told(session.queued("a", 900.4)) == [Queued(id="a", eta_ms=900)]
    done = plays(session, 9, ("a", "a"))
    assert kinds(done) == ["applied"]
    assert told(done)[0].chunk == 9  # type: ignore[union-attr]
    assert entries(session) == []
    assert (session.state().prompt, session.state().prompt_id) == ("rain", "a")


def test_a_live_prompt_plays_until_the_next_entry_and_neither_takes_the_others_place_early() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    ask(session, PromptSet(id="live", text="snow"))
    shown = session.chunk_started(record(3, "live", "snow", applied=("live",)))
    assert kinds(shown) == ["applied"]
    assert entries(session) == ["a"]
    ask(session, PromptSet(id="late", text="fire"))
    # It was ready for the very chunk of the entry.
    assert told(session.superseded("late", "a")) == [Superseded(id="late", by="a")]
    assert kinds(plays(session, 9, ("a", "a"))) == ["applied"]


def test_a_prompt_that_is_sent_after_the_entrys_chunk_was_made_is_not_superseded_by_it() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    ask(session, PromptSet(id="newer", text="fire"))
    assert kinds(plays(session, 9, ("a", "a"))) == ["applied"]
    assert kinds(session.chunk_started(record(10, "newer", "fire", applied=("newer",)))) == ["applied"]


def test_an_edit_takes_the_place_of_the_entry_and_of_its_request() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    assert told(ask(session, at_chunk("a", 12)))[-1].reason == "id_reused"  # type: ignore[union-attr]
    edited = ask(session, at_chunk("a", 12, "snow", replace=True))
    assert kinds(edited) == ["received", "superseded", "accepted"]
    assert told(edited)[1] == Superseded(id="a", by="a")
    (command,) = edited.commands
    assert isinstance(command, ScheduleEntry)
    assert (command.id, command.prompt) == ("a", SetPrompt(command.action, "snow"))
    assert command.action != "a", "what was made of the old one is not taken for the new"
    # The old one was in the making already: it plays, and the new one waits.
    assert kinds(plays(session, 9, ("a", "a"))) == []
    assert entries(session) == ["a"]
    assert kinds(plays(session, 12, ("a", command.action), prompt="snow")) == ["applied"]
    again = ask(session, at_chunk("a", 20, replace=True))
    assert told(again)[-1].reason == "unknown_target"  # type: ignore[union-attr]


def test_the_same_sent_again_acts_once() -> None:
    session = running()
    first = ask(session, at_chunk("a", 9))
    again = ask(session, at_chunk("a", 9))
    assert told(again) == told(first)
    assert again.commands == ()
    assert entries(session) == ["a"]


def test_two_clients_may_choose_the_same_id_and_each_means_its_own() -> None:
    session = running()
    ask(session, at_chunk("a", 9), "ann")
    ask(session, at_chunk("a", 12), "bob")
    first, second = entries(session)
    assert first == "a"
    gone = ask(session, Unschedule(id="u", target="a"), "bob")
    assert gone.commands == (UnscheduleEntry(second),)
    assert told(gone, "bob")[-1] == Superseded(id="a", by="u")
    others = ask(session, Unschedule(id="v", target="a"), "bob")
    assert told(others, "ann") == [Superseded(id="a", by="v")], "now the only one of this id on the channel"


def test_what_does_not_wait_cannot_be_taken_off() -> None:
    session = running()
    refused = ask(session, Unschedule(id="u", target="never"))
    assert kinds(refused) == ["received", "rejected"]
    assert told(refused)[-1].reason == "unknown_target"  # type: ignore[union-attr]
    assert refused.commands == ()


def test_a_loop_is_applied_once_and_goes_on() -> None:
    session = running()
    ask(session, at_chunk("a", 4, loop=Loop(every=4, times=3)))
    assert kinds(plays(session, 4, ("a", "a"))) == ["applied"]
    assert kinds(plays(session, 8, ("a", "a"))) == []
    assert entries(session) == ["a"]
    plays(session, 12, ("a", "a"))
    assert entries(session) == []


def test_what_merely_occurs_is_told_once_a_second_and_a_change_at_once() -> None:
    def tells(effects: Effects) -> bool:
        return any(isinstance(each.message, Timeline) for each in effects.deliveries)

    session = running()
    assert tells(ask(session, at_chunk("a", 4, loop=Loop(every=1))))
    told = [number for number in range(4, 14) if tells(plays(session, number, ("a", "a")))]  # of 0.32 s
    assert told == [4, 8, 12]
    assert tells(ask(session, at_chunk("b", 1000)))
    assert tells(session.chunk_started(record(17))) is False, "the change has told all"


def test_a_section_can_be_looped_and_the_generator_is_told() -> None:
    session = running()
    for id, chunk in (("a", 4), ("b", 6)):
        ask(session, at_chunk(id, chunk))
    looped = ask(session, LoopEntries(id="l", targets=("a", "b"), every=8))
    assert kinds(looped) == ["received", "accepted", "applied"]
    found = [read_entry(each.entry) for each in looped.commands if isinstance(each, ScheduleEntry)]
    assert [(entry.id, entry.loop) for entry in found] == [("a", Loop(every=8)), ("b", Loop(every=8))]


def test_beats_need_a_tempo_and_move_with_it() -> None:
    session = running()
    on_beat = Schedule(id="a", at=At(beat=4.0), prompt=ScheduledPrompt(text="rain"))
    assert told(ask(session, on_beat))[-1].reason == "no_tempo"  # type: ignore[union-attr]
    set_tempo = ask(session, SetTempo(id="t", bpm=60.0, beat=0.0), at_s=10.0)
    assert kinds(set_tempo) == ["received", "accepted", "applied"]
    assert set_tempo.commands == (SetTempos(((60.0, 10.0, 0.0),)),)
    ask(session, on_beat.model_copy(update={"id": "b"}))
    assert [each.media_time for each in session.timeline().next] == [14.0]
    ask(session, SetTempo(id="u", bpm=120.0, beat=0.0, from_s=10.0), at_s=10.0)
    assert [each.media_time for each in session.timeline().next] == [12.0]


def document(*entries: dict[str, object], tempo: tuple[dict[str, object], ...] = ()) -> TimelineDocument:
    return TimelineDocument.model_validate({"entries": list(entries), "tempo": list(tempo)})


RAIN: dict[str, object] = {"id": "r", "at": {"chunk": 5}, "action": {"type": "prompt", "text": "rain"}}
CUT: dict[str, object] = {"id": "c", "at": {"chunk": 6}, "action": {"type": "cut"}}
SEED: dict[str, object] = {"id": "s", "at": {"chunk": 7}, "action": {"type": "config", "seed": 9}}


def test_a_document_takes_the_place_of_what_waits_and_comes_back_as_it_was() -> None:
    session = running()
    ask(session, at_chunk("old", 9))
    whole = document(RAIN, CUT, SEED, tempo=({"bpm": 60.0, "from_s": 0.0, "beat": 0.0},))
    loaded = ask(session, TimelineLoad(id="l", document=whole))
    assert kinds(loaded) == ["received", "superseded", "accepted", "applied"]
    assert session.timeline().document == whole
    kinds_of = [type(each) for each in loaded.commands]
    assert kinds_of == [ClearTimeline, SetTempos, ScheduleEntry, ScheduleEntry, ScheduleEntry]
    plays(session, 5, ("r", "r"))
    assert session.state().prompt == "rain"
    session.chunk_started(replace(record(7, "r", "rain"), scheduled=(Occurred("s", "s"),)))
    assert session.state().config.seed == 9, "a new generator is told"
    assert SetConfig(seed=9) in session.generator_ready().commands
    assert entries(session) == ["c"]


def test_what_cannot_be_played_here_is_refused_with_its_place() -> None:
    session = running()
    cover: dict[str, object] = {"id": "x", "at": {"chunk": 6}, "action": {"type": "black"}}
    refused = ask(session, TimelineLoad(id="l", document=document(RAIN, cover)))
    assert told(refused)[-1].field == "document.entries.1.action"  # type: ignore[union-attr]
    beat: dict[str, object] = {"id": "x", "at": {"beat": 6.0}, "action": {"type": "cut"}}
    refused = ask(session, TimelineLoad(id="m", document=document(beat)))
    assert told(refused)[-1].reason == "no_tempo"  # type: ignore[union-attr]
    knob: dict[str, object] = {
        "id": "x",
        "at": {"chunk": 6},
        "action": {"type": "prompt", "text": "a", "knobs": {"camera": "up"}},
    }
    refused = ask(session, TimelineLoad(id="n", document=document(RAIN, knob)))
    assert told(refused)[-1].field == "document.entries.1.action.knobs.camera"  # type: ignore[union-attr]
    assert entries(session) == []


def test_clear_takes_everything_off_and_keeps_the_tempo() -> None:
    session = running()
    ask(session, SetTempo(id="t", bpm=60.0, beat=0.0))
    ask(session, at_chunk("a", 9))
    cleared = ask(session, TimelineClear(id="c"))
    assert cleared.commands == (ClearTimeline(),)
    assert Superseded(id="a", by="c") in told(cleared)
    assert (entries(session), len(session.timeline().document.tempo)) == ([], 1)


def test_a_new_generator_is_told_what_is_still_ahead() -> None:
    session = running()
    for id, chunk in (("a", 4), ("b", 9)):
        ask(session, at_chunk(id, chunk))
    ask(session, at_chunk("l", 2, loop=Loop(every=3, times=4)))
    plays(session, 2, ("l", "l"))
    plays(session, 4, ("a", "a"))
    session.generator_lost()
    assert ask(session, at_chunk("c", 30)).commands == ()
    commands: tuple[Command, ...] = session.generator_ready().commands
    found = {each.id: read_entry(each.entry) for each in commands if isinstance(each, ScheduleEntry)}
    assert list(found) == ["b", "l", "c"]
    assert (found["l"].at.chunk, found["l"].loop) == (5, Loop(every=3, times=3))


def test_an_entry_that_cannot_be_encoded_is_dropped() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    failed = session.failed("a", "too odd")
    assert kinds(failed) == ["rejected"]
    assert failed.commands == (UnscheduleEntry("a"),)
    assert entries(session) == []


def test_of_two_entries_in_one_chunk_the_later_wins_and_both_have_their_answer() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    ask(session, at_chunk("b", 9, "snow"))
    assert told(session.superseded("a", "b")) == [Superseded(id="a", by="b")]
    made = record(9, "b", "snow", applied=("b",), superseded=("a",))
    both = (Occurred("a", "a"), Occurred("b", "b"))
    assert kinds(session.chunk_started(replace(made, scheduled=both))) == ["applied"]
    assert entries(session) == []


def test_texts_are_judged_when_they_are_scheduled() -> None:
    session = running(moderated=True)
    asked = ask(session, at_chunk("a", 9))
    assert (kinds(asked), asked.commands) == (["received"], ())
    assert asked.screening is not None
    assert asked.screening.texts == ("rain",)
    assert kinds(session.judged("a", ALLOW)) == ["accepted"]
    ask(session, at_chunk("b", 9))
    assert kinds(session.judged("b", REFUSE)) == ["rejected"]
    ask(session, at_chunk("c", 9))
    assert kinds(session.judged("c", HOLD)) == ["held"]
    assert [each.text for each in session.state().held] == ["rain"]
    assert entries(session) == ["a"]


def test_an_edit_that_is_refused_leaves_the_entry_as_it_was() -> None:
    session = running(moderated=True)
    ask(session, at_chunk("a", 9))
    session.judged("a", ALLOW)
    edited = ask(session, at_chunk("a", 9, "worse", replace=True))
    assert edited.screening is not None
    assert kinds(session.judged(edited.screening.channel_id, REFUSE)) == ["rejected"]
    assert entries(session) == ["a"]
    assert kinds(plays(session, 9, ("a", "a"))) == ["applied"]


def test_a_document_with_a_text_that_an_operator_has_to_see_is_refused() -> None:
    session = running(moderated=True)
    asked = ask(session, TimelineLoad(id="l", document=document(RAIN)))
    assert asked.screening is not None
    assert kinds(session.judged("l", HOLD)) == ["rejected"]
    assert entries(session) == []


@pytest.mark.parametrize(
    ("texts", "chars", "answer"),
    [(MAX_TEXTS, 5, "received"), (MAX_TEXTS + 1, 5, "too_many"), (MAX_TEXTS, 500, "too_many")],
)
def test_a_document_with_too_much_in_it_is_refused_before_anybody_judges_it(
    texts: int, chars: int, answer: str
) -> None:
    session = running(moderated=True)
    blends = [
        [{"text": f"{number} ".ljust(chars, "x")} for number in range(at, min(at + 8, texts))]
        for at in range(0, texts, 8)
    ]
    entries: list[dict[str, object]] = [
        {"id": f"e{at}", "at": {"media_time": 1000.0 + at}, "action": {"type": "prompt", "blend": blend}}
        for at, blend in enumerate(blends)
    ]
    effects = ask(session, TimelineLoad(id="l", document=document(*entries)))
    last = told(effects)[-1]
    assert (last.reason if isinstance(last, Rejected) else last.type) == answer
    assert (effects.screening is None) == (answer == "too_many")


def test_the_timeline_is_bounded_in_bytes() -> None:
    session = running()
    blend = [{"text": "x" * 400 + str(number)} for number in range(8)]
    size = len(str(blend))
    asked = 0
    for number in range(MAX_TIMELINE_BYTES // size + 10):
        prompt = ScheduledPrompt.model_validate({"blend": blend})
        answers = told(ask(session, Schedule(id=f"n{number}", at=At(chunk=9), prompt=prompt)))
        asked = number
        if isinstance(answers[-1], Rejected):
            assert answers[-1].reason == "too_many"
            break
    assert 0 < asked < MAX_TIMELINE_BYTES // size + 9
    for number in range(MAX_TEMPOS):
        ask(session, SetTempo(id=f"t{number}", bpm=123.456789012345, from_s=1e8 / 3 + number))
    assert len(session.timeline().document.tempo) == MAX_TEMPOS
    assert len(encode(session.timeline()).encode()) < 160 * 1024


def test_pause_and_play_are_told_at_once_and_outlive_the_generator() -> None:
    session = running()
    paused = ask(session, Pause(id="p"), at_s=5.0)
    assert (kinds(paused), paused.commands) == (["received", "accepted", "applied"], (SetPaused(True),))
    assert session.state().paused
    session.generator_lost()
    assert SetPaused(True) in session.generator_ready().commands
    assert ask(session, Play(id="q")).commands == (SetPaused(False),)
    assert not session.paused


def test_a_reset_is_applied_with_the_chunk_that_it_cuts() -> None:
    session = running()
    asked = ask(session, Reset(id="r"))
    assert (kinds(asked), asked.commands) == (["received", "accepted"], (DropContext("r"),))
    assert DropContext("r") in session.generator_ready().commands, "the one before took it with it"
    assert kinds(session.chunk_started(record(4, "start", "sea", applied=("r",)))) == ["applied"]
    assert session.state().prompt == "sea"


def test_so_many_resets_wait_and_no_more() -> None:
    session = running()
    answers = [kinds(ask(session, Reset(id=str(number))))[-1] for number in range(MAX_RESETS + 1)]
    assert answers == ["accepted"] * MAX_RESETS + ["rejected"]


def test_closing_answers_what_is_scheduled() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    ask(session, Reset(id="r"))
    assert sorted(kinds(session.close())) == ["rejected", "rejected"]


def test_what_was_answered_by_closing_is_answered_no_more() -> None:
    session = running()
    ask(session, at_chunk("a", 9))
    ask(session, at_chunk("b", 10, loop=Loop(every=5.0)))
    assert kinds(session.close()) == ["rejected", "rejected"]
    assert kinds(session.close()) == []
    late = plays(session, 9, ("a", "a")), plays(session, 10, ("b", "b")), session.queued("b", 5.0)
    assert [kinds(each) for each in late] == [[], [], []]
    assert session.outcomes == {"rejected": 2}


def test_what_loaded_entries_do_never_goes_by_an_id_that_was_used_before() -> None:
    session = running()
    loaded = document(
        {"id": "a", "at": {"chunk": 5}, "action": {"type": "prompt", "text": "one"}, "loop": {"every": 10.0}},
        {"id": "b", "at": {"chunk": 5}, "action": {"type": "cut"}, "loop": {"every": 10.0}},
    )
    actions: list[str] = []
    for number in range(3):
        effects = ask(session, TimelineLoad(id=f"load{number}", document=loaded))
        actions += [each.action for each in effects.commands if isinstance(each, ScheduleEntry)]
        ask(session, TimelineClear(id=f"clear{number}"))
    assert len(set(actions)) == len(actions) == 6
    # A chunk that was made with the first is not taken for the last.
    ask(session, TimelineLoad(id="again", document=loaded))
    plays(session, 5, ("a", actions[0]), ("b", actions[1]))
    assert [entry.at.chunk for entry in session.timeline().document.entries] == [5, 5]


@pytest.mark.parametrize("message", [at_chunk("a", 9), TimelineClear(id="c"), SetTempo(id="t", bpm=60.0)])
def test_scheduling_is_not_for_everybody(message: Request) -> None:
    session = running()
    refused = session.request("ann", message, frozenset({"prompt"}))
    assert kinds(refused, "ann") == ["received", "rejected"]
    assert refused.commands == ()
