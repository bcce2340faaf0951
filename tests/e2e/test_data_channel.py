"""Steering over the connection that plays, through a whole server: from a program, and from the page in Chromium."""

import asyncio
import re
import time
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

import streamgen_client
from tests.e2e.serving import TOKEN, Server, serving
from tests.e2e.viewing import LIMIT_S, Viewing
from tests.tiny_bundle import write_tiny_bundle

PROMPT = "a calm blue sea"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model costs nothing: what is tested is how words get to it."""
    work = tmp_path_factory.mktemp("tiny-server")
    with serving(work, prompt=PROMPT, bundle=write_tiny_bundle(work / "bundle")) as running:
        yield running


async def test_a_program_steers_over_the_session_that_it_watches(tiny: Server) -> None:
    async with (
        asyncio.timeout(LIMIT_S),
        streamgen_client.connect(tiny.url, TOKEN) as client,
        client.watch(steer=True) as watch,
        watch.steer() as steering,
    ):
        assert steering.state.channel == "main"
        request = steering.prompt("heavy rain over a city")
        applied = await request
        kinds = [event.type for event in request.events]
        assert (kinds[0], kinds[-1]) == ("received", "applied")
        assert {"accepted", "queued"} <= set(kinds)
        async for picture in watch.pictures():
            if (picture.media_time_s or 0.0) >= applied.media_time:
                break  # it is in the very pictures that came over the same connection
        async for message in steering.messages():
            if message.type == "chunk":
                assert message.prompt == "heavy rain over a city"
                break


async def test_who_has_no_token_watches_and_may_not_steer(tiny: Server) -> None:
    async with (
        asyncio.timeout(LIMIT_S),
        streamgen_client.connect(tiny.url) as client,
        client.watch(steer=True) as watch,
        watch.steer() as steering,
    ):
        assert steering.state.can == ()
        with pytest.raises(streamgen_client.RejectedError) as caught:
            await steering.prompt("snow")
        assert caught.value.answer.reason == "forbidden"
        async for _ in watch.pictures():
            break


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_steers_over_the_connection_that_plays(tiny: Server, browser: Browser) -> None:
    context = await browser.new_context()
    context.set_default_timeout(LIMIT_S * 1000)
    viewing = Viewing(await context.new_page())
    sockets: list[str] = []
    viewing.page.on("websocket", lambda socket: sockets.append(socket.url))
    connection = viewing.page.locator("#connection")
    try:
        await viewing.page.goto(f"{tiny.operator_link}&steer=data")
        await expect(connection).to_have_text("Connecting")
        await viewing.play()
        await expect(connection).to_have_text("Connected")
        prompt = f"glowing embers {time.monotonic_ns()}"
        await viewing.send(prompt)
        await expect(viewing.page.locator("#journey-words")).to_have_text(re.compile("In the picture after"))
        await expect(viewing.page.locator("#now")).to_have_text(prompt)
        await expect(viewing.page.locator("#viewers")).to_have_text("1 viewer")

        # The session ends with a press, and its steering with it; the next one brings it back.
        await viewing.page.evaluate("document.querySelector('streamgen-player').stop()")
        await expect(connection).to_have_text("Not playing")
        await viewing.play()
        await expect(connection).to_have_text("Connected")
        await viewing.send("northern lights")
        await viewing.until("streamgen.promptToPhotonMs.length === 2")
        assert sockets == []
        assert len(viewing.sessions) == 2
        assert viewing.complaints == []
    finally:
        await context.close()
