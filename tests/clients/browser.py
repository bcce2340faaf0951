"""Chromium with the npm clients in a page of another origin than the server's, as on anybody's web site."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import ConsoleMessage, Page, async_playwright
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.clients import needed
from tests.clients.stage import PATIENCE_S, serving

BUNDLE_LIMIT_S: Final = 60


def web_site(folder: Path) -> Path:
    """The page and, beside it, the npm clients as one file that a browser can load."""
    folder.mkdir(exist_ok=True)
    bundler = needed.npm_clients() / ".bin" / "esbuild"
    command = [str(bundler), "players.js", "--bundle", "--format=esm", f"--outfile={folder / 'bundle.js'}"]
    subprocess.run(
        command, cwd=needed.FOLDER, check=True, timeout=BUNDLE_LIMIT_S, capture_output=True, stdin=subprocess.DEVNULL
    )
    shutil.copy(needed.FOLDER / "page.html", folder / "index.html")
    return folder


@asynccontextmanager
async def opened(site: Path, complaints: list[str]) -> AsyncIterator[Page]:
    """The page in a new Chromium; what it and its console complain about goes into `complaints`."""
    program = needed.chromium()
    application = Starlette(routes=[Mount("/", StaticFiles(directory=site, html=True))])
    async with serving(application) as origin, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            timeout=PATIENCE_S * 1000,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        try:
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE_S * 1000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: _complain(said, complaints))
            await page.goto(origin)
            await page.wait_for_function("() => window.ready")
            yield page
        finally:
            await browser.close()


def _complain(said: ConsoleMessage, complaints: list[str]) -> None:
    if said.type == "error":
        complaints.append(f"{said.text} ({said.location['url']})")


async def watch(page: Page, client: str, url: str, *, relay_only: bool = False, token: str | None = None) -> None:
    """Let a client of the page play."""
    options: dict[str, Any] = {"relayOnly": relay_only, "token": token}
    await page.evaluate("([client, url, options]) => window.watch(client, url, options)", [client, url, options])


async def report(page: Page, *, pictures: int = 15) -> dict[str, Any]:
    """What Chromium says about the reception, once there have been that many pictures and a second of sound."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: dict[str, Any] = await page.evaluate("() => window.report()")
            if found.get("video", {}).get("framesDecoded", 0) >= pictures and found["audio"]["packetsReceived"] >= 50:
                return found
            await asyncio.sleep(0.1)
