"""The benchmark of the fan-out: that each way really serves, and what is made of its figures."""

import pytest

from bench import fanout
from bench.fanout import LOOP_PICTURES, Load, OurFanout, Programme, StockPackets, StockRelay, load, play, slope


@pytest.fixture(scope="module")
def programme() -> Programme:
    return Programme.made()


def test_the_programme_takes_about_a_megabit(programme: Programme) -> None:
    assert 700_000 < programme.bitrate < 1_100_000
    assert len(programme.pictures) == LOOP_PICTURES
    assert [packet.keyframe for packet in programme.pictures[:2]] == [True, False]


@pytest.mark.parametrize("way", [OurFanout, StockPackets, StockRelay])
async def test_every_way_serves_real_viewers(
    programme: Programme, way: type[OurFanout | StockPackets | StockRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "START_S", 0.5)
    found = await load(lambda: way(programme), 2, 1.0)
    assert found.viewers == 2
    assert found.core_share > 0
    assert found.packets_per_s > 2 * 20  # at the least half of the sound of each
    assert (found.late_p99_ms is None) == (way is not OurFanout)


class Tape:
    def __init__(self) -> None:
        self.pictures: list[int] = []
        self.slots: list[int] = []

    async def answer(self, offer: str) -> str:
        raise AssertionError("nobody joins")

    def picture(self, number: int) -> None:
        self.pictures.append(number)

    def slot(self, number: int) -> None:
        self.slots.append(number)

    async def close(self) -> None:
        """Nothing is open."""


async def test_the_programme_goes_on_where_it_was() -> None:
    tape = Tape()
    after = await play(tape, 0, 0.1)
    after = await play(tape, after, 0.1)
    assert tape.slots == list(range(10))
    assert tape.pictures == list(range(5))
    assert after == 10


def test_a_viewer_costs_the_slope_between_two_audiences() -> None:
    few, many = Load(10, 0.05, 1.0, None, None), Load(110, 0.25, 1.0, None, None)
    found = slope(few, many)
    assert found["core_share_per_viewer"] == pytest.approx(0.002)
    assert found["viewers_per_core"] == pytest.approx(500)
    assert slope(many, Load(10, 0.30, 1.0, None, None))["viewers_per_core"] is None
