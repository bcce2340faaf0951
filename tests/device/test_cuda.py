"""`CudaDevice` against NVIDIA's binding as it is called, written by hand: order of arguments, errors, ends."""

import ctypes
import sys
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamgen_engines.device.cuda import CudaDevice, gpu_count, gpus
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import DeviceLostError, GraphRunError, OutOfMemoryError, RuntimeUnavailableError


class Error(IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorMemoryAllocation = 2  # noqa: N815
    cudaErrorIllegalAddress = 700  # noqa: N815
    cudaErrorInsufficientDriver = 35  # noqa: N815


class Binding:
    """The functions of `cuda.bindings.runtime` that are used; each call is written down."""

    cudaError_t = Error  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815
    cudaEventBlockingSync = 1  # noqa: N815
    cudaEventDisableTiming = 2  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(  # noqa: N815
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails: dict[str, Error] = {}
        self.host: list[Any] = []
        self.left = Error.cudaSuccess  # what the next one who asks for the last error is told
        self.returns: dict[str, Any] = {
            "cudaGetDeviceCount": 1,
            "cudaStreamCreateWithFlags": 77,
            "cudaGetDeviceProperties": SimpleNamespace(name=b"Fake 9000\0\0", major=9, minor=0, totalGlobalMem=2**30),
            "cudaMalloc": 4096,
            "cudaStreamEndCapture": 500,
            "cudaEventCreateWithFlags": 800,
            "cudaGraphInstantiate": 600,
            "cudaGetErrorString": b"out of memory",
        }

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, *arguments))
            if name == "cudaGetLastError":
                left, self.left = self.left, Error.cudaSuccess
                return (left,)
            error = self.fails.get(name, Error.cudaSuccess)
            self.left = error or self.left
            if name == "cudaMemGetInfo":
                return error, 2**29, 2**30
            if name == "cudaMallocHost" and not error:
                self.host.append((ctypes.c_uint8 * arguments[0])(*([9] * arguments[0])))
                return error, ctypes.addressof(self.host[-1])
            return (error, self.returns[name]) if name in self.returns else (error,)

        return call


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Binding:
    made = Binding()
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    bindings.runtime = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda", package)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return made


def test_the_gpu_is_known_by_name_and_capability(binding: Binding) -> None:
    device = CudaDevice(0)
    assert device.gpu == Gpu("Fake 9000", "9.0", 2**30)
    assert device.stream == 77
    assert device.index == 0
    assert ("cudaSetDevice", 0) in binding.calls


def test_copies_say_where_to_where_from_how_much_and_which_way(binding: Binding) -> None:
    device = CudaDevice(0)
    memory = device.staging(16)
    assert not memory.any()
    device.upload(1000, memory)
    device.download(memory, 2000)
    device.copy(3000, 4000, 8)
    device.zero(5000, 8)
    assert binding.calls[-4:] == [
        ("cudaMemcpyAsync", 1000, memory.ctypes.data, 16, 1, 77),
        ("cudaMemcpyAsync", memory.ctypes.data, 2000, 16, 2, 77),
        ("cudaMemcpyAsync", 3000, 4000, 8, 3, 77),
        ("cudaMemsetAsync", 5000, 0, 8, 77),
    ]
    device.free_staging(memory)
    assert binding.calls[-1] == ("cudaFreeHost", ctypes.addressof(binding.host[0]))


def test_host_memory_is_that_of_cuda(binding: Binding) -> None:
    memory = CudaDevice(0).staging(4)
    memory[:] = [1, 2, 3, 4]
    np.testing.assert_array_equal(list(binding.host[0]), [1, 2, 3, 4])


def test_gpu_memory_is_zeroed_and_given_back(binding: Binding) -> None:
    device = CudaDevice(0)
    address = device.allocate(32)
    device.free(address)
    assert binding.calls[-3:] == [("cudaMalloc", 32), ("cudaMemsetAsync", 4096, 0, 32, 77), ("cudaFree", 4096)]


def test_rows_are_copied_at_their_distance(binding: Binding) -> None:
    CudaDevice(0).copy_rows(1000, 2000, width=64, pitch=512, count=3)
    assert binding.calls[-1] == ("cudaMemcpy2DAsync", 1000, 512, 2000, 512, 64, 3, 3, 77)


def test_an_event_is_made_recorded_waited_for_and_given_back(binding: Binding) -> None:
    device = CudaDevice(0)
    event = device.event()
    device.record_event(event)
    device.wait_event(event)
    device.synchronise_event(event)
    device.free_event(event)
    assert binding.calls[-5:] == [
        ("cudaEventCreateWithFlags", 1 | 2),
        ("cudaEventRecord", 800, 77),
        ("cudaStreamWaitEvent", 77, 800, 0),
        ("cudaEventSynchronize", 800),
        ("cudaEventDestroy", 800),
    ]


def test_a_record_is_made_played_and_forgotten(binding: Binding) -> None:
    device = CudaDevice(0)
    device.begin_capture()
    record = device.end_capture()
    device.play(record)
    device.forget(record)
    assert [call[0] for call in binding.calls[-6:]] == [
        *("cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"),
        *("cudaGraphDestroy", "cudaGraphLaunch", "cudaGraphExecDestroy"),
    ]


