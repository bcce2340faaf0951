"""A runtime by its name. What a runtime needs is imported when it is asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName, read_runtime
from streamgen_engines.runtimes.interface import Runtime
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from streamgen_engines.tensorrt.flavour import FlavourName

if TYPE_CHECKING:
    from streamgen_engines.tensorrt.runtime import TensorRt


def runtime_named(name: str = DEFAULT_RUNTIME, gpu: GpuOptions | None = None) -> Runtime:
    """A new runtime of that name.

    Args:
        name: of the runtime.
        gpu: what it is told if it is one on a GPU; None tells nothing.

    Raises:
        RuntimeUnavailableError: there is none of that name, or it cannot run here; the message has the command that
            adds it. Whether there is a device shows when a graph is loaded.
    """
    return _MAKERS[read_runtime(name)](gpu or GpuOptions())


def _onnxruntime_cpu(gpu: GpuOptions) -> Runtime:
    return OnnxRuntimeCpu()


def _openvino(gpu: GpuOptions) -> Runtime:
    from streamgen_engines.runtimes.openvino import OpenVino

    return OpenVino()


def _onnxruntime_cuda(gpu: GpuOptions) -> Runtime:
    from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda

    return OnnxRuntimeCuda(device_id=gpu.device, precision=gpu.precision)


def open_tensorrt(flavour: FlavourName, gpu: GpuOptions, hashes: Mapping[Path, str] | None = None) -> "TensorRt":
    """A new runtime of TensorRT.

    Args:
        flavour: which one.
        gpu: where its plans are, for which GPU and in what precision.
        hashes: of prepared graphs, as far as they are known.

    Raises:
        RuntimeUnavailableError: it is not installed, or there is no such GPU.
    """
    from streamgen_engines.tensorrt.plans import PlanCache
    from streamgen_engines.tensorrt.runtime import TensorRt

    plans = None if gpu.plan_cache is None else PlanCache(gpu.plan_cache)
    return TensorRt(flavour, device=gpu.device, plans=plans, precision=gpu.precision, hashes=hashes)


_MAKERS: Final[Mapping[RuntimeName, Callable[[GpuOptions], Runtime]]] = {
    "onnxruntime-cpu": _onnxruntime_cpu,
    "onnxruntime-cuda": _onnxruntime_cuda,
    "openvino": _openvino,
    "tensorrt": partial(open_tensorrt, "tensorrt"),
    "tensorrt-rtx": partial(open_tensorrt, "tensorrt-rtx"),
}
