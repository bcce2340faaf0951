"""TensorRT's words and CUDA's numbers: what they mean, and what is raised."""

import pytest

from streamgen_engines.errors import DeviceLostError, EngineError, GraphLoadError, GraphRunError, OutOfMemoryError
from streamgen_engines.runtimes.failures import (
    CUDA_LOST,
    at_loading,
    build_error,
    call_error,
    cuda_error,
    no_room,
    plan_error,
)

# As TensorRT reports them: the last one first, and the reason often in an earlier one.
MEMORY = [
    "[defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)",
    "ICudaEngine::createExecutionContext: Error Code 2: OutOfMemory (no further information)",
    "Requested amount of GPU memory (17920000000 bytes) could not be allocated.",
    "IRuntime::deserializeCudaEngine: Error Code 4: Internal (...); Error Code 1: Cuda Runtime (out of memory)",
]
LOST = [
    "[checkMacros.cpp::catchCudaError::212] Error Code 1: Cuda Runtime (an illegal memory access was encountered)",
    "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (unspecified launch failure)",
    "Error Code 1: Cuda Runtime (CUDA-capable device(s) is/are busy or unavailable)",
    "Error Code 1: Cuda Runtime (uncorrectable ECC error encountered)",
    "Error Code 1: Cuda Runtime (the launch timed out and was terminated)",
    "Error Code 1: Cuda Runtime (misaligned address)",
]
OTHERWISE = [
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Version tag does not match)",
    "Engine plan blob size mismatches the size encoded in the plan header.",
    "it gave no reason",
]


@pytest.mark.parametrize("words", MEMORY)
def test_want_of_memory_says_nothing_against_a_plan(words: str) -> None:
    error = plan_error("pocket/denoise", "tensorrt-rtx 1.7.1", words)
    assert type(error) is OutOfMemoryError
    assert "pocket/denoise: there is not enough memory" in str(error)
    assert "smaller bundle" in str(error)
    assert type(build_error("pocket/denoise", "tensorrt 11.4", words)) is OutOfMemoryError


@pytest.mark.parametrize("words", MEMORY)
def test_want_of_memory_in_a_stream_is_a_failed_run_that_says_so(words: str) -> None:
    error = call_error("pocket/denoise", words)
    assert type(error) is GraphRunError
    assert "pocket/denoise failed for want of memory" in str(error)


@pytest.mark.parametrize("words", LOST)
def test_a_lost_gpu_is_neither_the_plans_nor_the_graphs_fault(words: str) -> None:
    for error in (plan_error("text", "tensorrt", words), call_error("text", words), build_error("text", "trt", words)):
        assert type(error) is DeviceLostError
        assert "nvidia-smi" in str(error)


@pytest.mark.parametrize("words", OTHERWISE)
def test_any_other_refusal_is_the_plans_own(words: str) -> None:
    error = plan_error("text", "tensorrt-rtx 1.7.1", words)
    assert type(error) is GraphLoadError
    assert "build it again with streamgen compile" in str(error)
    assert type(call_error("text", words)) is GraphRunError
    assert "try another --precision" in str(build_error("text", "tensorrt", words))


@pytest.mark.parametrize(
    ("number", "name", "kind"),
    [
        (46, "cudaErrorDevicesUnavailable", DeviceLostError),
        (100, "cudaErrorNoDevice", DeviceLostError),
        (214, "cudaErrorECCUncorrectable", DeviceLostError),
        (700, "cudaErrorIllegalAddress", DeviceLostError),
        (702, "cudaErrorLaunchTimeout", DeviceLostError),
        (716, "cudaErrorMisalignedAddress", DeviceLostError),
        (719, "cudaErrorLaunchFailure", DeviceLostError),
        (999, "cudaErrorUnknown", DeviceLostError),
        (2, "cudaErrorMemoryAllocation", GraphRunError),
        (1, "cudaErrorInvalidValue", GraphRunError),
        (900, "cudaErrorStreamCaptureUnsupported", GraphRunError),
    ],
)
def test_cudas_numbers(number: int, name: str, kind: type[EngineError]) -> None:
    error = cuda_error(1, number, name, "its words")
    assert type(error) is kind
    assert f"GPU 1: its words ({name})" in str(error)


def test_memory_that_is_asked_for_is_told_apart_from_memory_in_a_run() -> None:
    assert type(cuda_error(0, 2, "cudaErrorMemoryAllocation", "out of memory", allocating=True)) is OutOfMemoryError


def test_every_number_is_told_by_words_too() -> None:
    """ONNX Runtime gives the number in its text, and no more."""
    for number in CUDA_LOST:
        assert type(call_error("graph", f"CUDA failure {number}: whatever it says")) is DeviceLostError


def test_the_numbers_are_those_of_the_binding() -> None:
    """Where NVIDIA's binding is installed it knows every number by the name that we mean."""
    errors = pytest.importorskip("cuda.bindings.runtime").cudaError_t
    names = {int(each): each.name for each in errors}
    assert {names[number] for number in CUDA_LOST} >= {
        *("cudaErrorDevicesUnavailable", "cudaErrorNoDevice", "cudaErrorInvalidDevice", "cudaErrorECCUncorrectable"),
        *("cudaErrorIllegalAddress", "cudaErrorLaunchTimeout", "cudaErrorAssert", "cudaErrorHardwareStackError"),
        *("cudaErrorIllegalInstruction", "cudaErrorMisalignedAddress", "cudaErrorInvalidAddressSpace"),
        *("cudaErrorInvalidPc", "cudaErrorLaunchFailure", "cudaErrorCudartUnloading", "cudaErrorUnknown"),
    }
    assert names[2] == "cudaErrorMemoryAllocation"


def test_no_room_names_both_sizes() -> None:
    assert "its plan takes 300 MiB, and only 100 MiB of the GPU are free" in str(
        no_room("text", 300 * 2**20, 100 * 2**20)
    )


def test_while_loading_want_of_memory_is_told_apart_and_nothing_else() -> None:
    late = cuda_error(0, 2, "cudaErrorMemoryAllocation", "out of memory")
    assert type(late) is GraphRunError
    assert type(at_loading(late)) is OutOfMemoryError
    for error in (GraphRunError("invalid argument"), DeviceLostError("out of memory, and lost")):
        assert at_loading(error) is error
