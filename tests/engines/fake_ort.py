"""The few calls of ONNX Runtime that the CUDA runtime makes, on a device that is only told of.

The session computes the ring of `graphs.ring_graph`. What happens on the device is counted; `fails` makes a call fail
with the words that ONNX Runtime has for it.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
class Argument:
    name: str
    shape: list[int]
    type: str = "tensor(float)"


class Options:
    """Session or run options: what is entered."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class Value:
    """A tensor on the device; the host sees copies only."""

    def __init__(self, ort: "FakeOrt", shape: tuple[int, ...], dtype: Any) -> None:
        self.ort = ort
        self.array = np.full(shape, 99, dtype)  # not zero until somebody sets it

    def update_inplace(self, array: NDArray[Any]) -> None:
        self.ort.call("update_inplace")
        assert array.flags.c_contiguous
        assert (array.shape, array.dtype) == (self.array.shape, self.array.dtype)
        self.array[...] = array

    def numpy(self) -> NDArray[Any]:
        self.ort.call("numpy")
        return self.array.copy()


class Binding:
    def __init__(self, ort: "FakeOrt") -> None:
        self.ort = ort
        self.inputs: dict[str, Value] = {}
        self.outputs: dict[str, Value] = {}

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        self.ort.call("bind")
        self.inputs[name] = value

    def bind_ortvalue_output(self, name: str, value: Value) -> None:
        self.ort.call("bind")
        self.outputs[name] = value

    def synchronize_inputs(self) -> None:
        self.ort.call("synchronize")

    def synchronize_outputs(self) -> None:
        self.ort.call("synchronize")


class Session:
    def __init__(self, ort: "FakeOrt", providers: list[str]) -> None:
        self.ort = ort
        self.providers = providers

    def get_providers(self) -> list[str]:
        return self.providers

    def get_inputs(self) -> list[Argument]:
        return [
            Argument("new", [1, 1, 2, 2]),
            Argument("index", [1], "tensor(int64)"),
            Argument("ring", [1, 1, 6, 2]),
        ]

    def get_outputs(self) -> list[Argument]:
        return [Argument("total", []), Argument("ring_out", [1, 1, 6, 2])]

    def get_provider_graph_assignment_info(self) -> list[Part]:
        return self.ort.assignment

    def io_binding(self) -> Binding:
        return Binding(self.ort)

    def run_with_iobinding(self, binding: Binding, options: Options) -> None:
        self.ort.call("run")
        self.ort.graph_ids.append(options.entries["gpu_graph_id"])
        index = int(binding.inputs["index"].array[0])
        ring = binding.inputs["ring"].array.copy()
        ring[:, :, index : index + 2] = binding.inputs["new"].array
        binding.outputs["ring_out"].array[...] = ring
        binding.outputs["total"].array[...] = ring.sum()


@dataclass
class FakeOrt:
    """Stands in for the module `onnxruntime`.

    Attributes:
        providers: that it was built with.
        usable: the providers that a session gets, as without a device.
        assignment: which operators run where.
        fails: by the name of a call, what it raises.
        calls: how often each call was made.
        graph_ids: of every run, the CUDA graph that it records or replays.
        settings: what the session was given for the CUDA provider.
    """

    providers: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    usable: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    assignment: list[Part] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    graph_ids: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    __version__: str = "1.31.1"

    def copy_tensors(self, sources: list[Value], targets: list[Value]) -> None:
        self.call("copy_tensors")
        for source, target in zip(sources, targets, strict=True):
            target.array[...] = source.array

    def call(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.fails:
            raise self.fails[name]

    def get_available_providers(self) -> list[str]:
        return list(self.providers)

    def preload_dlls(self) -> None:
        self.call("preload_dlls")

    def InferenceSession(  # noqa: N802 - the library's name
        self, path: str, *, sess_options: Any, providers: list[Any], enable_fallback: int
    ) -> Session:
        self.call("session")
        assert enable_fallback == 0  # or it would go on without the device after an error
        assert providers[1:] == ["CPUExecutionProvider"]
        name, self.settings = providers[0]
        assert name == "CUDAExecutionProvider"
        return Session(self, list(self.usable))

    @property
    def OrtValue(self) -> Any:  # noqa: N802 - the library's name
        return self

    def ortvalue_from_shape_and_type(self, shape: tuple[int, ...], dtype: Any, device: str, device_id: int) -> Value:
        self.call("allocate")
        assert (device, device_id) == ("cuda", int(self.settings["device_id"]))
        return Value(self, shape, dtype)

    @property
    def RunOptions(self) -> type[Options]:  # noqa: N802 - the library's name
        return Options
