"""The leaky bucket: a burst fits, a second burst does not, and no second carries more than what is promised."""

from hypothesis import given
from hypothesis import strategies as st

from streamgen.media.ceiling import BURST_S, TOLERANCE, Ceiling

RATE = 800_000  # bit/s: 100,000 bytes
BURST = int(BURST_S * RATE / 8)


def test_a_burst_fits_once_and_again_when_it_is_paid_back() -> None:
    ceiling = Ceiling(RATE)
    assert ceiling.fits(BURST, 0)
    assert not ceiling.fits(BURST + 1, 0)
    ceiling.take(BURST, 0)
    assert not ceiling.fits(1, 0)
    assert ceiling.fits(10_000, 9_000)  # a tenth of a second pays for a tenth of a second
    assert not ceiling.fits(10_001, 9_000)
    assert ceiling.fits(BURST, 27_000)


def test_silence_saves_nothing_up_beyond_a_burst() -> None:
    ceiling = Ceiling(RATE)
    ceiling.take(100, 0)
    assert not ceiling.fits(BURST + 1, 90_000 * 3_600)


def test_a_debt_is_paid_back_and_never_grows() -> None:
    ceiling = Ceiling(RATE)
    ceiling.take(BURST + 50_000, 0)
    assert not ceiling.fits(1, 0)
    assert ceiling.fits(10_000, 9_000)
    assert not ceiling.fits(10_001, 9_000)
    ceiling.take(10_000, 9_000)
    ceiling.take(1, 9_000 + 49_500)  # 0.55 s pay for 55,000 bytes of the 80,000
    assert not ceiling.fits(BURST, 9_000 + 49_500), "paid back, but there is no room for a burst yet"
    assert ceiling.fits(BURST, 9_000 + 49_500 + 22_501)


@given(st.lists(st.tuples(st.integers(1, 30_000), st.integers(1_500, 15_000)), min_size=1, max_size=80))
def test_any_second_of_what_fits_is_below_the_tolerance(pictures: list[tuple[int, int]]) -> None:
    ceiling = Ceiling(RATE)
    pts, sent = 0, []
    for size, gap in pictures:
        pts += gap
        if ceiling.fits(size, pts):
            ceiling.take(size, pts)
            sent.append((pts, size))
    for start, _ in sent:
        assert 8 * sum(size for at, size in sent if start <= at < start + 90_000) <= TOLERANCE * RATE
