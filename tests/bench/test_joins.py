"""The benchmark of joins: that viewers really come and go, and what is made of what the server holds."""

import pytest

from bench.held import Held
from bench.joins import growth, measure


async def test_viewers_come_and_go_and_leave_nothing() -> None:
    first, second, third = await measure(4, 2, ("delete", "goodbye"))
    assert first.resident_mib > 10
    assert (second.sessions, third.sessions) == (0, 0)
    # The first viewers make libraries load what they keep; those after them find it there.
    assert (second.tasks, second.sockets, second.threads) == (third.tasks, third.sockets, third.threads)


def held(number: int, *, leaking: bool) -> Held:
    return Held(
        sessions=0,
        tasks=5 + (3 * number if leaking else 0),
        sockets=2,
        descriptors=9,
        threads=1,
        resident_mib=90.0 + (50.0 if number >= 2 else 0.0),
    )


def test_growth_is_that_of_a_hundred_joins_after_the_first_two_hundred() -> None:
    found = growth([held(number, leaking=True) for number in range(6)], 100)
    assert found["tasks"] == pytest.approx(3)
    assert found["sockets"] == pytest.approx(0)
    assert found["resident_mib"] == pytest.approx(0)
    assert growth([held(number, leaking=True) for number in range(6)], 50)["tasks"] == pytest.approx(6)


def test_too_few_joins_say_nothing_about_growth() -> None:
    assert set(growth([held(number, leaking=False) for number in range(3)], 100).values()) == {None}
