"""A GPU and a loaded plan that are neither, written by hand: memory is Python's, and what is enqueued waits.

The fake is strict where CUDA is: nothing happens before somebody waits for it, a capture records and does nothing, an
address that was freed is a fault, and host memory is read and written when the work is done, not when it is enqueued.

Several `FakeDevice`s on one `FakeGpu` are streams that share its memory. Only events order them. Work of a stream is
done as late as it may be: when the host waits for that stream or for an event in it, or when another stream reaches a
wait for such an event. With `stirred`, some of it is done earlier, in an order that a seed chooses.
"""

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.allocations import ALIGNMENT, aligned
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import DeviceLostError, GraphRunError, OutOfMemoryError
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt.plans import PlanMemory

Work = Callable[[], None]


class FakeGpu:
    """What the streams of one GPU share.

    Args:
        index: its number.
        stirred: seed of an order in which waiting work is done ahead of time; None does all of it late.
    """

    def __init__(self, *, index: int = 0, stirred: int | None = None) -> None:
        self.index = index
        self.memory: dict[int, UInt8Array] = {}
        self.streams: list[FakeDevice] = []
        self.marks: dict[int, tuple[FakeDevice, int] | None] = {}  # of each event: where it was recorded last
        self.reached: set[int] = set()
        self.uploads = self.downloads = 0  # that were done
        self._random = random.Random(stirred) if stirred is not None else None
        self._next = 4096
        self._marks = 0

    def allocate(self, size: int) -> int:
        address, self._next = self._next, self._next + aligned(size) + ALIGNMENT
        self.memory[address] = np.full(size, 0xCD, np.uint8)
        return address

    def at(self, address: int, size: int) -> UInt8Array:
        """Bytes of one allocation."""
        bases = sorted(self.memory)
        place = bisect_right(bases, address) - 1
        assert place >= 0, f"address {address} was never allocated"
        found = self.memory[bases[place]][address - bases[place] :][:size]
        assert len(found) == size, f"{size} bytes at {address} are not of one allocation"
        return found

    def event(self) -> int:
        event = 9000 + len(self.marks)
        while event in self.marks:
            event += 1
        self.marks[event] = None
        return event

    def mark(self, event: int, stream: "FakeDevice") -> int:
        assert event in self.marks, "the event was given back"
        self._marks += 1
        self.marks[event] = (stream, self._marks)
        return self._marks

    def stir(self) -> None:
        if self._random is None:
            return
        for stream in self._random.sample(self.streams, len(self.streams)):
            for _ in range(self._random.randrange(3)):
                stream.advance()


