"""Whatever is scheduled and however chunks are skipped: everything is due once, with the right chunk, in order."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.protocol import At, CutAction, Entry, Loop, Tempo
from streamgen.timeline.timeline import Timeline

# Everything lies on a grid of 1/64 s, so that the reference can be exact.
GRID = 64
BPM = 120  # a beat is 32 steps of the grid


@dataclass(frozen=True)
class Wish:
    unit: str
    place: int  # on the grid; of a chunk its number
    every: int | None
    times: int | None
    scheduled_before: int  # which call of `due`

    @property
    def entry_at(self) -> At:
        if self.unit == "chunk":
            return At(chunk=self.place)
        return At(media_time=self.place / GRID) if self.unit == "s" else At(beat=self.place / 32)

    @property
    def loop(self) -> Loop | None:
        if self.every is None:
            return None
        divisor = {"chunk": 1, "s": GRID, "beat": 32}[self.unit]
        return Loop(every=self.every / divisor, times=self.times)

    def reached(self, chunk: int, time: int) -> int:
        """How many of its times are at this chunk or before, counted one by one."""
        now = chunk if self.unit == "chunk" else time
        count, place = 0, self.place
        while place <= now and (self.times is None or count < self.times):
            count += 1
            if self.every is None:
                break
            place += self.every
        return count


wishes = st.lists(
    st.builds(
        Wish,
        unit=st.sampled_from(["s", "chunk", "beat"]),
        place=st.integers(0, 600),
        every=st.none() | st.integers(4, 200),
        times=st.none() | st.integers(1, 5),
        scheduled_before=st.integers(0, 6),
    ),
    max_size=10,
)
# Steps from one call to the next: chunks (0 = the same again), and grid steps of media time.
calls = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(wishes, calls)
def test_every_time_is_due_with_the_first_chunk_at_it_or_after_and_never_again(
    wishes: list[Wish], calls: list[tuple[int, int]]
) -> None:
    timeline = Timeline()
    timeline.set_tempo(Tempo(bpm=BPM))
    counted: dict[str, int] = {}  # times that are behind, by id
    chunk = time = 0
    for call, (chunks, steps) in enumerate(calls):
        for i, wish in enumerate(wishes):
            if wish.scheduled_before != call:
                continue
            behind = wish.reached(chunk, time) if call and wish.every is not None else 0
            entry = Entry(id=str(i), at=wish.entry_at, action=CutAction(), loop=wish.loop)
            if wish.times is not None and wish.every is not None and behind >= wish.times:
                continue  # refused; `test_timeline.py` says how
            timeline.schedule(entry)
            counted[str(i)] = behind
        chunk, time = chunk + chunks, time + steps
        due = timeline.due(chunk, time / GRID)
        assert len({each.entry.id for each in due}) == len(due)
        expected = {}
        for id, behind in counted.items():
            reached = wishes[int(id)].reached(chunk, time)
            if reached > behind:
                expected[id] = (reached - 1, reached - behind)
                counted[id] = reached
        assert {each.entry.id: (each.occurrence, each.passed) for each in due} == expected
        for each in due:
            wish = wishes[int(each.entry.id)]
            end = 1 if wish.every is None else wish.times
            assert each.last == (end is not None and each.occurrence + 1 == end)
        on_time = [
            Fraction(wishes[int(each.entry.id)].place + each.occurrence * (wishes[int(each.entry.id)].every or 0), GRID)
            for each in due
            if wishes[int(each.entry.id)].unit != "chunk"
        ]
        assert on_time == sorted(on_time)
    spent = {id for id, behind in counted.items() if behind == (wishes[int(id)].times if wishes[int(id)].every else 1)}
    assert {entry.id for entry in timeline.entries} == counted.keys() - spent
