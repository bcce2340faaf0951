"""The names of the runtimes, for settings and flags: importing this loads no runtime."""

from typing import Final, Literal, TypeAlias, get_args

from streamgen_engines.errors import RuntimeUnavailableError

RuntimeName: TypeAlias = Literal["onnxruntime-cpu", "onnxruntime-cuda", "openvino", "tensorrt", "tensorrt-rtx"]
"""What `--runtime` takes."""

DEFAULT_RUNTIME: Final[RuntimeName] = "onnxruntime-cpu"
RUNTIME_NAMES: Final[tuple[RuntimeName, ...]] = get_args(RuntimeName)
GPU_RUNTIMES: Final[frozenset[RuntimeName]] = frozenset({"onnxruntime-cuda", "tensorrt", "tensorrt-rtx"})
"""Those that run graphs on a GPU; the others compute on processors."""


def read_runtime(name: str) -> RuntimeName:
    """The runtime of that name.

    Raises:
        RuntimeUnavailableError: there is none of that name.
    """
    for known in RUNTIME_NAMES:
        if name == known:
            return known
    raise RuntimeUnavailableError(f"there is no runtime {name!r}; choose one of {', '.join(RUNTIME_NAMES)}")
