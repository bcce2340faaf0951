"""Makes takes with a bundle: the same chunk loop as serving, without the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.judge_takes import Brief, Take


class Stream(Protocol):
    """An endless programme. Not thread-safe."""

    def start(self, seed: int) -> None:
        """Begins anew: no context, zero states, noise from `seed`."""

    def chunk(self, prompt: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The next chunk: pictures uint8 [T, H, W, 3] and sound float32 [channels, S]."""


def shoot(stream: Stream, brief: Brief, report: Callable[[], None] = lambda: None) -> Take:
    """Generates one take; `report` is called after every chunk."""
    stream.start(brief.seed)
    video, audio = [], []
    for prompt in brief.prompts:
        pictures, sound = stream.chunk(prompt)
        video.append(pictures)
        audio.append(sound)
        report()
    return Take(np.concatenate(video), np.concatenate(audio, axis=1), brief.wanted, brief.prompts)


def shoot_all(streams: Sequence[Stream], briefs: Sequence[Brief], report: Callable[[], None]) -> list[Take]:
    """Generates takes side by side, one thread per stream; the result does not depend on how many there are."""
    free: SimpleQueue[Stream] = SimpleQueue()
    for stream in streams:
        free.put(stream)

    def one(brief: Brief) -> Take:
        stream = free.get()
        try:
            return shoot(stream, brief, report)
        finally:
            free.put(stream)

    with ThreadPoolExecutor(len(streams)) as pool:
        return list(pool.map(one, briefs))


def endless(stream: Stream, seed: int, prompt: str) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Chunk after chunk of one prompt, never all in memory."""
    stream.start(seed)
    return map(stream.chunk, repeat(prompt))
