"""A runtime by its name. What a runtime needs is imported when it is asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName, read_runtime
from streamgen_engines.runtimes.interface import Runtime
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu


def runtime_named(name: str = DEFAULT_RUNTIME) -> Runtime:
    """A new runtime of that name.

    Raises:
        RuntimeUnavailableError: there is none of that name, or it cannot run here; the message has the command that
            adds it. Whether there is a device shows when a graph is loaded.
    """
    return _MAKERS[read_runtime(name)]()


def _openvino() -> Runtime:
    from streamgen_engines.runtimes.openvino import OpenVino

    return OpenVino()


def _onnxruntime_cuda() -> Runtime:
    from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda

    return OnnxRuntimeCuda()


def _tensorrt(flavour: Literal["tensorrt", "tensorrt-rtx"]) -> Runtime:
    from streamgen_engines.tensorrt.runtime import TensorRt

    return TensorRt(flavour)


_MAKERS: Final[Mapping[RuntimeName, Callable[[], Runtime]]] = {
    "onnxruntime-cpu": OnnxRuntimeCpu,
    "onnxruntime-cuda": _onnxruntime_cuda,
    "openvino": _openvino,
    "tensorrt": partial(_tensorrt, "tensorrt"),
    "tensorrt-rtx": partial(_tensorrt, "tensorrt-rtx"),
}
