"""The engine's state machine on a fake GPU: nothing here claims that TensorRT ran."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.errors import DeviceLostError, GraphMismatchError, GraphRunError, OutOfMemoryError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Signature, TensorSpec
from tests.device.fakes import FakeDevice, FakeExecutable, FakeGpu

Arrays = dict[str, NDArray[Any]]
VECTOR = TensorSpec((4,), "float32")
CACHE = TensorSpec((1, 1, 3, 2), "float32")
INDEX = TensorSpec((1,), "int64")
SUM = State(name="sum", shape=(4,), dtype="float32")
RING = State(name="k_0", shape=(1, 1, 3, 2), dtype="float32")


def compute(given: Arrays) -> Arrays:
    """Adds up x in `sum`, and writes x's first numbers into a row of the ring; `y` tells both."""
    total = given["sum"] + given["x"]
    ring = given["k_0"].copy()
    ring[0, 0, given["write_index"][0]] = given["x"][:2]
    return {"sum_out": total, "k_0_out": ring, "y": total + ring.sum()}


def plan(device: FakeDevice, **options: Any) -> FakeExecutable:
    inputs = {"x": VECTOR, "write_index": INDEX, "sum": VECTOR, "k_0": CACHE}
    outputs = {"y": VECTOR, "sum_out": VECTOR, "k_0_out": CACHE}
    return FakeExecutable(device, inputs, outputs, compute, aliases={"k_0_out": "k_0"}, **options)


def engine(device: FakeDevice, **options: Any) -> DeviceEngine:
    return DeviceEngine(plan(device, **options), device, [SUM, RING], name="test")


def call(value: float, row: int = 0) -> Arrays:
    return {"x": np.full(4, value, np.float32), "write_index": np.array([row], np.int64)}


def expected(values: list[tuple[float, int]]) -> list[NDArray[Any]]:
    state: Arrays = {"sum": np.zeros(4, np.float32), "k_0": np.zeros(CACHE.shape, np.float32)}
    made = []
    for value, row in values:
        out = compute({**call(value, row), **state})
        state = {"sum": out["sum_out"], "k_0": out["k_0_out"]}
        made.append(out["y"])
    return made


CALLS = [(1.0, 0), (2.0, 1), (-3.0, 2), (5.0, 0), (0.5, 1)]


@pytest.mark.parametrize("options", [{}, {"recordable": False}], ids=["recorded", "step by step"])
def test_states_are_carried_from_run_to_run(options: dict[str, Any]) -> None:
    device = FakeDevice()
    tested = engine(device, **options)
    made = [tested.run(call(*each))["y"] for each in CALLS]
    for found, right in zip(made, expected(CALLS), strict=True):
        np.testing.assert_array_equal(found, right)
    assert tested.recorded is not bool(options)


def test_the_first_run_goes_step_by_step_and_all_after_the_second_are_played() -> None:
    device = FakeDevice()
    tested = engine(device)
    tested.run(call(1.0))
    assert (tested.recorded, device.played) == (False, 0)
    tested.run(call(1.0))
    assert (tested.recorded, device.played) == (True, 1)
    tested.run(call(1.0))
    assert (device.played, len(device.records)) == (2, 1)


def test_a_gpu_that_cannot_record_is_used_step_by_step() -> None:
    device = FakeDevice(captures=False)
    tested = engine(device)
    made = [tested.run(call(*each))["y"] for each in CALLS]
    np.testing.assert_array_equal(made[-1], expected(CALLS)[-1])
    assert not tested.recorded
    assert device.played == 0


def test_a_refusal_while_recording_is_no_failure() -> None:
    device = FakeDevice()
    tested = engine(device, fails_in=2)  # the second call is the one that records
    made = [tested.run(call(*each))["y"] for each in CALLS]
    np.testing.assert_array_equal(made[-1], expected(CALLS)[-1])
    assert not tested.recorded


def test_a_run_that_fails_says_so_and_reset_mends_it() -> None:
    device = FakeDevice()
    tested = engine(device, fails_in=1)
    with pytest.raises(GraphRunError, match="refuses"):
        tested.run(call(1.0))
    tested.reset()
    np.testing.assert_array_equal(tested.run(call(*CALLS[0]))["y"], expected(CALLS)[0])


