"""An engine that leaves its results on the GPU, for another engine there that reads them on a stream of its own.

Two events order the streams. `made` lies behind the run: whoever reads waits for it on its own stream. `read` lies
behind the reader's copy: the next run, which writes over the results, waits for it. So the host waits for neither, and
the engine may run again while the reader still works on what it has copied. The copy inside the GPU takes next to no
time, and with it every address stays what either engine has recorded.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from streamgen_engines.device.closing import take_every
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.interface import Device
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.runtimes.interface import Array, Engine, Placed, Signature


class LeavingEngine:
    """One graph whose results are read by one other engine. One thread at a time calls both.

    Args:
        inner: the engine; it is closed by whoever made it, after this one.
        name: how error messages name it.
    """

    def __init__(self, inner: DeviceEngine, *, name: str) -> None:
        """Make the events.

        Raises:
            GraphRunError: the GPU has none left.
        """
        self._inner, self._device, self._name = inner, inner.device, name
        self._device.use()
        self._made = self._device.event()
        self._read = self._device.event()
        self._reader: int | None = None  # stream that has read, and from then on the only one that may
        self._runs = 0
        self._closed = False

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, without the carried states."""
        return self._inner.signature

    def leave(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed] | None = None) -> "LeftResults":
        """Begin a run, once the last one is done and its results have been read.

        Args:
            inputs: all of them, for what cannot be taken from the GPU.
            placed: those that may be, by name.

        Raises:
            GraphMismatchError: an input is missing, unknown, or of the wrong shape or type.
            GraphRunError: the graph failed; call `reset()` before the next run.
        """
        if self._closed:
            raise GraphRunError(f"{self._name} has been closed; load it again")
        self._runs += 1  # also where it fails: what was left before is written over
        self._device.use()
        self._inner.wait()
        if self._reader is not None:
            self._device.wait_event(self._read)
        self._inner.enqueue(inputs, placed or {})
        self._device.record_event(self._made)
        return LeftResults(self, self._runs)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once and wait; gives those results that come to the host."""
        return self.leave(inputs).fetch()

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Copy held inputs to the GPU, where they stay; see `DeviceEngine.hold`."""
        self._inner.hold(arrays)

    def state(self, name: str) -> Array:
        """The carried state itself: a writable view, valid until the next run."""
        return self._inner.state(name)

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine; see `DeviceEngine.take_states`."""
        self._inner.take_states(other._inner if isinstance(other, LeavingEngine) else other)

    def reset(self) -> None:
        """Set every carried state to zero. What was left is gone."""
        self._runs += 1
        self._inner.reset()

    def close(self) -> None:
        """Give the events back, once nothing is on its way. Idempotent; a run raises `GraphRunError` afterwards.

        What a GPU that is lost refuses to take back is logged, and the rest is given back all the same.
        """
        if self._closed:
            return
        self._closed = True
        self._runs += 1
        device = self._device
        steps = [device.use, self._inner.wait, device.synchronise]
        steps += [partial(device.free_event, event) for event in (self._read, self._made)]
        take_every(steps, self._name)

    def _copy(self, run: int, name: str, order: Sequence[int] | None, device: Device, address: int) -> bool:
        """Enqueue, on the reader's stream, what brings a result there."""
        self._require(run)
        if device.index != self._device.index:
            return False
        if self._reader not in (None, device.stream):
            raise GraphRunError(f"the results of {self._name} are read by one other engine; load it once for each")
        self._reader = device.stream
        source, size = self._inner.result(name)
        device.wait_event(self._made)
        if order is None:
            device.copy(address, source, size)
        else:
            piece = size // self._inner.signature.outputs[name].shape[0]
            for place, which in enumerate(order):
                device.copy(address + place * piece, source + which * piece, piece)
        device.record_event(self._read)
        return True

    def _fetched(self, run: int) -> dict[str, Array]:
        self._require(run)
        return self._inner.fetch()

    def _require(self, run: int) -> None:
        if run != self._runs:
            raise GraphRunError(
                f"what run {run} of {self._name} has left is gone: it has run since, was reset or closed; "
                f"read it before the next run"
            )


class LeftResults:
    """`Left`: results of one run of a `LeavingEngine`."""

    def __init__(self, engine: LeavingEngine, run: int) -> None:
        self._engine, self._run = engine, run

    def place(self, name: str, order: Sequence[int] | None = None) -> Placed:
        """What copies a result to another engine's input; see `Left`.

        Raises:
            GraphMismatchError: there is no such result, or it has no such piece.
        """
        spec = self._engine.signature.outputs.get(name)
        if spec is None:
            raise GraphMismatchError(f"there is no result {name} to be read; export the bundle again")
        if order is not None and not all(0 <= which < spec.shape[0] for which in order):
            raise GraphMismatchError(f"{name} has {spec.shape[0]} pieces, and {list(order)} are asked for")
        return partial(self._engine._copy, self._run, name, order)

    def fetch(self) -> dict[str, Array]:
        """Wait for the run, and give those results that come to the host as well."""
        return self._engine._fetched(self._run)
