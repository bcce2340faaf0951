"""The listener against the real HTTP application and WHEP, around a programme that the tests make."""

from itertools import pairwise

import pytest

from bench.arrival import Report, listen
from bench.figures import arrival_skew_ms
from tests.client.station import on_air
from tests.webrtc.loopback import PICTURE_TICKS

START = 200


async def test_packets_come_with_their_media_time() -> None:
    async with on_air(start=START) as station:
        heard = await listen(f"{station.url}/whep/main", 1.0)
        assert station.whep.viewers == 0  # the listener said goodbye
    steps = {round(90_000 * (later.media_s - early.media_s)) for early, later in pairwise(heard.pictures)}
    assert steps == {PICTURE_TICKS}
    assert heard.pictures[0].media_s >= START * PICTURE_TICKS / 90_000
    assert {round(48_000 * (later.media_s - early.media_s)) for early, later in pairwise(heard.sounds)} == {960}
    assert all(early.at_s <= later.at_s for early, later in pairwise(heard.sounds))
    assert len(arrival_skew_ms(heard.pictures, heard.sounds)) == len(heard.pictures)


def test_a_report_gives_the_senders_time_of_media_time_zero() -> None:
    assert Report(media_s=12.5, ntp_s=3_900_000_012.75).origin_s == pytest.approx(3_900_000_000.25)
