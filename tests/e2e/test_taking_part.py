"""The pages together, with a real audience: a vote is started, a proposal wins it, lands, and is credited."""

import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.serving import TOKEN, Server, serving
from tests.tiny_bundle import write_tiny_bundle

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RULES = "mode = 'single'\ncollect_s = 600\nvote_s = 600\nresult_s = 600\n"
PHONE = (390, 844)


@pytest.fixture(scope="module")
def voting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an audience; its operator ends each phase, so that no test waits for a clock."""
    work = tmp_path_factory.mktemp("voting")
    server = work / "server"
    server.mkdir()
    (server / "audience.toml").write_text(RULES)
    (server / "streamgen.toml").write_text(
        'moderation = "off"\naudience = "audience.toml"\nanonymous = ["watch", "propose", "vote"]\n'
    )
    with serving(server, prompt="a calm sea", bundle=write_tiny_bundle(work / "bundle")) as running:
        yield running


async def opened(browser: Browser, url: str, size: tuple[int, int] = (1280, 800)) -> Page:
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = await context.new_page()
    await page.goto(url)
    return page


async def propose(page: Page, text: str, name: str) -> None:
    await page.locator("#text").fill(text)
    await page.locator("#name").fill(name)
    await page.locator("#send").click()
    await expect(page.locator("#yours-words")).to_have_text(re.compile("plays if it wins"))


async def test_a_proposal_wins_the_vote_lands_and_is_credited(voting: Server, browser: Browser) -> None:
    operator = await opened(browser, f"{voting.url}operator#token={TOKEN}")
    ann = await opened(browser, f"{voting.url}audience", PHONE)
    bob = await opened(browser, f"{voting.url}audience", PHONE)
    overlay = await opened(browser, f"{voting.url}overlay", (1920, 1080))
    skip = operator.get_by_role("button", name="Skip")
    await operator.get_by_role("button", name="Start", exact=True).click()
    await expect(ann.locator("#vote-title")).to_have_text("Proposals")
    await propose(ann, "a fox in the snow", "Ann")
    await propose(bob, "a storm at sea", "Bob")
    await expect(operator.locator("#review li")).to_have_count(2)

    await skip.click()
    await expect(ann.locator("#vote-title")).to_have_text("Vote now")
    fox = bob.locator("#options button", has_text="fox")
    await fox.click()
    await expect(ann.locator("#options li", has_text="fox").locator(".option-share")).to_have_text("100 %")
    await expect(overlay.locator("#options li").first).to_contain_text("a fox in the snow")

    await skip.click()
    await expect(ann.locator("#yours-words")).to_have_text("Yours is playing")
    await expect(bob.locator("#now")).to_have_text("a fox in the snow")
    await expect(bob.locator("#credit")).to_have_text("Proposed by Ann")
    await expect(overlay.locator("#credit")).to_have_text("Words by Ann")
    for page in (operator, ann, bob, overlay):
        await page.context.close()
