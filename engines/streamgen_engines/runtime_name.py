"""The names of the runtimes, for settings and flags: importing this loads no runtime."""

from typing import Final, Literal, TypeAlias, get_args

RuntimeName: TypeAlias = Literal["onnxruntime-cpu", "onnxruntime-cuda", "openvino"]
"""What `--runtime` takes."""

DEFAULT_RUNTIME: Final[RuntimeName] = "onnxruntime-cpu"
RUNTIME_NAMES: Final[tuple[RuntimeName, ...]] = get_args(RuntimeName)
