"""A GPU without room, in every way of loading: it is said so, and no plan is built again or thrown away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import EngineError, GraphLoadError, GraphRunError, OutOfMemoryError
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.runtimes.failures import cuda_error
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.tensorrt import compile as compiling
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.builder import Built
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import NetworkReport
from streamgen_engines.tensorrt.plans import PlanCache, PlanMemory
from streamgen_engines.tensorrt.runtime import TensorRt
from tests.device.computing import executable
from tests.device.fakes import FakeDevice, FakeExecutable

X = TensorSpec((64,), "float32")
CARD = bundled("testcard")
REQUEST = PlaneRequest(((640, 360),))
LATE = cuda_error(0, 2, "cudaErrorMemoryAllocation", "out of memory")
"""As a call that asks for no memory says it."""


class World:
    """Plans that are the prepared graphs, and devices with as much room as the test says.

    Attributes:
        builds: graphs that were built.
        refuses: what TensorRT says to every plan.
        computes: whether plans compute the real graphs, and not an array `x` to an array `y`.
        spoils: what is done to each device that is opened.
    """

    def __init__(self) -> None:
        self.builds: list[str] = []
        self.refuses: EngineError | None = None
        self.computes = False
        self.room = 2**40
        self.spoils: Callable[[FakeDevice], None] = lambda device: None
        self.devices: list[FakeDevice] = []

    def build(self, flavour: Flavour, model: bytes, *, name: str, **options: Any) -> Built:
        self.builds.append(name)
        return Built(model, NetworkReport({}, {}, 0, 0, 0, len(model)), b"")

    def device(self, index: int) -> FakeDevice:
        self.devices.append(FakeDevice())
        self.devices[-1].room = self.room
        self.spoils(self.devices[-1])
        return self.devices[-1]

    def executable(self, flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        if self.refuses is not None:
            raise self.refuses
        made = (
            executable(self.devices[-1], plan)
            if self.computes
            else FakeExecutable(self.devices[-1], {"x": X}, {"y": X}, lambda given: {"y": given["x"]})
        )
        made.memory = lambda: PlanMemory(700, 2**30)  # type: ignore[method-assign]
        return made


class Api:
    __version__ = "1.7.1"


FLAVOUR = Flavour("tensorrt-rtx", Api, None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(module, "build", made.build)
    monkeypatch.setattr(compiling, "build", made.build)
    monkeypatch.setattr(module, "CudaDevice", made.device)
    monkeypatch.setattr(module, "TensorRtExecutable", made.executable)
    monkeypatch.setattr(module, "load_flavour", lambda name: FLAVOUR)
    return made


@pytest.fixture
def plans(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


WAYS = ("load", "load_planes", "chunk_sampler")


def load(runtime: TensorRt, way: str, world: World, tiny: Bundle) -> Any:
    world.computes = way == "chunk_sampler"
    if way == "load":
        return runtime.load(CARD.path("text"))
    if way == "load_planes":
        return runtime.load_planes(CARD.path("decode_video"), (), REQUEST)
    return runtime.chunk_sampler(tiny)


def stored(plans: PlanCache) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in plans.folder.glob("*.plan")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("words", "room"),
    [
        (OutOfMemoryError("the GPU is full"), 2**40),
        (GraphLoadError("it gave no reason"), 100),  # not even the plan's own bytes are free
        (GraphLoadError("it gave no reason"), 2**30 - 1),  # its bytes are, but not what its last context took
    ],
    ids=["told", "no room for the plan", "no room for its context"],
)
def test_a_plan_without_room_is_kept_in_every_way_of_loading(
    world: World, plans: PlanCache, tiny: Bundle, way: str, words: EngineError, room: int
) -> None:
    load(TensorRt(plans=plans), way, world, tiny)
    before, builds = stored(plans), len(world.builds)
    world.refuses, world.room = words, room
    runtime = TensorRt(plans=plans)
    with pytest.raises(OutOfMemoryError):
        load(runtime, way, world, tiny)
    runtime.close()
    assert (stored(plans), len(world.builds)) == (before, builds)
    assert all(device.closed and not device.memory for device in world.devices if device.room == room < 2**40)


@pytest.mark.parametrize("way", WAYS)
def test_a_fresh_plan_without_room_says_so(world: World, plans: PlanCache, tiny: Bundle, way: str) -> None:
    world.refuses, world.room = GraphLoadError("it gave no reason"), 100
    with pytest.raises(OutOfMemoryError, match="MiB of the GPU are free"):
        load(TensorRt(plans=plans), way, world, tiny)
    assert len(world.builds) == len(stored(plans)) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("room", [0, 300, 600, 1500])
def test_buffers_without_room_are_want_of_memory(
    world: World, plans: PlanCache, tiny: Bundle, way: str, room: int
) -> None:
    load(TensorRt(plans=plans), way, world, tiny)
    before, builds = stored(plans), len(world.builds)
    world.room = {"load": min(room, 300), "load_planes": min(room, 700)}.get(way, room)
    runtime = TensorRt(plans=plans)
    opened = len(world.devices)
    with pytest.raises(OutOfMemoryError, match="the fake is full"):
        load(runtime, way, world, tiny)
    runtime.close()
    assert (stored(plans), len(world.builds)) == (before, builds)
    assert all(device.closed and not device.memory and not device.pinned for device in world.devices[opened:])


@pytest.mark.parametrize("way", WAYS)
def test_want_of_memory_that_shows_at_the_end_of_loading_is_told_apart(
    world: World, plans: PlanCache, tiny: Bundle, way: str
) -> None:
    """What was enqueued meanwhile is found to have failed when it is waited for."""
    load(TensorRt(plans=plans), way, world, tiny)
    builds = len(world.builds)

    def late() -> None:
        raise LATE

    def spoil(device: FakeDevice) -> None:
        device.synchronise = late  # type: ignore[method-assign]

    world.spoils = spoil
    assert type(LATE) is GraphRunError
    with pytest.raises(OutOfMemoryError, match="cudaErrorMemoryAllocation"):
        load(TensorRt(plans=plans), way, world, tiny)
    assert len(world.builds) == builds


@pytest.mark.parametrize("way", WAYS)
def test_another_failure_while_loading_stays_what_it_is(world: World, plans: PlanCache, tiny: Bundle, way: str) -> None:
    def late() -> None:
        raise GraphRunError("GPU 0: invalid argument (cudaErrorInvalidValue)")

    def spoil(device: FakeDevice) -> None:
        device.synchronise = late  # type: ignore[method-assign]

    world.spoils = spoil
    with pytest.raises(GraphRunError, match="invalid argument"):
        load(TensorRt(plans=plans), way, world, tiny)


@pytest.mark.parametrize("words", [OutOfMemoryError("full"), GraphLoadError("it gave no reason")])
def test_compiling_without_room_keeps_what_was_built(world: World, plans: PlanCache, words: EngineError) -> None:
    world.refuses, world.room = words, 100
    runtime = TensorRt(plans=plans)
    compiler = Compiler(CARD, FLAVOUR, gpu=runtime.gpu.gpu, plans=plans, load=runtime.load_plan)
    (outcome,) = compiler.run(["text"])
    assert type(outcome.failure) is OutOfMemoryError
    assert len(stored(plans)) == 1
    world.refuses = None
    (again,) = compiler.run(["text"])
    assert (again.failure, again.cached, len(world.builds)) == (None, True, 1)
