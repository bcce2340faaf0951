"""A session of ONNX Runtime as an `Executable`: its tensors lie where they are bound, and a run is only enqueued.

The session computes on the stream of its device and does not wait for it (`user_compute_stream`,
`disable_synchronize_execution_providers`). So runs of several sessions, and copies between them, are done in the order
in which they were enqueued, and the host waits once, for the end.

A set of addresses has an `IOBinding` of its own, made the first time and used again. With CUDA graphs it has a number
as well (`gpu_graph_id`): ONNX Runtime keeps a record for each number, plays it without a look at the binding, and so
must never see other addresses under the same one. The first run of a set is a plain one, the second is recorded, later
ones play the record. What follows from how ONNX Runtime records:

- It runs the graph twice before (it needs all memory to be there), and once more from the record. A run must
  therefore leave the same behind however often it is done: outputs lie apart from inputs, and what is written in place
  is a cache, whose write says the same twice. Whoever names `shared` tensors answers for that.
- Records belong to the thread that made them; another thread makes its own.
- Nothing else may allocate or wait meanwhile, in no thread: it is done alone behind the gate.

The same code runs on a CPU with memory of the host, where there is no stream to wait for and nothing to record.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from streamgen_engines.device.interface import Device
from streamgen_engines.errors import DeviceLostError, GraphLoadError, GraphRunError
from streamgen_engines.runtimes.capture_gate import PROCESS_GATE, CaptureGate
from streamgen_engines.runtimes.failures import run_error
from streamgen_engines.runtimes.onnxruntime_session import ORT_ERRORS, tensor_specs

_log = logging.getLogger(__name__)

CAPACITY: Final = 256
"""Sets of addresses that are known at once. Full-policy: one that comes later is bound anew for each run, and plain.

A record is never dropped for another: not every provider gives one back. The denoise graph of the chunk loop has nine
sets with four steps and guidance, and 153 with eight steps and blends of eight texts on both sides besides.
"""
PLAIN: Final = -1
"""In the place of a graph's number: this run neither records nor plays (`kOrtRunOptionsConfigCudaGraphAnnotation`)."""


@dataclass(frozen=True, slots=True)
class _Known:
    """One set of addresses.

    Attributes:
        number: of its record; ONNX Runtime keeps 0 for itself.
        binding: with all tensors bound.
        options: of runs that record or play.
    """

    number: int
    binding: Any
    options: Any


class _Thread(threading.local):
    """What one thread has done, by the numbers of sets."""

    def __init__(self) -> None:
        self.ran: set[int] = set()
        self.recorded: set[int] = set()


