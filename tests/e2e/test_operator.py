"""The operator's console in a real Chromium, from a real server that holds every prompt."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from websockets.asyncio.client import ClientConnection, connect

from streamgen_engines.bundle import Bundle
from streamgen_engines.families.wan_text import WanTextEncoder
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests import text_serving
from tests.e2e.conftest import OpenPage, OpenScripted
from tests.e2e.legible import low_contrast
from tests.e2e.scripted import AUDIENCE, STATE, Scripted
from tests.e2e.serving import TOKEN, Server, serving
from tests.e2e.viewing import LIMIT_S, Viewing
from tests.tiny_bundle import write_tiny_bundle
from tests.tiny_wan_bundle import write_tiny_wan_bundle

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SIZES = [(1280, 800), (1920, 1080)]
BLACK = 8.0  # mean of a picture (0..255) that can be taken for black
OPERATOR = ["config", "moderate", "panic", "prompt", "schedule"]
HELD = [{"id": f"h{number}", "text": f"a prompt {number}", "category": None} for number in range(40)]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which every prompt waits for an operator."""
    work = tmp_path_factory.mktemp("strict")
    bundle = write_tiny_bundle(work / "bundle")
    server = work / "server"
    server.mkdir()
    (server / "streamgen.toml").write_text('moderation = "hold_all"\n')
    with serving(server, prompt="a calm sea", bundle=bundle) as running:
        yield running


def console(server: Server) -> str:
    return f"{server.url}operator#token={TOKEN}"


@asynccontextmanager
async def somebody(server: Server, client: str) -> AsyncIterator[ClientConnection]:
    """Another client with a prompt of its own."""
    address = f"{server.url.replace('http', 'ws', 1)}steer/main?client={client}&token={TOKEN}"
    async with asyncio.timeout(LIMIT_S), connect(address) as socket:
        yield socket


async def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of one type."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


async def mean(viewing: Viewing) -> float:
    return float((await viewing.mean_picture()).mean())


async def test_what_is_held_is_decided_by_single_keys(strict: Server, open_page: OpenPage) -> None:
    viewing = await open_page(console(strict))
    async with somebody(strict, "ann") as ann, somebody(strict, "bob") as bob, somebody(strict, "cat") as cat:
        for socket, text in ((ann, "first"), (bob, "<b>second</b>"), (cat, "third")):
            await socket.send(json.dumps({"type": "prompt.set", "id": "p", "text": text}))
            await told(socket, "held")
        rows = viewing.page.locator("#review li")
        await expect(rows).to_have_count(3)
        await expect(viewing.page.locator("#review-count")).to_have_text("3")
        await expect(rows.nth(0)).to_have_attribute("aria-selected", "true")
        await viewing.page.keyboard.press("j")
        await expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
        await expect(rows.nth(1).locator(".text")).to_have_text("<b>second</b>")

        await viewing.page.keyboard.press("Shift+R")
        await expect(viewing.page.locator("#explain-text")).to_be_focused()
        await viewing.page.keyboard.type("not a word of r")  # letters are text here, and decide nothing
        await viewing.page.keyboard.press("Enter")
        assert (await told(bob, "rejected"))["message"] == "not a word of r"
        await expect(rows).to_have_count(2)
        await expect(rows.nth(1)).to_have_attribute("aria-selected", "true")

        await viewing.page.keyboard.press("j")  # the last already; what is chosen by hand can be decided at once
        await viewing.page.keyboard.press("a")
        await told(cat, "applied")
        await expect(viewing.page.locator("#now")).to_have_text("third")
        await viewing.page.keyboard.press("k")
        await viewing.page.keyboard.press("r")
        assert (await told(ann, "rejected"))["reason"] == "moderation"
        await expect(viewing.page.locator("#review-empty")).to_be_visible()


async def test_panic_is_one_key_wherever_the_focus_is_and_escape_takes_nothing_back(
    strict: Server, open_page: OpenPage
) -> None:
    viewing = await open_page(console(strict))
    await viewing.until("streamgen.state === 'live'")
    await viewing.more_pictures(5)
    assert await mean(viewing) > BLACK
    await viewing.page.keyboard.press("/")
    await expect(viewing.page.locator("#prompt")).to_be_focused()
    await viewing.page.keyboard.type("13")
    await viewing.page.keyboard.press("F3")
    black = viewing.page.locator("[data-panic='black']")
    await expect(black).to_have_attribute("aria-pressed", "true")
    await expect(viewing.page.locator("#prompt")).to_have_value("13")
    await expect(viewing.page.locator("#air")).to_have_text("Black shown")
    await expect(viewing.page.locator("#said")).to_have_text(re.compile(r"black · in force after \d+ ms"))
    async with asyncio.timeout(LIMIT_S):
        while await mean(viewing) > BLACK:
            pass

    for _ in range(3):
        await viewing.page.keyboard.press("Escape")
    await viewing.page.keyboard.press("4")  # outside the field digits act as well
    await expect(viewing.page.locator("[data-panic='mute']")).to_have_attribute("aria-pressed", "true")
    await expect(viewing.page.locator("#air")).to_have_text("Black shown, muted")
    assert [each["cover"] for each in viewing.messages("state")][-1] == "black"

    await viewing.page.locator("[data-panic='off']").click()
    await expect(black).to_have_attribute("aria-pressed", "false")
    await expect(viewing.page.locator("#air")).to_have_text("On air")
    async with asyncio.timeout(LIMIT_S):
        while await mean(viewing) <= BLACK:
            pass


