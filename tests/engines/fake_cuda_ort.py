"""ONNX Runtime's CUDA provider on a fake GPU, written by hand: strict where the provider and CUDA graphs are.

The fake GPU is that of `tests.device.fakes`, with real addresses, so that ONNX Runtime's CPU kernels compute on its
memory. A run is enqueued on the stream that the session was made for, and done when somebody waits.

What it knows of graphs, by the number that a run is told (`gpu_graph_id`; -1 is a plain run):

- a number's first run warms up twice, records, and plays: so the graph is computed three times over;
- later runs play the record, on the addresses and with the work of that time, whatever the binding says now; another
  binding is a fault here, because a GPU would go on silently with the old one;
- before a session records it has to have run plainly in the same thread;
- records belong to threads; nothing but the recording thread may be inside the gate meanwhile;
- a session for graphs takes no operator without a kernel for GPUs.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from tests.device.fakes import FakeDevice, FakeGpu
from tests.engines.host_device import addressed

HOST_ONLY: Final = frozenset({"DynamicQuantizeLinear", "MatMulInteger"})
"""Operators without a kernel for GPUs, as the bundled int8 graphs have them."""
WARM_UPS: Final = 2
PLAIN: Final = -1


class AddressedGpu(FakeGpu):
    """A fake GPU whose addresses are real."""

    def allocate(self, size: int) -> int:
        memory, address = addressed(size)
        memory.fill(0xCD)
        self.memory[address] = memory
        return address


class Binding:
    """What lies where: name -> (address, bytes), inputs and outputs apart."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.real = session.real.io_binding()
        self.inputs: dict[str, tuple[int, int]] = {}
        self.outputs: dict[str, tuple[int, int]] = {}
        session.ort.calls["binding"] += 1

    def bind_input(
        self, name: str, device_type: str, device_id: int, element_type: Any, shape: Any, buffer_ptr: int
    ) -> None:
        self._bind(self.inputs, self.session.input_specs, name, device_type, device_id, element_type, shape, buffer_ptr)
        self.real.bind_input(name, "cpu", 0, element_type, shape, buffer_ptr)

    def bind_output(
        self, name: str, device_type: str, device_id: int, element_type: Any, shape: Any, buffer_ptr: int
    ) -> None:
        specs = self.session.output_specs
        self._bind(self.outputs, specs, name, device_type, device_id, element_type, shape, buffer_ptr)
        self.real.bind_output(name, "cpu", 0, element_type, shape, buffer_ptr)

    def addresses(self) -> tuple[tuple[str, int, int], ...]:
        return tuple((name, *place) for name, place in (*self.inputs.items(), *self.outputs.items()))

    def _bind(
        self,
        places: dict[str, tuple[int, int]],
        specs: dict[str, tuple[int, ...]],
        name: str,
        device_type: str,
        device_id: int,
        element_type: Any,
        shape: Any,
        address: int,
    ) -> None:
        assert (device_type, device_id) == ("cuda", self.session.device.index), "a tensor of another device is copied"
        assert tuple(shape) == specs[name], f"{name} is bound with another shape"
        size = int(np.prod(shape)) * np.dtype(element_type).itemsize
        self.session.device.at(address, size)
        places[name] = (address, size)


@dataclass(slots=True)
class Record:
    addresses: tuple[tuple[str, int, int], ...]
    work: Callable[[], None]


@dataclass
class Place:
    name: str


