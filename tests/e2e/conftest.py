"""One server and one Chromium for all tests of the page; each test has browser profiles of its own."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from tests.e2e.scripted import Scripted
from tests.e2e.serving import Server, serving
from tests.e2e.viewing import Viewing

FIRST_PROMPT: Final = "a calm blue sea"
DESKTOP: Final = (1280, 800)
CHROMIUM_VARIABLE: Final = "STREAMGEN_CHROMIUM"
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # Chromium refuses to run as root otherwise, which is what CI is
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

OpenPage = Callable[..., Awaitable[Viewing]]
OpenScripted = Callable[..., Awaitable[Scripted]]


def chromium() -> str:
    """The browser's program."""
    given = os.environ.get(CHROMIUM_VARIABLE)
    found = given or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.fail(
            f"Chromium is missing: apt-get install chromium, or name one in {CHROMIUM_VARIABLE}; "
            'to leave these tests out: pytest -m "not browser"'
        )
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests come last: their server generates until the session ends, and takes half a core from all others."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), prompt=FIRST_PROMPT) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


async def launch(playwright: Playwright) -> Browser:
    return await playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(CHROMIUM_FLAGS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    running = await launch(playwright)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(server: Server, browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens the page, as its operator, in a new profile; at the end its console must hold no error."""
    viewings: list[Viewing] = []

    async def open_one(
        url: str = server.operator_link,
        *,
        size: tuple[int, int] = DESKTOP,
        touch: bool = False,
        within: Browser = browser,
    ) -> Viewing:
        width, height = size
        context = await within.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
        )
        viewings.append(await Viewing.open(context, url))
        return viewings[-1]

    yield open_one
    for viewing in viewings:
        await viewing.page.context.close()
    for viewing in viewings:
        assert viewing.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def open_scripted(server: Server, browser: Browser) -> AsyncIterator[OpenScripted]:
    """Opens a page of `server` whose steering connection is the test's own; its console must hold no error either."""
    opened: list[Scripted] = []

    async def open_one(
        name: str, *first: dict[str, Any], size: tuple[int, int] = DESKTOP, touch: bool = False
    ) -> Scripted:
        width, height = size
        context = await browser.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
        )
        opened.append(await Scripted.open_scripted(context, f"{server.url}{name}", *first))
        return opened[-1]

    yield open_one
    for scripted in opened:
        await scripted.page.context.close()
    for scripted in opened:
        assert scripted.complaints == []
