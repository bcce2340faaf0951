import itertools

import pytest

from tests.webrtc.impairment import HEADER_BYTES, Impairment, Network

PACKETS = 2000


def arrivals(impairment: Impairment, *, count: int = PACKETS, every_s: float = 0.01, size: int = 972) -> list[float]:
    """Arrival of each packet that leaves at a multiple of `every_s`, those of lost ones left out."""
    found = (impairment.arrival_s(size, each * every_s) for each in range(count))
    return [arrival_s for arrival_s in found if arrival_s is not None]


def test_a_good_network_carries_everything_at_once() -> None:
    impairment = Impairment(Network(), seed=1)
    assert arrivals(impairment, count=5) == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04])
    assert (impairment.counts.offered, impairment.counts.carried) == (5, 5)


@pytest.mark.parametrize("loss", [0.01, 0.1, 1.0])
def test_the_share_asked_for_is_lost(loss: float) -> None:
    impairment = Impairment(Network(loss=loss), seed=1)
    arrived = len(arrivals(impairment))
    assert PACKETS - arrived == impairment.counts.lost
    assert impairment.counts.lost / PACKETS == pytest.approx(loss, abs=0.02)


def test_one_seed_is_one_fate() -> None:
    network = Network(loss=0.1, delay_s=0.02, jitter_s=0.05, reordered=0.1)
    assert arrivals(Impairment(network, seed=7)) == arrivals(Impairment(network, seed=7))
    assert arrivals(Impairment(network, seed=7)) != arrivals(Impairment(network, seed=8))


def test_jitter_delays_and_keeps_the_order() -> None:
    found = arrivals(Impairment(Network(delay_s=0.05, jitter_s=0.04), seed=1))
    delays = [arrival_s - each * 0.01 for each, arrival_s in enumerate(found)]
    assert min(delays) >= 0.05
    assert 0.085 < max(delays) <= 0.09 + 1e-9
    assert found == sorted(found)


def test_what_is_held_back_is_overtaken() -> None:
    impairment = Impairment(Network(reordered=0.1, held_back_s=0.025), seed=1)
    found = arrivals(impairment)
    assert impairment.counts.held_back / PACKETS == pytest.approx(0.1, abs=0.02)
    assert sum(after < before for before, after in itertools.pairwise(found)) > 0.8 * impairment.counts.held_back
    assert sorted(found) != found


def test_a_bottleneck_carries_its_rate_and_no_more() -> None:
    # 1000 bytes on the link per packet: at 400 kbit/s one in 20 ms, while one leaves every 10 ms.
    impairment = Impairment(Network(bitrate=400_000, queue_bytes=10_000), seed=1)
    found = arrivals(impairment)
    assert {round(after - before, 6) for before, after in itertools.pairwise(found)} == {0.02}
    assert impairment.counts.dropped == pytest.approx(PACKETS / 2, abs=11)
    assert impairment.counts.lost == 0


def test_nobody_waits_longer_than_the_queue_is() -> None:
    impairment = Impairment(Network(bitrate=400_000, queue_bytes=10_000), seed=1)
    waits = []
    for each in range(PACKETS):
        arrival_s = impairment.arrival_s(1000 - HEADER_BYTES, each * 0.005)
        if arrival_s is not None:
            waits.append(arrival_s - each * 0.005)
    assert 0.15 < max(waits) <= 10_000 * 8 / 400_000 + 1e-9


def test_a_change_holds_from_then_on() -> None:
    impairment = Impairment(Network(delay_s=0.5), seed=1)
    assert impairment.arrival_s(100, 0.0) == 0.5
    impairment.change(Network(loss=1.0))
    assert impairment.arrival_s(100, 0.1) is None
    impairment.change(Network(bitrate=1_000, queue_bytes=200))
    assert impairment.arrival_s(100, 0.2) == pytest.approx(0.2 + 128 * 8 / 1_000)
    assert impairment.arrival_s(100, 0.2) is None
    impairment.change(Network())
    # What is under way is not overtaken: the order is lost only where it is asked for.
    assert impairment.arrival_s(100, 0.3) == pytest.approx(0.2 + 128 * 8 / 1_000)
    assert impairment.arrival_s(100, 2.0) == 2.0
