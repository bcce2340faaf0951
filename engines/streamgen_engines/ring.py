"""Which slot of the key/value ring a chunk is written to, and how old every slot is. No arrays, no I/O.

The ring has `sink + window + 1` slots of one chunk each. Slot 0 is the sink (when the model has one); the others
rotate, so nothing ever moves: a chunk overwrites the oldest, which has just left the window. Keys are stored without
rotation and the graph derives positions from ages, so that nothing grows with the length of a stream.

A sink keeps what the stream looked like far back (StreamingLLM, Xiao et al. 2023, section 3.2; for video LongLive,
Yang et al. 2025). It is a copy of one chunk, the anchor, and stays hidden while its original is inside the window:
**no chunk is ever attended twice**. After a prompt change the sink would pull back to the old prompt for ever, so
once the change has settled (`window` chunks later) the newest chunk becomes the anchor.
"""

from typing import Final

import numpy as np

from streamgen_engines.chunk import Float32Array

EMPTY: Final = -1.0
"""Age of a slot that the graph must not attend to."""
SINK_SLOT: Final = 0


class KvRing:
    """Slots and ages for the chunk that is being made; `advance` moves on to the next one.

    Args:
        window: earlier chunks that a chunk attends to.
        sink: 1 when the first slot is a sink, else 0.
        tokens: rows of the ring per chunk.
    """

    def __init__(self, *, window: int, sink: int, tokens: int) -> None:
        self._window = window
        self._sink = sink
        self._tokens = tokens
        self._position = 0
        # Position of the chunk that the sink is a copy of, and of the first chunk under a changed prompt.
        self._anchor: int | None = None
        self._changed: int | None = None
        self._first_seen = 0

    @property
    def slots(self) -> int:
        """Slots in all: sink, window and the chunk being made."""
        return self._sink + self._window + 1

    @property
    def position(self) -> int:
        """Chunks written since the start or the last cut."""
        return self._position

    @property
    def slot(self) -> int:
        """The slot of the chunk being made."""
        return self._slot_of(self._position)

    @property
    def write_index(self) -> int:
        """First row of that slot in the ring."""
        return self.slot * self._tokens

    def rows(self, slot: int) -> slice:
        """The rows of a slot in the ring."""
        return slice(slot * self._tokens, (slot + 1) * self._tokens)

    def ages(self, *, alone: bool = False) -> Float32Array:
        """Age of every slot in chunks, float32 `[slots]`: 0 = being written, 1 = the chunk before, `EMPTY` = hidden.

        Args:
            alone: hide everything but the chunk that is being made, this time only.
        """
        ages = np.full(self.slots, EMPTY, np.float32)
        if alone:
            ages[self.slot] = 0
            return ages
        for back in range(min(self._position - self._first_seen, self._window) + 1):
            ages[self._slot_of(self._position - back)] = back
        hidden = self._anchor is None or self._anchor < self._first_seen
        if not hidden and self._position - (self._anchor or 0) > self._window:
            ages[SINK_SLOT] = self._window + 1  # fixed: training never saw an older one
        return ages

    def advance(self) -> int | None:
        """The chunk's clean keys and values are in its slot; the next chunk is the current one from here on.

        Returns:
            The slot whose rows must be copied over the rows of `SINK_SLOT` before the next pass; None when there
            is nothing to copy.
        """
        written, slot = self._position, self.slot
        self._position += 1
        settled = self._changed is not None and written - self._changed >= self._window
        if not self._sink or not (self._anchor is None or settled):
            return None
        self._anchor, self._changed = written, None
        return slot

    def prompt_changed(self, keep: int | None = None) -> None:
        """The chunk being made is the first one under another prompt; the sink follows once that has settled.

        Args:
            keep: chunks before this one that stay visible; everything older, the sink too, is hidden from here on.
                None hides nothing.
        """
        self._changed = self._position
        if keep is not None:
            self._first_seen = max(self._first_seen, self._position - keep)

    def cut(self) -> None:
        """Forget every chunk: all ages are empty, and the next chunk becomes the anchor."""
        self._position = self._first_seen = 0
        self._anchor = self._changed = None

    def _slot_of(self, position: int) -> int:
        return self._sink + position % (self._window + 1)
