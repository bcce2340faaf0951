"""`Device` on NVIDIA's own binding, `cuda.bindings`: extras `cuda`, `tensorrt` and `tensorrt-rtx` bring it."""

import ctypes
from typing import Any

import numpy as np

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.runtimes.failures import cuda_error


def gpu_count() -> int:
    """GPUs that CUDA can use here; 0 without a driver, or without the binding.

    To be asked before anything of TensorRT that needs a GPU: `trt.Runtime` ends the process where there is no driver.
    """
    try:
        from cuda.bindings import runtime
    except (ImportError, OSError):
        return 0
    error, count = runtime.cudaGetDeviceCount()
    return int(count) if error == runtime.cudaError_t.cudaSuccess and count is not None else 0


def gpus() -> tuple[Gpu, ...]:
    """Every GPU that CUDA can use here, in the order of their numbers; none without a driver or the binding."""
    count = gpu_count()
    if not count:
        return ()
    from cuda.bindings import runtime

    found = (runtime.cudaGetDeviceProperties(index) for index in range(count))
    return tuple(_described(properties) for error, properties in found if error == runtime.cudaError_t.cudaSuccess)


def _described(properties: Any) -> Gpu:
    name = properties.name
    return Gpu(
        name.decode().rstrip("\0") if isinstance(name, bytes) else str(name),
        f"{properties.major}.{properties.minor}",
        int(properties.totalGlobalMem),
    )


