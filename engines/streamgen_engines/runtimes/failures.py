"""What a runtime's complaint means, and what to do about it: the same errors from every runtime.

Runtimes tell kinds of failure apart by words alone, so the words are looked for here, in one place. CUDA itself has
numbers, which are here too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamgen_engines.errors import (
    DeviceLostError,
    EngineError,
    GraphLoadError,
    GraphRunError,
    OutOfMemoryError,
)

CUDA_NO_MEMORY: Final = 2
"""cudaErrorMemoryAllocation."""
CUDA_LOST: Final = frozenset(
    {4, 46, 100, 101, 214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 802, 803, 999}
)
"""Numbers of `cudaError_t` after which this process cannot use the device any more.

They say that the driver ends (4, 802, 803), that there is no device or that somebody else has it (46, 100, 101), that
memory or a link is broken (214, 220, 721), or that a kernel did what leaves the process's context unusable (700 to
719); CUDA's documentation asks for a new process after each of the latter. 999 is "unknown error", which drivers return
when they hang.
"""

_NO_MEMORY: Final = re.compile(
    r"out of memory|bad[ _]alloc|failed to allocate|cannot allocate|could not be allocated|OUT_?OF_?MEMORY"
    rf"|CUDA failure {CUDA_NO_MEMORY}\b|cudaErrorMemoryAllocation|ALLOC_FAILED",
    re.I,
)
_DEVICE_LOST: Final = re.compile(
    rf"CUDA failure (?:{'|'.join(str(number) for number in sorted(CUDA_LOST))})\b"
    r"|device.{0,20}(?:lost|removed|reset|unavailable|hung)|driver shutting down|no CUDA-capable device"
    r"|illegal memory access|illegal instruction|misaligned address|invalid program counter|hardware stack error"
    r"|global/shared address space|unspecified launch failure|launch timed out|device-side assert"
    r"|uncorrectable (?:ECC|NVLink)",
    re.I,
)
_MAX_CHARS: Final = 600  # of a runtime's own words; some list every operator of a graph

_DRIVER: Final = (
    "look at the driver (`nvidia-smi`, `dmesg`) and start again, or go on with the runtime onnxruntime-cpu meanwhile"
)
_ROOM: Final = "end other programs on this machine or device, or choose a smaller bundle"


def load_error(path: Path, runtime: str, error: Exception, *, upgrade: str) -> EngineError:
    """What to raise when a graph does not load.

    Args:
        path: the graph's file.
        runtime: name and version, for people.
        error: what the runtime raised.
        upgrade: the command that brings a newer runtime.
    """
    words = str(error) or type(error).__name__
    return _not_loaded(f"{path}", runtime, words, error) or GraphLoadError(
        f"{path}: {runtime} cannot load this graph ({_short(words)}); "
        f"upgrade with `{upgrade}`, choose another runtime, or export the bundle again"
    )


def plan_error(name: str, runtime: str, words: str) -> EngineError:
    """What to raise when TensorRT does not load a plan; want of memory says nothing against the plan.

    Args:
        name: of the graph.
        runtime: name and version, for people.
        words: all that TensorRT has reported meanwhile.
    """
    return _not_loaded(name, runtime, words) or GraphLoadError(
        f"{name}: {runtime} cannot load this plan ({_short(words)}); build it again with streamgen compile"
    )


def build_error(name: str, runtime: str, words: str) -> EngineError:
    """What to raise when TensorRT does not build a graph.

    Args:
        name: of the graph.
        runtime: name and version, for people.
        words: what TensorRT has reported last. Earlier errors tell of kernels that were tried and left.
    """
    return _not_loaded(name, runtime, words) or GraphLoadError(
        f"{name}: {runtime} cannot build this graph ({_short(words)}); "
        f"try another --precision, or another version of this runtime"
    )


def run_error(path: Path, error: Exception) -> GraphRunError:
    """What to raise when a graph fails while it runs."""
    return call_error(path.name, str(error) or type(error).__name__, error)


def call_error(name: str, words: str, error: Exception | None = None) -> GraphRunError:
    """The same where there are words alone.

    Args:
        name: of the graph.
        words: all that the runtime has reported.
        error: what it raised, if it did.
    """
    if _is_memory(words, error):
        return GraphRunError(f"{name} failed for want of memory: {_short(words)}; {_ROOM}")
    if _DEVICE_LOST.search(words):
        return DeviceLostError(f"{name} failed because its device is gone: {_short(words)}; {_DRIVER}")
    return GraphRunError(f"{name} failed: {_short(words)}")


def cuda_error(device: int, number: int, name: str, words: str, *, allocating: bool = False) -> EngineError:
    """What to raise when a call to CUDA fails.

    Args:
        device: number of the GPU.
        number: of the error, as in `cudaError_t`.
        name: of the error, likewise.
        words: what CUDA says of it.
        allocating: whether memory was asked for, which happens when a graph is loaded and never while it runs.
    """
    told = f"GPU {device}: {words} ({name})"
    if number in CUDA_LOST:
        return DeviceLostError(f"{told}; {_DRIVER}")
    if number == CUDA_NO_MEMORY:
        return OutOfMemoryError(f"{told}; {_ROOM}") if allocating else GraphRunError(f"{told}; {_ROOM}")
    return GraphRunError(f"{told}; reset the generator, and look at nvidia-smi for its memory and its faults")


def at_loading(error: GraphRunError) -> EngineError:
    """What to raise when something is refused while a graph is loaded: want of memory is told apart, the rest stays.

    CUDA may find out late, in a call that asked for no memory itself.
    """
    if isinstance(error, DeviceLostError) or not _is_memory(str(error), None):
        return error
    return OutOfMemoryError(str(error))


@contextmanager
def loading() -> Iterator[None]:
    """Want of memory is `OutOfMemoryError` while something is loaded, also where CUDA finds out late."""
    try:
        yield
    except GraphRunError as error:
        told = at_loading(error)
        if told is error:
            raise
        raise told from error


def no_room(name: str, needed: int, free: int) -> OutOfMemoryError:
    """What to raise when there is no room for a plan, whatever the runtime says. `needed` and `free` are bytes."""
    taken, there = f"{needed / 2**20:,.0f} MiB", f"{free / 2**20:,.0f} MiB"
    return OutOfMemoryError(f"{name}: its plan takes {taken}, and only {there} of the GPU are free; {_ROOM}")


def _not_loaded(name: str, runtime: str, words: str, error: Exception | None = None) -> EngineError | None:
    """What is not the graph's own fault; None where it may be."""
    if _is_memory(words, error):
        return OutOfMemoryError(
            f"{name}: there is not enough memory to load this graph with {runtime} ({_short(words)}); {_ROOM}"
        )
    if _DEVICE_LOST.search(words):
        return DeviceLostError(f"{name}: {runtime} cannot use its device ({_short(words)}); {_DRIVER}")
    return None


def _is_memory(words: str, error: Exception | None) -> bool:
    return isinstance(error, MemoryError) or _NO_MEMORY.search(words) is not None


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= _MAX_CHARS else f"{line[:_MAX_CHARS]}..."
