"""ONNX Runtime on an NVIDIA GPU: sessions on the streams of `CudaDevice`, with CUDA graphs.

What runs them is `bound_runtime`: the same chunk loop, engines and planes as with TensorRT.

This has not run on a GPU yet. Its numbers are tested with ONNX Runtime's CPU provider on the host's memory, and its
order of calls on a fake GPU that is strict where ONNX Runtime and CUDA are. For a machine that has one there is
`tests/engines/test_onnxruntime_cuda_device.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import onnxruntime

from streamgen_engines.device.interface import Device
from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.gpu_options import Precision
from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.runtimes.cuda_provider import INSTALL, PROVIDER
from streamgen_engines.runtimes.gated_device import GatedCudaDevice
from streamgen_engines.runtimes.onnxruntime_session import session_options

_HOST_PROVIDER: Final = "CPUExecutionProvider"
_ASSIGNMENT: Final = "session.record_ep_graph_assignment_info"
_WEIGHTS: Final = "session.model_external_initializers_file_folder_path"
_GRAPH_ID: Final = "gpu_graph_id"  # run option: which CUDA graph a run records or plays
_NO_WAIT: Final = "disable_synchronize_execution_providers"  # run option: the run is enqueued, and not waited for


class CudaSessions:
    """`Sessions` of the CUDA provider.

    Args:
        ort: ONNX Runtime's Python module.
        device_id: number of the GPU.
        exact: compute float32 as such, and not in TF32, which keeps 10 bits of a product's factors.
        open_device: opens the GPU.
    """

    memory = "cuda"
    upgrade = 'pip install --upgrade "onnxruntime-gpu[cuda,cudnn]"'

    def __init__(self, ort: Any, device_id: int, *, exact: bool, open_device: Callable[[int], Device]) -> None:
        self._ort, self._device_id, self._open_device = ort, device_id, open_device
        self._settings = {
            "device_id": str(device_id),
            "use_tf32": str(int(not exact)),
            # Channels share a GPU, and doubling each time would take what the next one needs.
            "arena_extend_strategy": "kSameAsRequested",
        }

    @property
    def told(self) -> str:
        """The runtime with its version, for people."""
        return f"ONNX Runtime {self._ort.__version__} for CUDA"

    def device(self) -> Device:
        """The GPU, with a new stream."""
        return self._open_device(self._device_id)

    def open(self, source: bytes, folder: Path, device: Device, *, threads: int, records: bool) -> Any:
        """A session on the stream of a device; see `Sessions`."""
        options = session_options(threads)
        options.add_session_config_entry(_ASSIGNMENT, "1")
        options.add_session_config_entry(_WEIGHTS, str(folder))
        settings = {
            **self._settings,
            "user_compute_stream": str(device.stream),
            "enable_cuda_graph": str(int(records)),
        }
        session = self._ort.InferenceSession(
            source, sess_options=options, providers=[(PROVIDER, settings), _HOST_PROVIDER], enable_fallback=0
        )
        # Without a driver or library ONNX Runtime takes the CPU and says so in its own log only.
        if PROVIDER not in session.get_providers():
            raise RuntimeUnavailableError(
                f"{self.told} finds no GPU {self._device_id} that it can use; `nvidia-smi` must list it, and CUDA and "
                f'cuDNN must be there: `pip install "onnxruntime-gpu[cuda,cudnn]"`. '
                f"The runtime onnxruntime-cpu works meanwhile"
            )
        return session

    def options(self, graph: int) -> Any:
        """Options of runs under the number of a graph, which do not wait for the GPU."""
        made = self._ort.RunOptions()
        made.add_run_config_entry(_GRAPH_ID, str(graph))
        made.add_run_config_entry(_NO_WAIT, "1")
        return made


class OnnxRuntimeCuda(BoundRuntime):
    """Loads graphs with ONNX Runtime's CUDA kernels. Not thread-safe: each thread has a runtime of its own.

    Args:
        device_id: number of the GPU.
        precision: of every graph; None is what each was exported in, or fp16.
        cuda_graph: record each graph's kernels and play them with one launch, where all of it runs on the GPU.
        ort: ONNX Runtime's Python module; tests give another.
        open_device: opens a GPU; tests give another.
    """

    def __init__(
        self,
        *,
        device_id: int = 0,
        precision: Precision | None = None,
        cuda_graph: bool = True,
        ort: Any = onnxruntime,
        open_device: Callable[[int], Device] = GatedCudaDevice,
    ) -> None:
        """Look for the provider; the GPU itself is asked for by the first `load`.

        Raises:
            RuntimeUnavailableError: this ONNX Runtime was built without CUDA.
        """
        if PROVIDER not in ort.get_available_providers():
            raise RuntimeUnavailableError(
                f"the runtime onnxruntime-cuda is not installed here: ONNX Runtime {ort.__version__} has no "
                f"{PROVIDER}; install it with `{INSTALL}`"
            )
        # Finds CUDA and cuDNN where pip has put them; the system's own are found without it.
        ort.preload_dlls()
        sessions = CudaSessions(ort, device_id, exact=precision == "fp32", open_device=open_device)
        super().__init__("onnxruntime-cuda", sessions, precision=precision, records=cuda_graph)
