import time
from pathlib import Path

import pytest

from bench import channels

TESTCARD = Path("testcard")


@pytest.mark.parametrize("limit", [1, 2, 7, 64])
@pytest.mark.parametrize("right", [0, 1, 2, 3, 5, 31, 64, 100])
def test_the_most_is_found_and_no_number_is_tried_twice(right: int, limit: int) -> None:
    tried: list[int] = []

    def holds(number: int) -> bool:
        tried.append(number)
        return number <= right

    assert channels.most(holds, limit) == min(right, limit)
    assert len(set(tried)) == len(tried)
    assert all(1 <= number <= limit for number in tried)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_chunk_is_made_in_each_turn_and_a_late_one_takes_time_of_the_next() -> None:
    clock, costs = Clock(), iter([0.5, 1.5, 0.25, 0.25])

    def make() -> None:
        clock.now_s += next(costs)

    found = channels.pace(make, chunks=4, start_s=10.0, duration_s=1.0, now=clock.now, sleep=clock.sleep)
    assert found == [0.5, 1.5, 0.75, 0.25]
    trial = channels.judged(1, found, 1.0)
    assert (trial.missed, trial.p50_ms, trial.p99_ms) == (1, 500.0, 1500.0)


def test_processes_make_chunks_side_by_side() -> None:
    # A generous turn: that it holds is the point, not how fast this machine is.
    held = channels.count(
        TESTCARD,
        "onnxruntime-cpu",
        device=0,
        limit=2,
        seconds=2.0,
        deadline_s=time.monotonic() + 120,
        duration_s=1.0,
    )
    assert held.failure is None
    assert held.trials[0].channels == 1
    assert all(trial.p99_ms is not None for trial in held.trials)


def test_a_process_that_cannot_load_says_why() -> None:
    held = channels.count(
        TESTCARD, "no-such", device=0, limit=1, seconds=1.0, deadline_s=time.monotonic() + 60, duration_s=1.0
    )
    assert held.channels == 0
    assert held.failure is not None
    assert "no-such" in held.failure


def test_nothing_is_tried_after_the_deadline() -> None:
    held = channels.count(
        TESTCARD, "onnxruntime-cpu", device=0, limit=1, seconds=1.0, deadline_s=time.monotonic() - 1, duration_s=1.0
    )
    assert (held.channels, held.trials) == (0, ())
    assert held.failure is not None
