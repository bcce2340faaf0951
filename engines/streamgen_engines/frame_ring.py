"""Where in the key/value ring a chunk of latent frames is written, what is visible, and at which place in time.

Unlike the ring of `ring.py`, this one has a sink of whole chunks that are the *first of the stream*, stay for ever and
are always visible (LongLive, Yang et al. 2025, section 3.3; StreamingLLM, Xiao et al. 2023, section 3.2). They are
written where they stay, so no rows are ever copied. All others rotate through the slots behind the sink, each taking
the place of the oldest, which has just left the window.

Places count what is visible, oldest first: sink, window, then the chunk being made. They are below `frames` whatever
the length of the stream, so rotary positions made from them never grow.

Slots have one chunk each and are numbered; frames and rows follow from that. No arrays but small tables, no I/O.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array, Int64Array

HIDDEN: Final = -1e4
"""Added to attention scores of what must not be seen: no weight is left, and no float type overflows."""


class FrameRing:
    """Slots, places and biases for the chunk that is being made; `advance` moves on to the next one.

    Args:
        window: latent frames of the past that are visible besides the sink, a whole number of chunks.
        sink: latent frames that stay, a whole number of chunks; 0 = none.
        chunk: latent frames of a chunk.
        tokens: rows of the ring per latent frame.
    """

    def __init__(self, *, window: int, sink: int, chunk: int, tokens: int) -> None:
        if window % chunk or sink % chunk:
            raise ValueError(f"a window of {window} and a sink of {sink} frames are no whole chunks of {chunk}")
        self._window = window // chunk
        self._sink = sink // chunk
        self._chunk = chunk
        self._tokens = tokens
        # Slots that are visible, oldest first. At most `window` of them rotate, so that one of those is always free.
        self._past: list[int] = []
        self._age = 0  # chunks since the oldest that is still remembered as the first
        self._slot = self._free()

    @property
    def slots(self) -> int:
        """Slots in all, one chunk each: sink, window and the chunk being made."""
        return self._sink + self._window + 1

    @property
    def frames(self) -> int:
        """Latent frames in all."""
        return self.slots * self._chunk

    @property
    def slot(self) -> int:
        """The slot of the chunk being made."""
        return self._slot

    @property
    def past(self) -> tuple[int, ...]:
        """The slots that the chunk being made sees, oldest first."""
        return tuple(self._past)

    @property
    def past_behind_sink(self) -> tuple[int, ...]:
        """Of these, the ones that are read again where the sink stands as it is; all of them in a young stream.

        It is young as long as no more chunks were made than there are slots, or where a sink that is filled anew still
        has older chunks before it (LongLive's published inference rewrites the beginning until then, too).
        """
        stands = self._age > self.slots and all(slot < self._sink for slot in self._past[: self._sink])
        return tuple(self._past[self._sink :] if stands else self._past)

    @property
    def write_index(self) -> int:
        """First row of the ring that the chunk being made is written to."""
        return self._slot * self._chunk * self._tokens

    def bias(self, *, alone: bool = False) -> Float32Array:
        """Of every latent frame of the ring, float32 `[frames]`: 0 = attend, `HIDDEN` = do not.

        Args:
            alone: hide everything but the chunk that is being made, this time only.
        """
        bias = np.full((self.slots, self._chunk), HIDDEN, np.float32)
        bias[self._slot] = 0
        if not alone:
            bias[self._past] = 0
        return bias.reshape(-1)

    def places(self) -> Int64Array:
        """Of every latent frame of the ring, int64 `[frames]`: its place among what is visible, 0 where it is not."""
        places = np.zeros((self.slots, self._chunk), np.int64)
        for rank, slot in enumerate((*self._past, self._slot)):
            places[slot] = self._span(rank)
        return places.reshape(-1)

    def chunk_places(self) -> Int64Array:
        """Places of the latent frames being made, int64 `[chunk]`."""
        return self._span(len(self._past))

    def advance(self) -> None:
        """The chunk is in its slot; the next chunk is the current one from here on."""
        self._age += 1
        self._past.append(self._slot)
        rotating = [slot for slot in self._past if slot >= self._sink]
        if len(rotating) > self._window:
            self._past.remove(rotating[0])
        self._slot = self._free()

    def forget(self, keep: int) -> None:
        """Hide all but the last `keep` chunks for good, the sink too where it is older; the next chunks refill it."""
        if keep < len(self._past):
            self._past = self._past[len(self._past) - keep :]
            self._age = keep
            self._slot = self._free()

    def rewind(self, slots: Sequence[int]) -> None:
        """Hide these newest chunks, in order to make them again: the stream grows no older by that."""
        assert tuple(self._past[len(self._past) - len(slots) :]) == tuple(slots), "they are the newest, in order"
        del self._past[len(self._past) - len(slots) :]
        self._age -= len(slots)
        self._slot = self._free()

    def cut(self) -> None:
        """Forget every chunk; the next ones become the sink."""
        self.forget(0)

    def _free(self) -> int:
        """The slot for the next chunk: of the sink while it has room, else one that is not visible any more."""
        return next(slot for slot in range(self.slots) if slot not in self._past)

    def _span(self, rank: int) -> Int64Array:
        return np.arange(rank * self._chunk, (rank + 1) * self._chunk, dtype=np.int64)
