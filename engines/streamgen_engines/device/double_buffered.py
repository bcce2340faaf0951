"""An engine with large results, such as pictures: they come back beside the next run, into memory that is used again.

There are two turns, each with memory on the GPU, page-locked memory of the host and a stream of its own. Results of a
run are copied inside the GPU to those of its turn, which takes next to no time, and an event says when they are there.
Then the stream of the turn brings them to the host, while the stream of the engine may go on with the next run. What is
handed out is the page-locked memory itself, with no further copy, so it changes with the run after the next.

No second event is needed for the way back: both copies to the host of one turn are on one stream, and results that are
asked for when their turn has begun anew are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.closing import Step, take_every
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.interface import Device
from streamgen_engines.errors import GraphRunError
from streamgen_engines.planes.interface import Fetch
from streamgen_engines.runtimes.interface import Array, Engine, Placed, Signature, TensorSpec

TURNS = 2


@dataclass(frozen=True, slots=True)
class _Result:
    """One result of one turn: its address on the GPU, and page-locked memory seen as bytes and as numbers."""

    address: int
    memory: UInt8Array
    array: Array


@dataclass(slots=True, eq=False)
class _Turn:
    """What every other run uses.

    Attributes:
        copying: with the stream that brings results to the host.
        made: the event that results lie in the memory of this turn.
        results: by name.
        run: number of the run whose results these are.
    """

    copying: Device
    made: int
    results: dict[str, _Result]
    run: int = -1


class DoubleBufferedEngine:
    """One graph whose results are lent: they are valid until the run after the next begins. One thread at a time.

    Args:
        inner: the engine, which leaves its results on the GPU; it is closed by whoever made it, after this one.
        copying: two more devices of the same GPU, with a stream each; they stay open.
        name: how error messages name it.
    """

    def __init__(self, inner: DeviceEngine, copying: Sequence[Device], *, name: str) -> None:
        """Allocate what both turns need.

        Raises:
            GraphRunError: the GPU or the host has no room for it.
        """
        if len(copying) != TURNS:
            raise ValueError(f"there are {TURNS} turns, and {len(copying)} streams to copy on; give one for each")
        self._inner, self._device, self._name = inner, inner.device, name
        self._runs = 0
        self._next = 0  # turn of the next run
        self._fetched_last = TURNS - 1
        self._closed = False
        self._addresses: list[int] = []
        self._memories: list[tuple[Device, UInt8Array]] = []
        self._turns: list[_Turn] = []
        self._device.use()
        try:
            for each in copying:
                turn = _Turn(each, self._device.event(), {})
                self._turns.append(turn)
                turn.results = {result: self._result(each, spec) for result, spec in inner.signature.outputs.items()}
            self._device.synchronise()
        except BaseException:
            self.close()
            raise

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, without the carried states."""
        return self._inner.signature

    def start(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> Fetch:
        """Begin a run. It waits for the last one, but not for its results to come back.

        Args:
            inputs: all of them, for what cannot be taken from the GPU; what is sure to lie there may be left out.
            placed: those that may be, by name.

        Returns:
            What waits for the results and gives them. They are valid until the run after the next begins; from then on
            it raises `GraphRunError`.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")
        self._inner.enqueue(inputs, placed or {})
        run, turn = self._runs, self._turns[self._next]
        self._runs += 1
        self._next = (self._next + 1) % TURNS
        turn.run = run
        for name, result in turn.results.items():
            address, size = self._inner.result(name)
            self._device.copy(result.address, address, size)
        self._device.record_event(turn.made)
        turn.copying.use()
        turn.copying.wait_event(turn.made)
        for result in turn.results.values():
            turn.copying.download(result.memory, result.address)
        return lambda: self._fetched(run, turn)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once and wait for its results, which are valid until the run after the next begins."""
        return self.start(inputs)()

    def advance(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> None:
        """Run for the sake of the states: no turn is taken, and nothing comes back. Arguments as of `start`."""
        self._inner.enqueue(inputs, placed or {})
        self._inner.wait()

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next run."""
        return self._inner.state(name)

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine; see `DeviceEngine.take_states`."""
        self._inner.take_states(other._inner if isinstance(other, DoubleBufferedEngine) else other)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Copy held inputs to the GPU, where they stay; see `DeviceEngine.hold`."""
        self._inner.hold(arrays)

    def reset(self) -> None:
        """Set every carried state to zero. Results that are under way are lost; those that were fetched last stay."""
        for turn in self._turns:
            turn.run = -1
            turn.copying.use()
            turn.copying.synchronise()
        self._inner.reset()
        self._next = (self._fetched_last + 1) % TURNS

    def close(self) -> None:
        """Give back the memory of both turns. Idempotent; a run raises `GraphRunError` afterwards.

        What a GPU that is lost refuses to take back is logged, and the rest is given back all the same.
        """
        if self._closed:
            return
        self._closed = True
        steps: list[Step] = [self._device.use, self._inner.wait]
        for turn in reversed(self._turns):
            turn.run = -1
            steps += [turn.copying.synchronise, partial(self._device.free_event, turn.made)]
        steps += [partial(self._device.free, address) for address in reversed(self._addresses)]
        steps += [partial(device.free_staging, memory) for device, memory in reversed(self._memories)]
        take_every(steps, self._name)
        self._turns.clear()
        self._addresses.clear()
        self._memories.clear()

    def _result(self, copying: Device, spec: TensorSpec) -> _Result:
        kind = np.dtype(spec.dtype)
        size = prod(spec.shape) * kind.itemsize
        address = self._device.allocate(size)
        self._addresses.append(address)
        memory = copying.staging(size)
        self._memories.append((copying, memory))
        return _Result(address, memory, memory.view(kind).reshape(spec.shape))

    def _fetched(self, run: int, turn: _Turn) -> dict[str, Array]:
        if turn.run != run:
            raise GraphRunError(
                f"the results of run {run} of {self._name} are gone: it has run twice since, was reset or closed; "
                f"fetch results before the run after the next"
            )
        turn.copying.use()
        turn.copying.synchronise()
        self._fetched_last = self._turns.index(turn)
        return {name: result.array for name, result in turn.results.items()}
