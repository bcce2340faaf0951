"""A device that is the host: its addresses are real, and everything is done when it is asked for.

With it ONNX Runtime's CPU provider is the device. It counts what a device copies to and from the host.
"""

import ctypes
from typing import ClassVar, Final

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.allocations import ALIGNMENT
from streamgen_engines.device.interface import Gpu

STREAM: Final = 77


class HostDevice:
    """`Device` on the host's memory. Events mark nothing, for nothing is ever under way; all devices share them."""

    events: ClassVar[set[int]] = set()

    def __init__(self, index: int = 0) -> None:
        self.gpu = Gpu("host", "0.0", 0)
        self.index = index
        self.stream = STREAM
        self.memory: dict[int, UInt8Array] = {}
        self.pinned: list[UInt8Array] = []
        self.uploads = self.downloads = self.waits = 0
        self.closed = False

    def use(self) -> None:
        assert not self.closed

    def allocate(self, size: int) -> int:
        memory, address = addressed(size)
        memory.fill(0)
        self.memory[address] = memory
        return address

    def free(self, address: int) -> None:
        del self.memory[address]

    def staging(self, size: int) -> UInt8Array:
        self.pinned.append(np.zeros(size, np.uint8))
        return self.pinned[-1]

    def free_staging(self, memory: UInt8Array) -> None:
        self.pinned = [each for each in self.pinned if each is not memory]

    def upload(self, address: int, memory: UInt8Array) -> None:
        self.uploads += 1
        ctypes.memmove(address, memory.ctypes.data, memory.nbytes)

    def download(self, memory: UInt8Array, address: int) -> None:
        self.downloads += 1
        ctypes.memmove(memory.ctypes.data, address, memory.nbytes)

    def copy(self, target: int, source: int, size: int) -> None:
        ctypes.memmove(target, source, size)

    def copy_rows(self, target: int, source: int, *, width: int, pitch: int, count: int) -> None:
        for row in range(count):
            ctypes.memmove(target + row * pitch, source + row * pitch, width)

    def zero(self, address: int, size: int) -> None:
        ctypes.memset(address, 0, size)

    def synchronise(self) -> None:
        self.waits += 1

    def event(self) -> int:
        made = max(self.events, default=0) + 1
        self.events.add(made)
        return made

    def record_event(self, event: int) -> None:
        assert event in self.events

    def wait_event(self, event: int) -> None:
        assert event in self.events

    def synchronise_event(self, event: int) -> None:
        assert event in self.events
        self.waits += 1

    def free_event(self, event: int) -> None:
        self.events.remove(event)

    def begin_capture(self) -> None:
        raise AssertionError("nobody but ONNX Runtime records its work")

    def end_capture(self) -> int:
        raise AssertionError("nothing is recorded")

    def abort_capture(self) -> None:
        pass

    def play(self, record: int) -> None:
        raise AssertionError("there is no record")

    def forget(self, record: int) -> None:
        raise AssertionError("there is no record")

    def close(self) -> None:
        self.closed = True


def addressed(size: int) -> tuple[UInt8Array, int]:
    """Memory of the host that begins where a tensor may begin, and its real address."""
    whole = np.empty(max(size, 1) + ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    memory: UInt8Array = whole[start : start + size]
    return memory, whole.ctypes.data + start
