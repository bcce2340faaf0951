"""The runtime: a graph's plan from the cache, or built when there is none, on the GPU."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.closing import Closable, take_every
from streamgen_engines.device.cuda import CudaDevice
from streamgen_engines.device.device_sampler import DeviceSampler, SamplerPlans
from streamgen_engines.device.double_buffered import TURNS, DoubleBufferedEngine
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.interface import Device
from streamgen_engines.device.leaving import LeavingEngine
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.gpu_options import Precision
from streamgen_engines.manifest import Graph, State, pocket_manifest
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.failures import loading, no_room
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.compile import plan_key
from streamgen_engines.tensorrt.executable import TensorRtExecutable
from streamgen_engines.tensorrt.flavour import Flavour, FlavourName, load_flavour
from streamgen_engines.tensorrt.footprint import Survey, survey
from streamgen_engines.tensorrt.inspection import EngineReport
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanCacheError, PlanKey, PlanMemory, user_folder
from streamgen_engines.tensorrt.prepare import Prepared, prepare
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

_log = logging.getLogger(__name__)
_Opened = TypeVar("_Opened")


class LoadedPlan(DeviceEngine):
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
        hashes: SHA-256 of prepared graphs by their files, as far as somebody has prepared them already (`Survey`).
    """

    def __init__(
        self,
        flavour: FlavourName = "tensorrt-rtx",
        *,
        device: int = 0,
        plans: PlanCache | None = None,
        precision: Precision | None = None,
        hashes: Mapping[Path, str] | None = None,
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
        self._hashes = dict(hashes or {})
        self._kept: dict[PlanKey, bytes] = {}  # digest of the kernels that lie beside a plan now
        self._compiled: list[tuple[LoadedPlan | TensorRtExecutable, PlanKey]] = []  # whose kernels are kept
        self._owned: list[Closable] = [self._gpu]  # each before what uses it

    @property
    def name(self) -> str:
        """Short name, as `streamgen doctor` prints it."""
        return self._flavour.name

    @property
    def gpu(self) -> CudaDevice:
        """The GPU."""
        return self._gpu

    def admit(
        self,
        bundle: Bundle,
        planes: PlaneRequest | None = None,
        texts: TextPlacement = IN_PLACE,
        *,
        upscale: bool = False,
    ) -> Survey:
        """Log what a bundle needs of this GPU, before anything of it is loaded, and refuse one that does not fit.

        Args:
            bundle: whose graphs.
            planes: what is taken of the pictures in place of RGB.
            texts: where texts are encoded.
            upscale: whether pictures are enlarged by the graph `upscale`.

        Raises:
            GraphLoadError: a graph cannot be read, or not be prepared for TensorRT.
            OutOfMemoryError: there is no room for it.
            TextPlacementError: texts of this model cannot be encoded there.
        """
        gpu = self._gpu.gpu
        found = survey(
            bundle,
            self._precision,
            flavour=self._flavour,
            gpu=gpu,
            plans=self._plans,
            planes=planes,
            apart=texts.apart(bundle.manifest),
            upscale=upscale,
        )
        self._hashes.update(found.hashes)
        free = self._gpu.free_bytes()
        for line in found.plan.summary():
            _log.info("%s", line)
        # This process's context is there already, and counts in `needed` as well.
        more = found.plan.channels(free + found.plan.context)
        _log.info("GPU %d has %d MiB free: room for %d such channels in all", self._index, free // 2**20, more)
        found.plan.require(free, device=self._index)
        if (doubt := found.plan.doubt(free)) is not None:
            _log.warning("%s", doubt)
        return found

    @loading()
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

        A plan that TensorRT does not load, whatever the record beside it says, is built again once; one for which the
        GPU has no room is not, for there is nothing wrong with it. `threads` is of no use on a GPU. `in_place` is not
        needed: TensorRT says itself which states are written in place.

        Raises:
            GraphLoadError: TensorRT rejects the graph, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the stated shape and type.
            OutOfMemoryError: plan, states and buffers do not fit into the GPU's memory.
            DeviceLostError: the GPU or its driver is gone.
        """
        return self._loaded(path, states, held=held)

    @loading()
    def load_leaving(
        self, path: Path, states: Sequence[State] = (), *, threads: int = 1, fetches: bool = False
    ) -> LeavingEngine:
        """Load one graph whose results stay on the GPU, for another engine of this runtime; raises as `load` does.

        Args:
            path: the ONNX file.
            states: what it carries from call to call.
            threads: of no use on a GPU.
            fetches: whether results come to the host as well.
        """
        made = LeavingEngine(self._loaded(path, states, fetches=fetches), name=path.name)
        self._owned.append(made)
        return made

    def _loaded(
        self, path: Path, states: Sequence[State], *, held: Sequence[str] = (), fetches: bool = True
    ) -> LoadedPlan:
        """A graph as it is in the bundle, loaded."""
        prepared: Prepared | None = None
        if path not in self._hashes:
            prepared = prepare(path.read_bytes(), self._precision, name=path.name)
            self._hashes[path] = prepared.sha256

        def model() -> bytes:
            made = prepared or prepare(path.read_bytes(), self._precision, name=path.name)
            return made.model

        def opened(data: bytes, key: PlanKey) -> LoadedPlan:
            return self._opened(data, states, path.name, key, held=held, fetches=fetches)

        return self._planned(self._hashes[path], model, states, path.name, opened, path.parent)

    @loading()
    def load_planes(
        self, path: Path, states: Sequence[State], request: PlaneRequest, *, threads: int = 1
    ) -> DoubleBufferedEngine:
        """Load a graph that makes pictures, with planes of them as outputs.

        Results are page-locked memory, and valid until the run after the next begins.

        Raises:
            GraphLoadError: it makes no pictures, TensorRT rejects it, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the stated shape and type.
            OutOfMemoryError: plan, states and buffers of both turns do not fit.
        """
        prepared = prepare(path.read_bytes(), self._precision, name=path.name, planes=request)

        def opened(data: bytes, key: PlanKey) -> LoadedPlan:
            return self._opened(data, states, path.name, key, fetches=False)

        inner = self._planned(prepared.sha256, lambda: prepared.model, states, path.name, opened, path.parent)
        made = DoubleBufferedEngine(inner, [self._stream() for _ in range(TURNS)], name=path.name)
        self._owned.append(made)
        return made

    @loading()
    def chunk_sampler(self, bundle: Bundle) -> DeviceSampler:
        """Load a bundle's denoise graph with plans for all the arithmetic around it, on one stream.

        Raises:
            GraphLoadError: TensorRT rejects a graph, or loads not even a fresh plan.
            GraphMismatchError: a state is not an input and an output of the denoise graph.
            OutOfMemoryError: plans, ring and buffers do not fit.
        """
        device = self._stream()
        manifest = pocket_manifest(bundle.manifest)
        path, states = bundle.path("denoise"), manifest.graphs["denoise"].states
        step, weigh, finish = (
            self._executable(prepared, (), name) for name, prepared in prepared_sampler(manifest).items()
        )
        denoise = self._executable(prepare(path.read_bytes(), self._precision, name=path.name), states, path.name)
        sampler = DeviceSampler(SamplerPlans(denoise, step, weigh, finish), device, manifest)
        self._owned.append(sampler)
        return sampler

    @loading()
    def load_plan(self, data: bytes, graph: Graph, name: str) -> LoadedPlan:
        """Load a plan that need not be in the cache, to try it. Raises as `load` does."""
        try:
            return self._opened(data, graph.states, name)
        except GraphLoadError as error:
            self._require_room(data, None, name, error)
            raise

    def keep(self) -> None:
        """Keep what TensorRT-RTX has compiled, so that the next start need not; called again, only what is new."""
        for loaded, key in self._compiled:
            kernels = loaded.kernels()
            digest = hashlib.sha256(kernels).digest()
            if self._kept.get(key) == digest:
                continue
            try:
                if self._plans.keep_kernels(key, kernels):
                    self._kept[key] = digest
            except PlanCacheError as error:  # the next start compiles them again
                _log.warning("compiled kernels are not kept: %s", error)

    def close(self) -> None:
        """Keep what was compiled, then close every engine that was loaded here and the GPU's streams. Idempotent.

        What a GPU that is lost says against it is logged, and the rest is closed all the same.
        """
        take_every([self.keep, *(each.close for each in reversed(self._owned))], "the runtime")
        self._compiled.clear()
        self._owned.clear()

    def _stream(self) -> CudaDevice:
        """The GPU with another stream."""
        device = CudaDevice(self._index)
        self._owned.append(device)
        return device

    def _planned(
        self,
        sha256: str,
        model: Callable[[], bytes],
        states: Sequence[State],
        name: str,
        opened: Callable[[bytes, PlanKey], _Opened],
        folder: Path | None = None,
    ) -> _Opened:
        """What `opened` makes of the plan of a prepared graph: from the cache, or built. `folder` has its weights."""
        key = plan_key(self._flavour, sha256, self._gpu.gpu)
        found = self._plans.find(key)
        if found is not None:
            try:
                return opened(found.data, key)
            except GraphLoadError as error:
                self._require_room(found.data, key, name, error)
                _log.warning("the plan of %s is built again: %s", name, error)
        data = self._built(model(), key, states, name, folder)
        try:
            return opened(data, key)
        except GraphLoadError as error:
            self._require_room(data, key, name, error)
            raise

    def _executable(self, prepared: Prepared, states: Sequence[State], name: str) -> TensorRtExecutable:
        """The plan of a prepared graph, loaded: from the cache, or built."""

        def opened(data: bytes, key: PlanKey) -> TensorRtExecutable:
            kernels = self._plans.kernels(key)
            executable = TensorRtExecutable(self._flavour, data, name, kernels=kernels)
            self._owned.append(executable)
            self._compiled.append((executable, key))
            self._remember(key, kernels, executable.memory())
            return executable

        return self._planned(prepared.sha256, lambda: prepared.model, states, name, opened)

    def _require_room(self, data: bytes, key: PlanKey | None, name: str, error: GraphLoadError) -> None:
        """A plan is not at fault where there is no room for what it took before, or its own bytes, whatever is said."""
        known = self._plans.memory(key) if key is not None else None
        needed = max(len(data), known.weights + known.activations if known is not None else 0)
        free = self._gpu.free_bytes()
        if free < needed:
            raise no_room(name, needed, free) from error

    def _built(self, model: bytes, key: PlanKey, states: Sequence[State], name: str, folder: Path | None) -> bytes:
        _log.info("building the plan of %s for %s; this is done once", name, key.gpu)
        made = build(self._flavour, model, name=name, states=states, timing=self._plans.timing(key), folder=folder)
        try:
            self._plans.install(Plan(key, made.plan))
            self._plans.keep_timing(key, made.timing)
        except PlanCacheError as error:  # a full or read-only disk costs a build at every start, and nothing else
            _log.warning("the plan of %s is not kept: %s", name, error)
        return made.plan

    def _opened(
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
        try:
            kernels = self._plans.kernels(key) if key is not None else b""
            executable = TensorRtExecutable(self._flavour, data, name, kernels=kernels)
            try:
                engine = LoadedPlan(executable, device, states, name=name, fetches=fetches, held=held)
            except BaseException:
                executable.close()
                raise
        except BaseException:
            take_every([device.close], name)
            raise
        self._owned += [device, engine]
        if key is not None:
            self._compiled.append((engine, key))
            self._remember(key, kernels, executable.memory())
        return engine

    def _remember(self, key: PlanKey, kernels: bytes, memory: PlanMemory) -> None:
        """Which kernels lie beside a plan; and what memory TensorRT asked for, for the next start's plan of memory."""
        self._kept[key] = hashlib.sha256(kernels).digest()
        try:
            self._plans.keep_memory(key, memory)
        except PlanCacheError as error:  # the next start estimates it again
            _log.warning("the memory of a plan is not kept: %s", error)
