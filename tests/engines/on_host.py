"""The engine of the CUDA runtime on the host's memory, where ONNX Runtime offers the same calls."""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from streamgen_engines.manifest import State
from streamgen_engines.runtimes.failures import load_error
from streamgen_engines.runtimes.onnxruntime_cuda import DeviceEngine
from streamgen_engines.runtimes.onnxruntime_session import ORT_ERRORS, session_options


class OnHost:
    """Loads graphs as `OnnxRuntimeCuda` does, on the CPU."""

    name = "on-host"

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> DeviceEngine:
        try:
            session = ort.InferenceSession(
                str(path), sess_options=session_options(threads), providers=["CPUExecutionProvider"], enable_fallback=0
            )
            return DeviceEngine(ort, session, path, states, in_place=in_place, device="cpu", held=held)
        except ORT_ERRORS as error:
            raise load_error(path, "ONNX Runtime", error, upgrade="pip install --upgrade onnxruntime") from error
