"""What one owner holds of a GPU, given back at once and in reverse."""

from functools import partial
from typing import Final

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.closing import Step, take_every
from streamgen_engines.device.interface import Device

ALIGNMENT: Final = 256
"""Bytes: where a tensor may begin (TensorRT, `setTensorAddress`). What CUDA allocates begins there."""


class Allocations:
    """Memory of the GPU, page-locked memory of the host, and events. `close` gives all of it back; idempotent."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._addresses: list[int] = []
        self._memories: list[UInt8Array] = []
        self._events: list[int] = []

    def allocate(self, size: int) -> int:
        """Memory of the GPU, all zero; its address."""
        self._addresses.append(self._device.allocate(size))
        return self._addresses[-1]

    def staging(self, size: int) -> UInt8Array:
        """Page-locked memory of the host, all zero."""
        self._memories.append(self._device.staging(size))
        return self._memories[-1]

    def event(self) -> int:
        """An event without a mark."""
        self._events.append(self._device.event())
        return self._events[-1]

    def close(self) -> None:
        """Give all of it back, whatever a device that is lost refuses. Nothing that uses it may be on its way."""
        device = self._device
        steps: list[Step] = [partial(device.free_event, event) for event in reversed(self._events)]
        steps += [partial(device.free, address) for address in reversed(self._addresses)]
        steps += [partial(device.free_staging, memory) for memory in reversed(self._memories)]
        for given in (self._events, self._addresses, self._memories):
            given.clear()
        take_every(steps, "memory of the sampler")


class Layout:
    """Places of tensors in one piece of memory, each where a tensor may begin.

    Attributes:
        size: bytes in all.
    """

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> int:
        """Room for `size` bytes; its offset."""
        offset = self.size
        self.size += aligned(size)
        return offset


def aligned(size: int) -> int:
    """The next size after which another tensor may begin."""
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
