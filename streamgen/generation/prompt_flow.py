"""What picture and sound are told, chunk by chunk: one prompt for both or one for each, at once or on the way there.

A transition moves a side's prompt evenly from what it is told now to the new one. Each side moves by itself, and a
prompt that comes in the middle goes on from where that side is. Free of I/O and threads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streamgen.generation.prompts import Taken
from streamgen.packets import SetPrompt
from streamgen.sides import SIDES_OF, Side
from streamgen_engines.condition import ALONE_IN_TRANSITION
from streamgen_engines.prompt import Prompt, same, transition

SIDES: Final[tuple[Side, ...]] = ("video", "audio")
ARRIVAL_KEEP: Final = 0
"""Chunks of the past that the last chunk of a transition sees; see `ALONE_IN_TRANSITION`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one chunk is told; the fields are those of `Condition`."""

    prompt: Prompt
    sound: Prompt | None = None
    cut: bool = False
    keep: int | None = None
    alone_above: float | None = None
    recache: bool | None = None


@dataclass(slots=True)
class _Way:
    """One side's way from one prompt to another, in chunks."""

    before: Prompt
    after: Prompt
    chunks: int
    done: int = 0

    @property
    def now(self) -> Prompt:
        return transition(self.before, self.after, self.done / self.chunks)


class PromptFlow:
    """The prompts in force; `take` brings a new one and `next` makes one step."""

    def __init__(self, null: Prompt, chunk_ms: float, *, hides_past: bool = True) -> None:
        """Nobody has asked for anything.

        Args:
            null: what is told until then.
            chunk_ms: length of a chunk.
            hides_past: chunks of a transition must not see all of the past, as `Abilities` of the model has it.
        """
        self._hides_past = hides_past
        self._chunk_ms = chunk_ms
        self._ways: dict[Side, _Way] = {side: _Way(null, null, 1, 1) for side in SIDES}
        self._cut = False
        self._keep: int | None = None
        self._recache: bool | None = None  # until the picture is told the new prompt alone

    def rereads(self, waiting: Sequence[SetPrompt], *, by_itself: bool) -> bool:
        """Whether the next chunk reads the past again if these prompts are taken before it.

        Args:
            waiting: what may be taken, oldest first.
            by_itself: the model reads it again where a prompt changes suddenly and nothing is asked. Whether it changes
                by much is not looked at, so that this may be said of a chunk that does not.
        """
        way = self._ways["video"]
        left, sudden = way.chunks - way.done, False
        cut, keep, recache = self._cut, self._keep, self._recache
        for request in waiting:
            if request.target == "av":
                cut, keep, recache = False, None, None
            cut |= request.cut
            keep = keep if request.keep is None else request.keep
            if "video" in SIDES_OF[request.target]:
                recache, left = request.recache, self._chunks(request)
                sudden = left == 1
        if cut or left > 1:
            return False
        return (by_itself and sudden and keep is None) if recache is None else recache

    def take(self, taken: Taken[Prompt]) -> None:
        """This prompt holds from the next chunk on, for the sides that it is meant for."""
        request = taken.request
        chunks = self._chunks(request)
        for side in SIDES:
            if side in SIDES_OF[request.target]:
                told = taken.sound if side == "audio" and taken.sound is not None else taken.encoded
                self._ways[side] = _Way(self._ways[side].now, told, chunks)
        if request.target == "av":
            self._cut, self._keep, self._recache = False, None, None
        # One for the other side leaves a cut that no chunk has made yet in force.
        self._cut |= request.cut
        self._keep = None if self._cut else (self._keep if request.keep is None else request.keep)
        if "video" in SIDES_OF[request.target]:  # the past of a sound alone is not read again
            self._recache = request.recache
        if self._cut:
            self._recache = None

    def _chunks(self, request: SetPrompt) -> int:
        """Chunks that the way to a prompt takes."""
        return max(1, math.ceil(request.transition_ms / self._chunk_ms))

    def next(self) -> Told:
        """What the next chunk is told."""
        arriving, moving = False, False
        for way in self._ways.values():
            if way.done < way.chunks:
                way.done += 1
                moving |= way.chunks > 1
                arriving |= way.chunks > 1 and way.done == way.chunks
        shown, heard = (self._ways[side].now for side in SIDES)
        cut, self._cut = self._cut, False
        keep, self._keep = self._keep, None
        shown_moves = self._ways["video"].chunks > 1
        if self._hides_past and arriving and shown_moves and not cut and keep is None:
            keep = ARRIVAL_KEEP
        recache = None
        if self._ways["video"].done == self._ways["video"].chunks:
            recache, self._recache = self._recache, None
        return Told(
            prompt=shown,
            sound=None if same(shown, heard) else heard,
            cut=cut,
            keep=keep,
            alone_above=ALONE_IN_TRANSITION if self._hides_past and moving and shown_moves else None,
            recache=recache,
        )
