from pathlib import Path

import pytest

from streamgen_engines.errors import (
    BundleError,
    DeviceLostError,
    EngineError,
    GraphLoadError,
    GraphRunError,
    OutOfMemoryError,
)
from streamgen_engines.runtimes.failures import load_error, run_error

GRAPH = Path("folder/denoise.onnx")
MEMORY = [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc",
    "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 1073741824",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; file=cuda_allocator.cc",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    "[CPU] Cannot allocate 4096 bytes",
]
LOST = [
    "CUDA failure 719: unspecified launch failure",
    "CUDA failure 700: an illegal memory access was encountered",
    "CUDA failure 999: unknown error",
    "CUDA failure 46: all CUDA-capable devices are busy or unavailable",
]
PLAIN = ["Non-zero status code returned while running TensorScatter node", "CUDA failure 209: no kernel image", ""]


def loading(words: str) -> EngineError:
    return load_error(GRAPH, "Abacus 1.0", RuntimeError(words), upgrade="pip install --upgrade abacus")


@pytest.mark.parametrize("words", MEMORY)
def test_want_of_memory_is_told_apart(words: str) -> None:
    assert type(loading(words)) is OutOfMemoryError
    assert "smaller bundle" in str(loading(words))
    error = run_error(GRAPH, RuntimeError(words))
    assert type(error) is GraphRunError
    assert "denoise.onnx failed for want of memory" in str(error)


@pytest.mark.parametrize("words", LOST)
def test_a_lost_device_is_told_apart(words: str) -> None:
    for error in (loading(words), run_error(GRAPH, RuntimeError(words))):
        assert type(error) is DeviceLostError
        assert "nvidia-smi" in str(error)
        assert "onnxruntime-cpu" in str(error)


@pytest.mark.parametrize("words", PLAIN)
def test_what_is_neither_is_the_graphs_own(words: str) -> None:
    assert type(loading(words)) is GraphLoadError
    assert isinstance(loading(words), BundleError)
    assert "`pip install --upgrade abacus`" in str(loading(words))
    assert type(run_error(GRAPH, RuntimeError(words))) is GraphRunError


def test_memory_that_python_itself_lacks_counts_too() -> None:
    assert type(load_error(GRAPH, "Abacus", MemoryError(), upgrade="")) is OutOfMemoryError


def test_long_complaints_are_cut_and_lines_are_joined() -> None:
    words = str(loading("one\n   two " + 1000 * "x"))
    assert "one two" in words
    assert len(words) < 900
