"""Results that come back beside the next run, on a fake GPU with several streams. Nothing here claims that CUDA ran."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_engines.device.double_buffered import DoubleBufferedEngine
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.planes.interface import Beginning, advance, begin
from streamgen_engines.runtimes.interface import Signature, TensorSpec
from tests.device.fakes import FakeExecutable
from tests.device.streams import FakeStream

Arrays = dict[str, NDArray[Any]]
VECTOR = TensorSpec((4,), "float32")
PICTURE = TensorSpec((2, 3), "uint8")
SUM = State(name="sum", shape=(4,), dtype="float32")


def compute(given: Arrays) -> Arrays:
    """Adds up x in `sum`; both results tell the sum."""
    total = given["sum"] + given["x"]
    return {"sum_out": total, "y": 10 * total, "picture": np.full((2, 3), total[0], np.uint8)}


class Rig:
    """The engine under test and what it runs on."""

    def __init__(self, *, deaf: bool = False, **options: Any) -> None:
        self.device = FakeStream(captures=options.pop("captures", True))
        self.copying = [FakeStream(self.device, deaf=deaf) for _ in range(2)]
        inputs, outputs = {"x": VECTOR, "sum": VECTOR}, {"y": VECTOR, "picture": PICTURE, "sum_out": VECTOR}
        executable = FakeExecutable(self.device, inputs, outputs, compute, **options)
        self.inner = DeviceEngine(executable, self.device, [SUM], name="test", fetches=False)
        self.engine = DoubleBufferedEngine(self.inner, self.copying, name="test")

    def close(self) -> None:
        self.engine.close()
        self.inner.close()


def call(value: float) -> Arrays:
    return {"x": np.full(4, value, np.float32)}


VALUES = (1.0, 2.0, 5.0, 3.0, 4.0, 7.0)
SUMS = np.cumsum(VALUES)


@pytest.mark.parametrize("options", [{}, {"recordable": False}, {"captures": False}])
def test_results_are_those_of_each_run(options: dict[str, Any]) -> None:
    rig = Rig(**options)
    for value, total in zip(VALUES, SUMS, strict=True):
        made = rig.engine.run(call(value))
        np.testing.assert_array_equal(made["y"], np.full(4, 10 * total, np.float32))
        np.testing.assert_array_equal(made["picture"], np.full((2, 3), total, np.uint8))
        assert made["picture"].dtype == np.uint8
    assert rig.inner.recorded is not bool(options)
    assert rig.engine.signature == Signature({"x": VECTOR}, {"y": VECTOR, "picture": PICTURE})


def test_results_are_page_locked_memory_of_two_turns_and_nothing_is_copied_on_the_host() -> None:
    rig = Rig()
    places = [rig.engine.run(call(value))["picture"].ctypes.data for value in VALUES]
    pinned = [memory.ctypes.data for stream in rig.copying for memory in stream.pinned]
    assert set(places) <= set(pinned)
    assert len(set(places)) == 2
    assert places == places[:2] * 3


def test_results_stay_until_the_run_after_the_next_begins() -> None:
    rig = Rig()
    first = rig.engine.run(call(1.0))["y"]
    rig.engine.run(call(2.0))
    np.testing.assert_array_equal(first, np.full(4, 10))
    rig.engine.run(call(5.0))
    np.testing.assert_array_equal(first, np.full(4, 80))


def test_results_come_back_while_the_next_run_is_under_way() -> None:
    rig = Rig()
    fetches = [rig.engine.start(call(value)) for value in VALUES[:2]]
    made = fetches[0]()
    np.testing.assert_array_equal(made["y"], np.full(4, 10))
    assert rig.device.waiting, "to fetch the first results, the second run was waited for"
    np.testing.assert_array_equal(fetches[1]()["y"], np.full(4, 30))


def test_many_runs_two_at_a_time() -> None:
    rig = Rig()
    found = []
    before = rig.engine.start(call(VALUES[0]))
    for value in VALUES[1:]:
        after = rig.engine.start(call(value))
        found.append(before()["y"][0])
        before = after
    np.testing.assert_array_equal([*found, before()["y"][0]], 10 * SUMS)


def test_the_fake_notices_when_nobody_waits_for_the_results() -> None:
    """Without its event the copy is ahead of the run: the fault that the fake is for."""
    rig = Rig(deaf=True)
    assert not np.array_equal(rig.engine.run(call(1.0))["y"], np.full(4, 10))


def test_results_that_are_fetched_too_late_are_refused() -> None:
    rig = Rig()
    late = rig.engine.start(call(1.0))
    rig.engine.start(call(1.0))
    rig.engine.start(call(1.0))
    with pytest.raises(GraphRunError, match=r"results of run 0 of test are gone.*before the run after the next"):
        late()


def test_a_run_for_the_states_alone_takes_no_turn() -> None:
    rig = Rig()
    before = rig.engine.run(call(1.0))["y"]
    advance(rig.engine, call(2.0))
    after = begin(rig.engine, call(5.0))()["y"]
    np.testing.assert_array_equal(after, np.full(4, 80))
    np.testing.assert_array_equal(before, np.full(4, 10))


def test_an_engine_that_cannot_begin_does_the_run_whole() -> None:
    device = FakeStream()
    executable = FakeExecutable(
        device, {"x": VECTOR, "sum": VECTOR}, {"y": VECTOR, "picture": PICTURE, "sum_out": VECTOR}, compute
    )
    plain = DeviceEngine(executable, device, [SUM], name="plain")
    assert not isinstance(plain, Beginning)
    advance(plain, call(1.0))
    fetch = begin(plain, call(2.0))
    assert not device.waiting
    np.testing.assert_array_equal(fetch()["y"], np.full(4, 30))


def test_states_can_be_read_and_written_between_runs() -> None:
    rig = Rig()
    rig.engine.start(call(1.0))
    np.testing.assert_array_equal(rig.engine.state("sum"), np.ones(4))
    rig.engine.state("sum")[...] = 100
    np.testing.assert_array_equal(rig.engine.run(call(2.0))["y"], np.full(4, 1020))


def test_a_reset_forgets_states_and_results_that_are_under_way() -> None:
    rig = Rig()
    rig.engine.run(call(1.0))
    under_way = rig.engine.start(call(1.0))
    rig.engine.reset()
    with pytest.raises(GraphRunError, match="was reset"):
        under_way()
    np.testing.assert_array_equal(rig.engine.run(call(2.0))["y"], np.full(4, 20))


def test_a_run_that_fails_says_so_and_a_reset_mends_it() -> None:
    rig = Rig(fails_in=2)
    rig.engine.run(call(1.0))
    rig.engine.run(call(1.0))  # the second call is the one that records; it is done step by step instead
    rig = Rig(fails_in=1)
    with pytest.raises(GraphRunError, match="refuses"):
        rig.engine.start(call(1.0))
    rig.engine.reset()
    np.testing.assert_array_equal(rig.engine.run(call(2.0))["y"], np.full(4, 20))


def test_inputs_are_checked_before_anything_is_enqueued() -> None:
    rig = Rig()
    with pytest.raises(GraphMismatchError, match="needs input x"):
        rig.engine.start({})
    assert not rig.device.waiting


def test_closing_gives_everything_back_once() -> None:
    rig = Rig()
    rig.engine.run(call(1.0))
    rig.engine.start(call(1.0))
    rig.close()
    rig.close()
    assert (rig.device.memory, rig.device.pinned, rig.device.records, rig.device.shared.marks) == ({}, [], {}, {})
    assert [stream.pinned for stream in rig.copying] == [[], []]
    with pytest.raises(GraphRunError, match="closed"):
        rig.engine.run(call(1.0))


def test_nothing_leaks_where_the_gpu_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeStream()
    executable = FakeExecutable(device, {"x": VECTOR}, {"y": VECTOR}, lambda given: {"y": given["x"]})
    inner = DeviceEngine(executable, device, [], name="test", fetches=False)
    before = (len(device.memory), len(device.pinned))
    allocate, left = device.allocate, [1]

    def full(size: int) -> int:
        if not left:
            raise GraphRunError("out of memory")
        left.pop()
        return allocate(size)

    monkeypatch.setattr(device, "allocate", full)
    with pytest.raises(GraphRunError, match="out of memory"):
        DoubleBufferedEngine(inner, [FakeStream(device), FakeStream(device)], name="test")
    assert (len(device.memory), len(device.pinned), device.shared.marks) == (*before, {})


def test_each_turn_needs_a_stream() -> None:
    device = FakeStream()
    executable = FakeExecutable(device, {"x": VECTOR}, {"y": VECTOR}, lambda given: {"y": given["x"]})
    inner = DeviceEngine(executable, device, [], name="test", fetches=False)
    with pytest.raises(ValueError, match="2 turns, and 1 streams"):
        DoubleBufferedEngine(inner, [FakeStream(device)], name="test")


def test_a_reset_leaves_what_was_fetched_last_and_takes_the_other_turn() -> None:
    """Whoever begins a run in vain, resets and begins again still has the results of the one before."""
    for before in (1, 2):
        rig = Rig()
        for _ in range(before):
            kept = rig.engine.run(call(1.0))["y"]
        copy = kept.copy()
        rig.engine.start(call(9.0))
        rig.engine.reset()
        np.testing.assert_array_equal(rig.engine.run(call(2.0))["y"], np.full(4, 20))
        np.testing.assert_array_equal(kept, copy)


def test_inputs_may_lie_on_the_gpu_already() -> None:
    rig = Rig()
    there = rig.device.allocate(16)
    memory = rig.device.staging(16)
    memory.view(np.float32)[:] = 3.0
    rig.device.upload(there, memory)

    def copy(device: Any, address: int) -> bool:
        device.copy(address, there, 16)
        return True

    for total in (3, 6, 9):
        made = begin(rig.engine, call(100.0), {"x": copy})()
        np.testing.assert_array_equal(made["y"], np.full(4, 10 * total))
    assert rig.inner.recorded
