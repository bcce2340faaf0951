from streamgen.steering.rate import TokenBucket


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(rate_hz=8, burst=3)  # times and rate are exact in binary
    assert [bucket.take(100.0) for _ in range(3)] == [None, None, None]
    assert bucket.take(100.0) == 0.125
    assert bucket.take(100.0625) == 0.0625
    assert bucket.take(100.125) is None
    assert bucket.take(100.125) == 0.125


def test_idling_never_saves_more_than_a_burst() -> None:
    bucket = TokenBucket(rate_hz=10, burst=2)
    bucket.take(0.0)
    assert [bucket.take(1e6) is None for _ in range(3)] == [True, True, False]
