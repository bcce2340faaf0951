"""The runtime: a graph's plan from the cache, or built when there is none, on the GPU."""

import logging
from collections.abc import Sequence
from pathlib import Path

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import Graph, State, pocket_manifest
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.compile import plan_key
from streamgen_engines.tensorrt.cuda import CudaDevice
from streamgen_engines.tensorrt.device import Device
from streamgen_engines.tensorrt.device_sampler import DeviceSampler, SamplerPlans
from streamgen_engines.tensorrt.double_buffered import TURNS, DoubleBufferedEngine
from streamgen_engines.tensorrt.engine import TensorRtEngine
from streamgen_engines.tensorrt.executable import TensorRtExecutable
from streamgen_engines.tensorrt.flavour import Flavour, FlavourName, load_flavour
from streamgen_engines.tensorrt.inspection import EngineReport
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanCacheError, PlanKey, user_folder
from streamgen_engines.tensorrt.prepare import Precision, Prepared, prepare
from streamgen_engines.tensorrt.sampler_graphs import sampler_graphs

_log = logging.getLogger(__name__)


class LoadedPlan(TensorRtEngine):
    """An engine with what TensorRT says of it."""

    def __init__(
        self,
        executable: TensorRtExecutable,
        device: Device,
        states: Sequence[State],
        *,
        name: str,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> None:
        self._loaded = executable
        super().__init__(executable, device, states, name=name, fetches=fetches, held=held)

    def kernels(self) -> bytes:
        """What TensorRT-RTX has compiled for it so far."""
        return self._loaded.kernels()

    def report(self) -> EngineReport:
        """What TensorRT made of the network."""
        return self._loaded.report()


class TensorRt:
    """Loads graphs onto one GPU. Not thread-safe: each thread that runs engines has a runtime of its own.

    Args:
        flavour: tensorrt or tensorrt-rtx.
        device: number of the GPU.
        plans: where plans are kept.
        precision: of every graph; None is what each was exported in, or fp16.
    """

    def __init__(
        self,
        flavour: FlavourName = "tensorrt-rtx",
        *,
        device: int = 0,
        plans: PlanCache | None = None,
        precision: Precision | None = None,
    ) -> None:
        """Open the GPU.

        Raises:
            RuntimeUnavailableError: TensorRT or CUDA's binding is not installed, or there is no such GPU.
        """
        self._flavour: Flavour = load_flavour(flavour)
        self._index = device
        self._gpu = CudaDevice(device)
        self._plans = plans or PlanCache(user_folder())
        self._precision = precision
        self._engines: list[tuple[LoadedPlan, PlanKey | None]] = []
        self._buffered: list[DoubleBufferedEngine] = []
        self._samplers: list[DeviceSampler] = []
        self._executables: list[tuple[TensorRtExecutable, PlanKey]] = []  # of the samplers
        self._devices: list[CudaDevice] = [self._gpu]

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return self._flavour.name

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> LoadedPlan:
        """Load one graph; its plan is built when there is none that fits.

        A plan that TensorRT does not load, whatever the record beside it says, is built again once. `threads` is of no
        use on a GPU. `in_place` is not needed: TensorRT says itself which states are written in place.

        Raises:
            GraphLoadError: TensorRT rejects the graph, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the stated shape and type.
        """
        prepared = prepare(path.read_bytes(), self._precision, name=path.name)
        return self._planned(prepared, states, path.name, held=held)

    def load_planes(
        self, path: Path, states: Sequence[State], request: PlaneRequest, *, threads: int = 1
    ) -> DoubleBufferedEngine:
        """Load a graph that makes pictures, with planes of them as outputs.

        Results are page-locked memory, and valid until the run after the next begins.

        Raises:
            GraphLoadError: it makes no pictures, TensorRT rejects it, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the stated shape and type.
        """
        prepared = prepare(path.read_bytes(), self._precision, name=path.name, planes=request)
        inner = self._planned(prepared, states, path.name, fetches=False)
        copying = [CudaDevice(self._index) for _ in range(TURNS)]
        self._devices += copying
        made = DoubleBufferedEngine(inner, copying, name=path.name)
        self._buffered.append(made)
        return made

    def _planned(
        self,
        prepared: Prepared,
        states: Sequence[State],
        name: str,
        *,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> LoadedPlan:
        key = plan_key(self._flavour, prepared, self._gpu.gpu)
        found = self._plans.find(key)
        if found is not None:
            try:
                return self._loaded(found.data, states, name, key, fetches=fetches, held=held)
            except GraphLoadError as error:
                _log.warning("the plan of %s is built again: %s", name, error)
        built = self._built(prepared.model, key, states, name)
        return self._loaded(built, states, name, key, fetches=fetches, held=held)

    def chunk_sampler(self, bundle: Bundle) -> DeviceSampler:
        """Load a bundle's denoise graph with plans for all the arithmetic around it, on one stream.

        Raises:
            GraphLoadError: TensorRT rejects a graph, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the denoise graph.
        """
        device = CudaDevice(self._index)
        self._devices.append(device)
        manifest = pocket_manifest(bundle.manifest)
        path, graphs = bundle.path("denoise"), sampler_graphs(manifest)
        states = manifest.graphs["denoise"].states
        # Between the passes every bit counts and nothing is heavy.
        step, weigh, finish = (
            self._executable(prepare(source, "fp32", name=name), (), name)
            for source, name in (
                (graphs.step, "sampler step"),
                (graphs.weigh, "sampler weigh"),
                (graphs.finish, "sampler finish"),
            )
        )
        denoise = self._executable(prepare(path.read_bytes(), self._precision, name=path.name), states, path.name)
        sampler = DeviceSampler(SamplerPlans(denoise, step, weigh, finish), device, manifest)
        self._samplers.append(sampler)
        return sampler

    def load_plan(self, data: bytes, graph: Graph, name: str) -> LoadedPlan:
        """Load a plan that need not be in the cache, to try it."""
        return self._loaded(data, graph.states, name)

    def close(self) -> None:
        """Close every engine that was loaded here, and the GPU's streams. Idempotent."""
        for buffered in reversed(self._buffered):
            buffered.close()
        self._buffered.clear()
        for executable, kept in self._executables:
            self._keep_kernels(kept, executable.kernels())
        self._executables.clear()
        for sampler in reversed(self._samplers):
            sampler.close()
        self._samplers.clear()
        for engine, key in reversed(self._engines):
            if key is not None:
                self._keep_kernels(key, engine.kernels())
            engine.close()
        self._engines.clear()
        for device in reversed(self._devices):
            device.close()

    @property
    def gpu(self) -> CudaDevice:
        """The GPU."""
        return self._gpu

    def _executable(self, prepared: Prepared, states: Sequence[State], name: str) -> TensorRtExecutable:
        """The plan of a prepared graph, loaded: from the cache, or built."""
        key = plan_key(self._flavour, prepared, self._gpu.gpu)
        kernels = self._plans.kernels(key)
        found = self._plans.find(key)
        if found is not None:
            try:
                executable = TensorRtExecutable(self._flavour, found.data, name, kernels=kernels)
            except GraphLoadError as error:
                _log.warning("the plan of %s is built again: %s", name, error)
                found = None
        if found is None:
            plan = self._built(prepared.model, key, states, name)
            executable = TensorRtExecutable(self._flavour, plan, name, kernels=kernels)
        self._executables.append((executable, key))
        return executable

    def _built(self, model: bytes, key: PlanKey, states: Sequence[State], name: str) -> bytes:
        _log.info("building the plan of %s for %s; this is done once", name, key.gpu)
        made = build(self._flavour, model, name=name, states=states, timing=self._plans.timing(key))
        try:
            self._plans.install(Plan(key, made.plan))
            self._plans.keep_timing(key, made.timing)
        except PlanCacheError as error:  # a full or read-only disk costs a build at every start, and nothing else
            _log.warning("the plan of %s is not kept: %s", name, error)
        return made.plan

    def _keep_kernels(self, key: PlanKey, kernels: bytes) -> None:
        try:
            self._plans.keep_kernels(key, kernels)
        except PlanCacheError as error:  # the next start compiles them again
            _log.warning("compiled kernels are not kept: %s", error)

    def _loaded(
        self,
        data: bytes,
        states: Sequence[State],
        name: str,
        key: PlanKey | None = None,
        *,
        fetches: bool = True,
        held: Sequence[str] = (),
    ) -> LoadedPlan:
        # A stream of its own: engines of different threads do not wait for one another.
        device = CudaDevice(self._index)
        self._devices.append(device)
        kernels = self._plans.kernels(key) if key is not None else b""
        executable = TensorRtExecutable(self._flavour, data, name, kernels=kernels)
        engine = LoadedPlan(executable, device, states, name=name, fetches=fetches, held=held)
        self._engines.append((engine, key))
        return engine
