"""A GPU and a loaded plan that are neither, written by hand: memory is Python's, and what is enqueued waits.

The fake is strict where CUDA is: nothing happens before `synchronise`, a capture records and does nothing, an address
that was freed is a fault, and host memory is read and written when the work is done, not when it is enqueued.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.errors import DeviceLostError, GraphRunError, OutOfMemoryError
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt.device import Gpu

Work = Callable[[], None]


class FakeDevice:
    def __init__(self, *, captures: bool = True) -> None:
        self.gpu = Gpu("Fake 9000", "9.0", 2**30)
        self.stream = 7
        self.captures = captures
        self.memory: dict[int, UInt8Array] = {}
        self.pinned: list[int] = []
        self.records: dict[int, list[Work]] = {}
        self.capturing: list[Work] | None = None
        self.waiting: list[Work] = []
        self.played = 0
        self.closed = False
        self.room = 2**40
        self.lost = False
        self._next = 4096

    def use(self) -> None:
        assert not self.closed
        self._require()

    def free_bytes(self) -> int:
        self._require()
        return self.room - sum(map(len, self.memory.values()))

    def _require(self) -> None:
        if self.lost:
            raise DeviceLostError("the fake is lost")

    def allocate(self, size: int) -> int:
        assert self.capturing is None, "nothing may be allocated while work is recorded"
        if size > self.free_bytes():
            raise OutOfMemoryError("the fake is full")
        address = self._next
        self._next += size + 256
        self.memory[address] = np.full(size, 0xCD, np.uint8)
        self.zero(address, size)
        return address

    def free(self, address: int) -> None:
        self._require()
        del self.memory[address]

    def staging(self, size: int) -> UInt8Array:
        memory: UInt8Array = np.zeros(size, np.uint8)
        self.pinned.append(memory.ctypes.data)
        return memory

    def free_staging(self, memory: UInt8Array) -> None:
        self.pinned.remove(memory.ctypes.data)

    def upload(self, address: int, memory: UInt8Array) -> None:
        assert memory.ctypes.data in self.pinned
        self.enqueue(lambda: np.copyto(self.memory[address], memory))

    def download(self, memory: UInt8Array, address: int) -> None:
        assert memory.ctypes.data in self.pinned
        self.enqueue(lambda: np.copyto(memory, self.memory[address]))

    def copy(self, target: int, source: int, size: int) -> None:
        self.enqueue(lambda: np.copyto(self.memory[target][:size], self.memory[source][:size]))

    def zero(self, address: int, size: int) -> None:
        self.enqueue(lambda: self.memory[address][:size].fill(0))

    def synchronise(self) -> None:
        self._require()
        assert self.capturing is None, "the stream is recording"
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()

    def begin_capture(self) -> None:
        assert not self.waiting, "work from before the capture is still waiting"
        self.capturing = []

    def end_capture(self) -> int:
        recorded, self.capturing = self.capturing, None
        assert recorded is not None
        if not self.captures:
            raise GraphRunError("operation not permitted when stream is capturing")
        record = len(self.records) + 1
        self.records[record] = recorded
        return record

    def abort_capture(self) -> None:
        self.capturing = None

    def play(self, record: int) -> None:
        self.played += 1
        for work in self.records[record]:
            self.enqueue(work)

    def forget(self, record: int) -> None:
        self._require()
        del self.records[record]

    def close(self) -> None:
        self.closed = True
        self._require()

    def enqueue(self, work: Work) -> None:
        (self.waiting if self.capturing is None else self.capturing).append(work)


class FakeExecutable:
    """A plan whose arithmetic is a function of numpy arrays.

    Args:
        compute: inputs to outputs, states among both.
        aliases: outputs that are written over an input.
        fails_in: number of the call, from 1, that TensorRT refuses; 0 is none.
    """

    def __init__(
        self,
        device: FakeDevice,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        compute: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]],
        *,
        aliases: Mapping[str, str] | None = None,
        recordable: bool = True,
        fails_in: int = 0,
    ) -> None:
        self.device = device
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self.compute, self.aliases, self.recordable = compute, aliases or {}, recordable
        self.fails_in, self.calls = fails_in, 0
        self.bound: dict[str, int] = {}
        self.closed = False

    def aliased(self, output: str) -> str | None:
        return self.aliases.get(output)

    def bind(self, name: str, address: int) -> None:
        assert not self.closed
        assert name in self.inputs or name in self.outputs
        self.bound[name] = address

    def capturable(self, stream: int) -> bool:
        assert stream == self.device.stream
        return self.recordable

    def close(self) -> None:
        if self.closed:
            return
        assert self.device.lost or not self.device.records, "a record still holds the plan"
        assert all(address in self.device.memory for address in self.bound.values()), "what it is bound to has gone"
        self.closed = True

    def enqueue(self, stream: int) -> None:
        assert not self.closed
        assert stream == self.device.stream
        assert self.bound.keys() == self.inputs.keys() | self.outputs.keys()
        for output, source in self.aliases.items():
            assert self.bound[output] == self.bound[source], "an aliased output lies somewhere else"
        self.calls += 1
        if self.calls == self.fails_in:
            raise GraphRunError("the fake refuses")
        addresses = dict(self.bound)  # a record keeps the addresses of the time when it was made
        self.device.enqueue(lambda: self._work(addresses))

    def _work(self, addresses: Mapping[str, int]) -> None:
        def at(name: str, spec: TensorSpec) -> NDArray[Any]:
            return self.device.memory[addresses[name]].view(spec.dtype).reshape(spec.shape)

        made = self.compute({name: at(name, spec).copy() for name, spec in self.inputs.items()})
        for name, spec in self.outputs.items():
            at(name, spec)[...] = made[name]
