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
from streamgen.sides import overridden
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
        self._chunk_s = chunk_s
        self.guidance = guidance
        self.begun: BeginAt | None = None
        self._seed: int | None = None
        self._slot: PromptSlot[Prompt] = PromptSlot()
        self._scheduled: ScheduledPrompts[Prompt] = ScheduledPrompts(chunk_s)
        # Media time at which each setting was last sent.
        self._guided_s = self._seeded_s = -math.inf
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
                return [*self._slot.put(command, played_s)]
            case SetConfig():
                self._guided_s = self._guided_s if command.guidance is None else played_s
                self._seeded_s = self._seeded_s if command.seed is None else played_s
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
        return [*self._slot.encoded(prompt, sound), PromptQueued(request.id, eta_ms)]

    def failed(self, request: SetPrompt, message: str) -> list[Event]:
        """It could not be encoded; returns what is to be told."""
        if self._ahead:
            self._scheduled.failed()
        else:
            self._slot.failed()
            self._scheduled.arrived(request.id)
        return [PromptFailed(request.id, message)]

    def again(self) -> list[Event]:
        """What was being encoded could not be, and waits for another attempt; returns what is to be told."""
        if self._ahead:
            self._scheduled.again()
            return []
        return [*self._slot.again()]

    def take(self, chunk: int, media_time_s: float) -> Turn:
        """What was sent, and over it what the timeline brings to this very chunk.

        Chunks may have been skipped, in a pause for instance. Then what came due in that time gives way to what was
        sent after it.

        Args:
            chunk: counted over the life of this generator.
            media_time_s: of its first picture, as far as that is known.
        """
        before = 0 if self.begun is None else self.begun.chunks_before
        brought = self._scheduled.bring(before + chunk, media_time_s)
        skipped_s = media_time_s - self._chunk_s  # what was due before fell on no chunk of its own
        if brought.guidance is not None and not brought.guidance[1] < min(skipped_s, self._guided_s):
            self.guidance = brought.guidance[0]
        if brought.seed is not None and not brought.seed[1] < min(skipped_s, self._seeded_s):
            self._seed = brought.seed[0]
        live = self._slot.take()
        passed = [each for each in brought.taken if each.sent_s < skipped_s]
        taken = [
            *sorted((*passed, *live), key=lambda each: each.sent_s),
            *(each for each in brought.taken if each.sent_s >= skipped_s),
        ]
        gone = given_way([each.request for each in taken])
        events: list[Event] = []
        if gone:
            events += self._slot.give_up([taken[place].request for place in gone], taken[-1].request)
        for prompt, due_s in brought.late:
            since = [each.request for each in live if each.sent_s > due_s] + self._slot.newer(due_s)
            if due_s >= skipped_s:
                events += self._slot.put(prompt)
            elif overridden(prompt.target, (each.target for each in since)):
                events += self._slot.give_up([prompt], since[-1])
            else:
                events += self._slot.put(prompt, due_s)
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
