"""Beats on the media timeline: a tempo, and changes of it from given times on. Free of I/O and clocks.

The count of beats never runs backwards. A change that says how far into a beat it is (`phase`) moves the count up to
the next place with that phase; the beats in between, less than one, fall on the moment of the change.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from streamgen.protocol.entries import MAX_BEAT, MAX_TEMPOS, Tempo
from streamgen.timeline.errors import TimelineError


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A constant tempo from a moment on."""

    from_s: float
    beat: float  # at `from_s`
    bpm: float

    def beat_at(self, time_s: float) -> float:
        return self.beat + (time_s - self.from_s) * self.bpm / 60

    def time_of(self, beat: float) -> float:
        return self.from_s + (beat - self.beat) * 60 / self.bpm


class TempoMap:
    """Beat to media time and back. At most `MAX_TEMPOS` changes are ahead; one more is refused."""

    def __init__(self, tempos: Iterable[Tempo] = ()) -> None:
        self._stretches: list[_Stretch] = []
        for tempo in sorted(tempos, key=lambda each: each.from_s):
            self.change(tempo)

    def __len__(self) -> int:
        """Tempos that are remembered."""
        return len(self._stretches)

    def change(self, tempo: Tempo) -> None:
        """Take over a tempo. Changes at the same time or later that were known before are dropped.

        Raises:
            TimelineError: too many changes are ahead, or the count of beats would run backwards or beyond `MAX_BEAT`;
                nothing has changed then.
        """
        kept = [stretch for stretch in self._stretches if stretch.from_s < tempo.from_s]
        if len(kept) >= MAX_TEMPOS:
            raise TimelineError("tempo", "too_many", f"at most {MAX_TEMPOS} changes of tempo fit; leave some out")
        reached = kept[-1].beat_at(tempo.from_s) if kept else 0.0
        beat = reached
        if tempo.beat is not None:
            if tempo.beat < reached - 1e-6:
                raise TimelineError(
                    "tempo.beat", "out_of_range", f"beat {reached:g} is reached there; give that or a later one"
                )
            beat = max(tempo.beat, reached)
        elif tempo.phase is not None:
            beat = math.floor(reached) + tempo.phase
            # What is short of the beat by rounding only is on it.
            beat += 1.0 if beat < reached - 1e-6 else 0.0
            beat = max(beat, reached)
        if beat > MAX_BEAT:  # what is remembered here can always be told
            told = (
                f"beat {beat:g} is reached there, and beats are counted to {MAX_BEAT:g}; load a timeline to start over"
            )
            raise TimelineError("tempo", "out_of_range", told)
        self._stretches = [*kept, _Stretch(tempo.from_s, beat, tempo.bpm)]

    def beat_at(self, time_s: float) -> float | None:
        """The count of beats at a media time; None where no tempo is known yet."""
        stretch = next((each for each in reversed(self._stretches) if each.from_s <= time_s), None)
        return None if stretch is None else stretch.beat_at(time_s)

    def time_of(self, beat: float) -> float | None:
        """The first media time (s) at which a beat is reached; None without a tempo.

        A beat before the first tempo falls on its beginning.
        """
        if not self._stretches:
            return None
        for stretch, following in zip(self._stretches, self._stretches[1:], strict=False):
            if beat < following.beat:
                # In the beats that a new phase skips the time stands at the change.
                return min(max(stretch.time_of(beat), stretch.from_s), following.from_s)
        last = self._stretches[-1]
        return max(last.time_of(beat), last.from_s)

    def forget(self, before_s: float) -> None:
        """Drop tempos that ended before this media time."""
        while len(self._stretches) > 1 and self._stretches[1].from_s <= before_s:
            self._stretches.pop(0)

    def tempos(self) -> tuple[Tempo, ...]:
        """What makes this map again."""
        return tuple(Tempo(bpm=each.bpm, from_s=each.from_s, beat=each.beat) for each in self._stretches)
