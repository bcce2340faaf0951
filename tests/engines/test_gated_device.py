"""Which calls to CUDA wait while something is recorded: those that allocate, free or wait, and no others."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from streamgen_engines.runtimes.capture_gate import CaptureGate
from streamgen_engines.runtimes.gated_device import GatedCudaDevice
from tests.device.test_cuda import Binding


class NotingGate(CaptureGate):
    """Notes how often somebody passes, and how deep it is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self.passed += 1
        with super().running():
            yield


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Binding:
    made = Binding()
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    bindings.runtime = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda", package)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return made


WAITING: dict[str, Callable[[GatedCudaDevice], Any]] = {
    "cudaMemGetInfo": lambda device: device.free_bytes(),
    "cudaMalloc": lambda device: device.allocate(8),
    "cudaFree": lambda device: device.free(4096),
    "cudaMallocHost": lambda device: device.staging(8),
    "cudaFreeHost": lambda device: device.free_staging(device.staging(8)),
    "cudaEventSynchronize": lambda device: device.synchronise(),
    "cudaEventCreateWithFlags": lambda device: device.event(),
    "cudaEventDestroy": lambda device: device.free_event(800),
    "cudaStreamDestroy": lambda device: device.close(),
}
AT_ONCE: dict[str, Callable[[GatedCudaDevice], Any]] = {
    "cudaMemcpyAsync": lambda device: device.copy(4096, 8192, 8),
    "cudaMemsetAsync": lambda device: device.zero(4096, 8),
    "cudaEventRecord": lambda device: device.record_event(800),
    "cudaStreamWaitEvent": lambda device: device.wait_event(800),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_allocates_frees_or_waits_passes_the_gate(binding: Binding, name: str) -> None:
    gate = NotingGate()
    device = GatedCudaDevice(0, gate)
    assert gate.passed > 0  # opening it allocates
    done = threading.Event()

    def call() -> None:
        WAITING[name](device)
        done.set()

    with gate.recording():
        before, passed = len(binding.calls), gate.passed
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        while gate.passed == passed:
            assert thread.is_alive()
        assert len(binding.calls) == before
    assert done.wait(10)
    assert name in {called for called, *_ in binding.calls[before:]}


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_only_enqueued_does_not(binding: Binding, name: str) -> None:
    gate = NotingGate()
    device = GatedCudaDevice(0, gate)
    passed, before = gate.passed, len(binding.calls)
    AT_ONCE[name](device)
    assert gate.passed == passed
    assert binding.calls[before][0] == name
