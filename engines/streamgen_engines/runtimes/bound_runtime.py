"""ONNX Runtime on a device of its own: graphs as sessions whose tensors lie on the device, and whole chunks made there.

Engines, the chunk loop and the planes are those of TensorRT as well (`device/engine.py`, `device/device_sampler.py`,
`device/double_buffered.py`): they know a `Device` and `Executable`s, and here a `BoundSession` is the executable.
Graphs are rewritten as for TensorRT too (`tensorrt/prepare.py`), because what is made for CPUs has operators without a
kernel for GPUs.

What is written in place is what a `TensorScatter` writes, where the caller allows it. Any other state has two buffers,
and its new value is copied over the old one on the device, so that no address ever changes.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.closing import Closable, take_every
from streamgen_engines.device.double_buffered import TURNS, DoubleBufferedEngine
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.interface import Device
from streamgen_engines.device.leaving import LeavingEngine
from streamgen_engines.errors import GraphLoadError, OutOfMemoryError, RuntimeUnavailableError
from streamgen_engines.gpu_options import Precision
from streamgen_engines.manifest import State, pocket_manifest
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.bound_session import BoundSession
from streamgen_engines.runtimes.capture_gate import PROCESS_GATE, CaptureGate
from streamgen_engines.runtimes.failures import load_error, loading
from streamgen_engines.runtimes.onnxruntime_session import ORT_ERRORS

if TYPE_CHECKING:
    from streamgen_engines.device.device_sampler import DeviceSampler

_log = logging.getLogger(__name__)

_HOST_PROVIDER: Final = "CPUExecutionProvider"
_HOST_MEMORY: Final = "Cpu"  # ONNX Runtime's name, as sessions tell it
_NO_GRAPH: Final = "graph capture"  # what ONNX Runtime's refusal speaks of
_NAMED: Final = 4


class Sessions(Protocol):
    """Opens sessions of one provider of ONNX Runtime."""

    @property
    def told(self) -> str:
        """The runtime with its version, for people."""
        ...

    @property
    def upgrade(self) -> str:
        """The command that brings a newer one."""
        ...

    @property
    def memory(self) -> str:
        """ONNX Runtime's name for memory of the device."""
        ...

    def device(self) -> Device:
        """The device, with a new stream.

        Raises:
            RuntimeUnavailableError: there is none.
        """
        ...

    def open(self, source: bytes, folder: Path, device: Device, *, threads: int, records: bool) -> Any:
        """A session on the stream of a device.

        Args:
            source: the graph.
            folder: where files of weights lie that it names.
            device: with the stream.
            threads: for operators that run on the host.
            records: whether it is to record CUDA graphs.

        Raises:
            RuntimeUnavailableError: ONNX Runtime does not find the device.
            Exception: ONNX Runtime's own, of `ORT_ERRORS`.
        """
        ...

    def options(self, graph: int) -> Any:
        """Options of runs under the number of a graph, which do not wait for the device."""
        ...


