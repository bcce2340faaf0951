import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen import garbage
from streamgen.garbage import LEAST_PAUSE_S, MOST_PAUSE_S, SHARE, CollectionRule, GarbageCollection


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=50))
def test_full_collections_take_a_small_share_of_the_time(durations_s: list[float]) -> None:
    rule, now_s, spent_s = CollectionRule(100.0), 100.0, 0.0
    for duration_s in durations_s:
        waited_s = 0.0
        while not rule.due(now_s):
            now_s += 0.5
            waited_s += 0.5
        assert waited_s >= LEAST_PAUSE_S
        assert spent_s <= SHARE * (now_s - 100.0)
        rule.took(now_s, now_s + duration_s)
        now_s += duration_s
        spent_s += duration_s


def test_one_that_took_long_says_little_about_the_next() -> None:
    rule = CollectionRule(0.0)
    rule.took(100.0, 160.0)
    assert rule.due(160.0 + MOST_PAUSE_S)


def test_a_short_collection_is_repeated_soon() -> None:
    rule = CollectionRule(0.0)
    rule.took(20.0, 20.005)
    assert not rule.due(29.9)
    assert rule.due(20.005 + LEAST_PAUSE_S)


async def test_pythons_own_rule_is_back_at_the_end_and_nothing_stays_frozen() -> None:
    before = gc.get_threshold()
    async with GarbageCollection():
        assert gc.get_threshold() != before
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
    assert "collection" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_cycles_of_viewers_who_left_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "LOOK_S", 0.01)
    monkeypatch.setattr(garbage, "LEAST_PAUSE_S", 0.02)

    class Viewer:
        alive = 0

        def __init__(self) -> None:
            self.me = self
            Viewer.alive += 1

        def __del__(self) -> None:
            Viewer.alive -= 1

    async with asyncio.timeout(30), GarbageCollection() as running:
        for _ in range(3):
            Viewer()
        for _ in range(2_000):
            if not Viewer.alive:
                break
            await asyncio.sleep(0.01)
        assert not Viewer.alive
        assert running.longest_s > 0
