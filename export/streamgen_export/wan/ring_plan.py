"""Where each chunk of a stream lies in the ring, what it sees, and at which positions: nothing of it grows with time.

Positions are relative to the window (LongLive's variant for streams without end): what is visible is counted from 0 in
the order in which it was made, so that no position ever reaches the size of the ring, and keys are turned when they are
read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_export.wan.config import MASKED, RingShape


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """One chunk's place.

    Attributes:
        write_index: the row of the ring at which its keys and values begin.
        query_positions: int64 [F], of its own latent frames.
        key_positions: int64 [R], of the latent frames of the ring; 0 where nothing is to be seen.
        bias: float32 [R], 0 where a latent frame of the ring is seen and `MASKED` where it is not.
    """

    write_index: int
    query_positions: NDArray[np.int64]
    key_positions: NDArray[np.int64]
    bias: NDArray[np.float32]


def plan_chunk(shape: RingShape, chunk: int) -> ChunkPlan:
    """The plan of a chunk, counted from 0 at the beginning of the stream or after the past was dropped.

    Raises:
        ValueError: the number is negative.
    """
    if chunk < 0:
        raise ValueError(f"chunks are counted from 0, not {chunk}")
    end = (chunk + 1) * shape.chunk
    oldest = max(shape.sink, end - shape.chunk - shape.window)
    # In the order in which they were made; this order is the positions.
    seen = [*range(min(shape.sink, end)), *range(oldest, end)]
    positions = np.zeros(shape.frames, np.int64)
    bias = np.full(shape.frames, MASKED, np.float32)
    for position, frame in enumerate(seen):
        place = _place(shape, frame)
        positions[place] = position
        bias[place] = 0.0
    own = np.arange(len(seen) - shape.chunk, len(seen), dtype=np.int64)
    return ChunkPlan(_place(shape, end - shape.chunk) * shape.frame_tokens, own, positions, bias)


def _place(shape: RingShape, frame: int) -> int:
    """The latent frame of the ring in which a latent frame of the stream lies."""
    if frame < shape.sink:
        return frame
    return shape.sink + (frame - shape.sink) % (shape.window + shape.chunk)
