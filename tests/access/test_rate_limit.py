import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.rate_limit import MAX_PERIOD_S, MAX_TIMES, RateLimit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("10/2s", RateLimit(10, 2.0)),
        (" 1 / 5 s ", RateLimit(1, 5.0)),
        ("3/s", RateLimit(3, 1.0)),
        ("1/0.5s", RateLimit(1, 0.5)),
    ],
)
def test_what_can_be_read(text: str, limit: RateLimit) -> None:
    assert RateLimit.read(text) == limit


@pytest.mark.parametrize(
    "text", ["", "10", "10/2", "ten/2s", "0/2s", "10/0s", "10/-1s", "10001/1s", "1/3601s", "1/2ms", "1/.s"]
)
def test_what_cannot(text: str) -> None:
    with pytest.raises(ValueError, match=r"10/2s|times in at most"):
        RateLimit.read(text)


@given(st.integers(1, MAX_TIMES), st.integers(1, int(MAX_PERIOD_S)))
def test_it_is_written_as_it_is_read(times: int, period_s: int) -> None:
    assert RateLimit.read(str(RateLimit(times, float(period_s)))) == RateLimit(times, float(period_s))


def test_of_many() -> None:
    assert RateLimit(10, 2.0).of(20) == RateLimit(200, 2.0)
    assert RateLimit(10, 2.0).interval_s == 0.2