async def test_health_arrives_and_is_shown(strict: Server, open_page: OpenPage) -> None:
    viewing = await open_page(console(strict))
    await viewing.until("streamgen.state === 'live'")
    tiles = viewing.page.locator("#health .tile")
    await expect(tiles).to_have_count(7)
    for name in ("Deadline margin", "Pictures", "Picture − sound", "Viewers", "Queues", "Server late"):
        await expect(tiles.filter(has_text=name).locator(".value")).to_have_text(re.compile(r"^−?\d+(\.\d)?$"))
    await expect(tiles.filter(has_text="Viewers").locator(".value")).to_have_text("1")
    drawn = tiles.filter(has_text="Pictures").locator("path.main")
    await expect(drawn).to_have_attribute("d", re.compile("^M.+L.+"))
    assert viewing.messages("health")[-1]["fps"] > 0


async def test_without_a_token_nothing_can_be_done(strict: Server, open_page: OpenPage) -> None:
    viewing = await open_page(f"{strict.url}operator")
    await expect(viewing.page.locator("#prompt")).to_be_disabled()
    buttons = viewing.page.locator("#panic button")
    await expect(buttons).to_have_count(5)
    for index in range(5):
        await expect(buttons.nth(index)).to_be_disabled()
    await viewing.page.keyboard.press("F3")
    await expect(viewing.page.locator("#said")).to_have_text(re.compile("operator's link"))
    assert viewing.messages("health") == []


@pytest_asyncio.fixture(loop_scope="session")
async def busy(open_scripted: OpenScripted) -> Scripted:
    """A console with everything to show at once."""
    state = STATE | {"can": OPERATOR, "held": HELD, "prompt": "a very long prompt " * 20}
    viewing = await open_scripted("operator", state)
    vote = AUDIENCE | {"queue": [proposal("q1", "held"), proposal("q2", "open")]}
    viewing.say(vote)
    viewing.say(
        {
            "type": "timeline",
            "document": {
                "format": "streamgen-timeline",
                "version": 1,
                "tempo": [],
                "entries": [scheduled("dawn", 30.0), scheduled("storm", 33.0)],
            },
            "next": [{"id": "dawn", "media_time": 30.0}, {"id": "storm", "media_time": 33.0}],
        }
    )
    await expect(viewing.page.locator("#options li")).to_have_count(2)
    return viewing


def proposal(id: str, status: str) -> dict[str, Any]:
    return {
        "id": id,
        "stage": "prompt",
        "text": f"proposal {id}",
        "status": status,
        "supporters": 3,
        "names": ["Ivo"],
        "listed": False,
        "category": "violence" if status == "held" else None,
    }


def scheduled(id: str, at_s: float) -> dict[str, Any]:
    action: dict[str, Any] = {
        "type": "prompt",
        "text": f"what {id} brings",
        "blend": [],
        "target": "av",
        "keep": None,
        "knobs": {},
    }
    at = {"media_time": at_s, "chunk": None, "beat": None}
    return {"id": id, "at": at, "action": action | {"cut": False}, "loop": None}


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_everything_fits_one_screen_and_panic_never_leaves_it(busy: Scripted, size: tuple[int, int]) -> None:
    width, height = size
    await busy.page.set_viewport_size({"width": width, "height": height})
    document = await busy.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert document == [width, height]
    for part in ("#panic", "#health", "#strip", "#approve", "#lead", "#send", "streamgen-player"):
        box = await busy.page.locator(part).bounding_box()
        assert box is not None, part
        assert box["x"] >= 0, part
        assert box["y"] >= 0, part
        assert box["x"] + box["width"] <= width, part
        assert box["y"] + box["height"] <= height, part
    for index in range(5):
        button = await busy.page.locator("#panic button").nth(index).bounding_box()
        assert button is not None
        assert min(button["width"], button["height"]) >= 76
    # Forty prompts wait: the list scrolls, not the page, and follows the selection.
    for _ in range(39):
        await busy.page.keyboard.press("j")
    await expect(busy.page.locator("#review li").nth(39)).to_be_in_viewport(ratio=0.98)


async def test_every_text_of_the_console_can_be_read(busy: Scripted) -> None:
    assert await low_contrast(busy.page, least=80) == []
    busy.say(STATE, can=OPERATOR, cover="black", muted=True)
    await expect(busy.page.locator("#air")).to_have_text("Black shown, muted")
    assert await low_contrast(busy.page, least=40) == []
    busy.say(STATE, can=[])
    await expect(busy.page.locator("#prompt")).to_be_disabled()
    assert await low_contrast(busy.page, least=40) == []


