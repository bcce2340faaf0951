"""What the runtimes that are built on ONNX Runtime share: its errors, options and types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.runtimes.tensors import static_spec

ORT_ERRORS: Final = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    MemoryError,
    RuntimeError,  # a failing kernel, or a file that is no graph
)
"""ONNX Runtime's exceptions share no base class of their own."""

_NUMPY_NAMES: Final = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
_ERRORS_ONLY: Final = 3  # ONNX Runtime's log severity; its warnings are about optimiser details


def session_options(threads: int) -> Any:
    """Options of a session with static shapes that has `threads` threads and lets them sleep between runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    # Spinning workers starve the other stages of the cores: two threads would be slower than one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Shapes are static, so the first run plans all scratch memory as one block and later runs reuse it.
    options.enable_mem_pattern = True
    options.enable_cpu_mem_arena = True
    return options


def tensor_specs(arguments: Sequence[Any], path: Path) -> dict[str, TensorSpec]:
    """Inputs or outputs of a session by name.

    Raises:
        GraphMismatchError: one has no static shape, or a type that no bundle has.
    """
    return {each.name: static_spec(each.name, each.shape, _NUMPY_NAMES.get(each.type), path) for each in arguments}
