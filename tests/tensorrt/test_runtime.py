"""The runtime around a plan, with a GPU and a TensorRT that are neither: plans found, built, and built again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import GraphLoadError, RuntimeUnavailableError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.builder import Built
from streamgen_engines.tensorrt.cuda import gpu_count
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import NetworkReport
from streamgen_engines.tensorrt.plans import PlanCache
from streamgen_engines.tensorrt.runtime import TensorRt
from streamgen_engines.text import TextEncoder
from tests.tensorrt.computing import executable
from tests.tensorrt.fakes import FakeDevice, FakeExecutable
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

    def build(self, flavour: Flavour, model: bytes, **options: Any) -> Built:
        self.builds += 1
        return Built(f"plan {self.builds}".encode(), NetworkReport({}, {}, 0, 0, 0, 6), b"timing")

    def device(self, index: int) -> FakeDevice:
        self.devices.append(FakeDevice())
        return self.devices[-1]

    def executable(self, flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        self.loaded.append((plan, kernels))
        if plan not in self.good:
            raise GraphLoadError(f"{name}: cannot load this plan")
        made = FakeExecutable(self.devices[-1], {"x": X}, {"y": X}, lambda given: {"y": given["x"] * 2})
        made.kernels = lambda: b"compiled"  # type: ignore[attr-defined]
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
        made.kernels = lambda: b"compiled"  # type: ignore[attr-defined]
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


@needs_rtx
@pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
def test_without_a_gpu_the_runtime_says_so_and_does_not_end_the_process(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"GPU number 0|cuda-bindings is not installed"):
        TensorRt(plans=PlanCache(tmp_path))
