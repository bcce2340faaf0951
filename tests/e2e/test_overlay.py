"""The overlay: transparent but for its words, parts that can be left out, and nothing that is stale."""

import io
import re
from collections.abc import Awaitable, Callable
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import expect

from tests.e2e.conftest import OpenScripted
from tests.e2e.legible import low_contrast
from tests.e2e.scripted import AUDIENCE, STATE, Scripted

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FULL_HD = (1920, 1080)
SAFE = 0.035  # of each side stays free of text (EBU R95)
WHITE = (255, 255, 255)

OpenOverlay = Callable[..., Awaitable[Scripted]]


@pytest.fixture
def overlay(open_scripted: OpenScripted) -> OpenOverlay:
    async def open_one(*first: dict[str, Any], query: str = "", size: tuple[int, int] = FULL_HD) -> Scripted:
        return await open_scripted(f"overlay{query}", *first, size=size)

    return open_one


async def picture(viewing: Scripted) -> NDArray[np.uint8]:
    """What OBS gets: uint8 [height, width, RGBA]."""
    png = await viewing.page.screenshot(omit_background=True, animations="disabled")
    with av.open(io.BytesIO(png), mode="r") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgba"), dtype=np.uint8)


async def test_it_is_transparent_but_for_its_words(overlay: OpenOverlay) -> None:
    viewing = await overlay(STATE, AUDIENCE)
    await expect(viewing.page.locator("#prompt")).to_have_text("a calm sea")
    await expect(viewing.page.locator("#label")).to_have_text("AI generated")
    await expect(viewing.page.locator("#votes")).to_be_visible()
    await expect(viewing.page.locator("#countdown")).to_have_text(re.compile(r"^(0:\d\d|1:00)$"))
    pixels = await picture(viewing)
    height, width, _ = pixels.shape
    seen = pixels[..., 3] > 0
    assert 0.05 < seen.mean() < 0.25
    assert not seen[height // 4 : height // 2].any()  # the middle of the picture stays free
    rows, columns = np.nonzero(seen)
    assert rows.min() >= SAFE * height
    assert rows.max() <= (1 - SAFE) * height
    assert columns.min() >= SAFE * width - 1
    assert columns.max() <= (1 - SAFE) * width
    assert await low_contrast(viewing.page, least=8, behind=WHITE) == []


@pytest.mark.parametrize(
    ("hide", "shown"),
    [
        ("votes", {"label", "lower"}),
        ("label,votes", {"lower"}),
        ("prompt", {"label", "votes"}),
        ("prompt, votes , label", set()),
        ("nothing-of-that-name", {"label", "lower", "votes"}),
    ],
)
async def test_parts_can_be_left_out(overlay: OpenOverlay, hide: str, shown: set[str]) -> None:
    viewing = await overlay(STATE, AUDIENCE, query=f"?hide={hide}")
    parts = {"label", "lower", "votes"}
    for name in sorted(shown):
        await expect(viewing.page.locator(f"#{name}")).to_be_visible()
    for name in sorted(parts - shown):
        await expect(viewing.page.locator(f"#{name}")).to_have_count(0)
    if not shown:
        assert not (await picture(viewing))[..., 3].any()


async def test_whose_words_play_is_said(overlay: OpenOverlay) -> None:
    viewing = await overlay(STATE, AUDIENCE)
    viewing.say(AUDIENCE, phase="result", winners=["p1"], decided_by="votes")
    viewing.say(STATE, prompt="a lighthouse in a storm")
    await expect(viewing.page.locator("#credit")).to_have_text("Words by Mara")
    await expect(viewing.page.locator("#votes-title")).to_have_text("Most votes")
    viewing.say(STATE, prompt="something else")
    await expect(viewing.page.locator("#credit")).to_have_text("")


async def test_nothing_is_shown_over_a_cover_or_when_nobody_says_what_plays(overlay: OpenOverlay) -> None:
    viewing = await overlay(STATE, AUDIENCE)
    await expect(viewing.page.locator("#lower")).to_be_visible()
    viewing.say(STATE, cover="black")
    await expect(viewing.page.locator("#lower")).to_be_hidden()
    await expect(viewing.page.locator("#votes")).to_be_hidden()
    viewing.say(STATE)
    await expect(viewing.page.locator("#lower")).to_be_visible()
    viewing.say(AUDIENCE, phase="idle", remaining_s=None)
    await expect(viewing.page.locator("#votes")).to_be_hidden()

    await viewing.page.route_web_socket("**/steer/**", lambda socket: None)  # it answers no more
    await viewing.hang_up()
    await expect(viewing.page.locator("#lower")).to_be_hidden()
    await expect(viewing.page.locator("#label")).to_be_visible()


async def test_a_smaller_canvas_looks_alike(overlay: OpenOverlay) -> None:
    boxes = []
    for size in (FULL_HD, (1280, 720)):
        viewing = await overlay(STATE, AUDIENCE, size=size)
        await expect(viewing.page.locator("#votes")).to_be_visible()
        box = await viewing.page.locator("#votes").bounding_box()
        assert box is not None
        boxes.append([box[side] / size[1] for side in ("x", "y", "width", "height")])
    assert boxes[0] == pytest.approx(boxes[1], abs=0.01)
