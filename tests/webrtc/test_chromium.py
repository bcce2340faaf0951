"""A real Chromium on the same machine as viewer: what aiortc on both sides cannot prove."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from streamgen.packets import VideoCodec
from streamgen.webrtc.whep import WhepLimits, WhepServer
from tests.webrtc.loopback import PICTURE_TICKS, Programme, brightness

CHROMIUM = os.environ.get("STREAMGEN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
UINT32 = 1 << 32
PATIENCE_S = 240.0

pytestmark = pytest.mark.browser

# Offers (with the given codec only, if one is given), plays the answer, and notes for each picture its RTP timestamp
# and the brightness of its middle.
WATCH = """async (codec) => {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const stream = new MediaStream();
  peer.addEventListener("track", ({ track }) => stream.addTrack(track));
  const video = peer.addTransceiver("video", { direction: "recvonly" });
  peer.addTransceiver("audio", { direction: "recvonly" });
  if (codec !== null) {
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    video.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`));
  }
  const offer = await peer.createOffer();
  const sdp = offer.sdp.replace(/(a=fmtp:\\d+ minptime=10;useinbandfec=1)/, "$1;stereo=1");
  await peer.setLocalDescription({ type: "offer", sdp });
  await new Promise((resolve) => setTimeout(resolve, 250));
  await peer.setRemoteDescription({ type: "answer", sdp: await window.whep(peer.localDescription.sdp) });
  const element = document.createElement("video");
  document.body.append(element);
  element.srcObject = stream;
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  window.pictures = [];
  window.peer = peer;
  const picture = (_, { rtpTimestamp, width, height }) => {
    canvas.drawImage(element, 0, 0, 1, 1);
    const luma = canvas.getImageData(0, 0, 1, 1).data[1];
    window.pictures.push({ rtpTimestamp, luma, width, height });
    element.requestVideoFrameCallback(picture);
  };
  element.requestVideoFrameCallback(picture);
  await element.play();
}"""

INBOUND = """async () => {
  const found = {};
  for (const report of (await window.peer.getStats()).values()) {
    if (report.type === "inbound-rtp") found[report.kind] = report;
    if (report.type === "remote-outbound-rtp") found[`${report.kind}Report`] = report;
  }
  return found;
}"""


@asynccontextmanager
async def on_air(programme: Programme) -> AsyncIterator[None]:
    """Release pictures in real time, as the pacer does."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            programme.release()
            # On a machine that is too slow the programme takes longer; it does not try to catch up.
            due = max(due + PICTURE_TICKS / 90_000, loop.time())
            await asyncio.sleep(due - loop.time())

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def chromium_page(answer: Callable[[str], Awaitable[str]]) -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or name one in STREAMGEN_CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            timeout=PATIENCE_S * 1000,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        await page.expose_function("whep", answer)
        try:
            yield page
        finally:
            await browser.close()


@pytest.mark.parametrize(
    ("codec", "limits"), [("vp8", WhepLimits()), ("h264", WhepLimits()), ("vp8", WhepLimits(include_loopback=True))]
)
async def test_chromium_plays_and_maps_its_pictures(codec: VideoCodec, limits: WhepLimits) -> None:
    programme = Programme("vp8", "h264", start=100)
    offsets: list[int] = []
    async with WhepServer(programme.fanout, limits) as server:

        async def answer(sdp: str) -> str:
            reply = await server.offer(sdp)
            offsets.append(reply.rtp_offset_video)
            assert reply.codec == codec
            return reply.sdp

        async with on_air(programme), chromium_page(answer) as page:
            if codec == "h264" and not await page.evaluate(
                "() => RTCRtpReceiver.getCapabilities('video').codecs.some((c) => c.mimeType === 'video/H264')"
            ):
                pytest.skip("this Chromium has no H.264")
            await page.evaluate(WATCH, None if codec == "vp8" else codec)
            await page.wait_for_function("() => window.pictures.length >= 15")
            pictures: list[dict[str, int]] = await page.evaluate("() => window.pictures")
            found: dict[str, Any] = await page.evaluate(INBOUND)
            assert server.viewers == 1

    (offset,) = offsets
    # A canvas that is asked before the compositor holds the first picture stays black: nothing was read then.
    drawn = [picture for picture in pictures if picture["luma"] > 0]
    assert len(drawn) >= 10
    for picture in drawn:
        assert (picture["width"], picture["height"]) == (160, 96)
        number, rest = divmod((picture["rtpTimestamp"] - offset) % UINT32, PICTURE_TICKS)
        assert rest == 0
        assert number >= 100
        assert abs(picture["luma"] - 1.164 * (brightness(number) - 16)) < 8, number
    assert found["video"]["framesDecoded"] >= 15
    assert found["audio"]["packetsReceived"] >= 50
    assert found["audio"]["totalAudioEnergy"] > 0