class Session:
    """One graph on the stream of a fake device."""

    def __init__(self, ort: "FakeCudaOrt", source: bytes, options: Any, settings: dict[str, str]) -> None:
        self.ort, self.settings = ort, settings
        self.graphs = settings["enable_cuda_graph"] == "1"
        self.real = onnxruntime.InferenceSession(
            source, sess_options=options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        stream = int(settings["user_compute_stream"])
        self.device = next(each for each in ort.gpu.streams if each.stream == stream)
        self.input_specs = {each.name: tuple(each.shape) for each in self.real.get_inputs()}
        self.output_specs = {each.name: tuple(each.shape) for each in self.real.get_outputs()}
        self.records: dict[tuple[int, int], Record] = {}  # by thread and number
        self.warm: set[int] = set()  # threads in which it ran plainly
        self.runs: Counter[str] = Counter()

    def get_providers(self) -> list[str]:
        return list(self.ort.usable)

    def get_inputs(self) -> Any:
        return self.real.get_inputs()

    def get_outputs(self) -> Any:
        return self.real.get_outputs()

    def get_input_memory_infos(self) -> list[Place]:
        return [Place("Cpu" if name in self.ort.on_host else "Cuda") for name in self.input_specs]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return list(self.ort.assignment)

    def io_binding(self) -> Binding:
        return Binding(self)

    def run_with_iobinding(self, binding: Binding, options: "RunOptions") -> None:
        self.ort.call("run")
        assert binding.session is self
        assert options.entries["disable_synchronize_execution_providers"] == "1", "the host would wait for each run"
        assert binding.inputs.keys() == self.input_specs.keys(), "an input is not bound"
        assert binding.outputs.keys() == self.output_specs.keys(), "an output is not bound"
        assert self.device.capturing is None, "ONNX Runtime allocates and waits, nobody else may record it"
        number, thread = int(options.entries["gpu_graph_id"]), threading.get_ident()
        work = self._work(binding)
        if number == PLAIN or not self.graphs:
            self.runs["plain"] += 1
            self.warm.add(thread)
            self.device.enqueue(work)
            return
        assert number > 0, "ONNX Runtime keeps the number 0 for itself"
        record = self.records.get((thread, number))
        if record is None:
            self._capture(thread, number, binding, work)
            return
        assert record.addresses == binding.addresses(), "a record goes on with the addresses of its time"
        self.runs["played"] += 1
        self.device.enqueue(record.work)

    def _capture(self, thread: int, number: int, binding: Binding, work: Callable[[], None]) -> None:
        assert thread in self.warm, "the first run of all compiles and allocates, and may not be recorded"
        self.ort.call("record")
        if self.ort.watch is not None:
            self.ort.watch()
        for _ in range(WARM_UPS):
            self.device.enqueue(work)
        self.device.synchronise()  # as ONNX Runtime does before it records
        self.records[thread, number] = Record(binding.addresses(), work)
        self.runs["recorded"] += 1
        self.device.enqueue(work)

    def _work(self, binding: Binding) -> Callable[[], None]:
        frozen = Binding(self)  # addresses as they are now, whatever is bound later
        self.ort.calls["binding"] -= 1
        kinds = {each.name: _KINDS[each.type] for each in (*self.real.get_inputs(), *self.real.get_outputs())}
        for bind, places, specs in (
            (frozen.real.bind_input, binding.inputs, self.input_specs),
            (frozen.real.bind_output, binding.outputs, self.output_specs),
        ):
            for name, (address, _) in places.items():
                bind(name, "cpu", 0, kinds[name], specs[name], address)
        everything = binding.addresses()

        def work() -> None:
            for _, address, size in everything:
                self.device.at(address, size)  # or it was freed, and ONNX Runtime would not know
            self.real.run_with_iobinding(frozen.real)

        return work


_KINDS: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class RunOptions:
    """What is entered."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


@dataclass
class Node:
    op_type: str


@dataclass
class Part:
    ep_name: str
    nodes: list[Node]

    def get_nodes(self) -> list[Node]:
        return self.nodes


@dataclass
class FakeCudaOrt:
    """Stands in for the module `onnxruntime`.

    Attributes:
        gpu: where everything lies.
        providers: that it was built with.
        usable: the providers that a session gets, as without a device.
        on_host: inputs that a session says it reads on the CPU.
        assignment: which operators run where, as a session tells it.
        fails: by the name of a call, what it raises; `record` is a run that records.
        watch: called while a session records.
        calls: how often each call was made.
        sessions: that were made.
        devices: that were opened.
    """

    gpu: AddressedGpu = field(default_factory=AddressedGpu)
    providers: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    usable: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    on_host: frozenset[str] = frozenset()
    assignment: list[Part] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    watch: Callable[[], None] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    sessions: list[Session] = field(default_factory=list)
    devices: list[FakeDevice] = field(default_factory=list)
    __version__: str = "1.32.0"

    RunOptions = RunOptions

    def open_device(self, index: int) -> FakeDevice:
        assert index == self.gpu.index
        self.devices.append(FakeDevice(gpu=self.gpu))
        return self.devices[-1]

    def call(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.fails:
            raise self.fails[name]

    def get_available_providers(self) -> list[str]:
        return list(self.providers)

    def preload_dlls(self) -> None:
        self.call("preload_dlls")

    def InferenceSession(  # noqa: N802 - the library's name
        self, source: bytes, *, sess_options: Any, providers: list[Any], enable_fallback: int
    ) -> Session:
        self.call("session")
        assert enable_fallback == 0  # or it would go on without the device after an error
        assert providers[1:] == ["CPUExecutionProvider"]
        name, settings = providers[0]
        assert name == "CUDAExecutionProvider"
        assert settings["device_id"] == str(self.gpu.index)
        left = {node.op_type for node in onnx.load_from_string(source).graph.node} & HOST_ONLY
        if left and settings["enable_cuda_graph"] == "1":
            raise ort_errors.Fail(
                "This session cannot use the graph capture feature as requested by the user as all compute graph "
                "nodes have not been partitioned to the CUDAExecutionProvider"
            )
        self.sessions.append(Session(self, source, sess_options, settings))
        return self.sessions[-1]
