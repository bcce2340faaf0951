"""A real Chromium behind bad networks: its jitter buffer, NACK and bandwidth estimate against this server's sender."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from playwright.async_api import Page

from streamgen.media.layers import Rung
from streamgen.webrtc.viewer import ViewerStats
from streamgen.webrtc.whep import WhepServer
from tests.webrtc.heavy import HeavyProgramme
from tests.webrtc.impairment import Network
from tests.webrtc.loopback import PICTURE_TICKS, RUNGS, brightness
from tests.webrtc.relay import Relay
from tests.webrtc.test_chromium import INBOUND, PATIENCE_S, UINT32, WATCH, chromium_page

PATH: Final = Network(delay_s=0.02)
LOSSY: Final = Network(delay_s=0.02, loss=0.05)
NARROW: Final = Network(delay_s=0.02, bitrate=750_000)  # the larger rung takes 900 with the sound
LADDER: Final = RUNGS[:2]
PICTURES: Final = 100
LEAST_LOST: Final = 30  # packets
MOST_FROZEN: Final = 0.5  # of the time; an idle machine has next to none, a busy one stutters without any loss
MOST_CONCEALED: Final = 0.3  # of the samples, by losses and by a machine that stutters
SAMPLES_PER_PACKET: Final = 960

pytestmark = pytest.mark.browser


@dataclass
class Watching:
    """Chromium, the network before it, and the server's account of it."""

    page: Page
    relay: Relay
    server: WhepServer
    offset: int  # RTP time stamp of media time 0

    async def inbound(self) -> dict[str, Any]:
        """Chromium's account of what came, by kind of track."""
        found: dict[str, Any] = await self.page.evaluate(INBOUND)
        return found

    async def stats(self) -> ViewerStats:
        (stats,) = await self.server.stats()
        return stats

    async def until_width(self, width: int) -> None:
        """Wait until the newest picture is so wide."""
        await self.page.wait_for_function(f"() => window.pictures.at(-1).width === {width}")

    async def assert_pictures_right(self) -> None:
        """Each picture that was presented is the one that its time stamp names."""
        pictures: list[dict[str, int]] = await self.page.evaluate("() => window.pictures")
        # A canvas that is asked before the compositor holds the first picture stays black: nothing was read then.
        drawn = [picture for picture in pictures if picture["luma"] > 0]
        assert len(drawn) >= len(pictures) / 2
        for picture in drawn:
            number, rest = divmod((picture["rtpTimestamp"] - self.offset) % UINT32, PICTURE_TICKS)
            assert rest == 0
            assert abs(picture["luma"] - 1.164 * (brightness(number) - 16)) < 8, number


@asynccontextmanager
async def watching(rungs: Sequence[Rung]) -> AsyncIterator[Watching]:
    """A Chromium that plays the first pictures over a good path."""
    programme = HeavyProgramme(rungs=rungs)
    offsets: list[int] = []
    with Relay(PATH, PATH) as relay:
        async with WhepServer(programme.fanout) as server:

            async def answer(sdp: str) -> str:
                reply = await server.offer(relay.offer(sdp))
                offsets.append(reply.rtp_offset_video)
                return relay.answer(reply.sdp)

            async with programme.on_air(), chromium_page(answer) as page:
                await page.evaluate(WATCH, None)
                await page.wait_for_function("() => window.pictures.length >= 5")
                yield Watching(page, relay, server, offsets[0])


async def test_chromium_sees_no_more_than_a_stutter_of_five_percent_loss() -> None:
    async with watching(RUNGS[:1]) as chromium:
        counts, _ = chromium.relay.counts
        before = await chromium.inbound()
        chromium.relay.change(to_viewer=LOSSY, to_server=LOSSY)
        after = before
        async with asyncio.timeout(PATIENCE_S):
            while (
                after["video"]["framesDecoded"] < before["video"]["framesDecoded"] + PICTURES
                or counts.lost < LEAST_LOST
            ):
                await asyncio.sleep(0.2)
                after = await chromium.inbound()
        stats = await chromium.stats()
        await chromium.assert_pictures_right()

    def more(kind: str, name: str) -> float:
        return float(after[kind].get(name, 0) - before[kind].get(name, 0))  # some are absent while they are 0

    # Milliseconds of Chromium's own clock.
    assert more("video", "totalFreezesDuration") <= MOST_FROZEN * more("video", "timestamp") / 1000
    assert more("audio", "concealedSamples") <= MOST_CONCEALED * more("audio", "totalSamplesReceived")
    # Sound is not sent again; repeated with the next packets, most of what is lost is heard all the same.
    assert more("audio", "concealedSamples") <= SAMPLES_PER_PACKET * (0.7 * more("audio", "packetsLost") + 8)
    assert more("video", "packetsLost") > 0
    assert more("video", "retransmittedPacketsReceived") >= more("video", "packetsLost") / 2
    assert stats.resent >= more("video", "retransmittedPacketsReceived")
    # It was not made good by keyframes, which everybody would pay for.
    assert more("video", "keyFramesDecoded") <= 2


async def test_chromium_follows_a_network_that_becomes_narrow_and_wide_again() -> None:
    top, low = (rung.width for rung in LADDER)
    async with watching(LADDER) as chromium:
        await chromium.until_width(top)
        before = (await chromium.stats()).switches
        chromium.relay.change(to_viewer=NARROW)
        await chromium.until_width(low)
        chromium.relay.change(to_viewer=PATH)
        await chromium.until_width(top)
        assert (await chromium.stats()).switches >= before + 2
        await chromium.assert_pictures_right()
