"""One tab of a real browser that shows the page, and what a test wants to know of it.

The page's Content-Security-Policy forbids `eval`, and with it Playwright's `wait_for_function`: `until` polls from
outside instead, so every test runs under the policy that viewers have.
"""

import asyncio
import json
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response, WebSocket, expect

LIMIT_S: Final = 90.0  # for anything that a person would see within a second on an idle machine
POLL_S: Final = 0.1
GRID: Final = (20, 12)  # cells that a picture is averaged into: width, height

expect.set_options(timeout=LIMIT_S * 1000)

# Resolves with the mean of the next `count` pictures shown, as rows of RGB cells (0..255).
_MEAN_PICTURE: Final = """
([count, width, height]) => new Promise((resolve) => {
  const video = document.querySelector("streamgen-player").video;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const sum = new Float64Array(width * height * 3);
  let seen = 0;
  const look = () => {
    context.drawImage(video, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    for (let cell = 0; cell < width * height; cell += 1) {
      for (let colour = 0; colour < 3; colour += 1) sum[cell * 3 + colour] += data[cell * 4 + colour];
    }
    seen += 1;
    if (seen === count) resolve(Array.from(sum, (value) => value / count));
    else video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
})
"""

# Ears of the test's own, not the page's meter. Chromium plays a mono stream on both channels, so the difference of
# the two, taken in the graph and therefore sample by sample, is what tells stereo.
_LISTEN: Final = """
() => {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(document.querySelector("streamgen-player").session.stream);
  const splitter = context.createChannelSplitter(2);
  const minus = new GainNode(context, { gain: -1 });
  const [left, right, difference] = [0, 1, 2].map(() => new AnalyserNode(context, { fftSize: 2048 }));
  source.connect(splitter);
  splitter.connect(left, 0);
  splitter.connect(right, 1);
  splitter.connect(difference, 0);
  splitter.connect(minus, 1).connect(difference);
  const samples = new Float32Array(2048);
  window.heard = () => [left, right, difference].map((ear) => {
    ear.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
  });
}
"""

_INBOUND: Final = """
async () => {
  const report = await document.querySelector("streamgen-player").session.peer.getStats();
  return [...report.values()].filter(({ type }) => type === "inbound-rtp")
    .map(({ kind, packetsReceived, packetsLost, framesDecoded = 0, totalAudioEnergy = 0 }) =>
      ({ kind, packetsReceived, packetsLost, framesDecoded, totalAudioEnergy }));
}
"""


class Viewing:
    """Opens the page in `context`, presses play, looks, listens and types."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []  # errors in the browser's console, uncaught ones included
        self.received: list[dict[str, Any]] = []  # steering messages, oldest first
        self.sessions: list[str] = []  # addresses of the WHEP sessions that were opened
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._websocket)
        page.on("response", self._response)

    @classmethod
    async def open(cls, context: BrowserContext, url: str) -> "Viewing":
        """A new tab with the page, which is connected to the steering but does not play yet."""
        context.set_default_timeout(LIMIT_S * 1000)
        viewing = cls(await context.new_page())
        await viewing.page.goto(url)
        await expect(viewing.page.locator("#connection")).to_have_text("Connected")
        return viewing

    async def play(self) -> None:
        """Press play and wait for live pictures."""
        await self.page.get_by_role("button", name="Play, with sound").click()
        await self.until("streamgen.state === 'live'")

    async def until(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        value: Any = None
        try:
            async with asyncio.timeout(LIMIT_S):
                while not value:
                    value = await self.page.evaluate(expression)
                    if not value:
                        await asyncio.sleep(POLL_S)
        except TimeoutError:
            now = await self.page.evaluate("JSON.stringify(streamgen)")
            raise TimeoutError(f"never true: {expression}; {now}; console: {self.complaints}") from None
        return value

    async def send(self, text: str) -> None:
        """Type a prompt and press Enter."""
        await self.page.locator("#prompt").fill(text)
        await self.page.locator("#prompt").press("Enter")

    async def pictures(self) -> int:
        """How many pictures have been presented."""
        return cast(int, await self.page.evaluate("streamgen.pictures"))

    async def more_pictures(self, count: int) -> None:
        """Wait until `count` further pictures have been presented."""
        await self.until(f"streamgen.pictures >= {await self.pictures() + count}")

    async def mean_picture(self, count: int = 1) -> NDArray[np.float64]:
        """Mean of the next `count` pictures, float64 [cells, 3], 0..255."""
        async with asyncio.timeout(LIMIT_S):
            cells = await self.page.evaluate(_MEAN_PICTURE, [count, *GRID])
        return np.asarray(cells, dtype=np.float64).reshape(-1, 3)

    async def listen(self) -> None:
        """From now on `heard()` in the page is the RMS of left, right and their difference, 1 = full scale."""
        await self.page.evaluate(_LISTEN)

    async def inbound(self) -> dict[str, dict[str, float]]:
        """What arrived so far, by kind of track."""
        entries = cast(list[dict[str, Any]], await self.page.evaluate(_INBOUND))
        return {entry["kind"]: entry for entry in entries}

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Steering messages of one type, oldest first."""
        return [message for message in self.received if message["type"] == kind]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _websocket(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._frame)

    def _frame(self, frame: bytes | str) -> None:
        self.received.append(json.loads(frame))

    def _response(self, response: Response) -> None:
        if response.request.method == "POST" and "/whep/" in response.url and response.status == 201:
            self.sessions.append(response.headers["location"])
