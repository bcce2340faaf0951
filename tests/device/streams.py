"""Streams of one fake GPU, the first of which makes it."""

from tests.device.fakes import FakeDevice


class FakeStream(FakeDevice):
    """A stream; memory and events are those of the first one.

    Args:
        first: a stream of the same GPU; None for the first one.
        deaf: waits for no event, as a fault in the code under test would.
    """

    def __init__(self, first: FakeDevice | None = None, *, captures: bool = True, deaf: bool = False) -> None:
        super().__init__(captures=captures, gpu=None if first is None else first.shared)
        self.deaf = deaf

    def wait_event(self, event: int) -> None:
        assert self.shared.marks[event] is not None, "an event that was never recorded orders nothing"
        if not self.deaf:
            super().wait_event(event)