def test_a_cache_has_one_buffer_and_other_states_two() -> None:
    device = FakeDevice()
    tested = engine(device)
    assert tested.in_place == {"k_0"}
    # x, write_index, y, two for sum, one for the ring
    assert len(device.memory) == 6


def test_what_is_written_into_a_state_counts_in_the_next_run() -> None:
    device = FakeDevice()
    tested = engine(device)
    for each in CALLS[:3]:
        tested.run(call(*each))
    before = tested.state("sum").copy()
    np.testing.assert_array_equal(before, np.zeros(4))
    tested.state("sum")[...] = 100.0
    tested.state("k_0")[...] = 0.0
    out = tested.run(call(1.0))["y"]
    np.testing.assert_array_equal(out, np.full(4, 103.0))
    np.testing.assert_array_equal(tested.state("sum"), np.full(4, 101.0))


def test_a_state_is_fetched_again_after_a_run() -> None:
    tested = engine(FakeDevice())
    tested.state("sum")
    tested.run(call(2.0))
    np.testing.assert_array_equal(tested.state("sum"), np.full(4, 2.0))


def test_reset_forgets_states_and_what_was_written_into_them() -> None:
    tested = engine(FakeDevice())
    for each in CALLS[:3]:
        tested.run(call(*each))
    tested.state("sum")[...] = 9.0
    tested.reset()
    np.testing.assert_array_equal(tested.state("k_0"), np.zeros(CACHE.shape))
    np.testing.assert_array_equal(tested.run(call(*CALLS[0]))["y"], expected(CALLS)[0])


def test_results_belong_to_the_caller() -> None:
    tested = engine(FakeDevice())
    first = tested.run(call(1.0))["y"]
    kept = first.copy()
    tested.run(call(5.0))
    np.testing.assert_array_equal(first, kept)


def test_inputs_may_lie_anywhere() -> None:
    tested = engine(FakeDevice())
    wide = np.arange(8, dtype=np.float32)[::2]
    out = tested.run({"x": wide, "write_index": np.array([0], np.int64)})["y"]
    np.testing.assert_array_equal(out, wide + wide[:2].sum())


def test_the_signature_leaves_states_out() -> None:
    assert engine(FakeDevice()).signature == Signature({"x": VECTOR, "write_index": INDEX}, {"y": VECTOR})


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"x": np.zeros(4, np.float32)}, "needs input write_index"),
        ({**call(1.0), "z": np.zeros(1)}, "no input z"),
        ({**call(1.0), "x": np.zeros(5, np.float32)}, r"input x is float32\[5\]"),
        ({**call(1.0), "x": np.zeros(4)}, "float64"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs: Arrays, said: str) -> None:
    with pytest.raises(GraphMismatchError, match=said):
        engine(FakeDevice()).run(inputs)


def test_a_state_that_the_plan_has_not_is_named() -> None:
    device = FakeDevice()
    with pytest.raises(GraphMismatchError, match="state other should be input other"):
        DeviceEngine(plan(device), device, [State(name="other", shape=(1,), dtype="float32")], name="test")


def test_an_output_that_is_to_share_with_another_input_is_refused_and_nothing_leaks() -> None:
    device = FakeDevice()
    executable = plan(device)
    executable.aliases = {"k_0_out": "sum"}
    with pytest.raises(GraphMismatchError, match="share the memory of sum"):
        DeviceEngine(executable, device, [SUM, RING], name="test")
    assert device.memory == {}
    assert device.pinned == []


def test_closing_gives_everything_back_once() -> None:
    device = FakeDevice()
    tested = engine(device)
    for each in CALLS[:3]:
        tested.run(call(*each))
    tested.close()
    tested.close()
    assert (device.memory, device.pinned, device.records) == ({}, [], {})
    with pytest.raises(GraphRunError, match="closed"):
        tested.run(call(1.0))


def test_closing_frees_the_plan_after_its_record_and_before_its_memory() -> None:
    """The fake executable checks the order: its record is gone. What it is bound to is not."""
    device = FakeDevice()
    executable = plan(device)
    tested = DeviceEngine(executable, device, [SUM, RING], name="test")
    for each in CALLS[:3]:
        tested.run(call(*each))
    assert tested.recorded
    tested.close()
    assert executable.closed
    assert not executable.outlived


