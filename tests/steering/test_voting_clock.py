import asyncio

import pytest

from streamgen.steering import voting_clock
from streamgen.steering.voting_clock import keep_time


class Clockwork:
    """Ticks are counted; `waits` says after each how long there is time."""

    def __init__(self, waits: list[float | None]) -> None:
        self.waits = waits
        self.ticks = 0
        self.changed = asyncio.Event()
        self.idle = asyncio.Event()  # set while it is waited for with no time in view

    def tick_audience(self) -> float | None:
        wait_s = self.waits[self.ticks]
        self.ticks += 1
        self.changed.clear()
        if wait_s is None:
            self.idle.set()
        return wait_s

    async def audience_changed(self) -> None:
        await self.changed.wait()


async def test_it_ticks_when_something_is_due_and_when_it_is_woken() -> None:
    clockwork = Clockwork([0.001, 0.001, None, None])
    task = asyncio.create_task(keep_time(clockwork))
    async with asyncio.timeout(30):
        await clockwork.idle.wait()
        assert clockwork.ticks == 3
        clockwork.idle.clear()
        clockwork.changed.set()
        await clockwork.idle.wait()
    assert clockwork.ticks == 4
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_tick_that_fails_is_logged_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Clockwork):
        def tick_audience(self) -> float | None:
            if super().tick_audience() == 0.0:
                raise ZeroDivisionError("a defect")
            return None

    monkeypatch.setattr(voting_clock, "AGAIN_S", 0.001)
    clockwork = Failing([0.0, 0.0, None])
    task = asyncio.create_task(keep_time(clockwork))
    async with asyncio.timeout(30):
        await clockwork.idle.wait()
    assert clockwork.ticks == 3
    assert len(caplog.records) == 2
    task.cancel()
    await asyncio.wait([task])
