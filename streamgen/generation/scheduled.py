"""The timeline as the generator plays it: prompts are encoded ahead of their time, and due with their exact chunk.

Free of I/O and threads; `Encoded` is what the text encoder makes. A prompt whose time comes before it is encoded
follows as one that was just sent (`late`), so nothing is lost.

Full-policy: of the prompts that are ahead within `AHEAD_S`, the next `MAX_ENCODED` are encoded and the others wait.
"""

from dataclasses import dataclass, replace
from typing import Final, Generic

from streamgen.generation.prompts import Encoded, Taken
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
from streamgen.protocol import ConfigAction, CutAction, Tempo
from streamgen.timeline.document import read_entry
from streamgen.timeline.errors import TimelineError
from streamgen.timeline.timeline import Timeline

AHEAD_S: Final = 12.0  # media time within which prompts are encoded
MAX_ENCODED: Final = 16  # prompts that are kept encoded

TimelineCommand = ScheduleEntry | UnscheduleEntry | ClearTimeline | SetTempos


@dataclass(frozen=True, slots=True)
class Brought(Generic[Encoded]):
    """What the timeline brings to a chunk.

    Attributes:
        taken: prompts for it, oldest first; `sent_s` of each is when it was due.
        late: prompts that are not encoded yet, and follow as soon as they are, with when they were due, s.
        guidance, seed: new settings with when they were due, s; None leaves them.
        cut: it sees nothing of the chunks before.
        occurred: for its record.
    """

    taken: tuple[Taken[Encoded], ...] = ()
    late: tuple[tuple[SetPrompt, float], ...] = ()
    guidance: tuple[float, float] | None = None
    seed: tuple[int, float] | None = None
    cut: bool = False
    occurred: tuple[Occurred, ...] = ()