async def test_the_vote_is_led_and_the_timeline_is_shown_and_changed(busy: Scripted) -> None:
    await expect(busy.page.locator("#countdown")).to_have_text(re.compile(r"^0:\d\d$|^1:00$"))
    await busy.page.get_by_role("button", name="+30 s").click()
    asked = await busy.asked(lambda message: message["type"] == "audience.control")
    assert (asked["action"], asked["seconds"]) == ("extend", 30)
    busy.say(AUDIENCE, paused=True)
    await expect(busy.page.get_by_role("button", name="Resume")).to_be_disabled()  # until the answer is here
    busy.say({"type": "applied", "id": asked["id"], "chunk": 1, "media_time": 0.32})
    await busy.page.get_by_role("button", name="Resume").click()
    await busy.asked(lambda message: message.get("action") == "resume")

    await expect(busy.page.locator("#strip .block")).to_have_count(2)
    await expect(busy.page.locator("#next")).to_have_text(re.compile(r"what dawn brings · in \d+ s"))
    await busy.page.get_by_role("button", name="Take “what storm brings” off the timeline").click()
    asked = await busy.asked(lambda message: message["type"] == "unschedule")
    assert asked["target"] == "storm"


async def test_what_the_server_does_not_take_comes_back_into_the_list(busy: Scripted) -> None:
    rows = busy.page.locator("#review li")
    all_of_them = len(HELD) + 2  # and the proposals
    await expect(rows).to_have_count(all_of_them)
    await busy.page.keyboard.press("k")  # chosen by hand, it can be decided at once
    await busy.page.keyboard.press("a")
    await expect(rows).to_have_count(all_of_them - 1)
    asked = await busy.asked(lambda message: message["type"] == "approve")
    assert asked["target"] == "h0"
    refusal = {"type": "rejected", "id": asked["id"], "reason": "rate_limited", "field": None, "message": "slower"}
    busy.say(refusal)
    await expect(rows).to_have_count(all_of_them)
    await expect(busy.page.locator("#said")).to_have_text("Slower.")


async def test_what_a_prompt_does_to_the_past_is_offered_where_the_model_can_read_it_again(busy: Scripted) -> None:
    page = busy.page
    past, cut = page.get_by_label("Past"), page.get_by_role("checkbox", name="Cut")

    async def sent(text: str) -> dict[str, Any]:
        await page.locator("#prompt").fill(text)
        await page.locator("#send").click()
        asked = await busy.asked(lambda message: message.get("text") == text)
        return {name: value for name, value in asked.items() if name not in ("id", "type", "text")}

    await expect(cut).to_be_visible()
    await expect(past).to_be_hidden()
    await cut.check()
    assert await sent("one") == {"cut": True}
    await expect(cut).not_to_be_checked()

    busy.say(STATE, can=OPERATOR, recaches=True)
    await expect(past).to_be_visible()
    await expect(cut).to_be_hidden()
    assert await sent("two") == {}
    for way, fields in (
        ("recache", {"recache": True}),
        ("keep", {"recache": False}),
        ("blend", {"transition_ms": 3000}),
        ("cut", {"cut": True}),
    ):
        await past.select_option(way)
        assert await sent(f"by {way}") == fields
    await expect(past).to_have_value("usual")  # a cut is for one prompt
    await past.select_option("recache")
    await sent("three")
    assert await sent("four") == {"recache": True}  # any other way stays
    assert await low_contrast(page, least=40) == []

    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        box = await page.locator("#send").bounding_box()
        watch = await page.locator(".watch").bounding_box()
        assert box is not None
        assert watch is not None
        assert box["x"] + box["width"] <= watch["x"] + watch["width"] + 1

    busy.say(STATE, can=[], recaches=True)
    await expect(past).to_be_disabled()
    busy.say(STATE, can=OPERATOR, recaches=False)  # another model
    await expect(past).to_be_hidden()
    assert await sent("five") == {}


@pytest.fixture(scope="module")
def rereading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model can read its past again, and whose texts a service encodes: its bundle has no text graph."""
    work = tmp_path_factory.mktemp("rereading")
    folder = write_tiny_wan_bundle(work / "bundle")
    encoder = WanTextEncoder(Bundle.open(folder), OnnxRuntimeCpu())
    (folder / "text.onnx").unlink()
    environment = {"STREAMGEN_TEXT_ENCODER_TOKEN": text_serving.TOKEN, "XDG_CACHE_HOME": str(work)}
    with (
        text_serving.serving(encoder) as url,
        serving(
            work / "server",
            prompt="a calm sea",
            bundle=folder,
            arguments=("--text-encoder", url),
            environment=environment,
        ) as server,
    ):
        yield server
    assert text_serving.TOKEN not in server.log.read_text()


async def test_a_prompt_of_the_console_has_the_past_read_again(rereading: Server, open_page: OpenPage) -> None:
    viewing = await open_page(console(rereading))
    await expect(viewing.page.locator("#now")).to_have_text("a calm sea")
    await viewing.page.get_by_label("Past").select_option("recache")
    await viewing.page.locator("#prompt").fill("a red ball")
    await viewing.page.locator("#send").click()
    await expect(viewing.page.locator("#now")).to_have_text("a red ball")
    assert viewing.messages("rejected") == []
