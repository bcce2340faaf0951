"""When work is recorded, played, and dropped."""

import pytest

from streamgen_engines.device.records import Records
from streamgen_engines.errors import GraphRunError
from streamgen_engines.runtimes.interface import TensorSpec
from tests.device.fakes import FakeDevice, FakeExecutable


class World:
    """A device, a plan, and work that is counted when it is enqueued and when it is done."""

    def __init__(self, *, capacity: int = 2, enabled: bool = True, captures: bool = True) -> None:
        self.device = FakeDevice(captures=captures)
        spec = {"x": TensorSpec((1,), "float32")}
        self.plan = FakeExecutable(self.device, spec, {}, lambda given: {})
        self.plan.bind("x", self.device.allocate(4))
        self.records = Records(self.device, enabled=enabled, capacity=capacity)
        self.enqueued = 0

    def do(self, kind: str) -> None:
        def work() -> None:
            self.enqueued += 1
            self.plan.enqueue(self.device.stream)

        self.records.do(kind, work, (self.plan,))
        self.device.synchronise()


def test_the_first_time_goes_step_by_step_the_second_is_recorded_and_played() -> None:
    world = World()
    counts = []
    for _ in range(4):
        world.do("a")
        counts.append((world.enqueued, world.device.made, world.device.played))
    assert counts == [(1, 0, 0), (2, 1, 1), (2, 1, 2), (2, 1, 3)]


def test_nothing_is_recorded_where_nobody_wants_it() -> None:
    world = World(enabled=False)
    for _ in range(3):
        world.do("a")
    assert (world.enqueued, world.device.made) == (3, 0)


def test_the_kind_not_used_for_longest_is_dropped_and_begins_anew() -> None:
    world = World()
    for kind in "aabbac":  # b was used before a
        world.do(kind)
    assert world.records.recorded == len(world.device.records) == 1
    before = world.enqueued
    world.do("a")
    assert world.enqueued == before
    world.do("b")
    assert (world.enqueued, world.records.recorded) == (before + 1, 1)
    world.records.close()
    assert world.device.records == {}


def test_one_attempt_is_made_where_the_gpu_refuses() -> None:
    world = World(captures=False)
    for _ in range(4):
        world.do("a")
    assert (world.enqueued, world.records.recorded) == (4 + 1, 0)


def test_another_error_while_recording_ends_the_recording() -> None:
    world = World()
    world.do("a")

    def wrong() -> None:
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        world.records.do("a", wrong, (world.plan,))
    assert world.device.capturing is None
    world.do("a")
    assert world.records.recorded == 1


def test_a_first_time_that_fails_is_still_the_first() -> None:
    world = World()
    world.plan.fails_in = 1
    with pytest.raises(GraphRunError):
        world.do("a")
    world.do("a")
    assert (world.device.made, world.device.played) == (0, 0)
