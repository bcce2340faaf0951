"""The `Engine` contract on a GPU: states live there, and a run is one recorded piece of work that is played again.

Every buffer is allocated when the engine is made, and never moves. A run copies its inputs to page-locked memory of the
host; from there on everything is in the order of one stream: inputs to the GPU, the graph, states to where the next run
reads them, outputs to the host. The first run does this step by step, for TensorRT may still compile and allocate; the
second records the steps as a CUDA graph; all later ones play that record, which costs one call. Where the GPU cannot
record them, they are done step by step for good.

A state that TensorRT writes in place (a KV cache) has one buffer. Any other has two, and the new value is copied over
the old one behind the graph: copies inside a GPU are cheap, and all addresses stay what was recorded.

`state()` hands out a copy on the host; what is written into it goes back before the next run.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Array, Signature, TensorSpec
from streamgen_engines.tensorrt.device import Device
from streamgen_engines.tensorrt.executable import Executable

_log = logging.getLogger(__name__)


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
    """

    def __init__(
        self, executable: Executable, device: Device, states: Sequence[State], *, name: str, record: bool = True
    ) -> None:
        self._executable, self._device, self._name = executable, device, name
        inputs, outputs = dict(executable.inputs), dict(executable.outputs)
        specs = [_take_state(state, inputs, outputs, name) for state in states]
        self._signature = Signature(inputs, outputs)
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
            self._states = {state.name: self._carried(state, spec) for state, spec in zip(states, specs, strict=True)}
            device.synchronise()
        except BaseException:
            self.close()
            raise

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, without the carried states."""
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
            inputs: every input that is not a state, with exactly the shape and type of the signature.

        Returns:
            Every output that is not a state, as fresh arrays that belong to the caller.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        self._require_open()
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

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next `run`."""
        self._require_open()
        read = self._states[name].read
        if name not in self._lent:
            self._device.use()
            self._device.download(read.memory, read.address)
            self._device.synchronise()
            self._lent.add(name)
        return read.array

    def reset(self) -> None:
        """Set every carried state to zero."""
        self._require_open()
        self._lent.clear()
        self._device.use()
        for carried in self._states.values():
            self._device.zero(carried.read.address, carried.size)
            if not carried.in_place:
                self._device.zero(carried.written, carried.size)
            carried.read.memory.fill(0)
        self._device.synchronise()

    def close(self) -> None:
        """Give back the record, the plan and all memory, in this order. Idempotent; other calls are errors afterwards.

        What a GPU that is lost refuses to take back is logged, and the rest is given back all the same.
        """
        if self._closed:
            return
        self._closed = True
        device = self._device
        steps: list[Callable[[], None]] = [device.use]
        if self._record is not None:
            steps.append(partial(device.forget, self._record))
        steps.append(self._executable.close)
        steps += [partial(device.free, address) for address in reversed(self._addresses)]
        steps += [partial(device.free_staging, memory) for memory in reversed(self._memories)]
        refusals = [refusal for step in steps if (refusal := _refused(step)) is not None]
        if refusals:
            _log.warning(
                "%s: %d of %d parts cannot be given back: %s", self._name, len(refusals), len(steps), refusals[0]
            )
        self._record = None
        self._addresses.clear()
        self._memories.clear()

    def _require_open(self) -> None:
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")

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
        kind = np.dtype(spec.dtype)
        size = prod(spec.shape) * kind.itemsize
        address = self._allocate(size)
        memory = self._device.staging(size)
        self._memories.append(memory)
        self._executable.bind(name, address)
        return _Tensor(address, memory, memory.view(kind).reshape(spec.shape))

    def _allocate(self, size: int) -> int:
        address = self._device.allocate(size)
        self._addresses.append(address)
        return address


def _refused(step: Callable[[], None]) -> GraphRunError | None:
    """Take a step of closing; what the GPU says against it."""
    try:
        step()
    except GraphRunError as error:
        return error
    return None


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