class FakeDevice:
    """One stream. By default it has a GPU of its own."""

    def __init__(self, *, captures: bool = True, gpu: FakeGpu | None = None) -> None:
        self.gpu = Gpu("Fake 9000", "9.0", 2**30)
        self.shared = gpu or FakeGpu()
        self.stream = 7 + len(self.shared.streams)
        self.shared.streams.append(self)
        self.captures = captures
        self.pinned: list[UInt8Array] = []
        self.records: dict[int, list[Work]] = {}
        self.capturing: list[Work] | None = None
        self.waiting: deque[Work] = deque()
        self.made = 0  # records, ever
        self.played = 0
        self.closed = False
        self.room = 2**40
        self.lost = False

    @property
    def memory(self) -> dict[int, UInt8Array]:
        return self.shared.memory

    @property
    def index(self) -> int:
        return self.shared.index

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
        address = self.shared.allocate(size)
        self.zero(address, size)
        return address

    def free(self, address: int) -> None:
        self._require()
        del self.memory[address]

    def staging(self, size: int) -> UInt8Array:
        memory: UInt8Array = np.zeros(size, np.uint8)
        self.pinned.append(memory)
        return memory

    def free_staging(self, memory: UInt8Array) -> None:
        self.pinned = [each for each in self.pinned if each is not memory]

    def upload(self, address: int, memory: UInt8Array) -> None:
        self._require_pinned(memory)

        def work() -> None:
            self.shared.uploads += 1
            np.copyto(self.at(address, memory.nbytes), memory)

        self.enqueue(work)

    def download(self, memory: UInt8Array, address: int) -> None:
        self._require_pinned(memory)

        def work() -> None:
            self.shared.downloads += 1
            np.copyto(memory, self.at(address, memory.nbytes))

        self.enqueue(work)

    def copy(self, target: int, source: int, size: int) -> None:
        self.enqueue(lambda: np.copyto(self.at(target, size), self.at(source, size)))

    def copy_rows(self, target: int, source: int, *, width: int, pitch: int, count: int) -> None:
        def work() -> None:
            for row in range(count):
                np.copyto(self.at(target + row * pitch, width), self.at(source + row * pitch, width))

        self.enqueue(work)

    def zero(self, address: int, size: int) -> None:
        self.enqueue(lambda: self.at(address, size).fill(0))

    def at(self, address: int, size: int) -> UInt8Array:
        return self.shared.at(address, size)

    def synchronise(self) -> None:
        self._require()
        assert self.capturing is None, "the stream is recording"
        while self.waiting:
            self.advance()

    def event(self) -> int:
        return self.shared.event()

    def record_event(self, event: int) -> None:
        assert self.capturing is None, "an event of another stream has no place in a record"
        mark = self.shared.mark(event, self)
        self.enqueue(lambda: self.shared.reached.add(mark))

    def wait_event(self, event: int) -> None:
        assert self.capturing is None, "an event of another stream has no place in a record"
        found = self.shared.marks[event]
        if found is not None:
            self.enqueue(lambda: found[0].advance_to(found[1]))

    def synchronise_event(self, event: int) -> None:
        found = self.shared.marks[event]
        if found is not None:
            found[0].advance_to(found[1])

    def free_event(self, event: int) -> None:
        del self.shared.marks[event]

    def advance(self) -> None:
        """Do the next piece of work, if there is one."""
        if self.waiting:
            self.waiting.popleft()()

    def advance_to(self, mark: int) -> None:
        while mark not in self.shared.reached:
            assert self.waiting, "the streams wait for one another"
            self.advance()

    def begin_capture(self) -> None:
        assert not self.waiting, "work from before the capture is still waiting"
        self.capturing = []

    def end_capture(self) -> int:
        recorded, self.capturing = self.capturing, None
        assert recorded is not None
        if not self.captures:
            raise GraphRunError("operation not permitted when stream is capturing")
        self.made += 1
        self.records[self.made] = recorded
        return self.made

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
        if self.capturing is not None:
            self.capturing.append(work)
            return
        self.waiting.append(work)
        self.shared.stir()

    def _require_pinned(self, memory: UInt8Array) -> None:
        assert any(np.shares_memory(memory, each) for each in self.pinned), "the host's memory is not page-locked"


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
        self.outlived = False

    def aliased(self, output: str) -> str | None:
        return self.aliases.get(output)

    def bind(self, name: str, address: int) -> None:
        assert not self.closed
        assert name in self.inputs or name in self.outputs
        assert address % ALIGNMENT == 0, "a tensor must begin on a boundary"
        self.bound[name] = address

    def capturable(self, stream: int) -> bool:
        assert stream == self.device.stream
        return self.recordable and self.calls > 0  # TensorRT-RTX compiles in the first call

    def close(self) -> None:
        if self.closed:
            return
        assert self.device.lost or not self.device.records, "a record still holds the plan"
        self.outlived = not all(self._there(address) for address in self.bound.values())
        self.closed = True

    def _there(self, address: int) -> bool:
        return any(base <= address < base + len(held) for base, held in self.device.memory.items())

    def kernels(self) -> bytes:
        return b""

    def memory(self) -> PlanMemory:
        return PlanMemory(weights=0, activations=0)

    def enqueue(self, stream: int) -> None:
        assert not self.closed
        assert stream == self.device.stream
        assert self.bound.keys() == self.inputs.keys() | self.outputs.keys()
        for output, source in self.aliases.items():
            assert self.bound[output] == self.bound[source], "an aliased output lies somewhere else"
        self._require_apart()
        self.calls += 1
        if self.calls == self.fails_in:
            raise GraphRunError("the fake refuses")
        addresses = dict(self.bound)  # a record keeps the addresses of the time when it was made
        self.device.enqueue(lambda: self._work(addresses))

    def _require_apart(self) -> None:
        """No output may lie where an input lies but a cache that is written in place: kernels may read late."""
        read = [(self.bound[name], _bytes(spec)) for name, spec in self.inputs.items()]
        for output, spec in self.outputs.items():
            start, size = self.bound[output], _bytes(spec)
            apart = all(start + size <= other or other + length <= start for other, length in read)
            assert apart or output in self.aliases, f"output {output} is written over an input"

    def _work(self, addresses: Mapping[str, int]) -> None:
        def at(name: str, spec: TensorSpec) -> NDArray[Any]:
            return self.device.at(addresses[name], _bytes(spec)).view(spec.dtype).reshape(spec.shape)

        made = self.compute({name: at(name, spec).copy() for name, spec in self.inputs.items()})
        for name, spec in self.outputs.items():
            at(name, spec)[...] = made[name]


def _bytes(spec: TensorSpec) -> int:
    return int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize
