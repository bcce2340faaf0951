"""The page in a real Chromium, from a real server: it plays, it steers, it tells what is wrong."""

import re

import numpy as np
import pytest
from playwright.async_api import expect

from streamgen.protocol import MAX_TEXT_CHARS
from tests.e2e.conftest import FIRST_PROMPT, OpenPage
from tests.e2e.serving import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = (390, 844)
AUDIBLE = 1e-4  # RMS, -80 dB
SAME_PICTURE = 0.5  # mean difference of two pictures (0..255) that could be the codec's alone


async def test_plays_moving_pictures_with_stereo_sound(open_page: OpenPage) -> None:
    viewing = await open_page()
    await expect(viewing.page.locator("#now")).to_have_text(re.compile(r"\S"))
    await viewing.play()
    size = await viewing.page.evaluate(
        "(({ videoWidth, videoHeight }) => [videoWidth, videoHeight])(document.querySelector('streamgen-player').video)"
    )
    assert size == [896, 512]

    first = await viewing.mean_picture()
    moved = 0.0
    for _ in range(50):  # four seconds of pictures
        moved = max(moved, float(np.abs(await viewing.mean_picture() - first).mean()))
        if moved > SAME_PICTURE:
            break
    assert moved > SAME_PICTURE

    await viewing.listen()
    await viewing.until(f"heard().every((level) => level > {AUDIBLE})")
    assert not await viewing.page.evaluate("document.querySelector('streamgen-player').video.muted")
    # The page's own meter hears it too.
    await viewing.until(
        "[...document.querySelectorAll('#levels i')].every((bar) => bar.style.getPropertyValue('--level') > 0)"
    )
    assert await viewing.page.evaluate("streamgen.firstPictureMs > 0")


async def test_a_prompt_is_applied_and_changes_the_picture(open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    await viewing.send(FIRST_PROMPT)
    journey = viewing.page.locator("#journey-words")
    await expect(journey).to_have_text(re.compile("In the picture after"))
    await viewing.more_pictures(25)
    before = await viewing.mean_picture(12)

    prompt = "a blazing fire, dark driving music"
    await viewing.send(prompt)
    await viewing.until("streamgen.promptToPhotonMs.length === 2")
    await expect(viewing.page.locator("#now")).to_have_text(prompt)
    await expect(journey).to_have_text(re.compile(r"In the picture after \d+\.\d s"))
    row = viewing.page.locator("#prompts li").first
    await expect(row).to_have_attribute("data-state", "shown")
    await expect(row.locator(".detail")).to_have_text(re.compile(r"^\d+ ms$"))
    await expect(viewing.page.locator("#last")).to_have_text(re.compile(r"^\d+$"))

    # The server's word for it, about this very prompt, and a picture that came after it.
    applied = viewing.messages("applied")[-1]
    assert applied["id"] == await row.get_attribute("data-id")
    assert await viewing.page.evaluate("streamgen.lastMediaTime") >= applied["media_time"]
    await viewing.more_pictures(25)
    after = await viewing.mean_picture(12)
    assert np.abs(after - before).mean() > 10 * SAME_PICTURE


async def test_a_suggestion_is_one_press_away(open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    suggestion = viewing.page.get_by_role("button", name="northern lights over the mountains", exact=True)
    await suggestion.click()
    await expect(viewing.page.locator("#now")).to_have_text("northern lights over the mountains")


async def test_a_bad_prompt_is_told_in_words_and_the_stream_goes_on(open_page: OpenPage) -> None:
    viewing = await open_page()
    await viewing.play()
    words = viewing.page.locator("#journey-words")
    await viewing.send("   ")
    await expect(words).to_have_text(re.compile("Write what should be seen"))
    await viewing.send("a" * (MAX_TEXT_CHARS + 1))
    await expect(words).to_have_text(re.compile(f"{MAX_TEXT_CHARS + 1} characters .* at most {MAX_TEXT_CHARS}"))
    # Only joiners: the page thinks that there is something, the server knows better.
    await viewing.send("\u200d\u200d")
    await expect(words).to_have_text(re.compile("The text is empty"))
    await expect(viewing.page.locator("#journey")).to_have_attribute("data-state", "rejected")
    assert viewing.messages("rejected")[-1]["reason"] == "empty"
    await viewing.more_pictures(12)


async def test_received_text_is_shown_and_never_run(open_page: OpenPage) -> None:
    viewing = await open_page()
    text = "<img src=x onerror=alert(1)> <b>sea</b>"
    await viewing.send(text)
    await expect(viewing.page.locator("#now")).to_have_text(text)
    await expect(viewing.page.locator("#prompts .text").first).to_have_text(text)
    assert await viewing.page.locator("#now img, #prompts img, #now b").count() == 0


async def test_without_the_token_one_can_watch_but_not_steer(server: Server, open_page: OpenPage) -> None:
    viewing = await open_page(server.url)
    await expect(viewing.page.locator("#prompt")).to_be_disabled()
    await expect(viewing.page.locator("#journey-words")).to_have_text(re.compile("operator's link"))
    await viewing.play()
    await viewing.more_pictures(5)


async def test_a_wrong_token_is_told(server: Server, open_page: OpenPage) -> None:
    viewing = await open_page(server.operator_link)
    await viewing.page.goto(f"{server.url}?token=not-the-one")
    await expect(viewing.page.locator("#connection")).to_have_text("Not allowed")
    await expect(viewing.page.locator("#journey-words")).to_have_text(re.compile("Wrong token"))


async def test_everything_works_from_the_keyboard(open_page: OpenPage) -> None:
    viewing = await open_page()
    play = viewing.page.get_by_role("button", name="Play, with sound")
    for _ in range(5):
        await viewing.page.keyboard.press("Tab")
        if await play.evaluate("(button) => button.matches(':focus')"):
            break
    await viewing.page.keyboard.press("Enter")
    await viewing.until("streamgen.state === 'live'")
    await viewing.page.keyboard.press("/")
    await expect(viewing.page.locator("#prompt")).to_be_focused()
    await viewing.page.keyboard.type("city skyline in fog")
    await viewing.page.keyboard.press("Enter")
    await expect(viewing.page.locator("#now")).to_have_text("city skyline in fog")


async def test_fits_a_phone(open_page: OpenPage) -> None:
    viewing = await open_page(size=PHONE, touch=True)
    await viewing.page.get_by_role("button", name="Play, with sound").tap()
    await viewing.until("streamgen.state === 'live'")
    assert await viewing.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    for control in ("#prompt", "#send", "streamgen-player"):
        box = await viewing.page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
        assert box["y"] + box["height"] <= PHONE[1]
