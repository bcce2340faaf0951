"""Several viewers, and viewers who come back: nobody disturbs anybody else."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Playwright, expect

from tests.e2e.conftest import OpenPage, launch
from tests.e2e.serving import Server, serving
from tests.e2e.viewing import LIMIT_S

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_browsers_watch_one_channel_and_one_leaves(open_page: OpenPage, playwright: Playwright) -> None:
    stays = await open_page()
    await stays.play()
    second = await launch(playwright)
    try:
        leaves = await open_page(within=second)
        await leaves.play()
        for viewing in (stays, leaves):
            await expect(viewing.page.locator("#viewers")).to_have_text("2 viewers")

        # What one of them sends, both see.
        await leaves.send("glowing embers")
        for viewing in (stays, leaves):
            await expect(viewing.page.locator("#now")).to_have_text("glowing embers")
        await expect(stays.page.locator("#prompts .detail").first).to_have_text("sent elsewhere")
        times = [await viewing.until("streamgen.lastMediaTime") for viewing in (stays, leaves)]
        assert abs(times[0] - times[1]) < LIMIT_S  # one timeline, not one per viewer

        before = await stays.inbound()
        await leaves.page.close()
        await expect(stays.page.locator("#viewers")).to_have_text("1 viewer")
        await stays.more_pictures(25)
        after = await stays.inbound()
    finally:
        await second.close()
    for kind in ("video", "audio"):
        assert after[kind]["packetsReceived"] > before[kind]["packetsReceived"]
        assert after[kind]["packetsLost"] == before[kind]["packetsLost"]  # RTP sequence numbers without a gap
    assert after["video"]["framesDecoded"] >= before["video"]["framesDecoded"] + 25
    assert len(stays.sessions) == 1  # the same session all the time


async def test_a_reload_recovers(open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    await viewing.send("a ringed planet among stars")
    await expect(viewing.page.locator("#now")).to_have_text("a ringed planet among stars")
    await viewing.page.reload()
    # The state of the channel is there before anything plays.
    await expect(viewing.page.locator("#now")).to_have_text("a ringed planet among stars")
    await viewing.play()
    await viewing.more_pictures(12)
    await expect(viewing.page.locator("#viewers")).to_have_text("1 viewer")


async def test_a_session_that_ends_is_opened_again_by_itself(server: Server, open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    response = await viewing.page.request.delete(f"{server.url}{viewing.sessions[0].lstrip('/')}")
    assert response.ok
    await viewing.until("streamgen.state !== 'live'")
    await viewing.until("streamgen.state === 'live'")
    assert len(viewing.sessions) == 2
    await viewing.more_pictures(12)


async def test_a_server_that_comes_back_is_found_again(open_page: OpenPage, tmp_path: Path) -> None:
    with serving(tmp_path / "first", prompt="a calm blue sea") as first:
        viewing = await open_page(first.operator_link)
        await viewing.play()
    await viewing.until("streamgen.state === 'offline'")
    await expect(viewing.page.locator("#notice")).to_have_text(re.compile("cannot be reached"))
    await expect(viewing.page.locator("#connection")).to_have_text("Reconnecting")
    await viewing.send("glowing embers")
    await expect(viewing.page.locator("#journey-words")).to_have_text(re.compile("no connection"))

    port = urlsplit(first.url).port
    assert port is not None
    with serving(tmp_path / "second", prompt="a calm blue sea", port=port):
        await viewing.until("streamgen.state === 'live'")
        # What was typed meanwhile has been sent.
        await expect(viewing.page.locator("#now")).to_have_text("glowing embers")
        await viewing.page.close()
    assert all("ERR_CONNECTION_REFUSED" in complaint for complaint in viewing.complaints)
    viewing.complaints.clear()


async def test_stop_leaves_the_channel_and_play_comes_back(open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    await viewing.page.locator("#frame").hover()
    await viewing.page.get_by_role("button", name="Stop").click()
    await expect(viewing.page.locator("#viewers")).to_have_text(re.compile("^0 viewers"))
    await viewing.play()
    await viewing.more_pictures(5)
