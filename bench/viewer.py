"""A real browser that watches and steers: headless Chromium on the server's own page, driven by Playwright."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import psutil
from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import Page, Route, async_playwright, expect

from bench.observed import Observed
from bench.server import cpu_seconds

LIMIT_S: Final = 60.0  # for anything that takes seconds at most
POLL_S: Final = 0.1
CHROMIUM_VARIABLE: Final = "STREAMGEN_CHROMIUM"
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # Chromium refuses to run as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OBSERVE: Final = Path(__file__).with_name("observe.js")


class BrowserMissingError(RuntimeError):
    """There is no Chromium here."""


class Viewer:
    """One page in a new profile, so nothing is cached."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.observed = Observed()

    async def open(self, url: str) -> None:
        """Load the page, and wait until it may steer; it does not play yet."""
        await self.page.goto(url)
        await expect(self.page.locator("#connection")).to_have_text("Connected", timeout=1000 * LIMIT_S)

    async def play(self) -> float:
        """Press play, wait for the first picture, and return how long that took (ms)."""
        await self.page.get_by_role("button", name="Play, with sound").click()
        async with asyncio.timeout(LIMIT_S):
            while (first_ms := self.observed.first_picture_ms) is None:
                await asyncio.sleep(POLL_S)
                await self.collect()
        return first_ms

    async def prompt(self, text: str) -> None:
        """Type a prompt and press Enter."""
        box = self.page.locator("#prompt")
        await box.fill(text)
        await box.press("Enter")

    async def collect(self) -> None:
        """Fetch what the page has written down since the last time."""
        self.observed.take(await self.page.evaluate("takeObserved()"))

    async def prompt_to_photon_ms(self) -> list[float]:
        """What the page itself measured, one for each prompt typed into it."""
        return cast(list[float], await self.page.evaluate("streamgen.promptToPhotonMs"))

    async def reception(self) -> dict[str, Any]:
        """`inbound-rtp` statistics by kind of track."""
        return cast(dict[str, Any], await self.page.evaluate("observedReception()"))


class Browser:
    """One Chromium process tree. Made by `chromium`."""

    def __init__(self, running: PlaywrightBrowser) -> None:
        self._running = running
        self.version = running.version

    @asynccontextmanager
    async def viewer(self, *, beside: Path | None = None) -> AsyncIterator[Viewer]:
        """A viewer in a profile of its own, which is given up with it.

        `beside` is a script that runs in the page beside `observe.js`; with it the page's own policy on scripts is off.
        """
        context = await self._running.new_context(
            viewport={"width": 1280, "height": 800}, bypass_csp=beside is not None
        )
        try:
            for script in (_OBSERVE, beside):
                if script is not None:
                    await context.add_init_script(path=script)
            yield Viewer(await context.new_page())
        finally:
            await context.close()

    def cpu_s(self) -> float:
        """Processor time of all of its processes that live now."""
        total = 0.0
        for child in psutil.Process().children(recursive=True):
            try:
                if "chrom" in child.name():
                    total += cpu_seconds(child)
            except psutil.Error:
                continue  # it ended meanwhile
        return total


async def through(page: Page, offer: Callable[[str], str], answer: Callable[[str], str]) -> None:
    """Let every offer of the page, and the answer to it, be rewritten on its way; what else it asks passes as it is."""

    async def rewritten(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        response = await route.fetch(post_data=offer(route.request.post_data or ""))
        body = await response.text()
        await route.fulfill(response=response, body=answer(body) if response.ok else body)

    await page.route("**/whep/**", rewritten)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium with a new user data folder, which Playwright makes. Raises `BrowserMissingError`."""
    program = _program()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, headless=True, args=list(CHROMIUM_FLAGS))
        try:
            yield Browser(running)
        finally:
            await running.close()


def _program() -> str:
    given = os.environ.get(CHROMIUM_VARIABLE)
    found = given or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        raise BrowserMissingError(
            f"Chromium is missing: apt-get install chromium, or name its program in {CHROMIUM_VARIABLE}"
        )
    return found
