"""Several streams of one fake GPU. Each does its work as late as CUDA may: when somebody waits for it.

A stream that others do not wait for is therefore behind, and what is read from its memory is old: a copy without its
event gives yesterday's pictures, every time and not only now and then.
"""

from dataclasses import dataclass

from streamgen_engines.chunk import UInt8Array
from tests.tensorrt.fakes import FakeDevice, Work


@dataclass
class Mark:
    """An event as it was recorded once."""

    stream: "FakeStream"
    done: bool = False


class FakeStream(FakeDevice):
    """A stream; memory and events are those of the first one.

    Args:
        first: a stream of the same GPU; None for the first one.
        deaf: waits for no event, as a fault in the code under test would.
    """

    def __init__(self, first: "FakeStream | None" = None, *, captures: bool = True, deaf: bool = False) -> None:
        super().__init__(captures=captures)
        self.first: FakeStream = self if first is None else first.first
        self.deaf = deaf
        self.made = 0  # events
        self.events: dict[int, Mark | None] = {} if first is None else self.first.events
        if first is not None:
            self.memory, self.pinned = self.first.memory, self.first.pinned
            self.stream = first.stream

    def allocate(self, size: int) -> int:
        self._next = self.first._next
        address = super().allocate(size)
        self.first._next = self._next
        return address

    def staging(self, size: int) -> UInt8Array:
        assert size, "nothing is copied there"
        return super().staging(size)

    def synchronise(self) -> None:
        assert self.capturing is None, "the stream is recording"
        while self.waiting:
            self.waiting.pop(0)()

    def event(self) -> int:
        self.first.made += 1
        event = 100 + self.first.made
        self.events[event] = None
        return event

    def record_event(self, event: int) -> None:
        assert self.capturing is None, "events belong to no record"
        mark = self.events[event] = Mark(self)

        def happens() -> None:
            mark.done = True

        self.enqueue(happens)

    def wait_event(self, event: int) -> None:
        mark = self.events[event]
        assert mark is not None, "an event that was never recorded orders nothing"
        if not self.deaf:
            self.enqueue(lambda: mark.stream.work_until(mark))

    def free_event(self, event: int) -> None:
        del self.events[event]

    def work_until(self, mark: Mark) -> None:
        while not mark.done:
            assert self.waiting, "the event is not on this stream"
            work: Work = self.waiting.pop(0)
            work()
