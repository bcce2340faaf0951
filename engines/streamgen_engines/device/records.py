"""Work that is done step by step the first time, recorded the second, and played from then on."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Final

from streamgen_engines.device.closing import take_every
from streamgen_engines.device.executable import Executable
from streamgen_engines.device.interface import Device
from streamgen_engines.errors import GraphRunError

CAPACITY: Final = 16
"""Kinds of work that are known at once. Full-policy: the one not used for longest is dropped, and begins anew."""
_SEEN: Final = 0
_STEPS: Final = -1


class Records:
    """Records of one stream, by the kind of work.

    Args:
        device: whose stream.
        enabled: False does everything step by step.
        capacity: kinds of work that are known at once.
    """

    def __init__(self, device: Device, *, enabled: bool = True, capacity: int = CAPACITY) -> None:
        self._device = device
        self._enabled, self._capacity = enabled, capacity
        self._known: OrderedDict[Hashable, int] = OrderedDict()

    @property
    def recorded(self) -> int:
        """Records that there are."""
        return sum(found not in (_SEEN, _STEPS) for found in self._known.values())

    def do(self, kind: Hashable, work: Callable[[], None], plans: Sequence[Executable]) -> None:
        """Enqueue work.

        Args:
            kind: work of the same kind enqueues the same on the same addresses.
            work: enqueues it, step by step.
            plans: those that take part.

        Raises:
            GraphRunError: the device refuses it.
        """
        known = self._known.get(kind)
        if known is None:
            work()  # a runtime may still compile and allocate, which cannot be recorded
            if self._enabled:
                self._known[kind] = _SEEN
                self._drop()
            return
        self._known.move_to_end(kind)
        if known == _SEEN:
            known = self._known[kind] = self._capture(work, plans)
        if known == _STEPS:
            work()
        else:
            self._device.play(known)

    def close(self) -> None:
        """Give every record back, whatever a device that is lost refuses."""
        known = list(reversed(self._known.values()))
        self._known.clear()
        take_every([partial(self._forget, record) for record in known], "records of the sampler")

    def _capture(self, work: Callable[[], None], plans: Sequence[Executable]) -> int:
        """The record of some work. What cannot be recorded is no error: it is done step by step for good."""
        if not all(plan.capturable(self._device.stream) for plan in plans):
            return _STEPS
        self._device.synchronise()  # what was enqueued before belongs to this chunk alone
        self._device.begin_capture()
        try:
            work()
        except GraphRunError:
            self._device.abort_capture()
            return _STEPS
        except BaseException:
            self._device.abort_capture()  # or the stream would go on recording
            raise
        try:
            return self._device.end_capture()
        except GraphRunError:
            self._device.abort_capture()
            return _STEPS

    def _drop(self) -> None:
        while len(self._known) > self._capacity:
            self._forget(self._known.popitem(last=False)[1])

    def _forget(self, record: int) -> None:
        if record not in (_SEEN, _STEPS):
            self._device.forget(record)
