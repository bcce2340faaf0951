from hypothesis import given
from hypothesis import strategies as st

from streamgen.rtp.throughput import Throughput


def test_nothing_has_no_rate() -> None:
    assert Throughput().bitrate(5.0) == 0.0
    assert Throughput().packets(5.0) == 0


def test_steady_stream_has_its_rate_from_the_first_tenth_of_a_second_on() -> None:
    throughput = Throughput()
    for tick in range(1, 501):
        now_s = 100 + tick / 100
        throughput.add(125, now_s)  # 100 kbit/s
        if tick >= 20:
            assert 0.9 * 100_000 <= throughput.bitrate(now_s) <= 1.1 * 100_000


def test_first_packet_alone_is_no_enormous_rate() -> None:
    throughput = Throughput(window_s=1.0, buckets=10)
    throughput.add(1250, 7.0)
    assert throughput.bitrate(7.0) == 100_000  # as over a tenth of the window


def test_what_left_before_the_window_is_forgotten() -> None:
    throughput = Throughput(window_s=1.0, buckets=10)
    throughput.add(1000, 5.05)
    throughput.add(1000, 5.55)
    assert throughput.packets(5.95) == 2
    assert throughput.packets(6.15) == 1
    assert throughput.packets(6.65) == 0
    assert throughput.bitrate(100.0) == 0.0


def test_packets_can_be_counted_several_at_a_time() -> None:
    throughput = Throughput()
    throughput.add(0, 1.0, packets=17)
    assert throughput.packets(1.0) == 17


def test_cleared_it_starts_anew() -> None:
    throughput = Throughput()
    throughput.add(1000, 5.0)
    throughput.clear()
    assert (throughput.packets(5.0), throughput.bitrate(5.0)) == (0, 0.0)
    throughput.add(1250, 7.0)
    assert throughput.bitrate(7.0) == 100_000


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 1500)), max_size=60),
    st.integers(0, 300),
)
def test_counts_are_those_of_the_buckets_in_the_window(steps: list[tuple[int, int]], rest: int) -> None:
    # Times are whole 1/64 s and buckets 1/8 s, exact in binary.
    throughput = Throughput(window_s=1.0, buckets=8)
    left: list[tuple[int, int]] = []
    now = 0
    for pause, size_bytes in steps:
        now += pause
        throughput.add(size_bytes, now / 64)
        left.append((now, size_bytes))
    now += rest
    inside = [size_bytes for at, size_bytes in left if at // 8 > now // 8 - 8]
    assert throughput.packets(now / 64) == len(inside)
    if left:
        covered_s = max(now / 64 - max((now // 8 - 7) / 8, left[0][0] / 64), 1 / 8)
        assert throughput.bitrate(now / 64) == sum(inside) * 8 / covered_s
