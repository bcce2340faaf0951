"""What an engine needs of a GPU: memory, copies, one stream, events, and recorded work that is played again."""

from dataclasses import dataclass
from typing import Protocol

from streamgen_engines.chunk import UInt8Array


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as plans are kept for it.

    Attributes:
        name: the maker's.
        capability: compute capability, such as 9.0.
        memory_bytes: its memory in all.
    """

    name: str
    capability: str
    memory_bytes: int


class Device(Protocol):
    """One GPU with one stream: whatever is enqueued happens in order. One thread at a time uses it.

    Addresses are those of the GPU, sizes are bytes. Every method raises `GraphRunError` when the GPU refuses,
    `DeviceLostError` when it is gone, and those that ask for memory `OutOfMemoryError` where there is none.
    """

    @property
    def gpu(self) -> Gpu:
        """Which one it is."""
        ...

    @property
    def index(self) -> int:
        """Its number, from 0; addresses and events of devices with the same one are good for both."""
        ...

    @property
    def stream(self) -> int:
        """Its stream, as runtimes take it."""
        ...

    def use(self) -> None:
        """Choose it for the calling thread, before anything else is done there."""
        ...

    def allocate(self, size: int) -> int:
        """Memory of the GPU, all zero; its address."""
        ...

    def free(self, address: int) -> None:
        """Give memory back."""
        ...

    def staging(self, size: int) -> UInt8Array:
        """Memory of the host that is copied without a detour (page-locked), all zero."""
        ...

    def free_staging(self, memory: UInt8Array) -> None:
        """Give it back; the array must not be touched again."""
        ...

    def upload(self, address: int, memory: UInt8Array) -> None:
        """Enqueue a copy from `staging` memory to the GPU."""
        ...

    def download(self, memory: UInt8Array, address: int) -> None:
        """Enqueue a copy from the GPU to `staging` memory."""
        ...

    def copy(self, target: int, source: int, size: int) -> None:
        """Enqueue a copy inside the GPU."""
        ...

    def copy_rows(self, target: int, source: int, *, width: int, pitch: int, count: int) -> None:
        """Enqueue copies inside the GPU: `count` rows of `width` bytes, `pitch` bytes from start to start."""
        ...

    def zero(self, address: int, size: int) -> None:
        """Enqueue filling with zeros."""
        ...

    def synchronise(self) -> None:
        """Wait until all that was enqueued is done."""
        ...

    def event(self) -> int:
        """A mark in the order of a stream, which may be that of another device on this GPU; what names it."""
        ...

    def record_event(self, event: int) -> None:
        """Enqueue the mark here. Not while work is recorded. Recording it again moves it."""
        ...

    def wait_event(self, event: int) -> None:
        """What is enqueued from here on is done after the mark, where it lies now; without a mark it waits for nothing.

        Not while work is recorded.
        """
        ...

    def synchronise_event(self, event: int) -> None:
        """Wait until all before the mark is done."""
        ...

    def free_event(self, event: int) -> None:
        """Give an event back."""
        ...

    def begin_capture(self) -> None:
        """From here on, what is enqueued is recorded and not done."""
        ...

    def end_capture(self) -> int:
        """End that, and make the record playable; what names it."""
        ...

    def abort_capture(self) -> None:
        """End a capture whose record is of no use. Never raises."""
        ...

    def play(self, record: int) -> None:
        """Enqueue a whole record: the same work on the same addresses."""
        ...

    def forget(self, record: int) -> None:
        """Give a record back."""
        ...

    def close(self) -> None:
        """Give the stream back. Idempotent."""
        ...
