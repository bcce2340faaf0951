"""Draws docs/operator.png, docs/audience.png and docs/overlay.png from a real server with the test card.

    python -m tests.e2e.page_pictures

Picture, state, panic and health are the server's own; the vote and the timeline are written down here.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, WebSocketRoute, async_playwright, expect

from streamgen_engines.bundle import bundled
from tests.e2e.conftest import launch
from tests.e2e.scripted import AUDIENCE
from tests.e2e.serving import TOKEN, Server, serving

DOCS: Final = Path(__file__).parents[2] / "docs"
PHONE: Final = (390, 844)
PLOT_S: Final = 75  # of health in the plots
PROMPTS: Final = ("a red ball over the sea", "rain on a city at night", "fireworks", "a calm blue sea")

OPTIONS: Final[tuple[tuple[Any, ...], ...]] = (
    ("p1", "a lighthouse in a storm", 38, 0.44, ["Mara"]),
    ("p2", "paper lanterns over a river", 27, 0.31, ["Jun", "Ada"]),
    ("p3", "snow on a quiet village at night", 14, 0.16, ["Tom"]),
    ("p4", "a train in the rain, pixel art", 8, 0.09, []),
)
QUEUE: Final = (
    ("q1", "a fight in the rain", "held", 3, "Ivo", "violence"),
    ("q2", "our mayor dancing on a table", "held", 1, "Lena", "people"),
    ("q3", "a purple jellyfish deep under water", "open", 5, "Sam", None),
)
SCHEDULED: Final = (
    (18.0, "dawn over the sea, calm music"),
    (52.0, "a storm at the coast, tense music"),
    (58.0, "northern lights over the mountains"),
    (90.0, "fireworks over the village"),
)


def audience(revision: int, **changes: Any) -> dict[str, Any]:
    """The vote in the pictures."""
    fields = ("id", "text", "votes", "share", "names")
    options = [dict(zip(fields, option, strict=True)) | {"playing": 0.0} for option in OPTIONS]
    queue = [
        {"id": id, "stage": "prompt", "text": text, "status": status, "supporters": supporters, "names": [name]}
        | {"listed": False, "category": category}
        for id, text, status, supporters, name, category in QUEUE
    ]
    told = {"revision": revision, "options": options, "queue": queue, "voters": 87, "proposals": 6, "remaining_s": 21.4}
    return AUDIENCE | told | changes


def timeline(now_s: float) -> dict[str, Any]:
    """The timeline in the pictures, from this media time on."""
    at = {f"e{number}": (now_s + later_s, text) for number, (later_s, text) in enumerate(SCHEDULED)}
    entries = [
        {"id": id, "at": {"media_time": at_s}, "action": {"type": "prompt", "text": text}, "loop": None}
        for id, (at_s, text) in at.items()
    ]
    return {
        "type": "timeline",
        "document": {"format": "streamgen-timeline", "version": 1, "tempo": [], "entries": entries},
        "next": [{"id": id, "media_time": at_s} for id, (at_s, _) in at.items()],
    }


class Relay:
    """The steering connection of a page: the server's, with the vote of these pictures added."""

    def __init__(self) -> None:
        self._page: WebSocketRoute | None = None
        self.media_time_s = 0.0

    async def join(self, page: Page) -> None:
        """Stand between `page` and its server."""
        await page.route_web_socket("**/steer/**", self._connect)

    def say(self, message: dict[str, Any]) -> None:
        """Tell the page something of our own."""
        assert self._page is not None
        self._page.send(json.dumps(message))

    def _connect(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        self._page = page

        def down(frame: str | bytes) -> None:
            message = json.loads(frame)
            self.media_time_s = message.get("media_time", self.media_time_s)
            if message["type"] == "state":
                message["can"] = sorted({*message["can"], "propose", "vote", "schedule"})
            page.send(json.dumps(message))

        def up(frame: str | bytes) -> None:
            message = json.loads(frame)
            if message["type"] == "propose":
                self.say({"type": "queued", "id": message["id"], "eta_ms": 8400})
            elif message["type"] != "vote":
                server.send(frame)

        server.on_message(down)
        page.on_message(up)


async def draw(server: Server) -> None:
    """All three."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        operator = await browser.new_page(viewport={"width": 1280, "height": 800})
        relay = Relay()
        await relay.join(operator)
        await operator.goto(f"{server.url}operator#token={TOKEN}")
        await expect(operator.locator("#air")).to_have_text("On air")
        for prompt in PROMPTS:
            await asyncio.sleep(PLOT_S / len(PROMPTS))
            await operator.locator("#prompt").fill(prompt)
            await operator.locator("#prompt").press("Enter")
            await expect(operator.locator("#now")).to_have_text(prompt)
        relay.say(audience(1, remaining_s=30.0))
        relay.say(timeline(relay.media_time_s))
        relay.say(audience(2))
        await operator.keyboard.press("Escape")
        await asyncio.sleep(2)
        await operator.screenshot(path=DOCS / "operator.png")
        still = await operator.evaluate(_STILL)

        phone = await browser.new_page(
            viewport={"width": PHONE[0], "height": PHONE[1]}, device_scale_factor=2, is_mobile=True, has_touch=True
        )
        relay = Relay()
        await relay.join(phone)
        await phone.goto(f"{server.url}audience#token={TOKEN}")
        await expect(phone.locator("#now")).to_have_text(PROMPTS[-1])
        relay.say(audience(1, remaining_s=30.0))
        relay.say(audience(2))
        await phone.locator("#options button").first.tap()
        await phone.locator("#text").fill("a fox in the snow")
        await phone.locator("#send").tap()
        await expect(phone.locator("#yours-words")).to_be_visible()
        await asyncio.sleep(4)
        await phone.screenshot(path=DOCS / "audience.png")

        overlay = await browser.new_page(viewport={"width": 1920, "height": 1080})
        relay = Relay()
        await relay.join(overlay)
        await overlay.goto(f"{server.url}overlay#token={TOKEN}")
        await expect(overlay.locator("#prompt")).to_have_text(PROMPTS[-1])
        chosen = AUDIENCE["options"][0] | {"text": PROMPTS[-1], "names": ["Ada"]}
        relay.say(audience(1, phase="result", options=[chosen], winners=[chosen["id"]], decided_by="votes"))
        relay.say(audience(2, remaining_s=30.0))
        relay.say(audience(3))
        await overlay.evaluate(_BEHIND, still)
        await expect(overlay.locator("#votes")).to_be_visible()
        await asyncio.sleep(1)
        await overlay.screenshot(path=DOCS / "overlay.png")
        await browser.close()


# The picture of now, and the same behind an overlay, where OBS would have it.
_STILL: Final = """
() => {
  const { video } = document.querySelector("streamgen-player");
  const size = { width: video.videoWidth, height: video.videoHeight };
  const canvas = Object.assign(document.createElement("canvas"), size);
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png");
}
"""
_BEHIND: Final = "(still) => { document.body.style.background = `url(${still}) center / cover`; }"


def main() -> None:
    """Serve, and draw."""
    with (
        tempfile.TemporaryDirectory() as work,
        serving(Path(work) / "server", prompt="a calm blue sea", bundle=bundled("testcard").root) as server,
    ):
        asyncio.run(draw(server))


if __name__ == "__main__":
    main()