class CudaDevice:
    """One GPU, chosen for the calling thread and every thread that runs an engine on it.

    Args:
        index: which GPU, from 0.
    """

    def __init__(self, index: int = 0) -> None:
        """Open it.

        Raises:
            RuntimeUnavailableError: the binding is not installed, or there is no such GPU.
        """
        try:
            from cuda.bindings import runtime
        except (ImportError, OSError) as error:
            raise RuntimeUnavailableError(
                f"cuda-bindings is not installed ({error}); add it with: pip install cuda-bindings"
            ) from error
        self._api = runtime
        found = gpu_count()
        if not 0 <= index < found:
            raise RuntimeUnavailableError(
                f"there is no GPU number {index} here, CUDA finds {found}; check the driver with nvidia-smi, or run "
                f"on the CPU with the runtime onnxruntime-cpu"
            )
        self._index = index
        self._pinned: dict[int, int] = {}  # address of the array -> address that CUDA gave
        self._executables: dict[int, Any] = {}
        self._closed = False
        # The first call makes the context, and that takes memory.
        self._did(runtime.cudaSetDevice(index), allocating=True)
        (self._stream,) = self._did(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking), allocating=True)
        try:
            self._reached = self.event()
            (properties,) = self._did(runtime.cudaGetDeviceProperties(index))
        except BaseException:
            runtime.cudaStreamDestroy(self._stream)
            raise
        self._gpu = _described(properties)

    @property
    def gpu(self) -> Gpu:
        """Which one it is."""
        return self._gpu

    @property
    def index(self) -> int:
        """Its number, from 0."""
        return self._index

    @property
    def stream(self) -> int:
        """Its stream, as runtimes take it."""
        return int(self._stream)

    def use(self) -> None:
        """Choose it for the calling thread, before anything else is done there."""
        self._did(self._api.cudaSetDevice(self._index))

    def free_bytes(self) -> int:
        """Memory of the GPU that nobody uses at this moment."""
        self.use()
        free, _ = self._did(self._api.cudaMemGetInfo())
        return int(free)

    def allocate(self, size: int) -> int:
        """Memory of the GPU, all zero; its address.

        Raises:
            OutOfMemoryError: there is not as much.
        """
        (address,) = self._did(self._api.cudaMalloc(max(size, 1)), allocating=True)
        try:
            # The first fill of a process loads a kernel, which takes memory as well.
            self._did(self._api.cudaMemsetAsync(int(address), 0, size, self._stream), allocating=True)
        except BaseException:
            self._api.cudaFree(address)
            raise
        return int(address)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._did(self._api.cudaFree(address))

    def staging(self, size: int) -> UInt8Array:
        """Memory of the host that is copied without a detour (page-locked), all zero.

        Raises:
            OutOfMemoryError: the host has not as much.
        """
        (address,) = self._did(self._api.cudaMallocHost(max(size, 1)), allocating=True)
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * max(size, 1)).from_address(int(address)))[:size]
        memory.fill(0)
        self._pinned[memory.ctypes.data] = int(address)
        return memory

    def free_staging(self, memory: UInt8Array) -> None:
        """Give it back; the array must not be touched again."""
        self._did(self._api.cudaFreeHost(self._pinned.pop(memory.ctypes.data)))

    def upload(self, address: int, memory: UInt8Array) -> None:
        """Enqueue a copy from `staging` memory to the GPU."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._did(self._api.cudaMemcpyAsync(address, memory.ctypes.data, memory.nbytes, kind, self._stream))

    def download(self, memory: UInt8Array, address: int) -> None:
        """Enqueue a copy from the GPU to `staging` memory."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._did(self._api.cudaMemcpyAsync(memory.ctypes.data, address, memory.nbytes, kind, self._stream))

    def copy(self, target: int, source: int, size: int) -> None:
        """Enqueue a copy inside the GPU."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._did(self._api.cudaMemcpyAsync(target, source, size, kind, self._stream))

    def copy_rows(self, target: int, source: int, *, width: int, pitch: int, count: int) -> None:
        """Enqueue copies inside the GPU: `count` rows of `width` bytes, `pitch` bytes from start to start."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._did(self._api.cudaMemcpy2DAsync(target, pitch, source, pitch, width, count, kind, self._stream))

    def zero(self, address: int, size: int) -> None:
        """Enqueue filling with zeros."""
        self._did(self._api.cudaMemsetAsync(address, 0, size, self._stream))

    def synchronise(self) -> None:
        """Wait until all that was enqueued is done."""
        # cudaStreamSynchronize would keep a core busy meanwhile; the wait for such an event sleeps.
        self.record_event(self._reached)
        self.synchronise_event(self._reached)

    def event(self) -> int:
        """A mark in the order of a stream; what names it."""
        # Without times it costs nothing on the GPU; the host sleeps while it waits, for its cores encode.
        flags = self._api.cudaEventDisableTiming | self._api.cudaEventBlockingSync
        (event,) = self._did(self._api.cudaEventCreateWithFlags(flags), allocating=True)
        return int(event)

    def record_event(self, event: int) -> None:
        """Enqueue the mark here."""
        self._did(self._api.cudaEventRecord(event, self._stream))

    def wait_event(self, event: int) -> None:
        """What is enqueued from here on is done after the mark, where it lies now."""
        self._did(self._api.cudaStreamWaitEvent(self._stream, event, 0))

    def synchronise_event(self, event: int) -> None:
        """Wait until all before the mark is done."""
        self._did(self._api.cudaEventSynchronize(event))

    def free_event(self, event: int) -> None:
        """Give an event back."""
        self._did(self._api.cudaEventDestroy(event))

    def begin_capture(self) -> None:
        """From here on, what is enqueued is recorded and not done."""
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal  # other threads may allocate meanwhile
        self._did(self._api.cudaStreamBeginCapture(self._stream, mode))

    def end_capture(self) -> int:
        """End that, and make the record playable; what names it."""
        (graph,) = self._did(self._api.cudaStreamEndCapture(self._stream))
        try:
            (executable,) = self._did(self._api.cudaGraphInstantiate(graph, 0))
        finally:
            self._api.cudaGraphDestroy(graph)
        self._executables[int(executable)] = executable
        return int(executable)

    def abort_capture(self) -> None:
        """End a capture whose record is of no use. Never raises."""
        error, graph = self._api.cudaStreamEndCapture(self._stream)
        if error == self._api.cudaError_t.cudaSuccess and graph is not None and int(graph):
            self._api.cudaGraphDestroy(graph)
        self._api.cudaGetLastError()  # a failed capture leaves its error behind

    def play(self, record: int) -> None:
        """Enqueue a whole record: the same work on the same addresses."""
        self._did(self._api.cudaGraphLaunch(self._executables[record], self._stream))

    def forget(self, record: int) -> None:
        """Give a record back."""
        self._did(self._api.cudaGraphExecDestroy(self._executables.pop(record)))

    def close(self) -> None:
        """Give the stream back. Idempotent."""
        if not self._closed:
            self._closed = True
            try:
                self.free_event(self._reached)
            finally:
                self._did(self._api.cudaStreamDestroy(self._stream))

    def _did(self, returned: tuple[Any, ...], *, allocating: bool = False) -> tuple[Any, ...]:
        error, *values = returned
        if error != self._api.cudaError_t.cudaSuccess:
            # It is told here. Left behind, it would be found by a library that asks what went wrong later.
            self._api.cudaGetLastError()
            _, text = self._api.cudaGetErrorString(error)
            said = text.decode() if isinstance(text, bytes) else str(text)
            raise cuda_error(self._index, int(error), error.name, said, allocating=allocating)
        return tuple(values)
