"""What is due with the next chunk: scheduled entries against media time, chunks and beats. Free of I/O and clocks.

What holds:

- an entry applies to the first chunk that starts at its time or later, and to no other; when chunks are skipped (an
  underrun, a slate, a restart) nothing is lost, and what came due in between applies in the order of its times;
- an entry whose time has passed when it is scheduled applies to the next chunk; one that loops goes on in step, with
  its next time;
- a loop keeps one number, whatever its length: of several times that fall on one chunk, the action is given once;
- whatever is ahead can be told, however long the channel plays: what would lie out of range is refused when it is
  scheduled, and a loop that gets there with the years is told with the last value that there is;
- waiting entries are at most `MAX_ENTRIES`; one more is refused. An entry that has applied for the last time is gone.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from streamgen.protocol import MAX_ENTRIES, At, Entry, Loop, Tempo, TimelineDocument
from streamgen.protocol.entries import MAX_BEAT, MAX_CHUNK, MAX_TIME_S
from streamgen.timeline.document import entry_of, tempo_of
from streamgen.timeline.errors import TimelineError
from streamgen.timeline.tempo import TempoMap

MAX_LISTED: Final = 64
"""Times that `upcoming` gives: loops have no end."""
_ROUNDING_S: Final = 1e-6
"""A chunk that starts this little before a time starts at it: chunk starts are whole ticks, beats are not."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a chunk is to be made with.

    Attributes:
        entry: whose action it is.
        occurrence: which of its times, from 0; always 0 without a loop.
        passed: how many of its times fell on this chunk, 1 unless chunks were skipped.
        last: it is not coming again.
        media_time_s: when that was; before the chunk's own time, unless it came exactly then.
    """

    entry: Entry
    occurrence: int
    passed: int
    last: bool
    media_time_s: float


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A time that is ahead, as far as it is known: a beat has a media time only once there is a tempo."""

    entry: Entry
    occurrence: int
    media_time_s: float


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    order: int  # of scheduling; decides between equal times
    occurrence: int = 0  # the next one

    @property
    def spent(self) -> bool:
        loop = self.entry.loop
        times = 1 if loop is None else loop.times
        return times is not None and self.occurrence >= times

    def place(self, occurrence: int) -> float:
        """Of one of its times, in its own unit."""
        at, loop = self.entry.at, self.entry.loop
        first = next(float(value) for value in (at.media_time, at.chunk, at.beat) if value is not None)
        return first + occurrence * loop.every if loop is not None else first


@dataclass(frozen=True, slots=True)
class _Now:
    """A chunk's start."""

    chunk: int
    media_time_s: float


