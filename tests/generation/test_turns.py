import numpy as np

from streamgen.generation.turns import Turn, Turns
from streamgen.packets import (
    BeginAt,
    DropContext,
    Event,
    Occurred,
    PromptFailed,
    PromptQueued,
    PromptSuperseded,
    SetConfig,
    SetPrompt,
)
from streamgen_engines.prompt import Prompt
from tests.generation.test_scheduled import entry, other

TOLD = Prompt("told", np.zeros((1, 1, 1), np.float32), np.ones((1, 1), np.bool_), np.zeros((1, 1), np.float32))
CHUNK_S = 0.25


def encode(turns: Turns, media_time_s: float = 0.0) -> list[Event]:
    events: list[Event] = []
    while (request := turns.begin_encoding(media_time_s)) is not None:
        events += turns.encoded(request, TOLD, None, media_time_s=media_time_s, eta_ms=300.0)
    return events


def names(turn: Turn) -> list[str]:
    return [each.request.id for each in turn.taken]


def test_what_was_sent_is_encoded_before_what_is_for_later() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("later", {"chunk": 8}))
    turns.obey(SetPrompt("now", "rain"))
    assert not turns.settled(0.0)
    assert encode(turns) == [PromptQueued("now", 300.0), PromptQueued("later", 2000.0)]
    assert turns.settled(0.0)
    assert names(turns.take(0, 0.0)) == ["now"]
    assert names(turns.take(8, 2.0)) == ["later"]


def test_in_its_chunk_an_entry_comes_over_what_was_sent() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("a", {"chunk": 2}))
    turns.obey(SetPrompt("live", "rain"))
    turns.obey(SetPrompt("sound", "drums", target="audio"))
    encode(turns)
    turn = turns.take(2, 0.5)
    assert names(turn) == ["a"]
    assert turn.events == (PromptSuperseded("live", "a"), PromptSuperseded("sound", "a"))
    assert (turn.superseded, turn.scheduled) == (("live", "sound"), (Occurred("a", "a"),))


def test_what_the_next_chunk_is_made_with_can_be_seen_before() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(SetPrompt("live", "rain", target="video"))
    turns.obey(entry("a", {"chunk": 4}))
    assert turns.ready(0.0) == ()  # not encoded yet
    encode(turns)
    seen = []
    for chunk in range(6):
        ready = [each.id for each in turns.ready(CHUNK_S * chunk)]
        seen.append((ready, names(turns.take(chunk, CHUNK_S * chunk))))
    assert seen == [(["live"],) * 2, ([],) * 2, ([],) * 2, ([],) * 2, (["a"],) * 2, ([],) * 2]


def test_chunks_are_counted_from_where_the_channel_is() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(BeginAt(100, 0))
    turns.obey(entry("a", {"chunk": 102}))
    encode(turns)
    assert [names(turns.take(chunk, chunk * CHUNK_S)) for chunk in range(4)] == [[], [], ["a"], []]
    assert turns.take(4, 1.0).chunks_before == 100


def test_one_that_comes_too_late_follows_and_is_reported_then() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("a", {"chunk": 0}))
    first = turns.take(0, 0.0)
    assert (names(first), first.scheduled) == ([], ())
    assert encode(turns) == [PromptQueued("a", 300.0)]
    second = turns.take(1, CHUNK_S)
    assert (names(second), second.scheduled) == (["a"], (Occurred("a", "a"),))


def test_one_that_comes_too_late_and_gives_way_is_reported_as_well() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("a", {"chunk": 0}))
    turns.take(0, 0.0)
    assert turns.obey(SetPrompt("live", "rain")) == [PromptSuperseded("a", "live")]
    encode(turns)
    turn = turns.take(1, CHUNK_S)
    assert (names(turn), turn.superseded, turn.scheduled) == (["live"], ("a",), (Occurred("a", "a"),))


def test_settings_resets_and_cuts_go_with_the_chunk() -> None:
    turns = Turns(CHUNK_S, 1.5)
    turns.obey(SetConfig(seed=3))
    turns.obey(DropContext("r"))
    turns.obey(other("set", {"chunk": 1}, type="config", guidance=2.0))
    first, second, third = (turns.take(chunk, chunk * CHUNK_S) for chunk in range(3))
    assert [(each.guidance, each.seed) for each in (first, second, third)] == [(1.5, 3), (2.0, 3), (2.0, 3)]
    assert [(each.cut, each.resets) for each in (first, second)] == [(True, ("r",)), (False, ())]
    assert turns.guidance == 2.0


