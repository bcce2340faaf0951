"""TensorRT on a GPU that are neither, for whole programmes: a plan is the prepared graph, and ONNX Runtime runs it.

What happens is written down beside the folder of plans, one word a line, because it happens in another process:
`builds` names what was built, `closed` what was freed. A file `fails` makes runs of one graph fail; a file
`room` says how many bytes the GPU has free.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streamgen_engines.runtimes.failures import call_error
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.builder import Built
from streamgen_engines.tensorrt.flavour import Flavour, FlavourName
from streamgen_engines.tensorrt.inspection import EngineReport, NetworkReport
from streamgen_engines.tensorrt.plans import PlanMemory
from tests.device.fakes import FakeDevice, FakeExecutable, FakeGpu

KERNELS = b"compiled by nobody"
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}


class Api:
    __version__ = "1.7.1"


def fail(folder: Path, graph: str, words: str, *, times: int = 1) -> None:
    """Make the next runs of a graph fail, as if TensorRT had said these words."""
    _put(folder, {"graph": graph, "words": words, "times": times})


def _put(folder: Path, document: dict[str, Any]) -> None:
    begun = folder / "fails.new"
    begun.write_text(json.dumps(document))
    begun.rename(folder / "fails")  # whole, for another process reads it


def words(folder: Path, name: str) -> list[str]:
    """What has been written down."""
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


def install(folder: Path) -> None:
    """Put the stand-in in the place of TensorRT in this process, for good; `folder` is where things are noted."""

    def build(flavour: Flavour, model: bytes, *, name: str, **options: Any) -> Built:
        _write(folder / "builds", name)
        return Built(model, NetworkReport({}, {}, 0, 0, 0, len(model)), b"")

    shared = FakeGpu()
    devices: list[FakeDevice] = []

    def device(index: int) -> FakeDevice:
        devices.append(FakeDevice(gpu=shared))
        room = folder / "room"
        devices[-1].room = int(room.read_text()) if room.exists() else devices[-1].room
        return devices[-1]

    def executable(flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> OnnxExecutable:
        return OnnxExecutable(folder, devices[-1], plan, name)  # a plan is opened on the device that was opened for it

    def load_flavour(name: FlavourName) -> Flavour:
        return Flavour(name, Api, None)

    for name, stand_in in {
        "build": build,
        "CudaDevice": device,
        "TensorRtExecutable": executable,
        "load_flavour": load_flavour,
    }.items():
        setattr(module, name, stand_in)


class OnnxExecutable(FakeExecutable):
    """A prepared graph in ONNX Runtime, run step by step."""

    def __init__(self, folder: Path, device: FakeDevice, plan: bytes, name: str) -> None:
        self._folder, self._name = folder, name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # that it writes no cache in place is what is asked of it here
        session = onnxruntime.InferenceSession(plan, sess_options=options, providers=["CPUExecutionProvider"])
        inputs, outputs = (
            {each.name: _spec(each) for each in side} for side in (session.get_inputs(), session.get_outputs())
        )

        def compute(given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            return dict(zip(outputs, (np.asarray(each) for each in session.run(list(outputs), given)), strict=True))

        super().__init__(device, inputs, outputs, compute, recordable=False)

    def kernels(self) -> bytes:
        return KERNELS

    def memory(self) -> PlanMemory:
        return PlanMemory(weights=1000, activations=100)

    def report(self) -> EngineReport:
        return EngineReport(1, {}, 0, device_bytes=100, weight_bytes=1000)

    def enqueue(self, stream: int) -> None:
        file = self._folder / "fails"
        if file.exists():
            wanted = json.loads(file.read_text())
            if wanted["graph"] == self._name:
                if wanted["times"] > 1:
                    _put(self._folder, {**wanted, "times": wanted["times"] - 1})
                else:
                    file.unlink()
                raise call_error(self._name, wanted["words"])
        super().enqueue(stream)

    def close(self) -> None:
        if not self.closed:
            _write(self._folder / "closed", self._name)
        super().close()


def _spec(value: Any) -> TensorSpec:
    return TensorSpec(tuple(value.shape), _TYPES[value.type])


def _write(file: Path, word: str) -> None:
    with file.open("a") as stream:
        stream.write(f"{word}\n")
