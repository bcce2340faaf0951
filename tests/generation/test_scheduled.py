import pytest

from streamgen.generation.scheduled import AHEAD_S, MAX_ENCODED, Brought, ScheduledPrompts
from streamgen.packets import (
    ClearTimeline,
    Occurred,
    PromptFailed,
    PromptQueued,
    ScheduleEntry,
    SetPrompt,
    SetTempos,
    UnscheduleEntry,
)
from streamgen.protocol import Entry
from streamgen.timeline.timeline import MAX_LISTED

CHUNK_S = 0.25


def entry(id: str, at: dict[str, float], *, version: str = "", loop: dict[str, float] | None = None) -> ScheduleEntry:
    action = version or id
    raw = {"id": id, "at": at, "action": {"type": "prompt", "text": action}, "loop": loop}
    return ScheduleEntry(id, Entry.model_validate(raw).model_dump_json(), action, SetPrompt(action, action))


def other(id: str, at: dict[str, float], **action: object) -> ScheduleEntry:
    return ScheduleEntry(id, Entry.model_validate({"id": id, "at": at, "action": action}).model_dump_json(), id)


def encode(scheduled: ScheduledPrompts[str], media_time_s: float = 0.0) -> list[str]:
    """Encode all that is to be encoded by now; what was."""
    done = []
    while (request := scheduled.begin_encoding(media_time_s)) is not None:
        scheduled.encoded(f"told {request.id}", None, media_time_s)
        done.append(request.id)
    return done


def names(brought: Brought[str]) -> tuple[list[str], list[str]]:
    return [each.request.id for each in brought.taken], [each.id for each, _ in brought.late]


def test_prompts_are_encoded_ahead_and_brought_to_their_exact_chunk() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 8}))
    assert not scheduled.settled(0.0)
    assert scheduled.begin_encoding(0.0) == SetPrompt("a", "a")
    assert not scheduled.settled(0.0)
    assert scheduled.encoded("told a", "heard a", 0.5) == [PromptQueued("a", 1500.0)]
    assert scheduled.settled(0.0)
    assert scheduled.bring(7, 1.75) == Brought()
    brought = scheduled.bring(8, 2.0)
    assert (brought.taken[0].encoded, brought.taken[0].sound) == ("told a", "heard a")
    assert (names(brought), brought.occurred) == ((["a"], []), (Occurred("a", "a"),))
    assert scheduled.bring(9, 2.25) == Brought()


def test_what_is_far_ahead_is_not_encoded_yet() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"media_time": 100.0}))
    assert scheduled.begin_encoding(99.0 - AHEAD_S) is None
    assert encode(scheduled, 100.0 - AHEAD_S) == ["a"]


def test_so_many_are_kept_encoded_and_the_next_ones_first() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    ids = [f"n{number}" for number in range(MAX_ENCODED + 4)]
    for number, id in reversed(list(enumerate(ids))):
        scheduled.obey(entry(id, {"chunk": number + 1}))
    assert encode(scheduled) == ids[:MAX_ENCODED]
    scheduled.bring(1, CHUNK_S)
    assert encode(scheduled, CHUNK_S) == [ids[MAX_ENCODED]]


def test_a_prompt_that_is_due_before_it_is_encoded_follows_and_is_reported_with_the_chunk_that_shows_it() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 2}))
    request = scheduled.begin_encoding(0.0)
    assert request is not None
    brought = scheduled.bring(2, 0.5)
    assert (names(brought), brought.occurred) == (([], ["a"]), ())
    assert scheduled.encoded("told a", None, 0.5) == [], "it is on its way otherwise"
    assert scheduled.arrived("a") == (Occurred("a", "a"),)
    assert scheduled.arrived("a") == ()


def test_an_edit_is_encoded_anew_and_the_old_text_never_plays() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 8}))
    assert encode(scheduled) == ["a"]
    scheduled.obey(entry("a", {"chunk": 9}, version="a2"))
    assert encode(scheduled) == ["a2"]
    assert names(scheduled.bring(8, 2.0)) == ([], [])
    brought = scheduled.bring(9, 2.25)
    assert (names(brought)[0], brought.occurred) == (["a2"], (Occurred("a", "a2"),))


def test_an_edit_while_the_old_text_is_being_encoded() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 8}))
    scheduled.begin_encoding(0.0)
    scheduled.obey(entry("a", {"chunk": 8}, version="a2"))
    assert scheduled.encoded("told a", None, 0.0) == []
    assert encode(scheduled) == ["a2"]
    assert names(scheduled.bring(8, 2.0))[0] == ["a2"]


