"""What each chunk is made with: prompts that were just sent, what the timeline brings, settings and resets.

Free of I/O and threads: the worker calls it under its lock.
"""

import math
from dataclasses import dataclass

from streamgen.generation.prompts import PromptSlot, Taken, given_way
from streamgen.generation.scheduled import Brought, ScheduledPrompts, TimelineCommand
from streamgen.packets import (
    BeginAt,
    DropContext,
    Event,
    Occurred,
    PromptFailed,
    PromptQueued,
    SetConfig,
    SetPrompt,
)
from streamgen_engines.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything that the next chunk is made with, and what is to be told before it is made."""

    taken: tuple[Taken[Prompt], ...]
    superseded: tuple[str, ...]
    guidance: float | None
    seed: int | None
    cut: bool
    resets: tuple[str, ...]
    scheduled: tuple[Occurred, ...]
    chunks_before: int
    events: tuple[Event, ...]


class Turns:
    """What was asked for and waits for its chunk.

    Attributes:
        guidance: in force; None = the bundle's own.
        begun: where the chunks lie in the life of the channel.
    """

    def __init__(self, chunk_s: float, guidance: float | None) -> None:
        """`chunk_s` is the length of a chunk."""
        self.guidance = guidance
        self.begun: BeginAt | None = None
        self._seed: int | None = None
        self._slot: PromptSlot[Prompt] = PromptSlot()
        self._scheduled: ScheduledPrompts[Prompt] = ScheduledPrompts(chunk_s)
        self._sent_s: dict[str, float] = {}  # media time at which prompts that wait were sent
        self._ahead = False  # what is being encoded is for later
        self._resets: list[str] = []  # until the next chunk; as many as steering lets wait

    def obey(
        self,
        command: SetPrompt | SetConfig | TimelineCommand | BeginAt | DropContext,
        *,
        played_s: float = -math.inf,
    ) -> list[Event]:
        """Take a command; returns what is to be told.

        Args:
            played_s: media time that is seen now, as far as it is known. In a pause it goes on, and what the timeline
                had for a time before it no longer comes over what is sent.
        """
        match command:
            case SetPrompt():
                events = [*self._slot.put(command)]
                self._sent_s[command.id] = played_s
                for superseded in events:
                    self._sent_s.pop(superseded.id, None)
                return [*events]
            case SetConfig():
                self._configure(command.guidance, command.seed)
            case BeginAt():
                self.begun = command
                self._scheduled.begin(command.chunks_before)
            case DropContext():
                self._resets.append(command.id)
            case _:
                return [*self._scheduled.obey(command)]
        return []

    def settled(self, media_time_s: float) -> bool:
        """Whether everything is encoded that a chunk at this media time can be made with."""
        return self._slot.settled and self._scheduled.settled(media_time_s)

    def ready(self, media_time_s: float) -> tuple[SetPrompt, ...]:
        """Prompts that the next chunk, at this media time, is made with if nothing comes in between; oldest first."""
        return (*self._slot.ready, *self._scheduled.ready(media_time_s))

    def begin_encoding(self, media_time_s: float) -> SetPrompt | None:
        """The prompt to encode now, None when there is none. What was just sent comes first.

        Args:
            media_time_s: of the next chunk.
        """
        request = self._slot.begin_encoding()
        self._ahead = request is None
        return self._scheduled.begin_encoding(media_time_s) if request is None else request

    def encoded(
        self, request: SetPrompt, prompt: Prompt, sound: Prompt | None, *, media_time_s: float, eta_ms: float
    ) -> list[Event]:
        """It waits for its chunk, `eta_ms` being when the next one is seen; returns what is to be told."""
        if self._ahead:
            return [*self._scheduled.encoded(prompt, sound, media_time_s)]
        events = self._slot.encoded(prompt, sound)
        for superseded in events:
            self._sent_s.pop(superseded.id, None)
        return [*events, PromptQueued(request.id, eta_ms)]

    def failed(self, request: SetPrompt, message: str) -> list[Event]:
        """It could not be encoded; returns what is to be told."""
        if self._ahead:
            self._scheduled.failed()
        else:
            self._slot.failed()
            self._sent_s.pop(request.id, None)
            self._scheduled.arrived(request.id)
        return [PromptFailed(request.id, message)]

    def take(self, chunk: int, media_time_s: float) -> Turn:
        """What was sent, and what the timeline brings to this very chunk: over it, unless its time had passed before.

        Args:
            chunk: counted over the life of this generator.
            media_time_s: of its first picture, as far as that is known.
        """
        before = 0 if self.begun is None else self.begun.chunks_before
        brought = self._scheduled.bring(before + chunk, media_time_s)
        self._configure(brought.guidance, brought.seed)
        live = self._slot.take()
        sent_s = [self._sent_s.pop(each.request.id, -math.inf) for each in live]
        timed = zip((*sent_s, *brought.taken_s), (*live, *brought.taken), strict=True)
        taken = [each for _, each in sorted(timed, key=lambda pair: pair[0])]
        gone = given_way([each.request for each in taken])
        events: list[Event] = []
        if gone:
            events += self._slot.give_up([taken[place].request for place in gone], taken[-1].request)
        for prompt in brought.late:
            events += self._slot.put(prompt)
        superseded = self._slot.take_superseded()
        resets, self._resets = tuple(self._resets), []
        return Turn(
            taken=tuple(each for place, each in enumerate(taken) if place not in gone),
            superseded=superseded,
            guidance=self.guidance,
            seed=self._seed,
            cut=brought.cut or bool(resets),
            resets=resets,
            scheduled=self._occurred(brought, live, superseded),
            chunks_before=before,
            events=tuple(events),
        )

    def _occurred(
        self, brought: Brought[Prompt], live: tuple[Taken[Prompt], ...], superseded: tuple[str, ...]
    ) -> tuple[Occurred, ...]:
        ended = (*(each.request.id for each in live), *superseded)
        return (*brought.occurred, *(each for id in ended for each in self._scheduled.arrived(id)))

    def _configure(self, guidance: float | None, seed: int | None) -> None:
        self.guidance = self.guidance if guidance is None else guidance
        self._seed = self._seed if seed is None else seed
