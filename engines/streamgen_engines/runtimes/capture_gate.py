"""Who records a CUDA graph with ONNX Runtime has CUDA alone, in the whole process.

ONNX Runtime records in the mode `cudaStreamCaptureModeGlobal`. Until it is done, calls that allocate, free or wait fail
in every thread, and spoil the record (CUDA's documentation, `cudaStreamBeginCapture`). A channel has a thread for
texts, one to denoise and one to decode. So whoever makes such a call passes this gate. Any number may be inside at
once; one that records waits until all have left, and nobody enters before it is done. Recording is rare: once for each
set of addresses.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


class _Here(threading.local):
    """How this thread stands to the gate."""

    inside = False


class CaptureGate:
    """The gate. Any thread may pass; a thread that is inside already passes again."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0  # threads inside that do not record
        self._wanted = 0  # threads that wait to record
        self._recording = False
        self._here = _Here()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, nobody records but this thread itself."""
        if self._here.inside:
            yield
            return
        with self._changed:
            # Who wants to record goes first, or a busy stream would never let it.
            self._changed.wait_for(lambda: not (self._recording or self._wanted))
            self._running += 1
        self._here.inside = True
        try:
            yield
        finally:
            self._here.inside = False
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, this thread is alone."""
        assert not self._here.inside, "a thread that runs would wait for itself"
        with self._changed:
            self._wanted += 1
            try:
                self._changed.wait_for(lambda: not (self._recording or self._running))
                self._recording = True
            finally:
                self._wanted -= 1
                self._changed.notify_all()
        self._here.inside = True
        try:
            yield
        finally:
            self._here.inside = False
            with self._changed:
                self._recording = False
                self._changed.notify_all()


PROCESS_GATE: Final = CaptureGate()
"""The one of this process, because CUDA's rule is about all of its threads."""
