"""A bundle's graphs to plans, one after the other: prepared, linted, built, compared and kept.

The small graphs of the chunk loop, which follow from the manifest, are compiled behind those of the bundle.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import EngineError, GraphLoadError, OutOfMemoryError, RuntimeUnavailableError
from streamgen_engines.manifest import UPSCALE_GRAPH, Graph
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.interface import Engine, Runtime
from streamgen_engines.tensorrt.builder import Built, Progress, build
from streamgen_engines.tensorrt.check import PlanMismatchError, compare, reference_engine, require_close
from streamgen_engines.tensorrt.flavour import Flavour, FlavourName
from streamgen_engines.tensorrt.inspection import EngineReport, NetworkReport
from streamgen_engines.tensorrt.lint import Finding, lint
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanKey, PlanMemory
from streamgen_engines.tensorrt.prepare import Precision, Prepared, prepare
from streamgen_engines.tensorrt.recording import Call, record_calls
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler, random_calls, sampler_entry
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

PICTURES = "decode_video"
NO_GPU = Gpu(name="any", capability="any", memory_bytes=0)
REPORTED_FINDINGS = 3


class PlanEngine(Engine, Protocol):
    """An engine of a plan, on a GPU."""

    def report(self) -> EngineReport:
        """What TensorRT made of the network."""
        ...

    def close(self) -> None:
        """Give back its memory."""
        ...


LoadPlan = Callable[[bytes, Graph, str], PlanEngine]
"""(plan, its graph in the manifest, name) -> the engine; raises `GraphLoadError`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one graph.

    Attributes:
        graph: its name in the manifest; where planes were added to it, that is said after the name.
        prepared: how the graph was rewritten; None when that failed.
        built: what was built; None when it failed, was found in the cache, or nothing can be built here.
        cached: whether a plan was in the cache already.
        installed: whether a plan is in the cache now.
        errors: of each output against ONNX Runtime; None when nobody compared.
        engine: what TensorRT made of it; None unless a GPU loaded it.
        memory: what it takes of the GPU; None where no GPU has ever loaded it.
        failure: why it failed; None when it did not.
    """

    graph: str
    prepared: Prepared | None = None
    built: NetworkReport | None = None
    cached: bool = False
    installed: bool = False
    errors: dict[str, float] | None = None
    engine: EngineReport | None = None
    memory: PlanMemory | None = None
    failure: EngineError | None = None


def prepared_graph(
    bundle: Bundle, name: str, precision: Precision | None, flavour: FlavourName, planes: PlaneRequest | None = None
) -> Prepared:
    """One graph as TensorRT takes it.

    Raises:
        GraphLoadError: it cannot be prepared, or TensorRT would reject what came out; the nodes are named.
    """
    graph = bundle.manifest.graphs[name]
    prepared = prepare(bundle.path(name).read_bytes(), precision, name=f"{bundle.manifest.name}/{name}", planes=planes)
    return _linted(prepared, graph, flavour, f"{bundle.manifest.name}/{name}")


def _linted(prepared: Prepared, graph: Graph, flavour: FlavourName, label: str) -> Prepared:
    found = lint(prepared.model, flavour, graph.states)
    if found:
        raise GraphLoadError(f"{label}: {flavour} rejects {_told(found)}; export it without them")
    return prepared


def plan_key(flavour: Flavour, sha256: str, gpu: Gpu) -> PlanKey:
    """What a plan is kept under of the prepared graph with this SHA-256."""
    return PlanKey(sha256, flavour.name, flavour.version, gpu.name, gpu.capability)


class Compiler:
    """Compiles the graphs of one bundle.

    Args:
        bundle: whose graphs.
        flavour: which TensorRT.
        gpu: for which GPU; None builds what can be built without one.
        plans: where plans are kept; None keeps nothing (a dry run).
        precision: of every graph; None chooses for each.
        load: loads a plan onto the GPU; None when there is none.
        reference: ONNX Runtime, against which every plan is compared; None compares nothing.
        planes: what a server takes in place of RGB from the graph that makes the pictures it shows; that graph is then
            compiled in both forms.
        upscale: whether that is `upscale`, else it is `decode_video`, and `upscale` is left out.
        texts: where texts are encoded; elsewhere than on the GPU, their graph is left out.
        progress: told (graph, phase, share done).
    """

    def __init__(
        self,
        bundle: Bundle,
        flavour: Flavour,
        *,
        gpu: Gpu | None,
        plans: PlanCache | None,
        precision: Precision | None = None,
        load: LoadPlan | None = None,
        reference: Runtime | None = None,
        planes: PlaneRequest | None = None,
        upscale: bool = False,
        texts: TextPlacement = IN_PLACE,
        progress: Callable[[str, str, float], None] = lambda graph, phase, share: None,
    ) -> None:
        """Check what can be checked before the first graph.

        Raises:
            RuntimeUnavailableError: plans are to be kept or compared and there is no GPU.
            TextPlacementError: texts of this model cannot be encoded there.
        """
        if (plans is not None or reference is not None) and (gpu is None or load is None):
            raise RuntimeUnavailableError(
                "plans are made for the GPU that runs them, and CUDA can use none here (are the driver and "
                "the package cuda-bindings installed?); with --dry-run alone, what can be built without is built"
            )
        self._bundle, self._flavour, self._gpu, self._plans = bundle, flavour, gpu, plans
        self._precision, self._load, self._reference, self._progress = precision, load, reference, progress
        self._planes, self._shown = planes, UPSCALE_GRAPH if upscale else PICTURES
        self._texts, self._apart = texts, texts.apart(bundle.manifest)
        self._calls: dict[str, list[Call]] | None = None
        self._sampler = prepared_sampler(bundle.manifest)

    @property
    def builds(self) -> bool:
        """Whether anything can be built here: the full TensorRT measures on the GPU what it builds."""
        return self._gpu is not None or self._flavour.portable

    def run(self, graphs: Sequence[str] = ()) -> Iterator[Outcome]:
        """Compile graphs one by one; one that fails does not stop the others.

        By default all of them but those that run elsewhere or not at all. Those of the chunk loop come last, and are
        compared on random inputs.
        """
        idle = {UPSCALE_GRAPH} - {self._shown}
        here = [name for name in self._bundle.manifest.graphs if name not in self._apart and name not in idle]
        for name in graphs or (*here, *self._sampler):
            forms = (None, self._planes) if name == self._shown and self._planes is not None else (None,)
            for planes in forms:
                told = name if planes is None else f"{name}, {planes}"
                try:
                    yield replace(self._compile(name, planes), graph=told)
                except EngineError as error:
                    yield Outcome(told, failure=error)

    def _compile(self, name: str, planes: PlaneRequest | None) -> Outcome:
        if name in self._sampler:
            prepared = _linted(self._sampler[name], self._graph(name), self._flavour.name, name)
        else:
            prepared = prepared_graph(self._bundle, name, self._precision, self._flavour.name, planes)
        if not self.builds:
            return Outcome(name, prepared)
        key = plan_key(self._flavour, prepared.sha256, self._gpu or NO_GPU)
        kept = self._plans.find(key) if self._plans is not None else None
        if kept is not None and (self._reference is None or kept.errors is not None):
            compared = dict(kept.errors) if kept.errors is not None else None
            memory = self._plans.memory(key) if self._plans is not None else None
            return Outcome(name, prepared, cached=True, installed=True, errors=compared, memory=memory)
        built = None if kept is not None else self._build(name, prepared, key)
        data = kept.data if kept is not None else built.plan if built is not None else b""
        try:
            errors, engine = self._tried(name, data, prepared.precision, planes)
        except (PlanMismatchError, GraphLoadError):
            if self._plans is not None:
                self._plans.discard(key)  # it may have been installed without having been compared
            raise
        except OutOfMemoryError:
            if built is not None:  # there is nothing wrong with the plan, and it took a while to build
                self._install(Plan(key, data), built)
            raise
        memory = PlanMemory(engine.weight_bytes, engine.device_bytes) if engine is not None else None
        self._install(Plan(key, data, errors), built)
        if self._plans is not None and memory is not None:
            self._plans.keep_memory(key, memory)
        return Outcome(
            name,
            prepared,
            built.report if built is not None else None,
            cached=kept is not None,
            installed=self._plans is not None,
            errors=errors,
            engine=engine,
            memory=memory,
        )

    def _install(self, plan: Plan, built: Built | None) -> None:
        if self._plans is not None:
            self._plans.install(plan)
            self._plans.keep_timing(plan.key, built.timing if built is not None else b"")

    def _weights(self, name: str) -> Path | None:
        """The file of a graph's weights, where it has one."""
        weights = self._graph(name).weights
        return None if weights is None else self._bundle.root / weights.file

    def _build(self, name: str, prepared: Prepared, key: PlanKey) -> Built:
        def progress(phase: str, share: float) -> None:
            self._progress(name, phase, share)

        told: Progress = progress
        return build(
            self._flavour,
            prepared.model,
            name=f"{self._bundle.manifest.name}/{name}",
            states=self._graph(name).states,
            timing=self._plans.timing(key) if self._plans is not None else b"",
            progress=told,
            folder=(self._bundle.root / self._graph(name).file).parent,
        )

    def _tried(
        self, name: str, data: bytes, precision: Precision, planes: PlaneRequest | None
    ) -> tuple[dict[str, float] | None, EngineReport | None]:
        """Load a plan where there is a GPU, and compare it if that is asked for."""
        if self._load is None:
            return None, None
        graph = self._graph(name)
        label = f"{self._bundle.manifest.name}/{name}"
        engine = self._load(data, graph, label)
        try:
            errors = None
            if self._reference is not None:
                self._progress(name, "Comparing with ONNX Runtime", 0.0)
                source, calls = self._known(name, self._reference)
                right = reference_engine(
                    source, graph.states, self._reference, name=name, planes=planes, weights=self._weights(name)
                )
                errors = compare(engine, right, calls)
                require_close(errors, precision, name=label)
            return errors, engine.report()
        finally:
            engine.close()

    def _graph(self, name: str) -> Graph:
        """What the manifest says of a graph, or would say of one that follows from it."""
        made = self._sampler.get(name)
        return sampler_entry(name, made) if made is not None else self._bundle.manifest.graphs[name]

    def _known(self, name: str, reference: Runtime) -> tuple[bytes, list[Call]]:
        """The graph as it was made, and inputs for it."""
        made = self._sampler.get(name)
        if made is not None:
            return made.model, random_calls(made)
        if self._calls is None:
            self._calls = record_calls(self._bundle, reference, texts=self._texts)
        return self._bundle.path(name).read_bytes(), self._calls[name]


def gpu_here() -> bool:
    """Whether CUDA finds a GPU."""
    return gpu_count() > 0


def _told(found: Sequence[Finding]) -> str:
    rest = len(found) - REPORTED_FINDINGS
    return "; ".join(map(str, found[:REPORTED_FINDINGS])) + (f" (and {rest} more)" if rest > 0 else "")
