import logging

import pytest

from streamgen.errors import GeneratorDiedError
from streamgen.generation.restarts import MAX_RESTART_S, SETTLED_S, Restarts


class Stopped(BaseException):
    """Ends the loop, as a cancellation does."""


class Clock:
    """Time passes in pauses and while a generator lives; after `lives` of them the loop is stopped."""

    def __init__(self, *lives: tuple[float, Exception]) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        self._lives = iter(lives)

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds

    async def run(self) -> None:
        try:
            lived_s, error = next(self._lives)
        except StopIteration:
            raise Stopped from None
        self.now_s += lived_s
        raise error


async def pauses(clock: Clock) -> Restarts:
    restarts = Restarts(0.5, now_s=clock.now, sleep=clock.sleep)
    with pytest.raises(Stopped):
        await restarts.keep_going(clock.run)
    return restarts


async def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock(*[(1.0, GeneratorDiedError("gone"))] * 7)
    restarts = await pauses(clock)
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, MAX_RESTART_S, MAX_RESTART_S]
    assert restarts.count == 7


async def test_a_generator_that_lived_long_starts_the_pauses_anew() -> None:
    gone = GeneratorDiedError("gone")
    clock = Clock((1.0, gone), (1.0, gone), (SETTLED_S, gone), (1.0, gone))
    await pauses(clock)
    assert clock.pauses == [0.5, 1.0, 0.5, 1.0]


async def test_whatever_ends_a_generator_is_logged_and_the_next_one_starts(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock((1.0, GeneratorDiedError("it was killed")), (1.0, ValueError("a mistake of ours")))
    with caplog.at_level(logging.ERROR):
        restarts = await pauses(clock)
    died, failed = caplog.records
    assert (died.getMessage(), died.exc_info) == ("it was killed", None)
    assert failed.exc_info is not None
    assert restarts.count == 2
