"""The runtimes on which the device's chunk loop is tested without a GPU."""

from collections.abc import Callable

from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from tests.engines.fake_cuda_ort import AddressedGpu, FakeCudaOrt
from tests.engines.on_host import OnHost


class OnFakeGpu(OnnxRuntimeCuda):
    """The CUDA runtime itself on the fake GPU, in float32."""

    def __init__(self, *, cuda_graph: bool = True, stirred: int | None = None) -> None:
        self.ort = FakeCudaOrt(gpu=AddressedGpu(stirred=stirred))
        super().__init__(precision="fp32", cuda_graph=cuda_graph, ort=self.ort, open_device=self.ort.open_device)


BOUND_RUNTIMES: dict[str, Callable[[], BoundRuntime]] = {
    "on the host": OnHost,
    "on a GPU, with graphs": OnFakeGpu,
    "on a GPU, without": lambda: OnFakeGpu(cuda_graph=False),
    "on a GPU, stirred": lambda: OnFakeGpu(stirred=3),
}