@pytest.mark.parametrize("use", [lambda e: e.run(call(1.0)), lambda e: e.reset(), lambda e: e.state("sum")])
def test_use_after_close_is_named(use: Callable[[DeviceEngine], object]) -> None:
    tested = engine(FakeDevice())
    tested.close()
    with pytest.raises(GraphRunError, match="test has been closed; load it again"):
        use(tested)


def test_closing_after_a_failed_run_gives_everything_back() -> None:
    device = FakeDevice()
    executable = plan(device, fails_in=3)
    executable.recordable = False
    tested = DeviceEngine(executable, device, [SUM, RING], name="test")
    for each in CALLS[:2]:
        tested.run(call(*each))
    with pytest.raises(GraphRunError, match="refuses"):
        tested.run(call(1.0))
    tested.close()
    assert (device.memory, device.pinned, executable.closed) == ({}, [], True)


def test_closing_on_a_gpu_that_is_lost_frees_the_plan_and_says_what_it_could_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = FakeDevice()
    executable = plan(device)
    tested = DeviceEngine(executable, device, [SUM, RING], name="test")
    for each in CALLS[:3]:
        tested.run(call(*each))
    device.lost = True
    with pytest.raises(DeviceLostError):
        tested.run(call(1.0))
    tested.close()
    tested.close()
    assert executable.closed
    assert device.pinned == []  # memory of the host is given back all the same
    assert caplog.text.count("cannot be given back: the fake is lost") == 1


def test_buffers_without_room_are_want_of_memory_and_nothing_leaks() -> None:
    device = FakeDevice()
    device.room = 60  # x, write_index and y fit, the states do not
    executable = plan(device)
    with pytest.raises(OutOfMemoryError, match="full"):
        DeviceEngine(executable, device, [SUM, RING], name="test")
    assert (device.memory, device.pinned, executable.closed) == ({}, [], True)


def holding(device: FakeDevice, **options: Any) -> DeviceEngine:
    """An engine that adds the held inputs `a` and `b` to `x`."""
    inputs = {"x": VECTOR, "a": VECTOR, "b": TensorSpec((2,), "float32")}
    executable = FakeExecutable(
        device, inputs, {"y": VECTOR}, lambda given: {"y": given["x"] + given["a"] + given["b"].sum()}, **options
    )
    return DeviceEngine(executable, device, [], name="test", held=("a", "b"))


def vector(value: float, size: int = 4) -> NDArray[Any]:
    return np.full(size, value, np.float32)


@pytest.mark.parametrize("options", [{}, {"recordable": False}], ids=["recorded", "step by step"])
def test_held_inputs_are_uploaded_when_they_change_and_never_by_a_run(options: dict[str, Any]) -> None:
    device = FakeDevice()
    tested = holding(device, **options)
    uploads: list[int] = []
    upload = device.upload

    def counted(address: int, memory: Any) -> None:
        uploads.append(address)
        upload(address, memory)

    device.upload = counted  # type: ignore[method-assign]
    tested.hold({"a": vector(10), "b": vector(50, 2)})
    assert len(set(uploads)) == 2
    made = [tested.run({"x": vector(value)})["y"][0] for value in (1, 2, 3, 4)]
    tested.hold({"a": vector(20)})
    made += [tested.run({"x": vector(value)})["y"][0] for value in (1, 2)]
    assert made == [111, 112, 113, 114, 121, 122]
    assert tested.recorded is not bool(options)
    # Of x: step by step with every run; else in the first run and in the record, which is played without another call.
    assert len(uploads) == 3 + (6 if options else 2)


def test_held_inputs_share_one_piece_of_host_memory_and_all_is_given_back() -> None:
    device = FakeDevice()
    tested = holding(device)
    assert (len(device.memory), len(device.pinned)) == (4, 3)  # x, a, b, y; x, y and the passage
    tested.hold({"a": vector(1), "b": vector(1, 2)})
    tested.close()
    assert (device.memory, device.pinned) == ({}, [])
    with pytest.raises(GraphRunError, match="closed"):
        tested.hold({"a": vector(1)})


