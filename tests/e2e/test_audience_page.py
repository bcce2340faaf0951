"""The audience's page on a phone: watch, vote, propose, and when one's own proposal lands."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import OpenScripted
from tests.e2e.legible import low_contrast
from tests.e2e.scripted import AUDIENCE, STATE, Scripted

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = (390, 844)
THUMB = 44  # CSS pixels: WCAG 2.5.5

OpenPhone = Callable[..., Awaitable[Scripted]]


@pytest.fixture
def phone(open_scripted: OpenScripted) -> OpenPhone:
    async def open_one(*first: dict[str, Any], size: tuple[int, int] = PHONE) -> Scripted:
        return await open_scripted("audience", *first, size=size, touch=size == PHONE)

    return open_one


async def test_one_watches_and_votes_with_one_tap(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE)
    await viewing.until("streamgen.state === 'live'")
    await viewing.more_pictures(5)
    await expect(viewing.page.locator("#now")).to_have_text("a calm sea")
    await expect(viewing.page.locator("#vote-title")).to_have_text("Vote now")
    await expect(viewing.page.locator("#countdown")).to_have_text(re.compile(r"^(0:\d\d|1:00)$"))
    lighthouse, lanterns = viewing.page.locator("#options li").nth(0), viewing.page.locator("#options li").nth(1)
    await expect(lighthouse.locator(".option-share")).to_have_text("60 %")
    await lanterns.locator("button").tap()
    vote = await viewing.asked(lambda message: message["type"] == "vote")
    assert (vote["option"], vote["ballot"]) == ("p2", "4.prompt")
    await expect(lanterns).to_have_attribute("data-mine", "true")  # at once
    viewing.say({"type": "rejected", "id": vote["id"], "reason": "closed", "field": None, "message": "too late"})
    await expect(lanterns).to_have_attribute("data-mine", "false")
    await expect(viewing.page.locator("#vote-hint")).to_have_text("Too late.")

    await lighthouse.locator("button").tap()
    vote = await viewing.asked(lambda message: message.get("option") == "p1")
    viewing.say({"type": "applied", "id": vote["id"], "chunk": None, "media_time": 2.0, "rtp_video": None})
    viewing.say(AUDIENCE, phase="result", ballot=None, winners=["p1"], decided_by="votes", remaining_s=5.0)
    await expect(viewing.page.locator("#vote-title")).to_have_text("Most votes")
    await expect(lighthouse).to_have_attribute("data-winner", "true")
    await expect(lighthouse).to_have_attribute("data-mine", "true")
    await expect(lighthouse.locator("button")).to_be_disabled()
    viewing.say(STATE, prompt="a lighthouse in a storm")
    await expect(viewing.page.locator("#credit")).to_have_text("Proposed by Mara")


async def test_a_proposal_says_when_it_lands(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE)
    await viewing.page.locator("#text").fill("a fox in the <snow>")
    await viewing.page.locator("#name").fill("Ada")
    await viewing.page.locator("#text").press("Enter")
    asked = await viewing.asked(lambda message: message["type"] == "propose")
    assert (asked["text"], asked["name"]) == ("a fox in the <snow>", "Ada")
    await expect(viewing.page.locator("#text")).to_have_value("")
    words = viewing.page.locator("#yours-words")
    viewing.say({"type": "received", "id": asked["id"]})
    await expect(words).to_have_text("It is being checked")
    viewing.say({"type": "accepted", "id": asked["id"]})
    await expect(words).to_have_text(re.compile("plays if it wins"))
    viewing.say({"type": "queued", "id": asked["id"], "eta_ms": 600_000})
    await expect(words).to_have_text(re.compile(r"^Yours lands in (600|59\d) s$"))
    await expect(viewing.page.locator("#yours-text")).to_have_text("a fox in the <snow>")
    viewing.say({"type": "queued", "id": asked["id"], "eta_ms": 1200})
    await expect(words).to_have_text("Yours lands any moment")
    viewing.say({"type": "applied", "id": asked["id"], "chunk": 9, "media_time": 3.0, "rtp_video": 270_000})
    await expect(words).to_have_text("Yours is playing")
    # The name is kept on this device.
    await viewing.page.reload()
    await expect(viewing.page.locator("#name")).to_have_value("Ada")


async def test_a_refused_proposal_comes_back_to_be_mended(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE)
    await viewing.page.locator("#send").tap()
    await expect(viewing.page.locator("#propose-said")).to_have_text(re.compile("Write what"))
    await viewing.page.locator("#text").fill("something dreadful")
    await viewing.page.locator("#send").tap()
    asked = await viewing.asked(lambda message: message["type"] == "propose")
    refusal = {"type": "rejected", "id": asked["id"], "reason": "moderation", "field": "text", "message": "not here"}
    viewing.say(refusal)
    await expect(viewing.page.locator("#propose-said")).to_have_text("Not here.")
    await expect(viewing.page.locator("#text")).to_have_value("something dreadful")


async def test_without_permission_one_watches(phone: OpenPhone) -> None:
    viewing = await phone(STATE | {"can": []}, AUDIENCE)
    await expect(viewing.page.locator("#options button").first).to_be_disabled()
    await expect(viewing.page.locator("#vote-hint")).to_have_text(re.compile("You are watching"))
    await expect(viewing.page.locator("#text")).to_be_disabled()


async def test_everything_works_from_the_keyboard(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE, size=(1280, 800))
    button = viewing.page.locator("#options button").first
    await expect(button).to_be_enabled()
    for _ in range(12):
        await viewing.page.keyboard.press("Tab")
        if await button.evaluate("(button) => button.matches(':focus-visible')"):
            break
    outline = await button.evaluate("(button) => getComputedStyle(button).outlineWidth")
    assert outline == "2px"
    await viewing.page.keyboard.press("Enter")
    await viewing.asked(lambda message: message["type"] == "vote")
    # What the server says meanwhile does not take the focus away.
    viewing.say(AUDIENCE, voters=11)
    await expect(viewing.page.locator("#vote-sum")).to_have_text(re.compile("11 people"))
    await expect(button).to_be_focused()


async def test_it_fits_a_phone_and_a_thumb(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE)
    width, height = PHONE
    await expect(viewing.page.locator("#options li")).to_have_count(2)
    assert await viewing.page.evaluate("document.documentElement.scrollWidth") <= width
    for control in ("#text", "#send", "#options button >> nth=0", "#options button >> nth=1"):
        box = await viewing.page.locator(control).bounding_box()
        assert box is not None
        assert box["height"] >= THUMB
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    picture = await viewing.page.locator("streamgen-player").bounding_box()
    assert picture is not None
    assert (picture["x"], picture["y"], picture["width"]) == (0, 0, width)


async def test_every_text_can_be_read(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE | {"mine": "p1"})
    await viewing.page.locator("#text").fill("a fox")
    await expect(viewing.page.locator("#options li").first).to_have_attribute("data-mine", "true")
    assert await low_contrast(viewing.page, least=12) == []
    viewing.say({"type": "queued", "id": "elsewhere", "eta_ms": 60_000})
    viewing.say(AUDIENCE, phase="result", winners=["p1"], decided_by="votes")
    await expect(viewing.page.locator("#yours-words")).to_be_visible()
    assert await low_contrast(viewing.page, least=12) == []


async def test_a_connection_that_comes_back_begins_anew(phone: OpenPhone) -> None:
    viewing = await phone(STATE, AUDIENCE)
    await expect(viewing.page.locator("#connection")).to_have_text("Live")
    viewing.say(AUDIENCE, voters=50)
    await expect(viewing.page.locator("#vote-sum")).to_have_text(re.compile("50 people"))
    await viewing.hang_up()
    # The page connects again by itself, and is told the first messages, whose revisions are lower.
    await expect(viewing.page.locator("#vote-sum")).to_have_text(re.compile("10 people"))
    await expect(viewing.page.locator("#connection")).to_have_text("Live")
