"""The `Engine` contract on a GPU: states live there, and a run is one recorded piece of work that is played again.

Every buffer that a run uses is allocated when the engine is made, and never moves. A run copies its inputs to
page-locked memory of the host; from there on everything is in the order of one stream: inputs to the GPU, the graph,
states to where the next run reads them, outputs to the host. The first run does this step by step, for a runtime may
still compile and allocate; the second records the steps as a CUDA graph; all later ones play that record, which costs
one call. Where the GPU cannot record them, they are done step by step for good.

A state that the graph writes in place (a KV cache) has one buffer. Any other has two, and the new value is copied over
the old one behind the graph: copies inside a GPU are cheap, and all addresses stay what was recorded.

Held inputs have their place on the GPU as well. They are copied there when they are given, through one piece of
page-locked memory of the largest one's size, and a run does not touch them: their addresses are what was recorded.

`state()` hands out a copy on the host; what is written into it goes back before the next run. Page-locked memory for it
is allocated when a state is asked for, because a ring may have gigabytes and nobody who asks for it. `take_states` goes
on from the states of another engine, inside the GPU where both are on the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.closing import Step, take_every
from streamgen_engines.device.executable import Executable
from streamgen_engines.device.interface import Device
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Engine, Placed, Signature, TensorSpec
from streamgen_engines.runtimes.tensors import (
    checked_held,
    copy_states,
    refuse_held,
    require_held,
    require_states,
    take_held,
)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor on both sides: its address on the GPU, and page-locked memory seen as bytes and as numbers."""

    address: int
    memory: UInt8Array
    array: Array


@dataclass(frozen=True, slots=True)
class _Carried:
    """A state: where it is read, and where its new value is written (the same place when in place)."""

    read: int
    written: int
    size: int
    spec: TensorSpec

    @property
    def in_place(self) -> bool:
        """Whether there is one buffer."""
        return self.written == self.read