def test_what_is_not_held_yet_is_named_on_the_gpu_too() -> None:
    tested = holding(FakeDevice())
    with pytest.raises(GraphMismatchError, match="test needs the held input a, b"):
        tested.run({"x": vector(1)})
    with pytest.raises(GraphMismatchError, match=r"input b is float32\[4\], should be float32\[2\]"):
        tested.hold({"a": vector(1), "b": vector(1)})
    with pytest.raises(GraphMismatchError, match="test needs the held input a, b"):  # a wrong one held nothing
        tested.run({"x": vector(1)})
    tested.hold({"a": vector(1), "b": vector(1, 2)})
    with pytest.raises(GraphMismatchError, match="input a is held"):
        tested.run({"x": vector(1), "a": vector(1)})
    tested.reset()
    assert tested.run({"x": vector(1)})["y"].tolist() == [4, 4, 4, 4]


def test_held_inputs_that_cannot_be_copied_have_to_be_given_again() -> None:
    device = FakeDevice()
    tested = holding(device)
    tested.hold({"a": vector(1), "b": vector(1, 2)})

    def refuses(address: int, memory: Any) -> None:
        raise GraphRunError("the fake refuses")

    upload, device.upload = device.upload, refuses  # type: ignore[method-assign]
    with pytest.raises(GraphRunError, match="refuses"):
        tested.hold({"a": vector(2)})
    device.upload = upload  # type: ignore[method-assign]
    with pytest.raises(GraphMismatchError, match="needs the held input a;"):
        tested.run({"x": vector(1)})
    tested.hold({"a": vector(2)})
    assert tested.run({"x": vector(1)})["y"][0] == 5


def test_memory_of_the_host_for_a_state_is_allocated_when_it_is_asked_for() -> None:
    device = FakeDevice()
    tested = engine(device)
    tested.run(call(1.0))
    tested.reset()
    assert len(device.pinned) == 3  # x, write_index and y
    first = tested.state("k_0")
    tested.run(call(1.0))
    assert np.shares_memory(tested.state("k_0"), first)  # the same piece again
    assert len(device.pinned) == 4
    tested.close()
    assert (device.memory, device.pinned) == ({}, [])


@pytest.mark.parametrize("seed", range(5))
def test_states_of_an_engine_on_the_same_gpu_never_pass_the_host(seed: int) -> None:
    gpu = FakeGpu(stirred=seed)
    first, then = (engine(FakeDevice(gpu=gpu)) for _ in range(2))
    for each in CALLS[:3]:
        first.run(call(*each))
        then.run(call(9.0))
    then.state("sum").fill(7)  # gone, as its own state is
    uploads, downloads = gpu.uploads, gpu.downloads
    then.take_states(first)
    assert (gpu.uploads, gpu.downloads) == (uploads, downloads)
    first.reset()
    for each, right in zip(CALLS[3:], expected(CALLS)[3:], strict=True):
        np.testing.assert_array_equal(then.run(call(*each))["y"], right)
    assert then.recorded


def test_what_was_written_into_a_state_is_taken_too() -> None:
    gpu = FakeGpu()
    first, then = (engine(FakeDevice(gpu=gpu)) for _ in range(2))
    first.state("sum").fill(100)
    then.take_states(first)
    np.testing.assert_array_equal(then.run(call(1.0))["y"], np.full(4, 103.0))
    np.testing.assert_array_equal(first.state("sum"), np.full(4, 100.0))


def test_states_of_an_engine_on_another_gpu_go_over_the_host() -> None:
    first, then = (engine(FakeDevice(gpu=FakeGpu(index=index))) for index in range(2))
    first.run(call(*CALLS[0]))
    then.take_states(first)
    np.testing.assert_array_equal(then.run(call(*CALLS[1]))["y"], expected(CALLS)[1])


def test_states_that_differ_are_refused_and_none_is_taken() -> None:
    gpu = FakeGpu()
    then, other = engine(FakeDevice(gpu=gpu)), holding(FakeDevice(gpu=gpu))
    then.run(call(*CALLS[0]))
    with pytest.raises(GraphMismatchError, match="state sum is missing, it should be"):
        then.take_states(other)
    np.testing.assert_array_equal(then.run(call(*CALLS[1]))["y"], expected(CALLS)[1])
    closed = engine(FakeDevice(gpu=gpu))
    closed.close()
    for one, two in ((then, closed), (closed, then)):
        with pytest.raises(GraphRunError, match="test has been closed"):
            one.take_states(two)
