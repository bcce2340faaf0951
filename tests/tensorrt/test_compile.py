"""Compiling a bundle: with real plans that nothing runs, and with a stand-in that runs them in ONNX Runtime."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.device.interface import Gpu
from streamgen_engines.errors import GraphLoadError, OutOfMemoryError, RuntimeUnavailableError
from streamgen_engines.manifest import Graph
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine, Signature
from streamgen_engines.tensorrt.check import PlanMismatchError
from streamgen_engines.tensorrt.compile import Compiler, Outcome
from streamgen_engines.tensorrt.flavour import Flavour, load_flavour
from streamgen_engines.tensorrt.inspection import EngineReport
from streamgen_engines.tensorrt.plans import PlanCache, PlanMemory
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tensorrt.test_check import Off

LOOP = ("sampler step", "sampler weigh", "sampler finish")
GPU = Gpu("Fake 9000", "9.0", 2**30)
REPORT = EngineReport(3, {"Half": 3}, 1, 1000, 2000)


class StandIn:
    """What a GPU would make of a plan, computed by ONNX Runtime: for what is around a plan, not for plans."""

    def __init__(self, inner: Engine, open_engines: list["StandIn"]) -> None:
        self.inner, self.open_engines = inner, open_engines
        open_engines.append(self)

    @property
    def signature(self) -> Signature:
        return self.inner.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.inner.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.inner.hold(arrays)

    def take_states(self, other: Engine) -> None:
        self.inner.take_states(other)

    def state(self, name: str) -> Array:
        return self.inner.state(name)

    def reset(self) -> None:
        self.inner.reset()

    def report(self) -> EngineReport:
        return REPORT

    def close(self) -> None:
        self.open_engines.remove(self)


class Loader:
    def __init__(self, bundle: Bundle, folder: Path, *, factor: float = 1.0, refuses: bool = False) -> None:
        self.bundle, self.folder, self.factor, self.refuses = bundle, folder, factor, refuses
        self.loaded: list[bytes] = []
        self.open_engines: list[StandIn] = []

    def __call__(self, plan: bytes, graph: Graph, name: str) -> StandIn:
        if self.refuses:
            raise GraphLoadError(f"{name}: cannot load this plan")
        self.loaded.append(plan)
        file = self.folder / "half.onnx"
        loop = {each.sha256: each for each in prepared_sampler(self.bundle.manifest).values()}.get(graph.sha256)
        file.write_bytes((loop or prepare((self.bundle.root / graph.file).read_bytes())).model)
        engine: Engine = OnnxRuntimeCpu().load(file, graph.states)
        return StandIn(engine if self.factor == 1.0 else Off(engine, self.factor), self.open_engines)


@pytest.fixture(scope="module")
def card() -> Bundle:
    return bundled("testcard")


@pytest.fixture
def plans(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def compiler(card: Bundle, plans: PlanCache, loader: Loader, *, check: bool = False) -> Compiler:
    reference = OnnxRuntimeCpu() if check else None
    return Compiler(card, rtx(), gpu=GPU, plans=plans, load=loader, reference=reference)


def by_graph(outcomes: Iterator[Outcome]) -> dict[str, Outcome]:
    return {outcome.graph: outcome for outcome in outcomes}


@needs_rtx
def test_a_dry_run_builds_every_graph_and_keeps_nothing(card: Bundle) -> None:
    told: list[str] = []
    dry = Compiler(card, rtx(), gpu=None, plans=None, progress=lambda graph, phase, share: told.append(graph))
    outcomes = by_graph(dry.run())
    assert list(outcomes) == [*card.manifest.graphs, *LOOP]
    for outcome in outcomes.values():
        assert outcome.failure is None
        assert outcome.built is not None
        assert (outcome.installed, outcome.cached, outcome.errors, outcome.engine) == (False, False, None, None)
    assert set(told) == outcomes.keys()


@needs_rtx
def test_plans_are_built_compared_installed_and_found_again(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    loader = Loader(card, tmp_path)
    first = by_graph(compiler(card, plans, loader, check=True).run())
    assert all(outcome.installed and outcome.built and not outcome.cached for outcome in first.values())
    assert all(outcome.engine == REPORT for outcome in first.values())
    assert first["decode_audio"].errors == pytest.approx({"samples": 0.0}, abs=1e-5)
    assert all(set((first[name].errors or {"": 1.0}).values()) == {0.0} for name in LOOP)
    assert loader.open_engines == []
    again = by_graph(compiler(card, plans, loader, check=True).run())
    assert all(outcome.installed and outcome.cached and not outcome.built for outcome in again.values())
    assert again["decode_audio"].errors == first["decode_audio"].errors
    assert len(loader.loaded) == len(first)


@needs_rtx
def test_a_plan_that_is_off_is_not_installed(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    loader = Loader(card, tmp_path, factor=1.5)
    outcomes = by_graph(compiler(card, plans, loader, check=True).run(["decode_audio", "text", *LOOP]))
    assert len(outcomes) == 5
    for outcome in outcomes.values():
        assert isinstance(outcome.failure, PlanMismatchError)
        assert not outcome.installed
    assert loader.open_engines == []
    assert list(plans.folder.glob("*.plan")) == []


@needs_rtx
def test_a_plan_that_was_installed_unseen_is_removed_when_it_turns_out_off(
    card: Bundle, plans: PlanCache, tmp_path: Path
) -> None:
    (unseen,) = compiler(card, plans, Loader(card, tmp_path)).run(["decode_audio"])
    assert (unseen.installed, unseen.errors) == (True, None)
    (seen,) = compiler(card, plans, Loader(card, tmp_path, factor=1.5), check=True).run(["decode_audio"])
    assert isinstance(seen.failure, PlanMismatchError)
    assert list(plans.folder.glob("*.plan")) == []


@needs_rtx
def test_a_plan_from_the_cache_is_compared_when_nobody_has(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    list(compiler(card, plans, Loader(card, tmp_path)).run(["text"]))
    (seen,) = compiler(card, plans, Loader(card, tmp_path), check=True).run(["text"])
    assert (seen.cached, seen.built) == (True, None)
    assert seen.errors is not None


@needs_rtx
def test_a_plan_that_does_not_load_fails_alone(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    outcomes = by_graph(compiler(card, plans, Loader(card, tmp_path, refuses=True)).run())
    assert all(isinstance(outcome.failure, GraphLoadError) for outcome in outcomes.values())
    assert list(plans.folder.glob("*.plan")) == []


@needs_rtx
def test_a_cut_plan_is_built_again(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    list(compiler(card, plans, Loader(card, tmp_path)).run(["text"]))
    (stored,) = plans.folder.glob("*.plan")
    whole = stored.read_bytes()
    stored.write_bytes(whole[:1000])
    (outcome,) = compiler(card, plans, Loader(card, tmp_path)).run(["text"])
    assert (outcome.cached, outcome.installed) == (False, True)
    (stored,) = plans.folder.glob("*.plan")
    assert len(stored.read_bytes()) == len(whole)


@needs_rtx
@pytest.mark.parametrize("options", [{"plans": PlanCache(Path("nowhere"))}, {"reference": OnnxRuntimeCpu()}])
def test_plans_to_keep_or_compare_need_a_gpu(card: Bundle, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"plans": None, **options}
    with pytest.raises(RuntimeUnavailableError, match="--dry-run"):
        Compiler(card, rtx(), gpu=None, **given)


def test_the_full_tensorrt_builds_nothing_without_a_gpu(card: Bundle) -> None:
    """And says so: a graph that only passed the lint is not called built."""
    full = Flavour("tensorrt", api=None, logger=None)
    outcomes = by_graph(Compiler(card, full, gpu=None, plans=None).run())
    assert all(outcome.failure is None and outcome.prepared and not outcome.built for outcome in outcomes.values())
    refused = by_graph(Compiler(card, full, gpu=None, plans=None, precision="int8").run(list(card.manifest.graphs)))
    assert all(isinstance(outcome.failure, GraphLoadError) for outcome in refused.values())


def test_a_tensorrt_that_is_not_installed_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(RuntimeUnavailableError, match=r"pip install 'streamgen\[tensorrt\]'"):
        load_flavour("tensorrt")


@needs_rtx
@pytest.mark.parametrize("check", [False, True])
def test_a_plan_without_room_fails_and_is_kept(card: Bundle, plans: PlanCache, tmp_path: Path, check: bool) -> None:
    """It took a while to build, and is compared where there is room."""

    def full(plan: bytes, graph: Graph, name: str) -> StandIn:
        raise OutOfMemoryError(f"{name}: the GPU is full")

    reference = OnnxRuntimeCpu() if check else None
    tight = Compiler(card, rtx(), gpu=GPU, plans=plans, load=full, reference=reference)
    for _ in range(2 if check else 1):  # with --check it is loaded again, to be compared
        (outcome,) = tight.run(["text"])
        assert type(outcome.failure) is OutOfMemoryError
    (stored,) = plans.folder.glob("*.plan")
    written = stored.stat().st_mtime_ns
    (again,) = compiler(card, plans, Loader(card, tmp_path), check=check).run(["text"])
    assert (again.failure, again.cached, again.built) == (None, True, None)
    assert check or stored.stat().st_mtime_ns == written
    assert (again.errors is not None) == check


@needs_rtx
def test_what_a_plan_takes_is_written_down_for_the_next_start(card: Bundle, plans: PlanCache, tmp_path: Path) -> None:
    (first,) = compiler(card, plans, Loader(card, tmp_path)).run(["text"])
    (again,) = compiler(card, plans, Loader(card, tmp_path)).run(["text"])
    assert first.memory == again.memory == PlanMemory(weights=2000, activations=1000)