class Timeline:
    """The timeline of one channel. Chunks are counted over the channel's life, whatever generator makes them."""

    def __init__(self, document: TimelineDocument | None = None) -> None:
        document = document if document is not None else TimelineDocument()
        self._tempo = TempoMap(document.tempo)
        self._waiting: dict[str, _Waiting] = {}
        self._order = 0
        self._now: _Now | None = None  # start of the last chunk
        for entry in document.entries:
            self.schedule(entry)

    def __len__(self) -> int:
        """Entries that wait."""
        return len(self._waiting)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What waits, in the order in which it was scheduled."""
        return tuple(each.entry for each in self._waiting.values())

    # What people ask for.

    def schedule(self, entry: Entry, *, skip_past: bool = True) -> None:
        """Add an entry. Of a loop, times that have passed are left out if `skip_past`, else they are due now, as one.

        Raises:
            TimelineError: its id is taken, the timeline is full, its beat has no tempo, all its times have passed, or
                the next of a loop would be out of range.
        """
        if entry.id in self._waiting:
            raise TimelineError("id", "id_reused", f"{entry.id!r} waits already; edit it, or choose another id")
        if len(self._waiting) >= MAX_ENTRIES:
            raise TimelineError(
                "entries", "too_many", f"{MAX_ENTRIES} entries wait already; take one off before you add another"
            )
        self._order += 1
        self._waiting[entry.id] = self._in_step(_Waiting(entry, self._order), skip_past=skip_past)

    def edit(self, entry: Entry, *, skip_past: bool = True) -> None:
        """Put this in the place of the entry with its id. With a new time or loop it starts over, as in `schedule`.

        Raises:
            TimelineError: no such entry waits, or as for `schedule`; nothing has changed then.
        """
        waiting = self._find(entry.id)
        if (entry.at, entry.loop) == (waiting.entry.at, waiting.entry.loop):
            self._waiting[entry.id] = _Waiting(entry, waiting.order, waiting.occurrence)
        else:
            self._waiting[entry.id] = self._in_step(_Waiting(entry, waiting.order), skip_past=skip_past)

    def loop(self, ids: Iterable[str], every: float, times: int | None = None) -> tuple[Entry, ...]:
        """Repeat a section: each of these entries comes again after `every` (in the unit of its own time).

        Returns:
            The entries as they are now.

        Raises:
            TimelineError: no such entry waits, or as for `schedule`; nothing has changed then.
        """
        wanted = list(ids)
        raw = {"every": every, "times": times}
        before = {id: self._find(id) for id in wanted}
        changed = tuple(entry_of({**before[id].entry.model_dump(), "loop": raw}) for id in wanted)
        try:
            for entry in changed:
                self.edit(entry)
        except TimelineError:
            self._waiting.update(before)
            raise
        return changed

    def unschedule(self, id: str) -> Entry:
        """Take an entry off, with all times that are still ahead.

        Raises:
            TimelineError: no such entry waits.
        """
        entry = self._find(id).entry
        del self._waiting[id]
        return entry

    def clear(self) -> None:
        """Take everything off; the tempo stays."""
        self._waiting.clear()

    def set_tempo(self, tempo: Tempo) -> None:
        """Take over a tempo from its time on; from now on, as if it had been running, where that time has passed.

        Beats that wait move with it.

        Raises:
            TimelineError: as `TempoMap.change`, or its beat now is out of range; nothing has changed then.
        """
        gone_s = 0.0 if self._now is None else self._now.media_time_s - tempo.from_s
        if gone_s > 0:
            gone = gone_s * tempo.bpm / 60
            tempo = tempo_of(
                tempo.bpm,
                tempo.from_s + gone_s,
                phase=None if tempo.phase is None else math.fmod(tempo.phase + gone, 1.0),
                beat=None if tempo.beat is None else tempo.beat + gone,
            )
        self._tempo.change(tempo)

    def set_tempos(self, tempos: Iterable[Tempo]) -> None:
        """Count beats like another timeline, from what that one exports.

        Raises:
            TimelineError: as `TempoMap.change`.
        """
        self._tempo = TempoMap(tempos)

    def ahead(self, id: str) -> Entry:
        """What of an entry is still ahead. A loop is written with its next time as its first.

        Raises:
            TimelineError: no such entry waits.
        """
        return _ahead(self._find(id))

    def export(self) -> TimelineDocument:
        """What is still ahead. A loop is written with its next time as its first."""
        return TimelineDocument(tempo=self._tempo.tempos(), entries=tuple(map(_ahead, self._waiting.values())))

    def upcoming(self, chunk_s: float, limit: int = MAX_LISTED, *, once: bool = False) -> tuple[Upcoming, ...]:
        """The next times, soonest first, at most `limit` of them and never more than `MAX_LISTED`.

        Args:
            chunk_s: length of a chunk: where a chunk will be on the media timeline, if nothing stands still.
            limit: how many.
            once: of each entry only its next time.
        """
        streams = [islice(self._ahead_of(each, chunk_s), 1 if once else None) for each in self._waiting.values()]
        merged = heapq.merge(*streams, key=lambda pair: pair[0])
        return tuple(each for _, each in islice(merged, min(limit, MAX_LISTED)))

    def next_s(self, id: str, chunk_s: float) -> float | None:
        """The media time (s) of the next time of an entry, as for `upcoming`; None while that is not known.

        Raises:
            TimelineError: no such entry waits.
        """
        return next((each.media_time_s for _, each in self._ahead_of(self._find(id), chunk_s)), None)

    # What the generation asks for.

    def due(self, chunk: int, media_time_s: float) -> tuple[Due, ...]:
        """What the chunk that is about to be made shall be made with, in this order: the last of a kind wins.

        Args:
            chunk: counted over the channel's life.
            media_time_s: of its first picture. Neither ever runs backwards; a value that does counts as the last one.
        """
        last = self._now
        now = _Now(chunk, media_time_s)
        if last is not None:
            now = _Now(max(chunk, last.chunk), max(media_time_s, last.media_time_s))
        found: list[tuple[float, int, Due]] = []
        for waiting in list(self._waiting.values()):
            passed = self._passed(waiting, now)
            if passed <= waiting.occurrence:
                continue
            occurrence, count = passed - 1, passed - waiting.occurrence
            waiting.occurrence = passed
            time_s = self._time_of(waiting, occurrence, last, now)
            found.append((time_s, waiting.order, Due(waiting.entry, occurrence, count, waiting.spent, time_s)))
            if waiting.spent:
                del self._waiting[waiting.entry.id]
        self._now = now
        self._tempo.forget(now.media_time_s)
        return tuple(due for _, _, due in sorted(found, key=lambda each: each[:2]))

    # What somebody follows who is told of what came due elsewhere.

    def reached(self, chunk: int, media_time_s: float) -> None:
        """A chunk starts; nothing comes due by it."""
        last = self._now if self._now is not None else _Now(0, 0.0)
        self._now = _Now(max(chunk, last.chunk), max(media_time_s, last.media_time_s))
        self._tempo.forget(self._now.media_time_s)

    def occurred(self, id: str, times: int = 1) -> bool:
        """So many times of an entry are over; returns whether it is coming again."""
        waiting = self._find(id)
        waiting.occurrence += times
        if waiting.spent:
            del self._waiting[id]
        return not waiting.spent

    def _find(self, id: str) -> _Waiting:
        waiting = self._waiting.get(id)
        if waiting is None:
            raise TimelineError("id", "unknown_id", f"no entry {id!r} waits; it has applied, or was never scheduled")
        return waiting

    def _in_step(self, waiting: _Waiting, *, skip_past: bool) -> _Waiting:
        """Checked, and moved on to the next time of its loop."""
        if waiting.entry.at.beat is not None and not len(self._tempo):
            raise TimelineError("at.beat", "no_tempo", "there is no tempo to count beats by; set one first")
        if skip_past and waiting.entry.loop is not None and self._now is not None:
            waiting.occurrence = self._passed(waiting, self._now)
            if waiting.spent:
                raise TimelineError("loop.times", "out_of_range", "all its times have passed; give a later time")
        # The one after the next as well, so that it can be told once the next is over.
        if (
            skip_past
            and waiting.entry.loop is not None
            and waiting.place(waiting.occurrence + 1) > _furthest(waiting.entry.at)
        ):
            raise TimelineError(
                "loop.every", "out_of_range", "its times lie out of range; give an earlier one, or less"
            )
        return waiting

    def _passed(self, waiting: _Waiting, now: _Now) -> int:
        """How many of its times are at `now` or before. Found by arithmetic: a long gap costs no more than a short."""
        at, loop = waiting.entry.at, waiting.entry.loop
        reached = float(now.chunk)
        if at.chunk is None:
            reached = now.media_time_s + _ROUNDING_S
        if at.beat is not None:
            beat = self._tempo.beat_at(reached)
            if beat is None:
                return 0
            reached = beat
        if waiting.place(0) > reached:
            return 0
        if loop is None:
            return 1
        count = math.floor((reached - waiting.place(0)) / loop.every) + 1
        # The division may round across a whole number: the times themselves decide.
        while waiting.place(count) <= reached:
            count += 1
        while count > 0 and waiting.place(count - 1) > reached:
            count -= 1
        return count if loop.times is None else min(count, loop.times)

    def _time_of(self, waiting: _Waiting, occurrence: int, last: _Now | None, now: _Now) -> float:
        """Media time of an occurrence that is due; of a chunk that was skipped, where it would have been."""
        at, place = waiting.entry.at, waiting.place(occurrence)
        if at.media_time is not None:
            return place
        if at.beat is not None:
            time_s = self._tempo.time_of(place)
            return now.media_time_s if time_s is None else time_s
        if last is None or now.chunk == last.chunk:
            return now.media_time_s
        share = (place - last.chunk) / (now.chunk - last.chunk)
        return last.media_time_s + share * (now.media_time_s - last.media_time_s)

    def _ahead_of(self, waiting: _Waiting, chunk_s: float) -> Iterator[tuple[tuple[float, int], Upcoming]]:
        now = self._now if self._now is not None else _Now(0, 0.0)
        loop = waiting.entry.loop
        times = 1 if loop is None else loop.times
        occurrence = waiting.occurrence
        while times is None or occurrence < times:
            place: float | None = waiting.place(occurrence)
            assert place is not None
            if waiting.entry.at.chunk is not None:
                place = now.media_time_s + max(0.0, place - now.chunk) * chunk_s
            elif waiting.entry.at.beat is not None:
                place = self._tempo.time_of(place)
            if place is None:
                return
            yield (place, waiting.order), Upcoming(waiting.entry, occurrence, place)
            occurrence += 1


def _ahead(waiting: _Waiting) -> Entry:
    entry, loop = waiting.entry, waiting.entry.loop
    if loop is None or waiting.occurrence == 0:
        return entry
    place = min(waiting.place(waiting.occurrence), _furthest(entry.at))
    if entry.at.chunk is not None:
        at = At(chunk=int(place))
    else:
        at = At(beat=place) if entry.at.beat is not None else At(media_time=place)
    times = None if loop.times is None else loop.times - waiting.occurrence
    return Entry(id=entry.id, at=at, action=entry.action, loop=Loop(every=loop.every, times=times))


def _furthest(at: At) -> float:
    """The last value that a time in this unit can have."""
    if at.chunk is not None:
        return MAX_CHUNK
    return MAX_BEAT if at.beat is not None else MAX_TIME_S