class DeviceEngine:
    """One graph on the GPU with its states. One thread at a time may call it.

    Args:
        executable: the loaded plan.
        device: where it was loaded; the engine gives back what it allocates there, the device itself stays open.
        states: what the graph carries from call to call.
        name: how error messages name it.
        record: False never records, and does every run step by step.
        fetches: False leaves results on the GPU, where `result` tells; for whoever copies them in another way.
        held: inputs that stay from run to run.
    """

    def __init__(
        self,
        executable: Executable,
        device: Device,
        states: Sequence[State],
        *,
        name: str,
        record: bool = True,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> None:
        self._executable, self._device, self._name = executable, device, name
        inputs, outputs = dict(executable.inputs), dict(executable.outputs)
        specs = [_take_state(state, inputs, outputs, name) for state in states]
        kept = take_held(held, inputs, name)
        self._signature = Signature(inputs, outputs, kept)
        self._given: set[str] = set()  # held inputs that have been given
        self._records: dict[frozenset[str], int] = {}  # by the inputs that lie on the GPU already
        self._tried: set[frozenset[str]] = set()
        self._may_record = record
        self._runs = 0
        self._under_way = False
        self._closed = False
        self._copies: dict[str, _Tensor] = {}  # of states that were asked for once
        self._lent: set[str] = set()  # states of which the caller holds the copy
        self._addresses: list[int] = []
        self._memories: list[UInt8Array] = []
        device.use()
        try:
            self._inputs = {tensor: self._tensor(tensor, spec) for tensor, spec in inputs.items()}
            self._outputs = {tensor: self._tensor(tensor, spec) for tensor, spec in outputs.items() if fetches}
            self._left = {tensor: self._bound(tensor, spec) for tensor, spec in outputs.items() if not fetches}
            self._held = {tensor: self._bound(tensor, spec)[0] for tensor, spec in kept.items()}
            largest = max((_size(spec) for spec in kept.values()), default=0)
            self._passage = self._staging(largest) if largest else None
            self._states = {state.name: self._carried(state, spec) for state, spec in zip(states, specs, strict=True)}
            device.synchronise()
        except BaseException:
            self.close()
            raise

    @property
    def signature(self) -> Signature:
        """Inputs, outputs and held inputs, without the carried states."""
        return self._signature

    @property
    def device(self) -> Device:
        """Where it runs, with its stream."""
        return self._device

    @property
    def recorded(self) -> bool:
        """Whether runs are played from a record now."""
        return bool(self._records)

    @property
    def in_place(self) -> frozenset[str]:
        """States that have one buffer."""
        return frozenset(name for name, carried in self._states.items() if carried.in_place)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once; the carried states advance.

        Args:
            inputs: every input that is neither a state nor held, with exactly the shape and type of the signature.

        Returns:
            Every output that is not a state, as fresh arrays that belong to the caller; none that is left on the GPU.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        return self.run_placed(inputs, {})

    def run_placed(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> dict[str, Array]:
        """Run the graph once, with some inputs from where they already lie on the GPU; see `run`.

        Args:
            inputs: all of them, for what cannot be taken from the GPU; what is sure to lie there may be left out.
            placed: those that may be, by name.
        """
        self.enqueue(inputs, placed)
        return self.fetch()

    def enqueue(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> None:
        """Begin what `run_placed` does, once the last run is done: its inputs lie where these will."""
        self._require_open()
        require_held(self._signature, self._given, self._name)
        self._check(inputs, placed)
        self._device.use()
        self.wait()
        there = frozenset(name for name, copy in placed.items() if copy(self._device, self._inputs[name].address))
        if away := [name for name in placed if name not in there and name not in inputs]:
            raise GraphMismatchError(f"{self._name} needs input {away[0]}, which does not lie on its GPU")
        for name, tensor in self._inputs.items():
            if name not in there:
                np.copyto(tensor.array, inputs[name])
        self._take_back()
        if self._may_record and self._runs > 0 and there not in self._tried:
            self._capture(there)
        if there in self._records:
            self._device.play(self._records[there])
        else:
            self._steps(there)
        self._under_way = True

    def wait(self) -> None:
        """Wait until a run that was begun is done."""
        if self._under_way:
            self._under_way = False
            self._device.synchronise()
            self._runs += 1

    def fetch(self) -> dict[str, Array]:
        """Wait for the last run; its results as `run` gives them."""
        self.wait()
        return {name: tensor.array.copy() for name, tensor in self._outputs.items()}

    def result(self, name: str) -> tuple[int, int]:
        """Where a result lies on the GPU, and how many bytes it has; the next run writes over it."""
        fetched = self._outputs.get(name)
        return self._left[name] if fetched is None else (fetched.address, fetched.memory.nbytes)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Copy held inputs to the GPU, where they stay.

        Raises:
            GraphMismatchError: one is unknown or of the wrong shape or type; nothing is held then.
            GraphRunError: they cannot be copied; give them all again.
        """
        self._require_open()
        every = checked_held(self._signature, arrays, self._name)
        if not every or self._passage is None:
            return
        self._given -= every.keys()
        self._device.use()
        self.wait()
        for name, array in every.items():
            memory = self._passage[: array.nbytes]
            np.copyto(memory.view(array.dtype).reshape(array.shape), array)
            self._device.upload(self._held[name], memory)
            self._device.synchronise()  # the next one takes the same way
        self._given |= every.keys()

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`.

        Raises:
            OutOfMemoryError: the host has no page-locked memory for a copy of it.
            GraphRunError: it cannot be fetched.
        """
        self._require_open()
        carried = self._states[name]
        if name not in self._lent:
            self._device.use()
            if name not in self._copies:
                memory = self._staging(carried.size)
                array = memory.view(np.dtype(carried.spec.dtype)).reshape(carried.spec.shape)
                self._copies[name] = _Tensor(carried.read, memory, array)
            self._device.download(self._copies[name].memory, carried.read)
            self._device.synchronise()
            self._lent.add(name)
        return self._copies[name].array

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine: inside the GPU where it is on this one, else over the host.

        Raises:
            GraphMismatchError: it lacks a state, or has it in another shape or type; nothing is taken then.
            GraphRunError: they cannot be copied.
        """
        self._require_open()
        if not isinstance(other, DeviceEngine) or other.device.index != self._device.index:
            copy_states(self, self._states, other, self._name)
            return
        specs = {name: carried.spec for name, carried in other._states.items()}
        require_states({name: carried.spec for name, carried in self._states.items()}, specs, self._name)
        other._settle()
        self._device.use()
        self.wait()
        for name, carried in self._states.items():
            self._device.copy(carried.read, other._states[name].read, carried.size)
        self._lent.clear()
        self._device.synchronise()  # the other one may go on

    def reset(self) -> None:
        """Set every carried state to zero."""
        self._require_open()
        self._under_way = False
        self._lent.clear()
        self._device.use()
        for carried in self._states.values():
            self._device.zero(carried.read, carried.size)
            if not carried.in_place:
                self._device.zero(carried.written, carried.size)
        self._device.synchronise()

    def close(self) -> None:
        """Give back the record, the plan and all memory, in this order. Idempotent; other calls are errors afterwards.

        What a GPU that is lost refuses to take back is logged, and the rest is given back all the same.
        """
        if self._closed:
            return
        self._closed = True
        device = self._device
        steps: list[Step] = [device.use]
        steps += [partial(device.forget, record) for record in self._records.values()]
        steps.append(self._executable.close)
        steps += [partial(device.free, address) for address in reversed(self._addresses)]
        steps += [partial(device.free_staging, memory) for memory in reversed(self._memories)]
        take_every(steps, self._name)
        self._records.clear()
        self._addresses.clear()
        self._memories.clear()

    def _take_back(self) -> None:
        """Enqueue the way back of what the caller may have written into states."""
        for name in sorted(self._lent):
            self._device.upload(self._copies[name].address, self._copies[name].memory)
        self._lent.clear()

    def _settle(self) -> None:
        """Wait until the states lie on the GPU as the next run would read them."""
        self._require_open()
        self._device.use()
        self.wait()
        self._take_back()
        self._device.synchronise()

    def _require_open(self) -> None:
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")

    def _steps(self, there: frozenset[str]) -> None:
        """One run from staging to staging, enqueued or recorded, but for the inputs that are on the GPU already."""
        device = self._device
        for name, tensor in self._inputs.items():
            if name not in there:
                device.upload(tensor.address, tensor.memory)
        self._executable.enqueue(device.stream)
        for carried in self._states.values():
            if not carried.in_place:
                device.copy(carried.read, carried.written, carried.size)
        for tensor in self._outputs.values():
            device.download(tensor.memory, tensor.address)

    def _capture(self, there: frozenset[str]) -> None:
        """Record the steps. What cannot be recorded is no error: it is done step by step."""
        self._tried.add(there)  # one attempt
        if not self._executable.capturable(self._device.stream):
            return
        self._device.synchronise()  # lent states are on their way, and belong to this run alone
        self._device.begin_capture()
        try:
            self._steps(there)
        except GraphRunError:
            self._device.abort_capture()
            return
        try:
            self._records[there] = self._device.end_capture()
        except GraphRunError:
            self._device.abort_capture()

    def _check(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> None:
        refuse_held(self._signature, inputs, self._name)
        for name, spec in self._signature.inputs.items():
            if name not in inputs and name in placed:
                continue
            if name not in inputs:
                raise GraphMismatchError(f"{self._name} needs input {name} ({spec})")
            array = inputs[name]
            if array.shape != spec.shape or array.dtype.name != spec.dtype:
                found = TensorSpec(array.shape, array.dtype.name)
                raise GraphMismatchError(f"{self._name}: input {name} is {found}, should be {spec}")
        for name in placed:
            if name not in self._signature.inputs:
                raise GraphMismatchError(f"{self._name} has no input {name} to be taken from the GPU")
        if unknown := ", ".join(sorted(inputs.keys() - self._signature.inputs.keys())):
            raise GraphMismatchError(f"{self._name} has no input {unknown}")

    def _carried(self, state: State, spec: TensorSpec) -> _Carried:
        read, size = self._bound(state.name, spec)
        shared = self._executable.aliased(state.output)
        if shared is not None and shared != state.name:
            raise GraphMismatchError(
                f"{self._name}: {state.output} has to share the memory of {shared}, and not of its state {state.name}; "
                f"export the bundle again"
            )
        written = read if shared is not None else self._allocate(size)
        self._executable.bind(state.output, written)
        return _Carried(read, written, size, spec)

    def _tensor(self, name: str, spec: TensorSpec) -> _Tensor:
        address, size = self._bound(name, spec)
        memory = self._staging(size)
        return _Tensor(address, memory, memory.view(np.dtype(spec.dtype)).reshape(spec.shape))

    def _bound(self, name: str, spec: TensorSpec) -> tuple[int, int]:
        """Memory of the GPU for a tensor, allocated and bound: its address and size."""
        size = _size(spec)
        address = self._allocate(size)
        self._executable.bind(name, address)
        return address, size

    def _staging(self, size: int) -> UInt8Array:
        memory = self._device.staging(size)
        self._memories.append(memory)
        return memory

    def _allocate(self, size: int) -> int:
        address = self._device.allocate(size)
        self._addresses.append(address)
        return address


def _size(spec: TensorSpec) -> int:
    """Of a tensor, in bytes."""
    return prod(spec.shape) * np.dtype(spec.dtype).itemsize


def _take_state(state: State, inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec], name: str) -> TensorSpec:
    """Move a state out of the plain inputs and outputs, checking it on the way."""
    wanted = TensorSpec(state.shape, state.dtype)
    for kind, tensor, specs in (("input", state.name, inputs), ("output", state.output, outputs)):
        found = specs.pop(tensor, None)
        if found != wanted:
            raise GraphMismatchError(
                f"{name}: state {state.name} should be {kind} {tensor} of {wanted}, "
                f"the graph has {found or 'none'}; export the bundle again"
            )
    return wanted
