"""The ring's policy against a simulation that follows contents instead of ages."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen_engines.ring import EMPTY, SINK_SLOT, KvRing

CHUNKS = 1_000
TOKENS = 34


class Simulation:
    """Which chunk's keys and values lie in each slot, written and copied as the ring says."""

    def __init__(self, window: int, sink: int) -> None:
        self.ring = KvRing(window=window, sink=sink, tokens=TOKENS)
        self.contents: list[int | None] = [None] * self.ring.slots
        self.chunk = -1

    def step(self, event: str | None = None) -> dict[int, float]:
        """Makes one chunk; returns the age of every chunk that it attends to, slot after slot."""
        self.chunk += 1
        if event == "cut":
            self.ring.cut()
        elif event == "prompt":
            self.ring.prompt_changed()
        assert self.ring.write_index == self.ring.slot * TOKENS
        self.contents[self.ring.slot] = self.chunk
        attended: dict[int, float] = {}
        for chunk, age in zip(self.contents, self.ring.ages(), strict=True):
            if age != EMPTY:
                assert chunk is not None, "attends to a slot that nothing was written to"
                assert chunk not in attended, "attends to a chunk twice"
                attended[chunk] = float(age)
        source = self.ring.advance()
        if source is not None:
            self.contents[SINK_SLOT] = self.contents[source]
        return attended


@settings(max_examples=30, deadline=None)
@given(
    window=st.integers(1, 9),
    sink=st.integers(0, 1),
    events=st.dictionaries(st.integers(0, CHUNKS - 1), st.sampled_from(["cut", "prompt"]), max_size=60),
)
def test_every_chunk_of_the_window_is_attended_once_with_its_age(
    window: int, sink: int, events: Mapping[int, str]
) -> None:
    simulation = Simulation(window, sink)
    start = 0  # first chunk since the last cut
    for chunk in range(CHUNKS):
        event = events.get(chunk)
        start = chunk if event == "cut" else start
        attended = simulation.step(event)
        recent = {c: float(chunk - c) for c in range(max(start, chunk - window), chunk + 1)}
        older = {c: age for c, age in attended.items() if c not in recent}
        assert attended.items() >= recent.items()
        assert len(older) <= sink
        for c, age in older.items():
            assert start <= c < chunk - window
            assert age == window + 1


def test_the_sink_is_the_first_chunk_and_shows_once_it_left_the_window() -> None:
    simulation = Simulation(6, 1)
    for chunk in range(CHUNKS):
        attended = simulation.step()
        assert (attended.get(0) == 7.0) == (chunk > 6)


def test_a_settled_prompt_change_moves_the_sink() -> None:
    simulation = Simulation(6, 1)
    seen = [simulation.step("prompt" if chunk == 100 else None) for chunk in range(130)]
    sinks = [next((c for c, age in attended.items() if age == 7), None) for attended in seen]
    assert sinks[7:107] == [0] * 100  # up to and with the chunk that becomes the anchor
    assert sinks[107:113] == [None] * 6  # while the anchor is inside the window itself
    assert sinks[113:] == [106] * 17


def test_a_prompt_that_keeps_changing_keeps_the_sink() -> None:
    simulation = Simulation(6, 1)
    for _ in range(50):
        attended = simulation.step("prompt")
    assert attended[0] == 7


def test_a_cut_forgets_everything() -> None:
    simulation = Simulation(6, 1)
    for _ in range(20):
        simulation.step()
    assert simulation.step("cut") == {20: 0.0}
    assert simulation.step() == {21: 0.0, 20: 1.0}
    for _ in range(6):
        attended = simulation.step()
    assert attended[20] == 7  # the first chunk after the cut is the new anchor


def test_ages_are_the_callers_own() -> None:
    ring = KvRing(window=2, sink=1, tokens=3)
    ring.ages().fill(9)
    assert ring.ages().tolist() == [-1, 0, -1, -1]


@pytest.mark.parametrize("sink", [0, 1])
def test_rows_of_the_slots_tile_the_ring(sink: int) -> None:
    ring = KvRing(window=2, sink=sink, tokens=3)
    rows = [row for slot in range(ring.slots) for row in range(*ring.rows(slot).indices(10**6))]
    assert rows == list(range(3 * ring.slots))


def test_a_change_hides_what_is_older_than_it_keeps() -> None:
    ring = KvRing(window=3, sink=1, tokens=2)
    for _ in range(6):
        ring.advance()
    assert ring.ages()[SINK_SLOT] == 4
    ring.prompt_changed(keep=1)
    seen = []
    for _ in range(4):
        ages = ring.ages()
        assert ages[SINK_SLOT] == EMPTY
        seen.append(sorted(int(age) for age in ages if age >= 0))
        ring.advance()
    assert seen == [[0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_after_a_change_the_sink_comes_back_with_a_chunk_of_the_new_prompt() -> None:
    ring = KvRing(window=3, sink=1, tokens=2)
    for _ in range(6):
        ring.advance()
    ring.prompt_changed(keep=0)
    copied = [ring.advance() for _ in range(4)]
    assert copied[:3] == [None, None, None]
    assert copied[3] is not None
    for _ in range(4):
        ring.advance()
    assert ring.ages()[SINK_SLOT] == 4
    ring.cut()
    assert sorted(ring.ages())[-1] == 0


def test_alone_hides_everything_this_time_only() -> None:
    ring = KvRing(window=2, sink=1, tokens=3)
    for _ in range(5):
        ring.advance()
    before = ring.ages().tolist()
    alone = ring.ages(alone=True)
    assert sorted(alone.tolist()) == [EMPTY, EMPTY, EMPTY, 0]
    assert alone[ring.slot] == 0
    assert ring.ages().tolist() == before