class BoundEngine(DeviceEngine):
    """An engine on a session. It records nothing itself: the session does."""

    def __init__(
        self,
        session: BoundSession,
        device: Device,
        states: Sequence[State],
        *,
        name: str,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> None:
        self._session = session
        super().__init__(session, device, states, name=name, record=False, fetches=fetches, held=held)

    @property
    def recorded(self) -> bool:
        """Whether runs are played from a record now."""
        return self._session.recorded > 0


class BoundRuntime:
    """Loads graphs onto one device. Not thread-safe: each thread that runs engines has a runtime of its own.

    Args:
        name: short, as `streamgen doctor` prints it.
        sessions: of the provider.
        precision: of every graph; None is what each was exported in, or fp16.
        records: whether sessions record CUDA graphs, where all of a graph runs on the device.
        gate: that recording has alone.
    """

    def __init__(
        self,
        name: str,
        sessions: Sessions,
        *,
        precision: Precision | None = None,
        records: bool = True,
        gate: CaptureGate = PROCESS_GATE,
    ) -> None:
        self._name, self._sessions = name, sessions
        self._precision, self._records, self._gate = precision, records, gate
        self._bound: list[BoundSession] = []
        self._owned: list[Closable] = []  # each before what uses it

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return self._name

    @property
    def precision(self) -> Precision | None:
        """Of every graph; None is what each was exported in, or fp16."""
        return self._precision

    @property
    def recorded(self) -> int:
        """CUDA graphs that its sessions have recorded."""
        return sum(session.recorded for session in self._bound)

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> BoundEngine:
        """Load one graph.

        Args:
            path: the ONNX file; all its inputs and outputs have static shapes.
            states: the tensors that it carries from call to call.
            threads: threads for those operators that have no kernel for the device.
            in_place: one buffer for each state that a `TensorScatter` writes; the graph must satisfy the rule of
                `onnxruntime_cpu`.
            held: inputs that are given with `hold`, and copied to the device then.

        Raises:
            RuntimeUnavailableError: there is no device, its driver or CUDA's libraries are missing, or a package is.
            GraphLoadError: the file is no graph, cannot be prepared, or ONNX Runtime refuses it.
            GraphMismatchError: a state is not an input and an output of the stated shape and type, or a
                tensor has no static shape.
            OutOfMemoryError: graph and states do not fit into the device's memory.
        """
        return self._engine(self._prepared(path), path, states, threads, in_place=in_place, held=held)

    def load_leaving(
        self, path: Path, states: Sequence[State] = (), *, threads: int = 1, fetches: bool = False
    ) -> LeavingEngine:
        """Load one graph whose results stay on the device, for another engine of this runtime; raises as `load` does.

        Args:
            path: the ONNX file.
            states: what it carries from call to call.
            threads: for operators that have no kernel for the device.
            fetches: whether results come to the host as well.
        """
        inner = self._engine(self._prepared(path), path, states, threads, in_place=False, fetches=fetches)
        with self._loading(path):
            made = LeavingEngine(inner, name=path.name)
        self._owned.append(made)
        return made

    def load_planes(
        self, path: Path, states: Sequence[State], request: PlaneRequest, *, threads: int = 1
    ) -> DoubleBufferedEngine:
        """Load a graph that makes pictures, with planes of them as outputs.

        Results are page-locked memory, and valid until the run after the next begins.

        Raises:
            GraphLoadError: the graph makes no pictures; or as `load`.
            RuntimeUnavailableError, GraphMismatchError, OutOfMemoryError: as `load`.
        """
        inner = self._engine(self._prepared(path, request), path, states, threads, in_place=False, fetches=False)
        with self._loading(path):
            made = DoubleBufferedEngine(inner, [self._stream() for _ in range(TURNS)], name=path.name)
        self._owned.append(made)
        return made

    def chunk_sampler(self, bundle: Bundle) -> "DeviceSampler":
        """Load a bundle's denoise graph with sessions for all the arithmetic around it, on one stream.

        Raises:
            RuntimeUnavailableError, GraphLoadError, GraphMismatchError, OutOfMemoryError: as `load`.
        """
        path = bundle.path("denoise")
        source = self._prepared(path)
        from streamgen_engines.device.device_sampler import DeviceSampler, SamplerPlans
        from streamgen_engines.tensorrt.sampler_plans import prepared_sampler

        manifest = pocket_manifest(bundle.manifest)
        with self._loading(path), ExitStack() as undo:
            device = self._opened(undo)
            step, weigh, finish = (
                self._session(prepared.model, Path(name), (), device, undo)
                for name, prepared in prepared_sampler(manifest).items()
            )
            denoise = self._session(source, path, manifest.graphs["denoise"].states, device, undo, in_place=True)
            # The sessions record each for itself, so there is nothing left for the sampler to record.
            sampler = DeviceSampler(SamplerPlans(denoise, step, weigh, finish), device, manifest, record=False)
            undo.pop_all()
        sessions = [step, weigh, finish, denoise]
        self._bound += sessions
        self._owned += [device, *sessions, sampler]
        return sampler

    def close(self) -> None:
        """Close every engine that was loaded here, its session and its stream. Idempotent.

        What a GPU that is lost says against it is logged, and the rest is closed all the same.
        """
        take_every([each.close for each in reversed(self._owned)], "the runtime")
        self._bound.clear()
        self._owned.clear()

    def _engine(
        self,
        source: bytes,
        path: Path,
        states: Sequence[State],
        threads: int,
        *,
        in_place: bool,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> BoundEngine:
        with self._loading(path), ExitStack() as undo:
            device = self._opened(undo)  # a stream of its own: engines of different threads do not wait for one another
            session = self._session(source, path, states, device, undo, threads=threads, in_place=in_place)
            engine = BoundEngine(session, device, states, name=path.name, fetches=fetches, held=held)
            undo.pop_all()
        self._bound.append(session)
        self._owned += [device, session, engine]
        return engine

    def _stream(self) -> Device:
        """The device with another stream."""
        device = self._sessions.device()
        self._owned.append(device)
        return device

    def _opened(self, undo: ExitStack) -> Device:
        device = self._sessions.device()
        undo.callback(device.close)
        return device

    def _session(
        self,
        source: bytes,
        path: Path,
        states: Sequence[State],
        device: Device,
        undo: ExitStack,
        *,
        threads: int = 1,
        in_place: bool = False,
    ) -> BoundSession:
        """A session of what a file was made into."""
        caches = _caches(source) if in_place else {}
        shared = {state.output: state.name for state in states if caches.get(state.output) == state.name}
        device.use()
        with self._gate.running():
            session, records = self._recording(source, path, device, threads)
        _tell_where(session, path)
        _require_inputs_there(session, path, self._sessions.memory)
        made = BoundSession(
            session,
            device,
            path,
            memory=self._sessions.memory,
            options=self._sessions.options,
            shared=shared,
            records=records,
            gate=self._gate,
        )
        undo.callback(made.close)
        return made

    def _recording(self, source: bytes, path: Path, device: Device, threads: int) -> tuple[Any, bool]:
        """A session, and whether it records: ONNX Runtime refuses that for a graph of which a part runs on the CPU."""
        if self._records:
            try:
                return self._sessions.open(source, path.parent, device, threads=threads, records=True), True
            except ORT_ERRORS as error:
                if _NO_GRAPH not in str(error).lower():
                    raise
                _log.warning("%s runs without CUDA graphs, because not all of it runs on the GPU: %s", path.name, error)
        return self._sessions.open(source, path.parent, device, threads=threads, records=False), False

    def _prepared(self, path: Path, planes: PlaneRequest | None = None) -> bytes:
        """A file as GPUs take it."""
        try:
            from streamgen_engines.tensorrt.prepare import prepare
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"onnx is not installed ({error}), and without it a graph cannot be prepared for a GPU; "
                f"add it with `pip install onnx`"
            ) from error
        try:
            return prepare(path.read_bytes(), self._precision, name=path.name, planes=planes).model
        except (OSError, GraphLoadError) as error:
            raise load_error(path, self._sessions.told, error, upgrade=self._sessions.upgrade) from error

    @contextmanager
    def _loading(self, path: Path) -> Iterator[None]:
        """Whatever refuses while something is loaded is told as such, with the file."""
        with loading():
            try:
                yield
            except OutOfMemoryError as error:
                raise OutOfMemoryError(f"{path}: {error}") from error
            except ORT_ERRORS as error:
                raise load_error(path, self._sessions.told, error, upgrade=self._sessions.upgrade) from error


def _caches(source: bytes) -> Mapping[str, str]:
    """Outputs of a graph that a `TensorScatter` makes, and the input that each writes into."""
    import onnx

    graph = onnx.load_from_string(source).graph
    outputs = {value.name for value in graph.output}
    return {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "TensorScatter" and node.output[0] in outputs
    }


def _tell_where(session: Any, path: Path) -> None:
    """Log which operators of a graph run on the CPU: each costs copies from and to the device in every run."""
    nodes: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        nodes.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    left = nodes.get(_HOST_PROVIDER, Counter())
    total = sum(count.total() for count in nodes.values())
    if left and total > left.total():
        named = ", ".join(f"{count} {name}" for name, count in left.most_common(_NAMED))
        _log.warning(
            "%s: %d of %d operators have no kernel for the GPU and run on the CPU (%s); "
            "graphs in float16 or float32 run there whole",
            path.name,
            left.total(),
            total,
            named,
        )


def _require_inputs_there(session: Any, path: Path, memory: str) -> None:
    """An input that is read on the host would be copied there when it is bound, and never again.

    Raises:
        GraphLoadError: naming those inputs.
    """
    if memory == _HOST_MEMORY.lower():
        return
    places = zip(session.get_inputs(), session.get_input_memory_infos(), strict=True)
    left = [argument.name for argument, place in places if place.name == _HOST_MEMORY]
    if left:
        named = ", ".join(left[:_NAMED])
        raise GraphLoadError(
            f"{path}: the input {named} is read on the CPU, so it cannot be taken from the GPU; "
            f"choose another precision or runtime, or export the bundle again"
        )
