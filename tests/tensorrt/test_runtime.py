"""The runtime around a plan, with a GPU and a TensorRT that are neither: plans found, built, and built again."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.errors import (
    DeviceLostError,
    EngineError,
    GraphLoadError,
    GraphMismatchError,
    GraphRunError,
    OutOfMemoryError,
    RuntimeUnavailableError,
)
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.gpu_options import Precision
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt import compile as compiling
from streamgen_engines.tensorrt import plans as plans_module
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.builder import Built
from streamgen_engines.tensorrt.compile import Compiler, Outcome
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import EngineReport, NetworkReport
from streamgen_engines.tensorrt.plans import PlanCache, PlanKey, PlanMemory
from streamgen_engines.tensorrt.runtime import TensorRt
from streamgen_engines.text import TextEncoder
from tests.device.computing import executable
from tests.device.fakes import FakeDevice, FakeExecutable
from tests.tensorrt.rtx import needs_rtx
from tests.tiny_bundle import write_tiny_bundle

X = TensorSpec((2,), "float32")
GRAPH = bundled("testcard").path("text")


class World:
    """How often plans were built, what was loaded, and whether a plan loads."""

    def __init__(self) -> None:
        self.builds = 0
        self.loaded: list[tuple[bytes, bytes]] = []
        self.good = {b"plan 1", b"plan 2", b"plan 3"}
        self.devices: list[FakeDevice] = []
        self.executables: list[FakeExecutable] = []
        self.refuses: EngineError | None = None
        self.compiled = b"compiled"
        self.room = 2**40

    def build(self, flavour: Flavour, model: bytes, **options: Any) -> Built:
        self.builds += 1
        return Built(f"plan {self.builds}".encode(), NetworkReport({}, {}, 0, 0, 0, 6), b"timing")

    def device(self, index: int) -> FakeDevice:
        self.devices.append(FakeDevice())
        self.devices[-1].room = self.room
        return self.devices[-1]

    def executable(self, flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        self.loaded.append((plan, kernels))
        if self.refuses is not None:
            raise self.refuses
        if plan not in self.good:
            raise GraphLoadError(f"{name}: cannot load this plan")
        made = FakeExecutable(self.devices[-1], {"x": X}, {"y": X}, lambda given: {"y": given["x"] * 2})
        made.kernels = lambda: self.compiled  # type: ignore[method-assign]
        made.memory = lambda: PlanMemory(700, 300)  # type: ignore[method-assign]
        self.executables.append(made)
        return made


class Api:
    __version__ = "1.7.1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(module, "build", made.build)
    monkeypatch.setattr(module, "CudaDevice", made.device)
    monkeypatch.setattr(module, "TensorRtExecutable", made.executable)
    monkeypatch.setattr(module, "load_flavour", lambda name: Flavour(name, Api, None))
    return made


@pytest.fixture
def plans(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def double(runtime: TensorRt) -> None:
    out = runtime.load(GRAPH).run({"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(out["y"], [2, 4])


def test_a_plan_is_built_once_and_found_by_the_next_process(world: World, plans: PlanCache) -> None:
    for _ in range(2):
        runtime = TensorRt(plans=plans)
        double(runtime)
        runtime.close()
    assert world.builds == 1
    assert world.loaded == [(b"plan 1", b""), (b"plan 1", b"compiled")]


def test_a_plan_that_does_not_load_is_built_again(world: World, plans: PlanCache) -> None:
    TensorRt(plans=plans).load(GRAPH)
    world.good.remove(b"plan 1")
    double(TensorRt(plans=plans))
    assert world.builds == 2
    double(TensorRt(plans=plans))
    assert world.builds == 2


def test_a_fresh_plan_that_does_not_load_is_an_error_and_no_loop(world: World, plans: PlanCache) -> None:
    world.good.clear()
    with pytest.raises(GraphLoadError, match="cannot load this plan"):
        TensorRt(plans=plans).load(GRAPH)
    assert world.builds == 1


def test_a_folder_that_cannot_be_written_costs_a_build_and_nothing_else(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for builds in (1, 2):
        runtime = TensorRt(plans=PlanCache(tmp_path / "file" / "plans"))
        double(runtime)
        runtime.close()
        assert world.builds == builds


def test_closing_gives_back_every_engine_and_stream(world: World, plans: PlanCache) -> None:
    runtime = TensorRt(plans=plans)
    double(runtime)
    double(runtime)
    runtime.close()
    runtime.close()
    assert len(world.devices) == 3  # its own, and one for each engine
    assert all(device.closed and not device.memory and not device.pinned for device in world.devices)


def test_another_precision_is_another_plan(world: World, plans: PlanCache) -> None:
    path = bundled("pocket").path("encode_picture")
    TensorRt(plans=plans).load(path)
    TensorRt(plans=plans, precision="fp16").load(path)
    assert world.builds == 1
    TensorRt(plans=plans, precision="fp32").load(path)
    assert world.builds == 2


def test_a_stream_of_the_runtime_is_that_of_the_host(
    world: World, plans: PlanCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans are the prepared graphs themselves here, and compute on the fake GPU; found again, they are not built."""
    bundle = Bundle.open(write_tiny_bundle(tmp_path / "tiny"))

    def build(flavour: Flavour, model: bytes, **options: Any) -> Built:
        world.builds += 1
        return Built(model, NetworkReport({}, {}, 0, 0, 0, 6), b"")

    def load(flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        made = executable(world.devices[-1], plan)
        made.kernels = lambda: b"compiled"  # type: ignore[method-assign]
        return made

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "TensorRtExecutable", load)
    log = [Condition(TextEncoder(bundle, OnnxRuntimeCpu()).encode("a red ball bounces"))] * 10
    host = PocketGenerator(bundle, OnnxRuntimeCpu(), seed=3)
    right = [host.step(condition) for condition in log]
    for _ in range(2):
        runtime = TensorRt(plans=plans, precision="fp32")
        generator = PocketGenerator(bundle, runtime, seed=3)
        for condition, chunk in zip(log, right, strict=True):
            np.testing.assert_allclose(generator.step(condition).video, chunk.video, atol=1e-4)
        runtime.close()
        runtime.close()
        assert world.builds == 4
    assert all(device.closed and not device.memory and not device.pinned for device in world.devices)


