"""Closing on a GPU that refuses one step: all other steps are taken, and everything else is given back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.allocations import Allocations
from streamgen_engines.device.closing import take_every
from streamgen_engines.device.double_buffered import DoubleBufferedEngine
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.errors import GraphLoadError, GraphRunError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import TensorSpec
from streamgen_engines.text import TextEncoder
from tests.device.fakes import FakeDevice, FakeExecutable, FakeGpu
from tests.device.on_fake_gpu import FakeRuntime
from tests.tiny_bundle import write_tiny_bundle

X = TensorSpec((2,), "float32")


def refuse_once(monkeypatch: pytest.MonkeyPatch, of: Any, method: str) -> None:
    """The next call of a method is refused, and the later ones are not."""
    inner: Callable[..., Any] = getattr(of, method)
    called = False

    def refused(*arguments: Any, **options: Any) -> Any:
        nonlocal called
        if not called:
            called = True
            raise GraphRunError(f"the fake refuses to {method}")
        return inner(*arguments, **options)

    monkeypatch.setattr(of, method, refused)


def left(gpu: FakeGpu, *devices: FakeDevice) -> tuple[int, int, int, int]:
    """Pieces of memory, events, pieces of page-locked memory, records."""
    records = sum(len(device.records) for device in devices)
    return len(gpu.memory), len(gpu.marks), sum(len(device.pinned) for device in devices), records


def test_every_step_is_taken_and_the_first_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    def refused(why: str) -> None:
        taken.append(why)
        raise GraphRunError(why)

    take_every([lambda: taken.append("a"), lambda: refused("b"), lambda: refused("c"), lambda: taken.append("d")], "it")
    assert taken == ["a", "b", "c", "d"]
    assert [record.getMessage() for record in caplog.records] == ["it: 2 of 4 parts cannot be given back: b"]


def test_an_error_of_another_kind_is_not_hidden() -> None:
    def wrong() -> None:
        raise GraphLoadError("no refusal of a GPU")

    with pytest.raises(GraphLoadError):
        take_every([wrong], "it")


@pytest.mark.parametrize(
    ("method", "remains"),
    [("free_event", (0, 1, 0, 0)), ("free", (1, 0, 0, 0)), ("free_staging", (0, 0, 1, 0))],
)
def test_allocations_give_back_all_but_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, method: str, remains: tuple[int, ...]
) -> None:
    device = FakeDevice()
    held = Allocations(device)
    for _ in range(3):
        held.allocate(16)
        held.staging(16)
        held.event()
    refuse_once(monkeypatch, device, method)
    held.close()
    held.close()
    assert left(device.shared, device) == remains


@pytest.mark.parametrize(
    ("method", "remains"),
    [
        ("use", (0, 0, 0, 0)),
        ("synchronise", (0, 0, 0, 0)),
        ("free_event", (0, 1, 0, 0)),
        ("free", (1, 0, 0, 0)),
    ],
)
def test_an_engine_with_two_turns_gives_back_all_but_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, method: str, remains: tuple[int, ...]
) -> None:
    gpu = FakeGpu()
    device, copying = FakeDevice(gpu=gpu), [FakeDevice(gpu=gpu) for _ in range(2)]
    executable = FakeExecutable(device, {"x": X}, {"y": X}, lambda given: {"y": given["x"]})
    inner = DeviceEngine(executable, device, [], name="test", fetches=False)
    engine = DoubleBufferedEngine(inner, copying, name="test")
    engine.start({"x": np.ones(2, np.float32)})
    refuse_once(monkeypatch, device, method)
    engine.close()
    monkeypatch.undo()
    device.synchronise()
    inner.close()
    assert left(gpu, device, *copying) == remains


@pytest.mark.parametrize(
    ("method", "remains"),
    [
        ("use", (0, 0, 0, 0)),
        ("synchronise", (0, 0, 0, 0)),
        ("forget", (0, 0, 0, 1)),
        ("free_event", (0, 1, 0, 0)),
        ("free", (1, 0, 0, 0)),
        ("free_staging", (0, 0, 1, 0)),
    ],
)
def test_a_sampler_gives_back_all_but_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, remains: tuple[int, ...]
) -> None:
    bundle = Bundle.open(write_tiny_bundle(tmp_path / "tiny"))
    runtime = FakeRuntime()
    generator = PocketGenerator(bundle, runtime)
    prompt = TextEncoder(bundle, OnnxRuntimeCpu()).encode("a red ball bounces")
    for _ in range(3):
        generator.step(Condition(prompt))
    assert runtime.sampler.recorded == 2
    refuse_once(monkeypatch, runtime.device, method)
    runtime.sampler.close()
    assert left(runtime.gpu, runtime.device) == remains
