import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.protocol.entries import MAX_TEMPOS, Tempo
from streamgen.timeline.errors import TimelineError
from streamgen.timeline.tempo import TempoMap

tempos = st.lists(
    st.builds(
        Tempo,
        bpm=st.floats(20, 400),
        from_s=st.floats(0, 600),
        phase=st.none() | st.floats(0, 1, exclude_max=True),
    ),
    min_size=1,
    max_size=8,
)


def test_beats_of_one_tempo() -> None:
    beats = TempoMap([Tempo(bpm=120, from_s=10.0)])
    assert beats.beat_at(9.9) is None
    assert beats.beat_at(10.0) == 0
    assert beats.beat_at(12.0) == 4
    assert beats.time_of(8) == 14.0
    assert TempoMap().time_of(8) is None


def test_the_phase_says_where_in_a_beat_it_begins() -> None:
    beats = TempoMap([Tempo(bpm=60, from_s=2.0, phase=0.25)])
    assert beats.time_of(1) == 2.75
    assert beats.time_of(0) == 2.0  # was before the beginning


def test_counting_goes_on_over_a_change() -> None:
    beats = TempoMap([Tempo(bpm=60), Tempo(bpm=120, from_s=10.5)])
    assert beats.beat_at(10.5) == 10.5
    assert beats.time_of(10) == 10.0
    assert beats.time_of(11) == 10.75


def test_a_new_phase_moves_the_count_up_by_less_than_a_beat() -> None:
    beats = TempoMap([Tempo(bpm=60), Tempo(bpm=60, from_s=10.5, phase=0.0)])
    assert beats.beat_at(10.5) == 11
    assert beats.time_of(10.75) == 10.5  # skipped: the moment of the change
    assert beats.time_of(12) == 11.5
    # A phase that is there by itself, save for rounding, moves nothing.
    beats = TempoMap([Tempo(bpm=90), Tempo(bpm=90, from_s=2 / 1.5 * 7, phase=0.0)])
    assert beats.beat_at(2 / 1.5 * 7) == pytest.approx(14)


def test_a_change_replaces_what_was_to_come_later() -> None:
    beats = TempoMap([Tempo(bpm=60), Tempo(bpm=200, from_s=30.0)])
    beats.change(Tempo(bpm=120, from_s=20.0))
    assert beats.beat_at(40.0) == 20 + 40


def test_the_count_never_runs_backwards() -> None:
    with pytest.raises(TimelineError, match=r"tempo\.beat: beat 10 is reached"):
        TempoMap([Tempo(bpm=60), Tempo(bpm=60, from_s=10.0, beat=3)])
    assert TempoMap([Tempo(bpm=60), Tempo(bpm=60, from_s=10.0, beat=32)]).beat_at(11.0) == 33


def test_changes_ahead_are_limited_and_past_ones_are_forgotten() -> None:
    beats = TempoMap(Tempo(bpm=60 + i, from_s=float(i)) for i in range(MAX_TEMPOS))
    with pytest.raises(TimelineError, match="at most 64"):
        beats.change(Tempo(bpm=60, from_s=500.0))
    before = beats.beat_at(70.0)
    beats.forget(40.5)
    assert len(beats) == MAX_TEMPOS - 40
    assert beats.beat_at(70.0) == before


@settings(deadline=None)
@given(tempos, st.lists(st.floats(0, 1000), min_size=2, max_size=20))
def test_beats_and_times_rise_together_and_undo_each_other(tempos: list[Tempo], times: list[float]) -> None:
    beats = TempoMap(tempos)
    known = [(t, beat) for t in sorted(times) if (beat := beats.beat_at(t)) is not None]
    assert [beat for _, beat in known] == sorted(beat for _, beat in known)
    for time_s, beat in known:
        again = beats.time_of(beat)
        assert again == pytest.approx(time_s, abs=1e-6)
    found = [beats.time_of(beat) for beat in sorted(times)]
    assert found == sorted(found, key=lambda value: value or 0.0)


@settings(deadline=None)
@given(tempos)
def test_a_map_can_be_made_again(tempos: list[Tempo]) -> None:
    beats = TempoMap(tempos)
    again = TempoMap(beats.tempos())
    for time_s in (0.0, 1.0, 59.0, 601.0):
        assert again.beat_at(time_s) == beats.beat_at(time_s)
