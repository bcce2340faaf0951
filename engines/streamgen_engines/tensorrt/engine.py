"""The `Engine` contract on a GPU: states live there, and a run is one recorded piece of work that is played again.

Every buffer is allocated when the engine is made, and never moves. A run copies its inputs to page-locked memory of the
host; from there on everything is in the order of one stream: inputs to the GPU, the graph, states to where the next run
reads them, outputs to the host. The first run does this step by step, for TensorRT may still compile and allocate; the
second records the steps as a CUDA graph; all later ones play that record, which costs one call. Where the GPU cannot
record them, they are done step by step for good.

A state that TensorRT writes in place (a KV cache) has one buffer. Any other has two, and the new value is copied over
the old one behind the graph: copies inside a GPU are cheap, and all addresses stay what was recorded.

Held inputs have their place on the GPU as well. They are copied there when they are given, through one piece of
page-locked memory of the largest one's size, and a run does not touch them: their addresses are what was recorded.

`state()` hands out a copy on the host; what is written into it goes back before the next run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Signature, TensorSpec
from streamgen_engines.runtimes.tensors import checked_held, refuse_held, require_held, take_held
from streamgen_engines.tensorrt.device import Device
from streamgen_engines.tensorrt.executable import Executable


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor on both sides: its address on the GPU, and page-locked memory seen as bytes and as numbers."""

    address: int
    memory: UInt8Array
    array: Array


@dataclass(frozen=True, slots=True)
class _Carried:
    """A state: where it is read, and where its new value is written (the same place when in place)."""

    read: _Tensor
    written: int
    size: int

    @property
    def in_place(self) -> bool:
        """Whether there is one buffer."""
        return self.written == self.read.address


