"""The ring of latent frames against a simulation that follows contents instead of slots."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen_engines.frame_ring import HIDDEN, FrameRing

CHUNKS = 200
TOKENS = 15
Event = str | int


class Simulation:
    """Which chunk lies in each slot, written where the ring says, and what should be visible by the rules alone."""

    def __init__(self, *, window: int, sink: int, chunk: int) -> None:
        self.ring = FrameRing(window=window, sink=sink, chunk=chunk, tokens=TOKENS)
        self.chunk = chunk
        self.window, self.sink = window // chunk, sink // chunk
        self.contents: list[int | None] = [None] * self.ring.slots
        self.number = -1
        self.stay: list[int] = []  # chunks of the sink
        self.moving: list[int] = []  # chunks of the window

    def step(self, event: Event | None = None) -> list[int]:
        """Make one chunk; returns the chunks that it sees, in the order of their places."""
        self.number += 1
        if event == "cut":
            self.ring.cut()
            self._keep(0)
        elif isinstance(event, int):
            self.ring.forget(event)
            self._keep(event)
        rows = self.chunk * TOKENS
        assert self.ring.write_index == self.ring.slot * rows
        assert 0 <= self.ring.write_index <= self.ring.frames * TOKENS - rows
        self.contents[self.ring.slot] = self.number
        seen = self._seen()
        if len(self.stay) < self.sink:
            self.stay.append(self.number)
        else:
            self.moving.append(self.number)
            self.moving = self.moving[-self.window :]
        self.ring.advance()
        return seen

    def expected(self) -> list[int]:
        """What the next chunk should see, itself left out."""
        return sorted([*self.stay, *self.moving])

    def _keep(self, count: int) -> None:
        kept = set(self.expected()[max(len(self.stay) + len(self.moving) - count, 0) :])
        self.stay = [number for number in self.stay if number in kept]
        self.moving = [number for number in self.moving if number in kept]

    def _seen(self) -> list[int]:
        bias = self.ring.bias().reshape(self.ring.slots, self.chunk)
        places = self.ring.places().reshape(self.ring.slots, self.chunk)
        found: dict[int, int] = {}
        for slot, content in enumerate(self.contents):
            assert set(bias[slot].tolist()) in ({0.0}, {HIDDEN}), "a chunk is seen as a whole or not at all"
            if bias[slot, 0] == 0:
                assert content is not None, "sees a slot that nothing was written to"
                assert places[slot].tolist() == list(range(places[slot, 0], places[slot, 0] + self.chunk))
                found[int(places[slot, 0])] = content
            else:
                assert not places[slot].any()
        assert sorted(found) == list(range(0, len(found) * self.chunk, self.chunk)), "places leave no gap"
        assert self.ring.chunk_places().tolist() == list(range(max(found), max(found) + self.chunk))
        return [found[place] for place in sorted(found)]


@settings(max_examples=40, deadline=None)
@given(
    chunk=st.sampled_from([1, 3]),
    window=st.integers(1, 5),
    sink=st.integers(0, 3),
    events=st.dictionaries(st.integers(0, CHUNKS - 1), st.sampled_from(["cut", 0, 1, 2, 7, 64]), max_size=20),
)
def test_sink_and_window_are_seen_once_and_in_order(
    chunk: int, window: int, sink: int, events: Mapping[int, Event]
) -> None:
    simulation = Simulation(window=chunk * window, sink=chunk * sink, chunk=chunk)
    for number in range(CHUNKS):
        event = events.get(number)
        before = simulation.expected()
        kept = 0 if event == "cut" else event if isinstance(event, int) else len(before)
        assert simulation.step(event) == [*before[max(len(before) - kept, 0) :], number]


def test_the_first_frames_stay_for_ever() -> None:
    simulation = Simulation(window=6, sink=3, chunk=3)
    for number in range(500):
        seen = simulation.step()
        assert seen[0] == 0
        assert seen[1:] == list(range(max(1, number - 2), number + 1)) if number else seen == [0]
    assert simulation.ring.places().max() == simulation.ring.frames - 1


def test_a_sink_of_several_chunks_fills_before_the_window_rolls() -> None:
    simulation = Simulation(window=2, sink=3, chunk=1)
    seen = [simulation.step() for _ in range(8)]
    assert seen[4] == [0, 1, 2, 3, 4]
    assert seen[7] == [0, 1, 2, 5, 6, 7]


def test_what_was_forgotten_does_not_come_back_and_the_sink_is_filled_anew() -> None:
    simulation = Simulation(window=6, sink=3, chunk=3)
    for _ in range(10):
        simulation.step()
    assert simulation.step(1) == [9, 10]
    assert [simulation.step() for _ in range(4)] == [[9, 10, 11], [9, 10, 11, 12], [10, 11, 12, 13], [10, 12, 13, 14]]


def test_reading_again_begins_behind_a_sink_once_the_stream_is_longer_than_the_ring() -> None:
    ring = FrameRing(window=2, sink=1, chunk=1, tokens=3)
    again = []
    for _ in range(7):
        ring.advance()
        again.append(len(ring.past_behind_sink))
    assert again == [1, 2, 3, 3, 2, 2, 2]


def test_chunks_that_are_made_again_make_the_stream_no_older() -> None:
    ring = FrameRing(window=2, sink=1, chunk=1, tokens=3)
    for _ in range(4):
        ring.advance()
    for _ in range(3):
        before = ring.past
        ring.rewind(before)
        for _ in before:
            ring.advance()
        assert len(ring.past_behind_sink) == len(ring.past) == 3
    ring.advance()
    sink, *behind = ring.past
    assert ring.past_behind_sink == tuple(behind)
    ring.rewind(behind)
    assert ring.past == (sink,)


def test_alone_hides_everything_this_time_only() -> None:
    ring = FrameRing(window=2, sink=1, chunk=1, tokens=3)
    for _ in range(5):
        ring.advance()
    before = ring.bias().tolist()
    alone = ring.bias(alone=True)
    assert (alone == 0).sum() == 1
    assert alone[ring.slot] == 0
    assert ring.bias().tolist() == before


def test_tables_are_the_callers_own() -> None:
    ring = FrameRing(window=3, sink=0, chunk=3, tokens=3)
    ring.bias().fill(9)
    ring.places().fill(9)
    np.testing.assert_array_equal(ring.bias(), [0, 0, 0, HIDDEN, HIDDEN, HIDDEN])
    np.testing.assert_array_equal(ring.places(), [0, 1, 2, 0, 0, 0])


@pytest.mark.parametrize(("window", "sink"), [(4, 3), (6, 2)])
def test_parts_of_chunks_are_refused(window: int, sink: int) -> None:
    with pytest.raises(ValueError, match="no whole chunks of 3"):
        FrameRing(window=window, sink=sink, chunk=3, tokens=1)
