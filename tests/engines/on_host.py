"""The CUDA runtime's own code with ONNX Runtime's CPU provider and the host's memory in the place of a GPU's."""

from pathlib import Path
from typing import Any

import onnxruntime

from streamgen_engines.device.interface import Device
from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.runtimes.onnxruntime_session import session_options
from tests.engines.host_device import HostDevice


class HostSessions:
    """`Sessions` of the CPU provider, each on a device of its own with one memory: the host's."""

    memory = "cpu"
    upgrade = "pip install --upgrade onnxruntime"
    told = f"ONNX Runtime {onnxruntime.__version__}"

    def __init__(self) -> None:
        self.devices: list[HostDevice] = []

    def device(self) -> HostDevice:
        self.devices.append(HostDevice())
        return self.devices[-1]

    def open(self, source: bytes, folder: Path, device: Device, *, threads: int, records: bool) -> Any:
        assert not records, "a CPU has nothing to record with"
        options = session_options(threads)
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        return onnxruntime.InferenceSession(
            source, sess_options=options, providers=["CPUExecutionProvider"], enable_fallback=0
        )

    def options(self, graph: int) -> Any:
        made = onnxruntime.RunOptions()
        made.add_run_config_entry("gpu_graph_id", str(graph))
        return made


class OnHost(BoundRuntime):
    """Loads graphs as `OnnxRuntimeCuda` does, on the CPU and in float32: nothing is rounded on the way."""

    def __init__(self) -> None:
        self.opened = HostSessions()
        super().__init__("on-host", self.opened, precision="fp32", records=False)
