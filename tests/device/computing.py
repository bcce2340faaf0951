"""Plans of the fake GPU that compute the real graphs: ONNX Runtime on the CPU, on the fake GPU's memory."""

from typing import Any, Final

import onnx
import onnxruntime
from numpy.typing import NDArray

from streamgen_engines.runtimes.interface import TensorSpec
from tests.device.fakes import FakeDevice, FakeExecutable

TYPES: Final = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}


def executable(device: FakeDevice, model: bytes, **options: Any) -> FakeExecutable:
    """A graph as a plan; caches that it writes with `TensorScatter` share the memory of the input, as with TensorRT."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3  # it warns of every cache that is not written in place
    session = onnxruntime.InferenceSession(model, settings, ["CPUExecutionProvider"])
    outputs = specs(session.get_outputs())

    def compute(given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(outputs, session.run(list(outputs), given), strict=True))

    caches = {
        node.output[0]: node.input[0]
        for node in onnx.load_from_string(model).graph.node
        if node.op_type == "TensorScatter" and node.output[0] in outputs
    }
    return FakeExecutable(device, specs(session.get_inputs()), outputs, compute, aliases=caches, **options)


def specs(tensors: Any) -> dict[str, TensorSpec]:
    return {tensor.name: TensorSpec(tuple(tensor.shape), TYPES[tensor.type]) for tensor in tensors}