def test_failures_are_told_whatever_it_was_for() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("later", {"chunk": 8}))
    turns.obey(SetPrompt("now", "rain"))
    for id in ("now", "later"):
        request = turns.begin_encoding(0.0)
        assert request is not None
        assert turns.failed(request, "odd") == [PromptFailed(id, "odd")]
    assert turns.settled(0.0)


def test_after_a_pause_what_was_sent_comes_over_an_entry_whose_time_had_passed_before() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("old", {"media_time": 10.0}))
    turns.obey(entry("new", {"media_time": 16.0}))
    encode(turns, 9.0)
    turns.obey(SetPrompt("live", "rain"), played_s=15.0)
    encode(turns, 15.0)
    turn = turns.take(36, 15.5)
    assert names(turn) == ["live"]
    assert turn.events == (PromptSuperseded("old", "live"),)
    assert turn.scheduled == (Occurred("old", "old"),)
    assert names(turns.take(38, 16.0)) == ["new"]


def test_of_what_waits_for_one_chunk_each_side_follows_its_latest() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("old", {"media_time": 10.0}))
    turns.obey(entry("new", {"media_time": 15.2}))
    encode(turns, 9.0)
    turns.obey(SetPrompt("drums", "drums", target="audio"), played_s=15.0)
    encode(turns, 15.0)
    assert names(turns.take(36, 15.0)) == ["old", "drums"]
    assert names(turns.take(37, 15.25)) == ["new"]


def test_of_many_entries_that_passed_none_plays_over_what_was_sent_after_them() -> None:
    for encoded in (True, False):
        turns = Turns(CHUNK_S, None)
        for number in range(20):  # more than are kept encoded
            turns.obey(entry(f"e{number}", {"media_time": 10.0 + number}))
        encode(turns, 9.0)
        turns.obey(SetPrompt("live", "rain"), played_s=40.0)
        if encoded:
            encode(turns, 40.0)
        first = turns.take(36, 41.0)
        assert not any(isinstance(event, PromptSuperseded) and event.id == "live" for event in first.events)
        encode(turns, 41.25)
        shown = [*names(first), *names(turns.take(37, 41.25))]
        assert shown[-1] == "live"
        assert turns.take(38, 41.5).taken == ()


def test_late_entries_for_the_other_side_play_beside_what_was_sent_after_them() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("old", {"media_time": 10.0}))
    turns.obey(SetPrompt("drums", "drums", target="audio"), played_s=15.0)
    turns.take(36, 15.5)
    encode(turns, 15.5)
    assert names(turns.take(37, 15.75)) == ["old", "drums"]


def test_an_entry_plays_over_what_was_sent_a_moment_later_when_no_chunk_was_skipped() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(entry("a", {"media_time": 10.05}))
    encode(turns, 9.75)
    assert names(turns.take(40, 10.0)) == []
    turns.obey(SetPrompt("live", "rain"), played_s=10.2)
    encode(turns, 10.25)
    assert names(turns.take(41, 10.25)) == ["a"]


def test_settings_of_the_timeline_that_passed_give_way_to_those_sent_after_them() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(other("set", {"media_time": 10.0}, type="config", guidance=2.0, seed=7))
    turns.obey(SetConfig(guidance=4.0), played_s=15.0)
    turn = turns.take(36, 15.5)
    assert (turn.guidance, turn.seed) == (4.0, 7)
    turns.obey(other("next", {"media_time": 16.0}, type="config", guidance=3.0))
    assert turns.take(38, 16.0).guidance == 3.0


def test_what_could_not_be_encoded_is_asked_for_again_whatever_it_is_for() -> None:
    turns = Turns(CHUNK_S, None)
    turns.obey(SetPrompt("now", "rain"))
    turns.obey(entry("later", {"chunk": 8}))
    for id in ("now", "later"):
        for _ in range(2):
            request = turns.begin_encoding(0.0)
            assert request is not None
            assert request.id == id
            assert turns.again() == []
            assert not turns.settled(0.0)
        request = turns.begin_encoding(0.0)
        assert request is not None
        turns.encoded(request, TOLD, None, media_time_s=0.0, eta_ms=300.0)
    assert names(turns.take(0, 0.0)) == ["now"]
    assert names(turns.take(8, 2.0)) == ["later"]
