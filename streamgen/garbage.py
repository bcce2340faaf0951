"""When Python looks for cyclic garbage: seldom, and never for more than a small share of the time.

A full collection looks at every container that lives: with 250 viewers that takes some 50 ms, in which not one packet
leaves. By itself Python does it whenever enough objects have outlived two younger collections, which the history of
what was sent does all the time. Here the younger collections, of a millisecond or two, go on by themselves. Full ones
are asked for, so far apart that they take at most `SHARE` of the time; what was there before the first viewer is left
out.

`CollectionRule` decides and is free of I/O; `GarbageCollection` belongs to the event loop's thread.
"""

import asyncio
import gc
import time
from types import TracebackType
from typing import Final, Self

SHARE: Final = 0.002
"""Of the time, for full collections: far under the hundredth of packets that may be late."""
LEAST_PAUSE_S: Final = 10.0
"""Between two of them, however short they are."""
MOST_PAUSE_S: Final = 120.0
"""However long one took: a machine that was asleep says nothing about the next."""
LOOK_S: Final = 1.0
YOUNG: Final = 5_000
"""New containers after which the youngest are looked at; at Python's 700 it would be several times per picture."""
MIDDLE: Final = 10
NEVER: Final = 1_000_000
"""Collections of the middle generation before a full one comes by itself: years of them."""


class CollectionRule:
    """Says when a full collection is due. All times are seconds of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._due_s = now_s + LEAST_PAUSE_S

    def due(self, now_s: float) -> bool:
        """Whether one may run now."""
        return now_s >= self._due_s

    def took(self, began_s: float, ended_s: float) -> None:
        """One has run."""
        self._due_s = ended_s + min(MOST_PAUSE_S, max(LEAST_PAUSE_S, (ended_s - began_s) / SHARE))


class GarbageCollection:
    """Collects garbage by `CollectionRule` while it is entered, and by Python's own rule before and after.

    Attributes:
        longest_s: of the full collections so far.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._thresholds = gc.get_threshold()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # What is there now lives as long as the process.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self._task = asyncio.create_task(self._run(), name="collection")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    async def _run(self) -> None:
        rule = CollectionRule(time.monotonic())
        while True:
            await asyncio.sleep(LOOK_S)
            began_s = time.monotonic()
            if rule.due(began_s):
                gc.collect()
                ended_s = time.monotonic()
                rule.took(began_s, ended_s)
                self.longest_s = max(self.longest_s, ended_s - began_s)
