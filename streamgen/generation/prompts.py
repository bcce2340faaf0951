"""The prompt slot: room for the prompts that come next, the latest of each side. Free of I/O and threads.

A prompt waits twice: to be encoded, and then for a chunk. Newer prompts take the place of one that waits to be encoded
at once, but of one that waits for a chunk only when they are encoded themselves. So a burst coalesces, the last prompt
is never lost, and prompts that come faster than they can be encoded still change the picture.

Each has a media time at which it was sent, by which they are in order: what the timeline brings late comes in between.

Full-policy: a prompt gives way once all of its sides have later ones, so at most two wait at either place.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from streamgen.packets import PromptSuperseded, SetPrompt
from streamgen.sides import overridden

MAX_REPORTED: Final = 64  # ids kept for the next record; more in one chunk is a flood, and each had its own event

Encoded = TypeVar("Encoded")


@dataclass(frozen=True, slots=True)
class Taken(Generic[Encoded]):
    """The prompt that a chunk is made with from now on."""

    request: SetPrompt
    encoded: Encoded
    sound: Encoded | None = None  # of the sound, where the request has one for it
    sent_s: float = -math.inf  # media time at which it was sent, or due


class PromptSlot(Generic[Encoded]):
    """Prompts on their way to the next chunk; `Encoded` is what the text encoder makes."""

    def __init__(self) -> None:
        self._incoming: list[_Sent] = []  # wait to be encoded, oldest first
        self._encoding: _Sent | None = None
        self._ready: list[Taken[Encoded]] = []  # wait for a chunk, oldest first
        self._superseded: list[str] = []  # since the last `take`

    @property
    def settled(self) -> bool:
        """Whether nothing waits to be encoded or is being encoded."""
        return not self._incoming and self._encoding is None

    @property
    def ready(self) -> tuple[SetPrompt, ...]:
        """What the next chunk takes, oldest first."""
        return tuple(each.request for each in self._ready)

    def put(self, request: SetPrompt, sent_s: float | None = None) -> list[PromptSuperseded]:
        """A prompt arrived; returns what gives way.

        Args:
            request: the prompt.
            sent_s: media time at which it was sent; None makes it the newest.
        """
        if sent_s is None:
            sent_s = max((each.sent_s for each in self._all()), default=-math.inf)
        waiting = list(self._incoming)
        waiting.insert(bisect_right(waiting, sent_s, key=lambda each: each.sent_s), _Sent(request, sent_s))
        return self._wait(waiting)

    def newer(self, sent_s: float) -> list[SetPrompt]:
        """Those that wait here and were sent after that, oldest first."""
        return [each.request for each in self._all() if each.sent_s > sent_s]

    def begin_encoding(self) -> SetPrompt | None:
        """The prompt to encode now, None when there is none. Follow with `encoded`, `failed` or `again`."""
        assert self._encoding is None, "one prompt is encoded at a time"
        self._encoding = self._incoming.pop(0) if self._incoming else None
        return None if self._encoding is None else self._encoding.request

    def encoded(self, encoded: Encoded, sound: Encoded | None = None) -> list[PromptSuperseded]:
        """The prompt is ready for the next chunk; returns what it takes the place of."""
        assert self._encoding is not None, "nothing is being encoded"
        sent, self._encoding = self._encoding, None
        waiting = list(self._ready)
        place = bisect_right(waiting, sent.sent_s, key=lambda each: each.sent_s)
        waiting.insert(place, Taken(sent.request, encoded, sound, sent.sent_s))
        gone = given_way([each.request for each in waiting])
        self._ready = [each for place, each in enumerate(waiting) if place not in gone]
        return self.give_up([waiting[place].request for place in gone], waiting[-1].request)

    def failed(self) -> SetPrompt:
        """The prompt could not be encoded; whatever was ready before stays."""
        assert self._encoding is not None, "nothing is being encoded"
        sent, self._encoding = self._encoding, None
        return sent.request

    def again(self) -> list[PromptSuperseded]:
        """It could not be encoded, and waits for the next attempt; returns what gives way to those that came since."""
        assert self._encoding is not None, "nothing is being encoded"
        sent, self._encoding = self._encoding, None
        waiting = list(self._incoming)
        waiting.insert(bisect_left(waiting, sent.sent_s, key=lambda each: each.sent_s), sent)
        return self._wait(waiting)

    def take(self) -> tuple[Taken[Encoded], ...]:
        """A chunk starts: its new prompts, oldest first; at most one for each side."""
        taken, self._ready = tuple(self._ready), []
        return taken

    def take_superseded(self) -> tuple[str, ...]:
        """The ids that were given up since this was last asked, for the record of the chunk that starts."""
        superseded, self._superseded = tuple(self._superseded), []
        return superseded

    def give_up(self, old: Sequence[SetPrompt], new: SetPrompt) -> list[PromptSuperseded]:
        """Note that these gave way to another; returns what is to be told."""
        events = [PromptSuperseded(id=each.id, by=new.id) for each in old if each.id != new.id]
        self._superseded += [each.id for each in events][: MAX_REPORTED - len(self._superseded)]
        return events

    def _wait(self, waiting: list["_Sent"]) -> list[PromptSuperseded]:
        """These wait to be encoded, oldest first, as far as later ones leave something of them."""
        gone = given_way([each.request for each in waiting])
        self._incoming = [each for place, each in enumerate(waiting) if place not in gone]
        return self.give_up([waiting[place].request for place in gone], waiting[-1].request)

    def _all(self) -> list["_Sent | Taken[Encoded]"]:
        encoding = () if self._encoding is None else (self._encoding,)
        return [*self._ready, *encoding, *self._incoming]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A prompt that is not encoded yet."""

    request: SetPrompt
    sent_s: float


def given_way(prompts: Sequence[SetPrompt]) -> tuple[int, ...]:
    """Places of those of which the later ones leave nothing."""
    return tuple(
        place
        for place, each in enumerate(prompts)
        if overridden(each.target, (later.target for later in prompts[place + 1 :]))
    )