class ScheduledPrompts(Generic[Encoded]):
    """The entries that wait, and the prompts of them that are encoded already."""

    def __init__(self, chunk_s: float) -> None:
        """`chunk_s` is the length of a chunk."""
        self._chunk_s = chunk_s
        self._timeline = Timeline()
        self._first: int | None = None  # chunk of the channel that comes first, until it is known when
        self._actions: dict[str, ScheduleEntry] = {}  # what was told, by entry
        self._encoded: dict[str, Taken[Encoded]] = {}  # by entry
        self._encoding: ScheduleEntry | None = None
        self._late: dict[str, Occurred] = {}  # by action: came due, and is not in a chunk yet

    def obey(self, command: TimelineCommand) -> list[PromptFailed]:
        """Change the timeline; returns what cannot be played."""
        match command:
            case ScheduleEntry():
                return self._schedule(command)
            case UnscheduleEntry():
                if command.id in self._actions:
                    self._drop(command.id)
            case ClearTimeline():
                self._timeline.clear()
                self._actions.clear()
                self._encoded.clear()
            case SetTempos():
                self._timeline.set_tempos(
                    Tempo(bpm=bpm, from_s=from_s, beat=beat) for bpm, from_s, beat in command.tempos
                )
        return []

    def begin(self, chunk: int) -> None:
        """The next chunk is this one of the channel: what is due with the first few is known by that."""
        self._first = chunk

    def settled(self, media_time_s: float) -> bool:
        """Whether everything is encoded that is to be by now."""
        return self._encoding is None and self._next_to_encode(media_time_s) is None

    def begin_encoding(self, media_time_s: float) -> SetPrompt | None:
        """The prompt to encode now, None when there is none. Follow with `encoded`, `failed` or `again`.

        Args:
            media_time_s: of the next chunk.
        """
        assert self._encoding is None, "one prompt is encoded at a time"
        self._encoding = self._next_to_encode(media_time_s)
        return None if self._encoding is None else self._encoding.prompt

    def encoded(self, encoded: Encoded, sound: Encoded | None, media_time_s: float) -> list[PromptQueued]:
        """The prompt waits for its time; returns when that is, seen from the next chunk at `media_time_s`."""
        told = self._end_encoding()
        id = told.id
        if self._actions.get(id) is not told or told.prompt is None:
            return []  # it came due, was edited or was taken off meanwhile
        self._encoded[id] = Taken(told.prompt, encoded, sound)
        at_s = self._timeline.next_s(id, self._chunk_s)
        if at_s is None:
            return []  # nobody can say when: the beats have no tempo any more
        return [PromptQueued(told.action, max(0.0, 1000 * (at_s - media_time_s)))]

    def failed(self) -> str:
        """The prompt cannot be encoded: its entry is dropped. Returns what the action is known by."""
        told = self._end_encoding()
        if self._actions.get(told.id) is told:
            self._drop(told.id)
        return told.action

    def again(self) -> None:
        """The prompt could not be encoded, and is asked for again while it is ahead."""
        self._end_encoding()

    def bring(self, chunk: int, media_time_s: float) -> Brought[Encoded]:
        """What is due with the chunk that is about to be made; see `Timeline.due`."""
        taken: list[Taken[Encoded]] = []
        late: list[tuple[SetPrompt, float]] = []
        occurred: list[Occurred] = []
        guidance: tuple[float, float] | None = None
        seed: tuple[int, float] | None = None
        cut = False
        for due in self._timeline.due(chunk, media_time_s):
            id = due.entry.id
            told = self._actions[id]
            found = Occurred(id, told.action, due.passed)
            ready = self._encoded.get(id)
            if told.prompt is None:
                action = due.entry.action
                cut |= isinstance(action, CutAction)
                if isinstance(action, ConfigAction):
                    guidance = guidance if action.guidance is None else (action.guidance, due.media_time_s)
                    seed = seed if action.seed is None else (action.seed, due.media_time_s)
                occurred.append(found)
            elif ready is not None:
                taken.append(replace(ready, sent_s=due.media_time_s))
                occurred.append(found)
            else:
                late.append((told.prompt, due.media_time_s))
                before = self._late.get(told.action)
                times = found.times if before is None else found.times + before.times
                self._late[told.action] = Occurred(id, told.action, times)
            if due.last:
                del self._actions[id]
                self._encoded.pop(id, None)
        return Brought(tuple(taken), tuple(late), guidance, seed, cut, tuple(occurred))

    def ready(self, media_time_s: float) -> tuple[SetPrompt, ...]:
        """What is encoded and due with the chunk at this media time, as far as that is known before it is made."""
        if not self._encoded:
            return ()
        near = (
            self._encoded.get(each.entry.id)
            for each in self._timeline.upcoming(self._chunk_s, once=True)
            if each.media_time_s < media_time_s + self._chunk_s / 2  # where it lies is a guess; half a chunk is not
        )
        return tuple(each.request for each in near if each is not None)

    def arrived(self, action: str) -> tuple[Occurred, ...]:
        """A prompt is in a chunk, or will never be: what is to be said in the record if it came from here, late."""
        late = self._late.pop(action, None)
        return () if late is None else (late,)

    # Who tells has left out the times of a loop that were over, by what is seen: a little more has been made since.
    def _schedule(self, told: ScheduleEntry) -> list[PromptFailed]:
        entry = read_entry(told.entry)
        try:
            if entry.id in self._actions:
                self._timeline.edit(entry, skip_past=False)
            else:
                self._timeline.schedule(entry, skip_past=False)
        except TimelineError as error:
            return [PromptFailed(told.action, str(error))]
        self._actions[entry.id] = told
        self._encoded.pop(entry.id, None)
        return []

    def _drop(self, id: str) -> None:
        self._timeline.unschedule(id)
        del self._actions[id]
        self._encoded.pop(id, None)

    def _next_to_encode(self, media_time_s: float) -> ScheduleEntry | None:
        if self._first is not None:
            self._timeline.reached(self._first, media_time_s)
            self._first = None
        near = [
            self._actions[each.entry.id]
            for each in self._timeline.upcoming(self._chunk_s, once=True)
            if each.media_time_s <= media_time_s + AHEAD_S
        ]
        wanted = [told for told in near if told.prompt is not None][:MAX_ENCODED]
        kept = {told.id for told in wanted}
        # An edit or another tempo may have moved what was near.
        for id in self._encoded.keys() - kept:
            del self._encoded[id]
        return next((told for told in wanted if told.id not in self._encoded), None)

    def _end_encoding(self) -> ScheduleEntry:
        assert self._encoding is not None, "nothing is being encoded"
        told, self._encoding = self._encoding, None
        return told