class BoundSession:
    """One graph whose tensors somebody else allocates. One thread at a time uses it.

    Args:
        session: ONNX Runtime's, on the stream of the device.
        device: where its tensors lie.
        path: of the graph, for messages.
        memory: ONNX Runtime's name for the device's memory, `cuda` or `cpu`.
        options: makes the options of runs, from the number of a graph.
        shared: outputs that are written over an input, and which; see above.
        records: whether the session records CUDA graphs.
        gate: that recording has alone.

    Raises:
        GraphMismatchError: a tensor has no static shape, or a type that no bundle has.
    """

    def __init__(
        self,
        session: Any,
        device: Device,
        path: Path,
        *,
        memory: str,
        options: Callable[[int], Any],
        shared: Mapping[str, str] | None = None,
        records: bool = False,
        gate: CaptureGate = PROCESS_GATE,
    ) -> None:
        self.inputs = tensor_specs(session.get_inputs(), path)
        self.outputs = tensor_specs(session.get_outputs(), path)
        self._session, self._device, self._path = session, device, path
        self._memory, self._options, self._gate = memory, options, gate
        self._shared = dict(shared or {})
        self._records = records
        self._addresses = dict.fromkeys((*self.inputs, *self.outputs), 0)
        self._unbound = set(self._addresses)
        self._known: dict[tuple[int, ...], _Known] = {}
        self._plain = options(PLAIN)
        self._spare: Any = None  # the binding of sets that there was no room for
        self._thread = _Thread()
        self._recorded = 0

    @property
    def recorded(self) -> int:
        """Records that were made, of all threads."""
        return self._recorded

    @property
    def known(self) -> int:
        """Sets of addresses that have a binding of their own."""
        return len(self._known)

    def aliased(self, output: str) -> str | None:
        """The input whose memory this output has to share; None when it has memory of its own."""
        return self._shared.get(output)

    def bind(self, name: str, address: int) -> None:
        """Tell where an input or output lies."""
        self._require_open()
        if name not in self._addresses:
            raise GraphLoadError(f"{self._path.name}: there is no tensor {name} to bind; export the bundle again")
        self._addresses[name] = address
        self._unbound.discard(name)

    def enqueue(self, stream: int) -> None:
        """Run once, in the order of the device's stream.

        Raises:
            GraphRunError: ONNX Runtime refuses, or a tensor was not bound.
            DeviceLostError: the device is gone.
        """
        self._require_open()
        if stream != self._device.stream:
            raise GraphRunError(f"{self._path.name} runs on the stream that it was loaded for, and on no other")
        if self._unbound:
            raise GraphRunError(f"{self._path.name}: {min(self._unbound)} lies nowhere; bind it first")
        known = self._found()
        if known is None:
            self._run(self._rebound(), self._plain)
        elif not self._records or known.number not in self._thread.ran:
            self._run(known.binding, self._plain)
            self._thread.ran.add(known.number)
        elif known.number in self._thread.recorded:
            self._run(known.binding, known.options)
        else:
            self._record(known)

    def capturable(self, stream: int) -> bool:
        """Nobody else may record a call: ONNX Runtime does it itself, or allocates and waits as it likes."""
        return False

    def close(self) -> None:
        """Give the session back, with its records and memory. Idempotent; nothing else may be called afterwards."""
        with self._gate.running():
            self._known.clear()
            self._spare = None
            self._session = None

    def _found(self) -> _Known | None:
        """What is known of the addresses as they are now; None where there is no room to know more."""
        key = tuple(self._addresses.values())
        known = self._known.get(key)
        if known is None and len(self._known) < CAPACITY:
            number = len(self._known) + 1
            known = self._known[key] = _Known(number, self._bound(), self._options(number))
            if len(self._known) == CAPACITY:
                _log.warning(
                    "%s runs on %d sets of addresses; further ones are bound anew for each run, and not recorded",
                    self._path.name,
                    CAPACITY,
                )
        return known

    def _record(self, known: _Known) -> None:
        """Run, and keep the record. What cannot be recorded is no error: this session runs plainly for good."""
        try:
            with self._gate.recording():
                self._session.run_with_iobinding(known.binding, known.options)
        except ORT_ERRORS as error:
            told = run_error(self._path, error)
            if isinstance(told, DeviceLostError):
                raise told from error
            _log.warning("%s cannot be recorded, and runs kernel by kernel from now on: %s", self._path.name, told)
            self._records = False
            self._device.abort_capture()  # or the stream would go on recording
            self._run(known.binding, self._plain)
            return
        self._thread.recorded.add(known.number)
        self._recorded += 1

    def _run(self, binding: Any, options: Any) -> None:
        try:
            with self._gate.running():  # the first ones allocate
                self._session.run_with_iobinding(binding, options)
        except ORT_ERRORS as error:
            raise run_error(self._path, error) from error

    def _rebound(self) -> Any:
        self._spare = self._bound(self._spare)
        return self._spare

    def _bound(self, binding: Any = None) -> Any:
        """A binding of the addresses as they are now; a new one, or this one with all of its tensors bound anew."""
        made = self._session.io_binding() if binding is None else binding
        for bind, specs in ((made.bind_input, self.inputs), (made.bind_output, self.outputs)):
            for name, spec in specs.items():
                kind = np.dtype(spec.dtype).type
                bind(name, self._memory, self._device.index, kind, spec.shape, self._addresses[name])
        return made

    def _require_open(self) -> None:
        if self._session is None:
            raise GraphRunError(f"{self._path.name} has been closed; load it again")