def test_a_loop_is_encoded_once_and_missed_times_are_one() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 2}, loop={"every": 2, "times": 5}))
    assert encode(scheduled) == ["a"]
    assert scheduled.bring(2, 0.5).occurred == (Occurred("a", "a", 1),)
    assert encode(scheduled, 0.5) == []
    assert scheduled.bring(7, 1.75).occurred == (Occurred("a", "a", 2),)
    assert scheduled.bring(10, 2.5).occurred == (Occurred("a", "a", 2),)
    assert scheduled.bring(12, 3.0) == Brought()


def test_settings_and_cuts_are_brought_too() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(other("cut", {"chunk": 2}, type="cut"))
    scheduled.obey(other("set", {"chunk": 2}, type="config", guidance=2.0, seed=7))
    assert scheduled.settled(0.0), "nothing of it has to be encoded"
    brought = scheduled.bring(2, 0.5)
    assert (brought.cut, brought.guidance, brought.seed) == (True, (2.0, 0.5), (7, 0.5))
    assert brought.occurred == (Occurred("cut", "cut"), Occurred("set", "set"))


def test_what_is_taken_off_never_comes() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    for id in "ab":
        scheduled.obey(entry(id, {"chunk": 2}))
    encode(scheduled)
    scheduled.obey(UnscheduleEntry("a"))
    scheduled.obey(UnscheduleEntry("never heard of"))
    assert names(scheduled.bring(2, 0.5))[0] == ["b"]
    scheduled.obey(entry("c", {"chunk": 4}))
    scheduled.obey(ClearTimeline())
    assert scheduled.bring(4, 1.0) == Brought()


def test_beats_follow_the_tempo() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    assert scheduled.obey(entry("early", {"beat": 4.0})) == [
        PromptFailed("early", "at.beat: there is no tempo to count beats by; set one first")
    ]
    scheduled.obey(SetTempos(((60.0, 0.0, 0.0),)))
    scheduled.obey(entry("a", {"beat": 4.0}))
    scheduled.obey(SetTempos(((240.0, 0.0, 0.0),)))
    encode(scheduled)
    assert names(scheduled.bring(3, 0.75))[0] == []
    assert names(scheduled.bring(4, 1.0))[0] == ["a"]


def test_one_that_cannot_be_encoded_is_dropped() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 2}))
    scheduled.begin_encoding(0.0)
    assert scheduled.failed() == "a"
    assert scheduled.bring(2, 0.5) == Brought()


def test_ending_an_encoding_that_did_not_begin_is_our_own_bug() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    with pytest.raises(AssertionError, match="nothing is being encoded"):
        scheduled.encoded("x", None, 0.0)


def test_what_another_tempo_moves_behind_many_others_while_it_is_encoded_is_queued_all_the_same() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(SetTempos(((120.0, 0.0, 0.0),)))
    scheduled.obey(entry("x", {"beat": 2.0}))
    for number in range(MAX_LISTED + 6):
        scheduled.obey(entry(f"m{number}", {"media_time": 2.0 + number / 128}))
    assert scheduled.begin_encoding(0.5) == SetPrompt("x", "x")
    scheduled.obey(SetTempos(((20.0, 0.0, 0.0),)))
    assert scheduled.encoded("told x", None, 0.5) == [PromptQueued("x", 5500.0)]
    assert scheduled.begin_encoding(0.5) == SetPrompt("m0", "m0")


def test_what_loses_its_tempo_while_it_is_encoded_is_not_announced() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(SetTempos(((120.0, 0.0, 0.0),)))
    scheduled.obey(entry("x", {"beat": 2.0}))
    assert scheduled.begin_encoding(0.5) is not None
    scheduled.obey(SetTempos(()))
    assert scheduled.encoded("told x", None, 0.5) == []


def test_what_could_not_be_encoded_is_asked_for_again_and_keeps_its_place() -> None:
    scheduled: ScheduledPrompts[str] = ScheduledPrompts(CHUNK_S)
    scheduled.obey(entry("a", {"chunk": 8}))
    scheduled.begin_encoding(0.0)
    scheduled.again()
    assert not scheduled.settled(0.0)
    assert encode(scheduled) == ["a"]
    assert names(scheduled.bring(8, 2.0)) == (["a"], [])
