import pytest

from streamgen.steering.turnstile import Turnstile


def test_a_few_go_at_once_and_many_one_after_the_other() -> None:
    turnstile = Turnstile(at_once=10, per_s=100.0)
    waits = [turnstile.wait_s(5.0) for _ in range(30)]
    assert waits[:10] == [0.0] * 10
    assert waits[11:] == pytest.approx([number / 100 for number in range(11, 30)])
    assert turnstile.wait_s(6.0) == 0.0, "nothing is owed after a while"
