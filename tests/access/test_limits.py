from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.limits import ACTION_OF, Limits, Rates, RateTable
from streamgen.access.rate_limit import RateLimit
from streamgen.steering.rate import BURST_MESSAGES, MESSAGES_PER_S

RATE = RateLimit(4, 0.5)  # exact in binary
KEY = ("vote", "voter", "ann")


def test_so_many_at_once_and_then_the_rate() -> None:
    table = RateTable()
    for _ in range(4):
        assert table.wait_s(KEY, RATE, 100.0) == 0.0
        table.take(KEY, RATE, 100.0)
    assert table.wait_s(KEY, RATE, 100.0) == 0.125
    assert table.wait_s(KEY, RATE, 100.0625) == 0.0625
    assert table.wait_s(KEY, RATE, 100.125) == 0.0


@given(st.lists(st.integers(0, 16), max_size=60))
def test_it_is_a_token_bucket(steps: list[int]) -> None:
    """Against the definition: a bucket of 4 that gains one each 1/8 s, counted in sixteenths of a second."""
    table, tokens, now = RateTable(), 8, 0  # half tokens
    for step in steps:
        now += step
        tokens = min(8, tokens + step)
        allowed = table.wait_s(KEY, RATE, now / 16) == 0.0
        assert allowed == (tokens >= 2)
        if allowed:
            table.take(KEY, RATE, now / 16)
            tokens -= 2


@given(st.lists(st.integers(0, 15), max_size=100))
def test_memory_is_bounded_and_the_bucket_used_longest_ago_goes(uses: list[int]) -> None:
    never_full = RateLimit(1, 1e9)  # so what is remembered can be told from what is not
    table, order = RateTable(max_keys=8), deque[int](maxlen=8)
    for now_s, who in enumerate(uses):
        table.take(("vote", "voter", str(who)), never_full, now_s)
        if who in order:
            order.remove(who)
        order.append(who)
        assert len(table) == len(order)
        remembered = {who for who in range(16) if table.wait_s(("vote", "voter", str(who)), never_full, now_s) > 0.0}
        assert remembered == set(order)


def test_who_is_forgotten_before_the_bucket_is_full_is_counted() -> None:
    table = RateTable(max_keys=1)
    table.take(("vote", "voter", "a"), RATE, 0.0)
    table.take(("vote", "voter", "b"), RATE, 10.0)
    assert table.forgotten_early == 0
    table.take(("vote", "voter", "c"), RATE, 10.0)
    assert table.forgotten_early == 1


def test_the_defaults() -> None:
    rates = Rates()
    assert [str(rates.of(action)) for action in ("vote", "propose", "prompt")] == ["10/2s", "1/5s", "20/2s"]
    assert (rates.prompt.times, rates.prompt.interval_s) == (BURST_MESSAGES, 1 / MESSAGES_PER_S)
    assert ACTION_OF["prompt.set"] == ACTION_OF["config.update"] == "prompt"
    changes = ("schedule", "unschedule", "loop", "tempo", "timeline.clear", "play", "pause", "reset")
    assert {ACTION_OF.get(kind) for kind in changes} == {"prompt"}
    assert "ping" not in ACTION_OF
    assert "panic" not in ACTION_OF


def test_a_person_is_limited_on_whatever_connection_and_address() -> None:
    limits = Limits(Rates(vote=RateLimit(2, 2.0)))
    assert limits.take("vote", voter="token:a", host="192.0.2.1", now_s=0.0) is None
    assert limits.take("vote", voter="token:a", host="192.0.2.2", now_s=0.0) is None
    assert limits.take("vote", voter="token:a", host="192.0.2.3", now_s=0.0) == 1.0
    assert limits.take("vote", voter="token:b", host="192.0.2.3", now_s=0.0) is None
    assert limits.take("propose", voter="token:a", host="192.0.2.3", now_s=0.0) is None
    assert limits.refused == {"vote": 1}


def test_all_people_of_an_address_are_limited_together() -> None:
    limits = Limits(Rates(vote=RateLimit(1, 8.0), address_factor=3))
    for number in range(3):
        assert limits.take("vote", voter=f"token:{number}", host=f"2001:db8::{number}", now_s=0.0) is None
    assert limits.take("vote", voter="token:9", host="2001:db8::9", now_s=0.0) == pytest.approx(8 / 3)
    assert limits.take("vote", voter="token:9", host="2001:db8:0:1::9", now_s=0.0) is None


def test_who_is_refused_uses_nothing_up() -> None:
    limits = Limits(Rates(vote=RateLimit(1, 8.0), address_factor=2))
    assert limits.take("vote", voter="a", host="192.0.2.1", now_s=0.0) is None
    for _ in range(100):
        assert limits.take("vote", voter="a", host="192.0.2.1", now_s=0.0) == 8.0
    assert limits.take("vote", voter="b", host="192.0.2.1", now_s=0.0) is None
    assert limits.take("vote", voter="c", host="192.0.2.1", now_s=0.0) == 4.0
    assert limits.take("vote", voter="c", host="192.0.2.2", now_s=0.0) is None  # the address was full, not they


def test_this_machine_and_unknown_people_are_limited_by_their_connection_only() -> None:
    limits = Limits(Rates(prompt=RateLimit(1, 8.0)))
    for _ in range(100):
        assert limits.take("prompt", voter=None, host="127.0.0.1", now_s=0.0) is None
    assert len(limits.table) == 0


def test_connections_of_one_address() -> None:
    limits = Limits(Rates(address_connections=2))
    assert [limits.connect("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert limits.connect("192.0.2.2")
    limits.disconnect("192.0.2.1")
    assert limits.connect("192.0.2.1")
    assert all(limits.connect("127.0.0.1") and limits.connect(None) for _ in range(100))
    assert limits.refused == {"connection": 1}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=100))
def test_connections_that_are_over_are_forgotten(events: list[tuple[bool, int]]) -> None:
    limits, there = Limits(Rates(address_connections=3)), [0, 0, 0, 0]
    for joins, who in events:
        host = f"192.0.2.{who}"
        if joins:
            assert limits.connect(host) == (there[who] < 3)
            there[who] = min(3, there[who] + 1)
        elif there[who]:
            limits.disconnect(host)
            there[who] -= 1
    for who, many in enumerate(there):
        for _ in range(many):
            limits.disconnect(f"192.0.2.{who}")
    assert not limits._connections


def test_new_visitors() -> None:
    limits = Limits(Rates(address_visitors=RateLimit(2, 8.0)))
    assert [limits.new_visitor("192.0.2.1", 0.0) for _ in range(3)] == [True, True, False]
    assert limits.new_visitor("192.0.2.1", 4.0)
    assert limits.refused == {"visitor": 1}


def test_what_counts_as_many_empties_the_bucket_for_as_long() -> None:
    limits = Limits(Rates(prompt=RateLimit(20, 2.0)))

    def load(times: int, now_s: float) -> float | None:
        return limits.take("load", voter="a", host="192.0.2.1", now_s=now_s, times=times)

    assert load(256, 0.0) is None
    assert load(1, 1.0) == pytest.approx(25.6 - 19 * 0.1 - 1.0)
    assert limits.take("prompt", voter="a", host="192.0.2.1", now_s=1.0) is None  # prompts count apart
    assert load(1, 23.7) is None
