"""What shall play later: the channel's timeline, the requests that made it, and how a generator is told. Free of I/O.

The generator plays the timeline, because only it can let a prompt be in its exact chunk. This is the account that
outlives generators: an entry's time is over here once a chunk made with it starts to play, and whatever is still ahead
is told to the next generator.

An entry keeps its id through edits. What it does is known by an id of its own, another one after each edit, so that
what a generator made of the old one is not taken for the new. Entries of a loaded document belong to no request.

Full-policy: at most `MAX_ENTRIES` wait, and `MAX_TIMELINE_BYTES` of JSON; one more is refused. A document has at most
`MAX_TEXTS` texts, because each is judged.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast, get_args

from streamgen.packets import (
    ChunkRecord,
    ClearTimeline,
    Command,
    Occurred,
    ScheduleEntry,
    SetPrompt,
    SetTempos,
    UnscheduleEntry,
)
from streamgen.protocol import (
    MAX_ENTRIES,
    MAX_NEXT,
    Accepted,
    Action,
    Coming,
    ConfigAction,
    CoverAction,
    Entry,
    LoopEntries,
    PromptAction,
    Queued,
    Reason,
    Schedule,
    ScheduledPrompt,
    SetTempo,
    TimelineClear,
    TimelineLoad,
    TransitionAction,
    Unschedule,
)
from streamgen.protocol import Timeline as TimelineMessage
from streamgen.protocol.requests import shown
from streamgen.steering.effects import Delivery, Effects
from streamgen.steering.ledger import Ledger
from streamgen.steering.open_request import OpenRequest, applied, set_prompt, texts_of
from streamgen.steering.registry import answer
from streamgen.timeline.document import tempo_of
from streamgen.timeline.errors import TimelineError
from streamgen.timeline.timeline import Timeline

# With what a `timeline` says besides it stays well under the longest message of a browser's data channel (256 KiB).
MAX_TIMELINE_BYTES: Final = 128 * 1024
MAX_TEXTS: Final = 256  # different ones of one document
MAX_LOADED: Final = 4 * MAX_ENTRIES  # actions of documents that are remembered, for when a chunk names them

Change = Unschedule | LoopEntries | SetTempo | TimelineClear


@dataclass(frozen=True, slots=True)
class _Told:
    """What a generator is told of an entry, and who asked for it."""

    command: ScheduleEntry
    request: OpenRequest | None

    @property
    def size(self) -> int:
        return len(self.command.entry.encode())


@dataclass(frozen=True, slots=True)
class Changed:
    """Settings that came with a chunk, and what brought them."""

    by: str
    settings: Mapping[str, float | int]


TOLD_EVERY_S: Final = 1.0
"""Of media time: how often the timeline is told for what occurred alone. Changes are told at once."""


class Scheduling:
    """The timeline of a channel."""

    def __init__(self, ledger: Ledger) -> None:
        self.chunk_s = 1.0  # of the model; what times of chunks are estimated by
        self._ledger = ledger
        self._stale = False  # something occurred, and nobody has been told the timeline since
        self._told_at_s = -math.inf  # media time at which that was last told
        self._timeline = Timeline()
        self._told: dict[str, _Told] = {}  # by entry
        self._open: dict[str, OpenRequest] = {}  # without a final answer, by action
        self._loaded: OrderedDict[str, SetPrompt | None] = OrderedDict()  # what loaded entries do, by action

    @property
    def ids(self) -> frozenset[str]:
        """Of entries and of what they do, or did: no request may get one of them."""
        return frozenset(self._told).union((told.command.action for told in self._told.values()), self._loaded)

    @property
    def open(self) -> tuple[OpenRequest, ...]:
        """Requests whose final answer is to come."""
        return tuple(self._open.values())

    def knows(self, action: str) -> bool:
        """Whether something scheduled goes by this id."""
        request = self._ledger.registry.on_channel(action)
        return action in self._loaded or (request is not None and isinstance(request.message, Schedule))

    def prompt(self, action: str) -> SetPrompt | None:
        """The prompt of a loaded entry."""
        return self._loaded.get(action)

    def message(self) -> TimelineMessage:
        """All that is ahead."""
        coming = self._timeline.upcoming(self.chunk_s, MAX_NEXT)
        return TimelineMessage(
            document=self._timeline.export(),
            next=tuple(Coming(id=each.entry.id, media_time=each.media_time_s) for each in coming),
        )

    def told(self) -> tuple[Command, ...]:
        """What a generator that knows nothing is told."""
        tempos = self._tempos()
        ahead = self._timeline.export().entries
        entries = (replace(self._told[entry.id].command, entry=entry.model_dump_json()) for entry in ahead)
        return (*((tempos,) if tempos.tempos else ()), *entries)

    def drop(self, request: OpenRequest) -> None:
        """It waits for no answer any more. What it put on the timeline stays there."""
        self._open.pop(request.channel_id, None)

    # Requests.

    def check(self, client: str, message: Schedule | TimelineLoad) -> tuple[Reason, str, str] | None:
        """What is wrong with a request, before anybody has to judge its texts: reason, field and what to do."""
        if isinstance(message, Schedule):
            if message.replace and self._entry_of(client, message.id) is None:
                return "unknown_target", "id", f"{message.id} does not wait; leave out replace to schedule it"
            return None
        for place, entry in enumerate(message.document.entries):
            if isinstance(entry.action, CoverAction):
                told = f"{entry.action.type} cannot be scheduled here; panic covers the programme"
                return "invalid", f"document.entries.{place}.action", told
        if len(texts_of(message)) > MAX_TEXTS:
            return "too_many", "document", f"a document has at most {MAX_TEXTS} different texts; load fewer"
        if sum(len(entry.model_dump_json().encode()) for entry in message.document.entries) > MAX_TIMELINE_BYTES:
            return "too_many", "document", _TOO_LONG
        try:
            Timeline(message.document)
        except TimelineError as error:
            return _reason(error), f"document.{error.field}", error.message
        return None

    def accept(self, request: OpenRequest, media_time_s: float) -> Effects:
        """A request may be carried out."""
        request.allowed = True
        if isinstance(request.message, Schedule):
            return self._schedule(request, request.message)
        assert isinstance(request.message, TimelineLoad)
        return self._load(request, request.message, media_time_s)

    def change(self, client: str, message: Change, media_time_s: float) -> Effects:
        """Carry out a request that has no texts."""
        request, received = self._ledger.receive(client, message)
        try:
            deliveries, commands = self._change(request, message, media_time_s)
        except TimelineError as error:
            field = {"id": "target", "from_s": "from_s"}.get(error.field, error.field)
            rejected = self._ledger.reject(request, _reason(error), field, error.message)
            return Effects((received, rejected))
        done = self._ledger.done(request, media_time_s)
        return Effects((received, *done, *deliveries, self._changed()), commands)

    # From the generator.

    def queued(self, action: str, eta_ms: float) -> tuple[Delivery, ...]:
        """Its prompt is encoded and waits for its time."""
        request = self._open.get(action)
        if request is None:
            return ()
        request.stage, request.eta_ms = "queued", max(0, round(eta_ms))
        return (answer(request, Queued(id=request.message.id, eta_ms=request.eta_ms)),)

    def superseded(self, action: str, by: str) -> tuple[Delivery, ...]:
        """Another prompt took the place in the very chunk for which it was due. One that comes again goes on."""
        request = self._open.get(action)
        if request is None or any(
            told.command.action == action and self._comes_again(id) for id, told in self._told.items()
        ):
            return ()
        return (self._finish(request, by),)

    def failed(self, action: str, message: str) -> Effects:
        """The generator cannot play it: its entry is dropped."""
        deliveries: list[Delivery] = []
        commands: list[Command] = []
        for id in [id for id, told in self._told.items() if told.command.action == action]:
            self._timeline.unschedule(id)
            del self._told[id]
            commands.append(UnscheduleEntry(id))
        request = self._open.pop(action, None)
        if request is not None:
            deliveries.append(self._ledger.reject(request, "invalid", "prompt", message))
        return Effects((*deliveries, *((self._changed(),) if commands else ())), tuple(commands))

    def chunk_started(self, record: ChunkRecord) -> tuple[tuple[Delivery, ...], tuple[Changed, ...]]:
        """A chunk starts to play: what is told, and the settings that came with it."""
        self._timeline.reached(record.place, record.media_time_s)
        deliveries: list[Delivery] = []
        for action in (*record.applied, record.prompt_id or ""):
            request = self._open.pop(action, None)
            if request is not None:
                deliveries.append(self._ledger.finish(request, "applied", applied(request, record)))
        settings: list[Changed] = []
        for each in record.scheduled:
            done, config = self._occur(each, by=record.prompt_id or "")
            deliveries += done
            settings += config
        # With short loops something occurs in every chunk; for that alone the whole document goes out once a second.
        self._stale = self._stale or bool(record.scheduled)
        if self._stale and abs(record.media_time_s - self._told_at_s) >= TOLD_EVERY_S:
            self._told_at_s = record.media_time_s
            deliveries.append(self._changed())
        return tuple(deliveries), tuple(settings)

    # Inside.

    def _schedule(self, request: OpenRequest, message: Schedule) -> Effects:
        replaced = self._entry_of(request.client, message.id) if message.replace else None
        id = request.channel_id if replaced is None else replaced
        old = self._told.get(id)
        entry = Entry(id=id, at=message.at, action=_action(message.prompt), loop=message.loop)
        prompt = set_prompt(request)
        told = _Told(ScheduleEntry(id, entry.model_dump_json(), prompt.id, prompt), request)
        try:
            if message.replace and replaced is None:
                raise TimelineError("id", "unknown_id", "it is over meanwhile; leave out replace to schedule it anew")
            self._check_room(told, old)
            if old is None:
                self._timeline.schedule(entry)
            else:
                self._timeline.edit(entry)
        except TimelineError as error:
            return Effects((self._ledger.reject(request, _reason(error), error.field, error.message),))
        deliveries = [] if old is None else self._end(old, request.channel_id)
        told = replace(told, command=replace(told.command, entry=self._timeline.ahead(id).model_dump_json()))
        self._told[id] = told
        self._open[prompt.id] = request
        request.stage = "accepted"
        deliveries.append(answer(request, Accepted(id=message.id)))
        return Effects((*deliveries, self._changed()), (told.command,))

    def _load(self, request: OpenRequest, message: TimelineLoad, media_time_s: float) -> Effects:
        timeline = Timeline()
        timeline.reached(self._ledger.chunk or 0, media_time_s)
        try:
            timeline.set_tempos(message.document.tempo)
            for entry in message.document.entries:
                timeline.schedule(entry)
        except TimelineError as error:
            field = f"document.{error.field}"
            return Effects((self._ledger.reject(request, _reason(error), field, error.message),))
        found = {entry.id: self._told_of(timeline.ahead(entry.id)) for entry in message.document.entries}
        if sum(told.size for told in found.values()) > MAX_TIMELINE_BYTES:
            return Effects((self._ledger.reject(request, "too_many", "document", _TOO_LONG),))
        deliveries = [each for old in self._told.values() for each in self._end(old, request.channel_id)]
        self._timeline, self._told = timeline, found
        deliveries += self._ledger.done(request, media_time_s)
        commands: tuple[Command, ...] = (ClearTimeline(), self._tempos(), *(told.command for told in found.values()))
        return Effects((*deliveries, self._changed()), commands)

    def _change(
        self, request: OpenRequest, message: Change, media_time_s: float
    ) -> tuple[list[Delivery], tuple[Command, ...]]:
        match message:
            case Unschedule():
                id = self._required(request.client, message.target)
                self._timeline.unschedule(id)
                return self._end(self._told.pop(id), request.channel_id), (UnscheduleEntry(id),)
            case LoopEntries():
                ids = [self._required(request.client, target) for target in message.targets]
                changed = self._timeline.loop(ids, message.every, message.times)
                return [], tuple(self._retell(self._timeline.ahead(each.id)) for each in changed)
            case SetTempo():
                from_s = media_time_s if message.from_s is None else message.from_s
                self._timeline.set_tempo(tempo_of(message.bpm, from_s, message.phase, message.beat))
                return [], (self._tempos(),)
            case TimelineClear():
                deliveries = [each for told in self._told.values() for each in self._end(told, request.channel_id)]
                self._timeline.clear()
                self._told.clear()
                return deliveries, (ClearTimeline(),)

    def _occur(self, occurred: Occurred, by: str) -> tuple[list[Delivery], list[Changed]]:
        told = self._told.get(occurred.entry)
        if told is None or told.command.action != occurred.action:
            return [], []  # edited or taken off, after the chunk was made
        action = next(each.action for each in self._timeline.entries if each.id == occurred.entry)
        if not self._timeline.occurred(occurred.entry, occurred.times):
            del self._told[occurred.entry]
            request = self._open.get(occurred.action)
            if request is not None:  # others took its place, each time
                return [self._finish(request, by)], []
        if not isinstance(action, ConfigAction):
            return [], []
        return [], [Changed(occurred.action, action.model_dump(include={"guidance", "seed"}, exclude_none=True))]

    def _end(self, told: _Told, by: str) -> list[Delivery]:
        """An entry that waits no more. One that has been in the media has had its answer."""
        request = self._open.get(told.command.action)
        return [] if request is None else [self._finish(request, by)]

    def _finish(self, request: OpenRequest, by: str) -> Delivery:
        self._open.pop(request.channel_id, None)
        return self._ledger.supersede(request, by)

    def _entry_of(self, client: str, id: str) -> str | None:
        """The entry that a client means: that of a request of its own, else the one with this id on the channel."""
        own = (
            entry
            for entry, told in self._told.items()
            if told.request is not None and (told.request.client, told.request.message.id) == (client, id)
        )
        return next(own, id if id in self._told else None)

    def _required(self, client: str, target: str) -> str:
        found = self._entry_of(client, target)
        if found is None:
            raise TimelineError("id", "unknown_id", f"no entry {target!r} waits; `timeline` lists those that do")
        return found

    def _retell(self, entry: Entry) -> ScheduleEntry:
        told = self._told[entry.id]
        self._told[entry.id] = replace(told, command=replace(told.command, entry=entry.model_dump_json()))
        return self._told[entry.id].command

    def _told_of(self, entry: Entry) -> _Told:
        action = self._ledger.unused_id(entry.id)
        prompt = _prompt(entry.action, action)
        # Also when it is over: a chunk that was made with it may still be on its way.
        self._loaded[action] = prompt
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return _Told(ScheduleEntry(entry.id, entry.model_dump_json(), action, prompt), None)

    def _check_room(self, told: _Told, old: _Told | None) -> None:
        before = sum(each.size for each in self._told.values() if each is not old)
        if before + told.size > MAX_TIMELINE_BYTES:
            raise TimelineError("prompt", "too_many", _TOO_LONG)

    def _comes_again(self, id: str) -> bool:
        loop = self._timeline.ahead(id).loop
        return loop is not None and loop.times != 1

    def _tempos(self) -> SetTempos:
        return SetTempos(tuple((each.bpm, each.from_s, each.beat or 0.0) for each in self._timeline.export().tempo))

    def _changed(self) -> Delivery:
        self._stale = False
        return Delivery(None, self.message())


_TOO_LONG: Final = f"a timeline has at most {MAX_TIMELINE_BYTES // 1024} KiB; take something off first"


def _action(prompt: ScheduledPrompt) -> PromptAction | TransitionAction:
    told = prompt.model_dump(exclude={"cut", "transition_ms"})
    if prompt.transition_ms > 0:
        return TransitionAction(duration_ms=prompt.transition_ms, **told)
    return PromptAction(cut=prompt.cut, **told)


def _prompt(action: Action, id: str) -> SetPrompt | None:
    cut, transition_ms = False, 0
    match action:
        case PromptAction():
            cut = action.cut
        case TransitionAction():
            transition_ms = action.duration_ms
        case _:
            return None
    return SetPrompt(
        id=id,
        text=shown(action.text, action.blend),
        cut=cut,
        knobs=action.knobs,
        blend=tuple((part.text, part.weight) for part in action.blend),
        target=action.target,
        transition_ms=transition_ms,
        keep=action.keep,
        recache=action.recache,
    )


def _reason(error: TimelineError) -> Reason:
    """The protocol's word for it."""
    if error.reason == "unknown_id":
        return "unknown_target"
    assert error.reason in get_args(Reason), error.reason
    return cast(Reason, error.reason)
