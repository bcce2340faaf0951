"""The runtime: a graph's plan from the cache, or built when there is none, on the GPU."""

import logging
from collections.abc import Sequence
from pathlib import Path

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import Graph, State
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.compile import plan_key
from streamgen_engines.tensorrt.cuda import CudaDevice
from streamgen_engines.tensorrt.device import Device
from streamgen_engines.tensorrt.engine import TensorRtEngine
from streamgen_engines.tensorrt.executable import TensorRtExecutable
from streamgen_engines.tensorrt.flavour import Flavour, FlavourName, load_flavour
from streamgen_engines.tensorrt.inspection import EngineReport
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanCacheError, PlanKey, user_folder
from streamgen_engines.tensorrt.prepare import Precision, prepare

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
        held: Sequence[str] = (),
    ) -> None:
        self._loaded = executable
        super().__init__(executable, device, states, name=name, held=held)

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
        key = plan_key(self._flavour, prepared, self._gpu.gpu)
        found = self._plans.find(key)
        if found is not None:
            try:
                return self._loaded(found.data, states, path.name, key, held)
            except GraphLoadError as error:
                _log.warning("the plan of %s is built again: %s", path.name, error)
        return self._loaded(self._built(prepared.model, key, states, path.name), states, path.name, key, held)

    def load_plan(self, data: bytes, graph: Graph, name: str) -> LoadedPlan:
        """Load a plan that need not be in the cache, to try it."""
        return self._loaded(data, graph.states, name)

    def close(self) -> None:
        """Close every engine that was loaded here, and the GPU's streams. Idempotent."""
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
        held: Sequence[str] = (),
    ) -> LoadedPlan:
        # A stream of its own: engines of different threads do not wait for one another.
        device = CudaDevice(self._index)
        self._devices.append(device)
        kernels = self._plans.kernels(key) if key is not None else b""
        executable = TensorRtExecutable(self._flavour, data, name, kernels=kernels)
        engine = LoadedPlan(executable, device, states, name=name, held=held)
        self._engines.append((engine, key))
        return engine
