import pytest

from streamgen.protocol import MAX_ENTRIES, At, CutAction, Entry, Loop, PromptAction, Tempo, TimelineDocument
from streamgen.protocol.entries import MAX_BEAT, MAX_CHUNK, MAX_EVERY, MAX_TIME_S
from streamgen.timeline.document import parse_timeline
from streamgen.timeline.errors import TimelineError
from streamgen.timeline.timeline import MAX_LISTED, Due, Timeline

CHUNK_S = 0.24


def entry(
    id: str, *, s: float | None = None, chunk: int | None = None, beat: float | None = None, **more: object
) -> Entry:
    return Entry.model_validate(
        {"id": id, "at": At(media_time=s, chunk=chunk, beat=beat), "action": CutAction(), **more}
    )


def looped(id: str, every: float, times: int | None = None, **at: float) -> Entry:
    return entry(id, loop=Loop(every=every, times=times), **at)  # type: ignore[arg-type]


def ids(due: tuple[Due, ...]) -> list[str]:
    return [each.entry.id for each in due]


def play(timeline: Timeline, chunks: int, first: int = 0) -> dict[int, list[str]]:
    """Ask for chunk after chunk; what each was made with, where that is anything."""
    made = {chunk: ids(timeline.due(chunk, chunk * CHUNK_S)) for chunk in range(first, first + chunks)}
    return {chunk: due for chunk, due in made.items() if due}


def test_an_entry_applies_to_the_first_chunk_at_its_time_or_later() -> None:
    timeline = Timeline()
    for each in (entry("on", s=0.48), entry("after", s=0.481), entry("chunk", chunk=5), entry("start", s=0)):
        timeline.schedule(each)
    assert play(timeline, 10) == {0: ["start"], 2: ["on"], 3: ["after"], 5: ["chunk"]}
    assert len(timeline) == 0


def test_beats_follow_the_tempo_that_is_in_force_when_they_come() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=60, phase=0.0))
    timeline.schedule(entry("beat", beat=10))
    timeline.set_tempo(Tempo(bpm=120, from_s=4.0))
    assert play(timeline, 50) == {30: ["beat"]}  # 7.0 s, inside chunk 29


def test_a_beat_needs_a_tempo() -> None:
    with pytest.raises(TimelineError) as caught:
        Timeline().schedule(entry("beat", beat=1))
    assert (caught.value.field, caught.value.reason) == ("at.beat", "no_tempo")


def test_what_came_due_while_nothing_was_made_comes_in_order_and_once() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=60))
    for each in (entry("d", s=50), entry("c", chunk=50), entry("b", beat=11.5), entry("a", s=1), entry("later", s=70)):
        timeline.schedule(each)
    assert timeline.due(0, 0.0) == ()
    # Chunk 50 would have been at 30 s: half of what was skipped.
    assert ids(timeline.due(100, 60.0)) == ["a", "b", "c", "d"]
    assert timeline.due(101, 60.24) == ()


def test_entries_of_one_time_come_in_the_order_in_which_they_were_scheduled() -> None:
    timeline = Timeline()
    for id in "zxy":
        timeline.schedule(entry(id, s=1))
    timeline.edit(entry("z", s=1))
    assert ids(timeline.due(9, 9.0)) == ["z", "x", "y"]


def test_an_entry_whose_time_has_passed_applies_to_the_next_chunk() -> None:
    timeline = Timeline()
    timeline.due(100, 24.0)
    timeline.schedule(entry("late", s=3))
    assert ids(timeline.due(101, 24.24)) == ["late"]


def test_a_shift_of_media_time_delays_what_is_left_and_repeats_nothing() -> None:
    timeline = Timeline()
    timeline.schedule(entry("a", s=1.0))
    timeline.schedule(entry("b", s=2.0))
    assert play(timeline, 6) == {5: ["a"]}
    assert timeline.due(6, 1.44 + 0.4) == ()  # 0.4 s of an underrun
    assert ids(timeline.due(7, 1.68 + 0.4)) == ["b"]


def test_a_media_time_that_ran_backwards_would_change_nothing() -> None:
    timeline = Timeline()
    timeline.due(50, 12.0)
    timeline.schedule(looped("loop", 5.0, s=0.0))
    assert timeline.due(0, 0.0) == ()
    assert ids(timeline.due(63, 15.1)) == ["loop"]


# Loops ---------------------------------------------------------------------------------------------------------------


def test_a_loop_comes_again_and_again_in_step() -> None:
    timeline = Timeline()
    timeline.schedule(looped("loop", 1.2, s=0.24))
    assert list(play(timeline, 20)) == [1, 6, 11, 16]
    timeline = Timeline()
    timeline.schedule(looped("loop", 3, times=2, chunk=4))
    assert list(play(timeline, 20)) == [4, 7]
    assert len(timeline) == 0


def test_a_loop_does_not_drift() -> None:
    timeline = Timeline()
    timeline.schedule(looped("loop", 0.1, s=0.0))
    timeline.due(10**7 - 1, 999_999.95)
    (due,) = timeline.due(10**7, 1_000_000.0)
    assert due.occurrence == 10_000_000