class TensorRtEngine:
    """One graph on the GPU with its states. One thread at a time may call it.

    Args:
        executable: the loaded plan.
        device: where it was loaded; the engine gives back what it allocates there, the device itself stays open.
        states: what the graph carries from call to call.
        name: how error messages name it.
        record: False never records, and does every run step by step.
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
        held: Sequence[str] = (),
    ) -> None:
        self._executable, self._device, self._name = executable, device, name
        inputs, outputs = dict(executable.inputs), dict(executable.outputs)
        specs = [_take_state(state, inputs, outputs, name) for state in states]
        kept = take_held(held, inputs, name)
        self._signature = Signature(inputs, outputs, kept)
        self._given: set[str] = set()  # held inputs that have been given
        self._record: int | None = None
        self._may_record = record
        self._runs = 0
        self._closed = False
        self._lent: set[str] = set()  # states of which the caller holds the copy
        self._addresses: list[int] = []
        self._memories: list[UInt8Array] = []
        device.use()
        try:
            self._inputs = {tensor: self._tensor(tensor, spec) for tensor, spec in inputs.items()}
            self._outputs = {tensor: self._tensor(tensor, spec) for tensor, spec in outputs.items()}
            self._held = {tensor: self._placed(tensor, spec) for tensor, spec in kept.items()}
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
    def recorded(self) -> bool:
        """Whether runs are played from a record now."""
        return self._record is not None

    @property
    def in_place(self) -> frozenset[str]:
        """States that have one buffer."""
        return frozenset(name for name, carried in self._states.items() if carried.in_place)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once; the carried states advance.

        Args:
            inputs: every input that is neither a state nor held, with exactly the shape and type of the signature.

        Returns:
            Every output that is not a state, as fresh arrays that belong to the caller.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")
        require_held(self._signature, self._given, self._name)
        self._check(inputs)
        self._device.use()
        for name, tensor in self._inputs.items():
            np.copyto(tensor.array, inputs[name])
        for name in sorted(self._lent):
            read = self._states[name].read
            self._device.upload(read.address, read.memory)
        self._lent.clear()
        if self._record is None and self._may_record and self._runs > 0:
            self._capture()
        if self._record is not None:
            self._device.play(self._record)
        else:
            self._steps()
        self._device.synchronise()
        self._runs += 1
        return {name: tensor.array.copy() for name, tensor in self._outputs.items()}

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Copy held inputs to the GPU, where they stay.

        Raises:
            GraphMismatchError: one is unknown or of the wrong shape or type; nothing is held then.
            GraphRunError: they cannot be copied; give them all again.
        """
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")
        every = checked_held(self._signature, arrays, self._name)
        if not every or self._passage is None:
            return
        self._given -= every.keys()
        self._device.use()
        for name, array in every.items():
            memory = self._passage[: array.nbytes]
            np.copyto(memory.view(array.dtype).reshape(array.shape), array)
            self._device.upload(self._held[name], memory)
            self._device.synchronise()  # the next one takes the same way
        self._given |= every.keys()

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`."""
        read = self._states[name].read
        if name not in self._lent:
            self._device.use()
            self._device.download(read.memory, read.address)
            self._device.synchronise()
            self._lent.add(name)
        return read.array

    def reset(self) -> None:
        """Set every carried state to zero."""
        self._lent.clear()
        self._device.use()
        for carried in self._states.values():
            self._device.zero(carried.read.address, carried.size)
            if not carried.in_place:
                self._device.zero(carried.written, carried.size)
            carried.read.memory.fill(0)
        self._device.synchronise()

    def close(self) -> None:
        """Give back all memory. Idempotent; `run` raises `GraphRunError` afterwards."""
        if self._closed:
            return
        self._closed = True
        self._device.use()
        if self._record is not None:
            self._device.forget(self._record)
            self._record = None
        for address in reversed(self._addresses):
            self._device.free(address)
        for memory in reversed(self._memories):
            self._device.free_staging(memory)
        self._addresses.clear()
        self._memories.clear()

    def _steps(self) -> None:
        """One run from staging to staging, enqueued or recorded."""
        device = self._device
        for tensor in self._inputs.values():
            device.upload(tensor.address, tensor.memory)
        self._executable.enqueue(device.stream)
        for carried in self._states.values():
            if not carried.in_place:
                device.copy(carried.read.address, carried.written, carried.size)
        for tensor in self._outputs.values():
            device.download(tensor.memory, tensor.address)

    def _capture(self) -> None:
        """Record the steps. What cannot be recorded is no error: it is done step by step."""
        self._may_record = False  # one attempt
        if not self._executable.capturable(self._device.stream):
            return
        self._device.synchronise()  # lent states are on their way, and belong to this run alone
        self._device.begin_capture()
        try:
            self._steps()
        except GraphRunError:
            self._device.abort_capture()
            return
        try:
            self._record = self._device.end_capture()
        except GraphRunError:
            self._device.abort_capture()

    def _check(self, inputs: Mapping[str, Array]) -> None:
        refuse_held(self._signature, inputs, self._name)
        for name, spec in self._signature.inputs.items():
            if name not in inputs:
                raise GraphMismatchError(f"{self._name} needs input {name} ({spec})")
            array = inputs[name]
            if array.shape != spec.shape or array.dtype.name != spec.dtype:
                found = TensorSpec(array.shape, array.dtype.name)
                raise GraphMismatchError(f"{self._name}: input {name} is {found}, should be {spec}")
        if len(inputs) != len(self._signature.inputs):
            unknown = ", ".join(sorted(inputs.keys() - self._signature.inputs.keys()))
            raise GraphMismatchError(f"{self._name} has no input {unknown}")

    def _carried(self, state: State, spec: TensorSpec) -> _Carried:
        read = self._tensor(state.name, spec)
        size = read.memory.nbytes
        shared = self._executable.aliased(state.output)
        if shared is not None and shared != state.name:
            raise GraphMismatchError(
                f"{self._name}: {state.output} has to share the memory of {shared}, and not of its state {state.name}; "
                f"export the bundle again"
            )
        written = read.address if shared is not None else self._allocate(size)
        self._executable.bind(state.output, written)
        return _Carried(read, written, size)

    def _tensor(self, name: str, spec: TensorSpec) -> _Tensor:
        address = self._placed(name, spec)
        memory = self._staging(_size(spec))
        return _Tensor(address, memory, memory.view(np.dtype(spec.dtype)).reshape(spec.shape))

    def _placed(self, name: str, spec: TensorSpec) -> int:
        """The address of a tensor on the GPU, allocated and bound."""
        address = self._allocate(_size(spec))
        self._executable.bind(name, address)
        return address

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
