"""Makes takes with a bundle: the same chunk loop as serving, without the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.families import Condition, Model
from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.takes import Take

Footage: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Pictures uint8 [T, H, W, 3] and sound float32 [channels, S] of the same stretch."""

Result = TypeVar("Result")


class Stream(Protocol):
    """An endless programme. Belongs to one thread at a time."""

    def start(self, seed: int) -> None:
        """Begins anew: no context, zero states, noise from `seed`."""

    def chunk(self, prompt: str) -> Footage:
        """The next chunk."""


class ModelStream:
    """A loaded model as a stream."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def start(self, seed: int) -> None:
        """Begins anew with this seed."""
        self._model.generator.reset(seed)
        self._model.decoder.reset(seed)

    def chunk(self, prompt: str) -> Footage:
        """Generates and decodes the next chunk."""
        condition = Condition(self._model.text.encode(prompt))
        chunk = self._model.decoder.decode(self._model.generator.step(condition))
        return chunk.video, chunk.audio


def shoot(stream: Stream, brief: Brief) -> Iterator[Footage]:
    """Generates a brief chunk by chunk, never all in memory."""
    stream.start(brief.seed)
    return map(stream.chunk, brief.prompts)


def take_of(stream: Stream, brief: Brief) -> Take:
    """Generates a whole take."""
    video, audio = zip(*shoot(stream, brief), strict=True)
    return Take(np.concatenate(video), np.concatenate(audio, axis=1), brief.wanted, brief.prompts)


def side_by_side(
    streams: Sequence[Stream], briefs: Sequence[Brief], work: Callable[[Stream, Brief], Result]
) -> Iterator[Result]:
    """Does `work` for each brief, one thread per stream; the results do not depend on how many streams there are."""
    free: SimpleQueue[Stream] = SimpleQueue()
    for stream in streams:
        free.put(stream)

    def one(brief: Brief) -> Result:
        stream = free.get()
        try:
            return work(stream, brief)
        finally:
            free.put(stream)

    with ThreadPoolExecutor(len(streams)) as pool:
        yield from pool.map(one, briefs)
