"""The prompt slot: one place for the prompt that comes next. Latest wins. Free of I/O and threads.

A prompt waits twice: to be encoded, and then for a chunk. A newer prompt takes the place of one that waits to be
encoded at once, but of one that waits for a chunk only when it is encoded itself. So a burst coalesces, the last prompt
is never lost, and prompts that come faster than they can be encoded still change the picture.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from streamgen.packets import PromptSuperseded, SetPrompt

MAX_REPORTED: Final = 64  # ids kept for the next record; more in one chunk is a flood, and each had its own event

Encoded = TypeVar("Encoded")


@dataclass(frozen=True, slots=True)
class Taken(Generic[Encoded]):
    """The prompt that a chunk is made with from now on."""

    request: SetPrompt
    encoded: Encoded
    sound: Encoded | None = None  # of the sound, where the request has one for it


class PromptSlot(Generic[Encoded]):
    """Prompts on their way to the next chunk; `Encoded` is what the text encoder makes."""

    def __init__(self) -> None:
        self._incoming: SetPrompt | None = None  # waits to be encoded
        self._encoding: SetPrompt | None = None
        self._ready: Taken[Encoded] | None = None  # waits for a chunk
        self._superseded: list[str] = []  # since the last `take`

    @property
    def settled(self) -> bool:
        """Whether nothing waits to be encoded or is being encoded."""
        return self._incoming is None and self._encoding is None

    def put(self, request: SetPrompt) -> list[PromptSuperseded]:
        """A prompt arrived; returns what it takes the place of."""
        given_up = self._incoming
        self._incoming = request
        return self._give_up(given_up, request)

    def begin_encoding(self) -> SetPrompt | None:
        """The prompt to encode now, None when there is none. Follow with `encoded` or `failed`."""
        assert self._encoding is None, "one prompt is encoded at a time"
        self._encoding, self._incoming = self._incoming, None
        return self._encoding

    def encoded(self, encoded: Encoded, sound: Encoded | None = None) -> list[PromptSuperseded]:
        """The prompt is ready for the next chunk; returns what it takes the place of."""
        assert self._encoding is not None, "nothing is being encoded"
        request, self._encoding = self._encoding, None
        given_up = None if self._ready is None else self._ready.request
        self._ready = Taken(request, encoded, sound)
        return self._give_up(given_up, request)

    def failed(self) -> SetPrompt:
        """The prompt could not be encoded; whatever was ready before stays."""
        assert self._encoding is not None, "nothing is being encoded"
        request, self._encoding = self._encoding, None
        return request

    def take(self) -> tuple[Taken[Encoded] | None, tuple[str, ...]]:
        """A chunk starts: its new prompt, if there is one, and the ids given up since the chunk before."""
        taken, self._ready = self._ready, None
        superseded, self._superseded = tuple(self._superseded), []
        return taken, superseded

    def _give_up(self, old: SetPrompt | None, new: SetPrompt) -> list[PromptSuperseded]:
        if old is None or old.id == new.id:
            return []
        if len(self._superseded) < MAX_REPORTED:
            self._superseded.append(old.id)
        return [PromptSuperseded(id=old.id, by=new.id)]