def test_a_capture_that_fails_can_be_ended(binding: Binding) -> None:
    device = CudaDevice(0)
    device.begin_capture()
    binding.fails["cudaStreamEndCapture"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(GraphRunError):
        device.end_capture()
    device.abort_capture()
    assert binding.calls[-1] == ("cudaGetLastError",)


def test_an_error_of_the_gpu_is_told_in_its_words(binding: Binding) -> None:
    device = CudaDevice(0)
    binding.fails["cudaMalloc"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfMemoryError, match=r"GPU 0: out of memory \(cudaErrorMemoryAllocation\)"):
        device.allocate(2**40)
    binding.fails["cudaGraphLaunch"] = Error.cudaErrorMemoryAllocation
    device.begin_capture()
    record = device.end_capture()
    with pytest.raises(GraphRunError, match=r"GPU 0: out of memory \(cudaErrorMemoryAllocation\)"):
        device.play(record)


def test_memory_of_the_host_may_run_out_as_well(binding: Binding) -> None:
    device = CudaDevice(0)
    binding.fails["cudaMallocHost"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfMemoryError):
        device.staging(2**40)


def test_a_gpu_that_is_lost_is_told_apart(binding: Binding) -> None:
    device = CudaDevice(0)
    binding.fails["cudaEventSynchronize"] = Error.cudaErrorIllegalAddress
    with pytest.raises(DeviceLostError, match=r"cudaErrorIllegalAddress.*nvidia-smi"):
        device.synchronise()


def test_the_host_sleeps_while_it_waits_for_a_stream(binding: Binding) -> None:
    """`cudaStreamSynchronize` keeps a core busy under CUDA's usual schedule, and the cores encode."""
    binding.returns["cudaEventCreateWithFlags"] = 801
    device = CudaDevice(0)
    assert ("cudaEventCreateWithFlags", Binding.cudaEventBlockingSync | Binding.cudaEventDisableTiming) in binding.calls
    device.synchronise()
    assert binding.calls[-2:] == [("cudaEventRecord", 801, 77), ("cudaEventSynchronize", 801)]
    assert not any(call[0] == "cudaStreamSynchronize" for call in binding.calls)
    device.close()
    assert binding.calls[-2:] == [("cudaEventDestroy", 801), ("cudaStreamDestroy", 77)]


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocHost"])
def test_an_error_that_was_told_is_not_left_for_others(binding: Binding, call: str) -> None:
    device = CudaDevice(0)
    binding.fails[call] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfMemoryError):
        device.allocate(8) if call == "cudaMalloc" else device.staging(8)
    assert binding.cudaGetLastError() == (Error.cudaSuccess,)


@pytest.mark.parametrize("call", ["cudaSetDevice", "cudaStreamCreateWithFlags", "cudaEventCreateWithFlags"])
def test_a_gpu_without_room_for_a_stream_is_want_of_memory(binding: Binding, call: str) -> None:
    binding.fails[call] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfMemoryError):
        CudaDevice(0)
    assert (("cudaStreamDestroy", 77) in binding.calls) is (call == "cudaEventCreateWithFlags")


def test_the_stream_is_given_back_where_its_event_cannot_be(binding: Binding) -> None:
    device = CudaDevice(0)
    binding.fails["cudaEventDestroy"] = Error.cudaErrorIllegalAddress
    with pytest.raises(DeviceLostError):
        device.close()
    assert ("cudaStreamDestroy", 77) in binding.calls


def test_free_memory_is_that_of_this_gpu(binding: Binding) -> None:
    assert CudaDevice(0).free_bytes() == 2**29
    assert binding.calls[-2:] == [("cudaSetDevice", 0), ("cudaMemGetInfo",)]


def test_every_gpu_is_listed_without_opening_one(binding: Binding) -> None:
    binding.returns["cudaGetDeviceCount"] = 2
    assert gpus() == 2 * (Gpu("Fake 9000", "9.0", 2**30),)
    assert not any(call[0] in ("cudaSetDevice", "cudaStreamCreateWithFlags") for call in binding.calls)
    binding.fails["cudaGetDeviceCount"] = Error.cudaErrorInsufficientDriver
    assert gpus() == ()


@pytest.mark.parametrize("index", [1, -1])
def test_a_gpu_that_is_not_there_is_refused(binding: Binding, index: int) -> None:
    with pytest.raises(RuntimeUnavailableError, match=f"no GPU number {index} here, CUDA finds 1"):
        CudaDevice(index)


def test_without_a_driver_there_are_no_gpus(binding: Binding) -> None:
    binding.fails["cudaGetDeviceCount"] = Error.cudaErrorInsufficientDriver
    assert gpu_count() == 0
    with pytest.raises(RuntimeUnavailableError, match="nvidia-smi"):
        CudaDevice(0)


def test_without_the_binding_there_are_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert gpu_count() == 0
    with pytest.raises(RuntimeUnavailableError, match="cuda-bindings is not installed"):
        CudaDevice(0)


def test_closing_twice_destroys_once(binding: Binding) -> None:
    device = CudaDevice(0)
    device.close()
    device.close()
    assert [call for call in binding.calls if call[0] == "cudaStreamDestroy"] == [("cudaStreamDestroy", 77)]


def test_memory_that_cannot_be_filled_is_given_back_and_is_want_of_memory(binding: Binding) -> None:
    """The first fill of a process loads a kernel."""
    device = CudaDevice(0)
    binding.fails["cudaMemsetAsync"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfMemoryError):
        device.allocate(32)
    assert binding.calls[-1] == ("cudaFree", 4096)
