from streamgen.access.expiry import CHECK_S, until


class Clock:
    """A wall clock that goes on while somebody sleeps, and can be set."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.slept: list[float] = []
        self.jump_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds + self.jump_s
        self.jump_s = 0.0


async def test_the_moment_comes() -> None:
    clock = Clock(100.0)
    await until(101.25, wall_s=lambda: clock.now_s, sleep=clock.sleep)
    assert clock.now_s == 101.25
    assert clock.slept == [CHECK_S, CHECK_S, 0.25]


async def test_a_moment_that_has_come_is_not_waited_for() -> None:
    clock = Clock(100.0)
    for moment_s in (100.0, 50.0):
        await until(moment_s, wall_s=lambda: clock.now_s, sleep=clock.sleep)
    assert clock.slept == []


async def test_a_clock_that_is_put_forward_is_noticed_at_the_next_look() -> None:
    clock = Clock(100.0)
    clock.jump_s = 3600.0
    await until(1000.0, wall_s=lambda: clock.now_s, sleep=clock.sleep)
    assert clock.slept == [CHECK_S]


def test_a_look_and_a_farewell_take_less_than_a_second() -> None:
    from streamgen.steering.conversation import FAREWELL_TIMEOUT_S

    assert CHECK_S + FAREWELL_TIMEOUT_S < 1.0
