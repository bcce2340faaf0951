"""`CudaDevice` that keeps still while ONNX Runtime records: what allocates, frees or waits passes the gate."""

from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.cuda import CudaDevice
from streamgen_engines.runtimes.capture_gate import PROCESS_GATE, CaptureGate


class GatedCudaDevice(CudaDevice):
    """One GPU with one stream. Copies and marks of a stream may be enqueued at any time; everything else waits.

    Args:
        index: which GPU, from 0.
        gate: that it passes.
    """

    def __init__(self, index: int = 0, gate: CaptureGate = PROCESS_GATE) -> None:
        """Open it.

        Raises:
            RuntimeUnavailableError: the binding is not installed, or there is no such GPU.
        """
        self._gate = gate
        with gate.running():
            super().__init__(index)

    def free_bytes(self) -> int:
        """Memory of the GPU that nobody uses at this moment."""
        with self._gate.running():
            return super().free_bytes()

    def allocate(self, size: int) -> int:
        """Memory of the GPU, all zero; its address."""
        with self._gate.running():
            return super().allocate(size)

    def free(self, address: int) -> None:
        """Give memory back."""
        with self._gate.running():
            super().free(address)

    def staging(self, size: int) -> UInt8Array:
        """Page-locked memory of the host, all zero."""
        with self._gate.running():
            return super().staging(size)

    def free_staging(self, memory: UInt8Array) -> None:
        """Give it back; the array must not be touched again."""
        with self._gate.running():
            super().free_staging(memory)

    def synchronise(self) -> None:
        """Wait until all that was enqueued is done."""
        with self._gate.running():
            super().synchronise()

    def event(self) -> int:
        """A mark in the order of a stream; what names it."""
        with self._gate.running():
            return super().event()

    def synchronise_event(self, event: int) -> None:
        """Wait until all before the mark is done."""
        with self._gate.running():
            super().synchronise_event(event)

    def free_event(self, event: int) -> None:
        """Give an event back."""
        with self._gate.running():
            super().free_event(event)

    def close(self) -> None:
        """Give the stream back. Idempotent."""
        with self._gate.running():
            super().close()
