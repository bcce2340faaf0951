"""What a runtime's complaint means, and what to do about it: the same errors from every runtime.

Runtimes tell kinds of failure apart by words alone, so the words are looked for here, in one place.
"""

import re
from pathlib import Path
from typing import Final

from streamgen_engines.errors import (
    DeviceLostError,
    EngineError,
    GraphLoadError,
    GraphRunError,
    OutOfMemoryError,
)

_NO_MEMORY: Final = re.compile(
    r"out of memory|bad[ _]alloc|failed to allocate|cannot allocate|OUT_?OF_?MEMORY|CUDA failure 2\b|ALLOC_FAILED", re.I
)
_DEVICE_LOST: Final = re.compile(
    r"CUDA failure (?:4|46|100|101|700|709|719|999)\b|device.{0,20}(?:lost|removed|reset|unavailable|hung)"
    r"|driver shutting down|illegal memory access|unspecified launch failure|no CUDA-capable device",
    re.I,
)
_MAX_CHARS: Final = 600  # of a runtime's own words; some list every operator of a graph


def load_error(path: Path, runtime: str, error: Exception, *, upgrade: str) -> EngineError:
    """What to raise when a graph does not load.

    Args:
        path: the graph's file.
        runtime: name and version, for people.
        error: what the runtime raised.
        upgrade: the command that brings a newer runtime.
    """
    words = _words(error)
    if _is_memory(error, words):
        return OutOfMemoryError(
            f"{path}: there is not enough memory to load this graph with {runtime} ({words}); "
            f"end other programs on this machine or device, or choose a smaller bundle"
        )
    if _DEVICE_LOST.search(words):
        return DeviceLostError(f"{path}: {runtime} cannot use its device ({words}); {_DRIVER}")
    return GraphLoadError(
        f"{path}: {runtime} cannot load this graph ({words}); "
        f"upgrade with `{upgrade}`, choose another runtime, or export the bundle again"
    )


def run_error(path: Path, error: Exception) -> GraphRunError:
    """What to raise when a graph fails while it runs."""
    words = _words(error)
    if _is_memory(error, words):
        return GraphRunError(
            f"{path.name} failed for want of memory: {words}; "
            f"end other programs on this machine or device, or choose a smaller bundle"
        )
    if _DEVICE_LOST.search(words):
        return DeviceLostError(f"{path.name} failed because its device is gone: {words}; {_DRIVER}")
    return GraphRunError(f"{path.name} failed: {words}")


_DRIVER: Final = (
    "look at the driver (`nvidia-smi`, `dmesg`) and start again, or go on with the runtime onnxruntime-cpu meanwhile"
)


def _is_memory(error: Exception, words: str) -> bool:
    return isinstance(error, MemoryError) or _NO_MEMORY.search(words) is not None


def _words(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _MAX_CHARS else f"{words[:_MAX_CHARS]}..."