@pytest.mark.parametrize("precision", [None, "fp32"])
def test_what_was_compiled_ahead_is_all_that_a_stream_needs(
    world: World, plans: PlanCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision | None
) -> None:
    """The chunk loop's own plans among it: a start builds nothing, and compiling builds nothing again."""
    bundle = Bundle.open(write_tiny_bundle(tmp_path / "tiny"))
    built: list[str] = []

    def build(flavour: Flavour, model: bytes, *, name: str, **options: Any) -> Built:
        built.append(name)
        return Built(model, NetworkReport({}, {}, 0, 0, 0, 6), b"")

    def load(flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        made = executable(world.devices[-1], plan)
        made.memory = lambda: PlanMemory(700, 300)  # type: ignore[method-assign]
        made.report = lambda: EngineReport(1, {}, 0, 300, 700)  # type: ignore[attr-defined]
        return made

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(compiling, "build", build)
    monkeypatch.setattr(module, "TensorRtExecutable", load)
    runtime = TensorRt(plans=plans, precision=precision)

    def compiled() -> list[Outcome]:
        flavour, reference = Flavour("tensorrt-rtx", Api, None), OnnxRuntimeCpu()
        given: dict[str, Any] = {"plans": plans, "precision": precision, "reference": reference}
        return list(Compiler(bundle, flavour, gpu=runtime.gpu.gpu, load=runtime.load_plan, **given).run())

    assert [outcome.failure for outcome in compiled()] == [None] * 7
    assert len(built) == 7
    runtime.chunk_sampler(bundle)
    for name in ("text", "decode_video", "decode_audio"):
        runtime.load(bundle.path(name), bundle.manifest.graphs[name].states)
    again = compiled()
    assert all(outcome.cached and outcome.errors is not None and outcome.memory for outcome in again)
    assert len(built) == 7
    assert not runtime.admit(bundle).plan.estimated
    runtime.close()


@needs_rtx
@pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
def test_without_a_gpu_the_runtime_says_so_and_does_not_end_the_process(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"GPU number 0|cuda-bindings is not installed"):
        TensorRt(plans=PlanCache(tmp_path))


@pytest.mark.parametrize("error", [OutOfMemoryError("the GPU is full"), DeviceLostError("the GPU is gone")])
def test_a_good_plan_is_not_built_again_for_what_is_not_its_fault(
    world: World, plans: PlanCache, error: EngineError
) -> None:
    TensorRt(plans=plans).load(GRAPH)
    world.refuses = error
    with pytest.raises(type(error), match=str(error)):
        TensorRt(plans=plans).load(GRAPH)
    world.refuses = None
    double(TensorRt(plans=plans))
    assert world.builds == 1


def test_a_refusal_without_a_reason_is_want_of_memory_where_not_even_the_plan_has_room(
    world: World, plans: PlanCache
) -> None:
    TensorRt(plans=plans).load(GRAPH)
    world.refuses, world.room = GraphLoadError("it gave no reason"), 3
    with pytest.raises(OutOfMemoryError, match=r"only 0 MiB of the GPU are free"):
        TensorRt(plans=plans).load(GRAPH)
    assert world.builds == 1


def test_buffers_without_room_give_everything_back_and_build_nothing(world: World, plans: PlanCache) -> None:
    TensorRt(plans=plans).load(GRAPH)
    world.room = 10  # x fits, y does not
    runtime = TensorRt(plans=plans)
    with pytest.raises(OutOfMemoryError, match="full"):
        runtime.load(GRAPH)
    assert (world.executables[-1].closed, world.devices[-1].closed, world.devices[-1].memory) == (True, True, {})
    assert world.builds == 1
    runtime.close()


def test_a_plan_whose_engine_cannot_be_made_is_closed(world: World, plans: PlanCache) -> None:
    runtime = TensorRt(plans=plans)
    with pytest.raises(GraphMismatchError):
        runtime.load(GRAPH, [State(name="nobody", shape=(1,), dtype="float32")])
    assert world.executables[-1].closed
    assert world.devices[-1].closed


def test_kernels_are_kept_while_running_and_again_only_when_there_are_more(
    world: World, plans: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    keep = PlanCache.keep_kernels

    def counted(cache: PlanCache, key: PlanKey, kernels: bytes) -> bool:
        written.append(kernels)
        return keep(cache, key, kernels)

    monkeypatch.setattr(PlanCache, "keep_kernels", counted)
    runtime = TensorRt(plans=plans)
    double(runtime)
    runtime.keep()
    assert [path.read_bytes() for path in plans.folder.glob("*.kernels")] == [b"compiled"]
    runtime.keep()
    runtime.close()
    assert written == [b"compiled"]

    again = TensorRt(plans=plans)
    double(again)
    again.keep()  # those of the file, and no others
    assert written == [b"compiled"]
    world.compiled = b"compiled and more"
    again.close()
    assert written == [b"compiled", b"compiled and more"]
    assert [path.read_bytes() for path in plans.folder.glob("*.kernels")] == [b"compiled and more"]


def test_kernels_without_bound_are_not_kept(world: World, plans: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans_module, "MOST_KERNELS_BYTES", 3)
    runtime = TensorRt(plans=plans)
    double(runtime)
    runtime.close()
    assert list(plans.folder.glob("*.kernels")) == []


def test_a_cache_that_is_deleted_while_serving_costs_a_build_at_the_next_start(world: World, plans: PlanCache) -> None:
    runtime = TensorRt(plans=plans)
    double(runtime)
    shutil.rmtree(plans.folder)
    double(runtime)  # builds it again, for another part of the model
    shutil.rmtree(plans.folder)
    runtime.keep()
    runtime.close()
    assert not plans.folder.exists()  # kernels alone are of no use
    double(TensorRt(plans=plans))
    assert world.builds == 3
    assert len(list(plans.folder.glob("*.plan"))) == 1


def test_what_a_plan_took_is_known_at_the_next_start(world: World, plans: PlanCache) -> None:
    TensorRt(plans=plans).load(GRAPH)
    card = bundled("testcard")
    found = TensorRt(plans=plans).admit(card).plan
    text = next(graph for graph in found.graphs if graph.graph == "text")
    assert (text.weights, text.activations, text.estimated) == (700, 300, False)
    assert all(graph.estimated for graph in found.graphs if graph.graph != "text")


def test_a_bundle_is_admitted_with_a_few_lines_before_anything_is_loaded(
    world: World, plans: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.room = 2**33
    TensorRt(plans=plans, device=0).admit(bundled("testcard"))
    assert world.loaded == []
    assert "testcard takes about" in caplog.text
    assert "denoise (fp16): weights" in caplog.text
    assert "GPU 0 has 8192 MiB free: room for" in caplog.text
    assert "WARNING" not in caplog.text


def test_a_bundle_without_room_is_refused_before_anything_is_loaded(world: World, plans: PlanCache) -> None:
    world.room = 1000
    with pytest.raises(OutOfMemoryError, match=r"testcard needs about .* of GPU 0, where 0\.0 MiB are free"):
        TensorRt(plans=plans).admit(bundled("testcard"))
    assert world.loaded == []


def test_what_was_prepared_to_be_admitted_is_not_prepared_again(
    world: World, plans: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    TensorRt(plans=plans).load(GRAPH)
    runtime = TensorRt(plans=plans)
    hashes = runtime.admit(bundled("testcard")).hashes
    monkeypatch.setattr(module, "prepare", None)
    double(runtime)
    double(TensorRt(plans=plans, hashes=hashes))
    assert world.builds == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_stream_that_refuses_to_be_closed_keeps_no_other_open(
    world: World, plans: PlanCache, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    runtime = TensorRt(plans=plans)
    double(runtime)
    double(runtime)

    def refused() -> None:
        raise GraphRunError("the fake refuses")

    monkeypatch.setattr(world.devices[place], "close", refused)
    runtime.close()
    assert [device.closed for device in world.devices] == [number != place for number in range(3)]
    assert all(executable.closed for executable in world.executables)
    assert all(not device.memory for device in world.devices)
    assert len(list(plans.folder.glob("*.kernels"))) == 1


def test_kernels_that_cannot_be_read_keep_nothing_open(
    world: World, plans: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = TensorRt(plans=plans)
    double(runtime)

    def refused() -> bytes:
        raise GraphRunError("the fake refuses")

    monkeypatch.setattr(world.executables[0], "kernels", refused)
    runtime.close()
    assert all(device.closed and not device.memory for device in world.devices)