def test_several_times_of_a_loop_in_one_chunk_are_one_action() -> None:
    timeline = Timeline()
    timeline.schedule(looped("a", 2, s=0))
    timeline.schedule(looped("b", 2, s=1))
    timeline.schedule(looped("short", 2, times=3, s=0.5))
    due = timeline.due(100, 10.5)
    assert [(each.entry.id, each.occurrence, each.passed, each.last) for each in due] == [
        ("short", 2, 3, True),
        ("b", 4, 5, False),
        ("a", 5, 6, False),
    ]


def test_a_loop_that_is_scheduled_late_goes_on_in_step() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=60))
    timeline.due(100, 24.0)
    timeline.schedule(looped("bar", 4, beat=0))
    assert play(timeline, 30, first=101) == {117: ["bar"]}  # beat 28, not at once
    with pytest.raises(TimelineError, match="all its times have passed"):
        timeline.schedule(looped("gone", 1, times=3, s=0))


def test_a_section_is_repeated() -> None:
    timeline = Timeline()
    for i, id in enumerate("ab"):
        timeline.schedule(entry(id, chunk=2 * i))
    timeline.loop("ab", every=5, times=2)
    assert play(timeline, 20) == {0: ["a"], 2: ["b"], 5: ["a"], 7: ["b"]}


def test_a_section_is_repeated_whole_or_not_at_all() -> None:
    timeline = Timeline()
    timeline.schedule(entry("a", s=1))
    timeline.schedule(entry("b", chunk=1))
    for wanted, every in ((["a", "c"], 1.0), (["a", "b"], 1.5), (["a"], 0.0)):
        with pytest.raises(TimelineError):
            timeline.loop(wanted, every=every)
    assert [each.loop for each in timeline.entries] == [None, None]


# Changes -------------------------------------------------------------------------------------------------------------


def test_an_entry_can_be_changed_and_taken_off() -> None:
    timeline = Timeline()
    timeline.schedule(entry("a", s=1))
    timeline.schedule(entry("b", s=1))
    changed = entry("a", s=2, action=PromptAction(text="rain"))
    timeline.edit(changed)
    assert timeline.unschedule("b").id == "b"
    assert play(timeline, 8) == {}
    (due,) = timeline.due(9, 2.16)
    assert due == Due(changed, 0, 1, True, due.media_time_s)
    for act in (lambda: timeline.edit(changed), lambda: timeline.unschedule("b")):
        with pytest.raises(TimelineError) as caught:
            act()
        assert caught.value.reason == "unknown_id"


def test_another_action_leaves_a_loop_in_step_and_another_time_starts_it_over() -> None:
    timeline = Timeline()
    timeline.schedule(looped("a", 5, times=3, chunk=0))
    assert list(play(timeline, 3)) == [0]
    timeline.edit(entry("a", chunk=0, loop=Loop(every=5, times=3), action=PromptAction(text="rain")))
    assert list(play(timeline, 4, first=3)) == [5]
    timeline.edit(looped("a", 5, times=3, chunk=20))
    assert list(play(timeline, 40, first=7)) == [20, 25, 30]


def test_an_id_waits_once() -> None:
    timeline = Timeline()
    timeline.schedule(entry("a", s=1))
    with pytest.raises(TimelineError) as caught:
        timeline.schedule(entry("a", s=2))
    assert caught.value.reason == "id_reused"


def test_a_full_timeline_refuses() -> None:
    timeline = Timeline()
    for i in range(MAX_ENTRIES):
        timeline.schedule(entry(str(i), s=i))
    with pytest.raises(TimelineError) as caught:
        timeline.schedule(entry("more", s=1))
    assert caught.value.reason == "too_many"
    timeline.due(0, 0.0)
    timeline.schedule(entry("more", s=1))
    timeline.clear()
    assert len(timeline) == 0


def test_a_tempo_whose_time_has_passed_counts_as_if_it_had_been_running() -> None:
    timeline = Timeline()
    timeline.due(100, 24.0)
    timeline.set_tempo(Tempo(bpm=60, from_s=20.5, phase=0.0))
    timeline.schedule(looped("beat", 1, beat=0))
    assert [each.media_time_s for each in timeline.upcoming(CHUNK_S, 3)] == [24.5, 25.5, 26.5]
    timeline.set_tempo(Tempo(bpm=60, from_s=20.0, beat=100))
    assert timeline.export().tempo[-1].beat == 104


# Look-ahead and documents --------------------------------------------------------------------------------------------


def test_what_is_ahead_is_listed_in_order_and_has_an_end() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=120))
    timeline.due(10, 2.4)
    timeline.schedule(looped("beat", 2, beat=6))
    timeline.schedule(entry("chunk", chunk=20))
    timeline.schedule(looped("time", 10, times=2, s=3.5))
    listed = timeline.upcoming(CHUNK_S)
    assert len(listed) == MAX_LISTED
    assert [(each.entry.id, each.occurrence, each.media_time_s) for each in listed[:4]] == [
        ("beat", 0, 3.0),
        ("time", 0, 3.5),
        ("beat", 1, 4.0),
        ("chunk", 0, pytest.approx(4.8)),
    ]
    assert sum(each.entry.id == "time" for each in listed) == 2
    assert len(timeline.upcoming(CHUNK_S, 2)) == 2


