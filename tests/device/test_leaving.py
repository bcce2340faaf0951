"""Results that stay on the GPU for another engine, on a fake GPU with several streams. Nothing here says CUDA ran."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_engines.device.double_buffered import DoubleBufferedEngine
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.leaving import LeavingEngine
from streamgen_engines.errors import GraphMismatchError, GraphRunError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.interface import Leaving, TensorSpec
from tests.device.fakes import FakeDevice, FakeExecutable
from tests.device.streams import FakeStream

Arrays = dict[str, NDArray[Any]]
NUMBER = TensorSpec((1,), "float32")
PICTURES = TensorSpec((4, 2), "uint8")
SUM = State(name="sum", shape=(1,), dtype="float32")


def decode(given: Arrays) -> Arrays:
    """Four pictures, each of the next number after the sum."""
    total = given["sum"] + given["x"]
    return {"sum_out": total, "frames": (total + np.arange(4))[:, None].repeat(2, axis=1).astype(np.uint8)}


def enlarge(given: Arrays) -> Arrays:
    return {"larger": given["pictures"].repeat(2, axis=1)}


LARGER = TensorSpec((4, 4), "uint8")


class Rig:
    """A decoder, and what reads its pictures on another stream."""

    def __init__(
        self,
        beside: FakeStream | None = None,
        *,
        deaf: str = "",
        fetches: bool = False,
        buffered: bool = True,
        captures: bool = True,
    ) -> None:
        self.made = FakeStream(beside, captures=captures, deaf=deaf == "decoder")
        self.read = FakeStream(self.made, captures=captures, deaf=deaf == "reader")
        self.copying = [FakeStream(self.made) for _ in range(2)]
        outputs = {"frames": PICTURES, "sum_out": NUMBER}
        self.plan = FakeExecutable(self.made, {"x": NUMBER, "sum": NUMBER}, outputs, decode)
        self.inner = DeviceEngine(self.plan, self.made, [SUM], name="decode", fetches=fetches)
        self.decoder = LeavingEngine(self.inner, name="decode")
        larger = FakeExecutable(self.read, {"pictures": PICTURES}, {"larger": LARGER}, enlarge)
        self.reader = DeviceEngine(larger, self.read, [], name="enlarge", fetches=not buffered)
        self.buffered = DoubleBufferedEngine(self.reader, self.copying, name="enlarge") if buffered else None

    def start(self, value: float, order: list[int] | None = None) -> Any:
        left = self.decoder.leave(call(value))
        place = {"pictures": left.place("frames", order)}
        if self.buffered is not None:
            return self.buffered.start({}, place)
        made = self.reader.run_placed({}, place)
        return lambda: made

    def close(self) -> None:
        if self.buffered is not None:
            self.buffered.close()
        self.decoder.close()
        self.reader.close()
        self.inner.close()


def call(value: float) -> Arrays:
    return {"x": np.full(1, value, np.float32)}


def wanted(total: float, order: tuple[int, ...] = (0, 1, 2, 3)) -> NDArray[np.uint8]:
    return (total + np.array(order))[:, None].repeat(4, axis=1).astype(np.uint8)


VALUES = (1.0, 5.0, 2.0, 40.0, 3.0, 9.0)
SUMS = tuple(float(each) for each in np.cumsum(VALUES))


@pytest.mark.parametrize("options", [{}, {"captures": False}, {"buffered": False}])
def test_each_run_is_read_as_it_was(options: dict[str, Any]) -> None:
    rig = Rig(**options)
    assert isinstance(rig.decoder, Leaving)
    for value, total in zip(VALUES, SUMS, strict=True):
        np.testing.assert_array_equal(rig.start(value)()["larger"], wanted(total))
    assert rig.inner.recorded == rig.reader.recorded == options.get("captures", True)
    rig.close()
    assert not rig.made.memory
    assert not rig.made.shared.marks


def test_the_decoder_goes_on_while_the_reader_works() -> None:
    rig = Rig()
    fetches = [rig.start(VALUES[0])]
    for value, total in zip(VALUES[1:], SUMS, strict=False):
        fetches.append(rig.start(value))
        np.testing.assert_array_equal(fetches[-2]()["larger"], wanted(total))


def test_nothing_comes_to_the_host_but_what_the_reader_makes() -> None:
    rig = Rig()
    for value in VALUES:
        rig.start(value)()
    gpu = rig.made.shared
    assert (gpu.uploads, gpu.downloads) == (len(VALUES), len(VALUES))


@pytest.mark.parametrize("deaf", ["decoder", "reader"])
def test_each_stream_has_to_wait_for_the_other(deaf: str) -> None:
    """The fake does work as late as it may be: a stream that heeds no event reads what is not there yet, or is over."""
    rig = Rig(deaf=deaf)
    rig.start(VALUES[0])
    if deaf == "reader":
        np.testing.assert_array_equal(rig.start(VALUES[1])()["larger"] == wanted(SUMS[1]), np.zeros((4, 4), bool))
        return
    # What is left is written over by the next run, before the reader has come to its copy.
    left = rig.decoder.leave(call(10.0))
    target = rig.made.allocate(8)
    rig.made.synchronise()
    assert left.place("frames")(rig.read, target)
    rig.decoder.leave(call(100.0))
    rig.made.synchronise()
    rig.read.synchronise()
    assert rig.made.at(target, 8)[0] == SUMS[0] + 110


def test_pieces_come_in_the_order_that_is_asked_for() -> None:
    rig = Rig()
    np.testing.assert_array_equal(rig.start(7.0, [3, 3, 3, 0])()["larger"], wanted(7.0, (3, 3, 3, 0)))
    with pytest.raises(GraphMismatchError, match=r"4 pieces, and \[4\] are asked for"):
        rig.decoder.leave(call(1.0)).place("frames", [4])


def test_results_may_come_to_the_host_as_well() -> None:
    rig = Rig(fetches=True)
    left = rig.decoder.leave(call(3.0))
    assert rig.buffered is not None
    fetch = rig.buffered.start({}, {"pictures": left.place("frames")})
    np.testing.assert_array_equal(left.fetch()["frames"], wanted(3.0)[:, :2])
    np.testing.assert_array_equal(fetch()["larger"], wanted(3.0))
    np.testing.assert_array_equal(rig.decoder.run(call(1.0))["frames"], wanted(4.0)[:, :2])
    assert Rig().decoder.run(call(1.0)) == {}


@pytest.mark.parametrize("gone", ["run", "reset", "close"])
def test_what_is_left_is_gone_with_the_next_run(gone: str) -> None:
    rig = Rig(fetches=True)
    left = rig.decoder.leave(call(1.0))
    place = left.place("frames")
    if gone == "run":
        rig.decoder.leave(call(1.0))
    else:
        getattr(rig.decoder, gone)()
    with pytest.raises(GraphRunError, match="has left is gone"):
        place(rig.read, 0)
    with pytest.raises(GraphRunError, match="has left is gone"):
        left.fetch()


def test_a_second_reader_and_another_gpu_are_told() -> None:
    rig = Rig()
    rig.start(1.0)
    left = rig.decoder.leave(call(1.0))
    with pytest.raises(GraphRunError, match="read by one other engine"):
        left.place("frames")(rig.copying[0], 0)
    elsewhere = FakeDevice()
    elsewhere.shared.index = 1
    assert not left.place("frames")(elsewhere, 0)
    with pytest.raises(GraphMismatchError, match="no result pictures"):
        left.place("pictures")


def test_what_does_not_lie_there_and_is_not_given_is_named() -> None:
    rig = Rig()
    with pytest.raises(GraphMismatchError, match="enlarge needs input pictures, which does not lie on its GPU"):
        rig.reader.enqueue({}, {"pictures": lambda device, address: False})
    with pytest.raises(GraphMismatchError, match="enlarge needs input pictures"):
        rig.reader.enqueue({}, {})
    with pytest.raises(GraphMismatchError, match="has no input y"):
        rig.reader.enqueue({"y": np.zeros(1)}, {"pictures": lambda device, address: True})


def test_states_go_on_begin_anew_and_are_taken_over() -> None:
    one = Rig()
    other = Rig(one.made)
    one.start(5.0)()
    one.decoder.reset()
    np.testing.assert_array_equal(one.start(2.0)()["larger"], wanted(2.0))
    other.decoder.take_states(one.decoder)
    np.testing.assert_array_equal(other.start(1.0)()["larger"], wanted(3.0))
    assert one.decoder.state("sum") == 2.0


def test_a_run_that_fails_leaves_nothing_and_the_next_one_is_right() -> None:
    rig = Rig()
    rig.plan.fails_in = 1
    with pytest.raises(GraphRunError, match="the fake refuses"):
        rig.start(1.0)
    rig.decoder.reset()
    np.testing.assert_array_equal(rig.start(6.0)()["larger"], wanted(6.0))


def test_closing_is_done_once_also_where_the_gpu_is_lost() -> None:
    rig = Rig()
    rig.start(1.0)
    rig.made.lost = True
    rig.decoder.close()
    rig.decoder.close()
    with pytest.raises(GraphRunError, match="has been closed"):
        rig.decoder.leave(call(1.0))