def test_an_exported_timeline_goes_on_where_this_one_is() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=60, phase=0.5))
    for each in (
        looped("beat", 4, beat=2),
        looped("time", 1.2, times=20, s=0),
        looped("chunk", 7, chunk=1),
        entry("a", s=9),
        entry("gone", s=0),
    ):
        timeline.schedule(each)
    play(timeline, 20)
    again = Timeline(timeline.export())
    assert "gone" not in [each.id for each in again.entries]
    again.due(19, 19 * CHUNK_S)
    assert play(again, 60, first=20) == play(timeline, 60, first=20)


# Following another timeline ------------------------------------------------------------------------------------------


def test_what_came_due_elsewhere_is_over_here_too() -> None:
    timeline = Timeline()
    timeline.schedule(entry("a", chunk=4))
    timeline.schedule(entry("l", chunk=2, loop={"every": 3.0, "times": 3}))
    timeline.reached(4, 1.0)
    assert [each.id for each in timeline.entries] == ["a", "l"], "reaching a time brings nothing"
    assert timeline.occurred("a") is False
    assert timeline.occurred("l", 2) is True
    assert timeline.ahead("l") == entry("l", chunk=8, loop={"every": 3.0, "times": 1})
    assert timeline.occurred("l") is False
    with pytest.raises(TimelineError, match="waits"):
        timeline.occurred("l")


def test_a_follower_counts_beats_as_it_is_told() -> None:
    first, second = Timeline(), Timeline()
    first.set_tempo(Tempo(bpm=120.0, from_s=1.0, beat=0.0))
    second.set_tempos(first.export().tempo)
    for timeline in (first, second):
        timeline.schedule(entry("a", beat=4.0))
    assert first.upcoming(0.25) == second.upcoming(0.25)


def test_a_loop_that_is_told_in_step_keeps_the_time_that_has_just_passed() -> None:
    told = entry("a", chunk=4, loop={"every": 4.0, "times": 2})
    skipping, following = Timeline(), Timeline()
    for timeline in (skipping, following):
        timeline.due(5, 1.25)
    skipping.schedule(told)
    following.schedule(told, skip_past=False)
    assert [len(each.due(6, 1.5)) for each in (skipping, following)] == [0, 1]
    assert [len(each.due(8, 2.0)) for each in (skipping, following)] == [1, 1]


def test_each_entry_can_be_listed_once() -> None:
    timeline = Timeline()
    timeline.schedule(entry("l", chunk=2, loop={"every": 1.0}))
    timeline.schedule(entry("a", chunk=500))
    assert [each.entry.id for each in timeline.upcoming(0.25, once=True)] == ["l", "a"]


YEAR_S = 365 * 24 * 3600.0


def test_a_channel_plays_for_years_and_what_is_ahead_can_always_be_told() -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=400.0, beat=1e8))
    for unit, value in (("media_time", 4.0), ("chunk", 4), ("beat", 4.0)):
        timeline.schedule(Entry(id=unit, at=At.model_validate({unit: value}), action=CutAction(), loop=Loop(every=4.0)))
    for years in range(1, 4):
        timeline.due(years * 98_550_000, years * YEAR_S)
        told = timeline.export()
        assert parse_timeline(told.to_json()) == told
        assert Timeline(told).export() == told
        assert timeline.ahead("media_time").at == At(media_time=years * YEAR_S + 4.0)
        timeline.set_tempo(Tempo(bpm=400.0, from_s=years * YEAR_S))


@pytest.mark.parametrize(
    ("at", "every"),
    [
        (At(media_time=MAX_TIME_S), 1.0),
        (At(chunk=MAX_CHUNK), 1.0),
        (At(beat=MAX_BEAT), 1.0),
        (At(media_time=MAX_TIME_S - MAX_EVERY + 1.0), MAX_EVERY),
    ],
)
def test_a_loop_that_could_not_be_told_is_refused_before_anything_changes(at: At, every: float) -> None:
    timeline = Timeline(TimelineDocument(tempo=(Tempo(bpm=20.0),)))
    with pytest.raises(TimelineError) as refused:
        timeline.schedule(Entry(id="a", at=at, action=CutAction(), loop=Loop(every=every)))
    assert (refused.value.reason, len(timeline)) == ("out_of_range", 0)


def test_beats_are_counted_to_an_end() -> None:
    timeline = Timeline(TimelineDocument(tempo=(Tempo(bpm=400.0, beat=MAX_BEAT),)))
    before = timeline.export()
    for tempo in (Tempo(bpm=20.0, from_s=60.0), Tempo(bpm=20.0, from_s=60.0, phase=0.5)):
        with pytest.raises(TimelineError) as refused:
            timeline.set_tempo(tempo)
        assert refused.value.reason == "out_of_range"
    timeline.reached(1, 60.0)
    with pytest.raises(TimelineError, match="beat"):
        timeline.set_tempo(Tempo(bpm=20.0, from_s=30.0, beat=MAX_BEAT))
    assert timeline.export() == before
