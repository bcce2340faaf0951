"""What a model can be turned to beside the prompt, on the page: offered, sent with the prompt, and in force."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from streamgen_engines.manifest import MANIFEST_FILE
from tests.e2e.conftest import OpenPage
from tests.e2e.serving import Server, serving
from tests.tiny_bundle import write_tiny_bundle

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

KNOBS = {
    "camera": {"still": "still camera", "left": "the camera pans left"},
    "style": {"watercolour": "in watercolour", "pixel": "in pixel art"},
}


@pytest.fixture(scope="module")
def turnable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model has knobs."""
    work = tmp_path_factory.mktemp("turnable")
    folder: Path = write_tiny_bundle(work / "bundle")
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest | {"knobs": KNOBS}))
    with serving(work / "server", prompt="a calm sea", bundle=folder) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model has none."""
    work = tmp_path_factory.mktemp("plain")
    with serving(work / "server", prompt="a calm sea", bundle=write_tiny_bundle(work / "bundle")) as server:
        yield server


async def test_a_turned_knob_plays_what_plays_in_another_way(turnable: Server, open_page: OpenPage) -> None:
    viewing = await open_page(turnable.operator_link)
    await viewing.play()
    camera = viewing.page.get_by_label("Camera")
    await expect(camera).to_be_enabled()
    assert await camera.locator("option").all_text_contents() == ["as told", "Still", "Left"]
    await camera.select_option("left")
    await viewing.until("streamgen.promptToPhotonMs.length === 1")
    await expect(viewing.page.locator("#now")).to_have_text("a calm sea")
    state = viewing.messages("state")[-1]
    assert state["knobs"] == {"camera": "left"}
    assert state["choices"] == {"camera": ["still", "left"], "style": ["watercolour", "pixel"]}

    # The knob stays turned for the next prompt, and another one joins it. What turning that one sent may be overtaken.
    await viewing.page.get_by_label("Style").select_option("pixel")
    await viewing.send("a red sun")
    await expect(viewing.page.locator("#now")).to_have_text("a red sun")
    assert viewing.messages("state")[-1]["knobs"] == {"camera": "left", "style": "pixel"}

    # Who comes later sees how the knobs stand, and does not turn them back with the next prompt.
    later = await open_page(turnable.operator_link)
    await expect(later.page.get_by_label("Camera")).to_have_value("left")
    await expect(later.page.get_by_label("Style")).to_have_value("pixel")
    await later.send("a green hill")
    await expect(viewing.page.locator("#now")).to_have_text("a green hill")
    assert later.messages("state")[-1]["knobs"] == {"camera": "left", "style": "pixel"}


async def test_who_only_watches_turns_nothing(turnable: Server, open_page: OpenPage) -> None:
    viewing = await open_page(turnable.url)
    await expect(viewing.page.get_by_label("Camera")).to_be_disabled()


async def test_a_model_without_knobs_shows_none(plain: Server, open_page: OpenPage) -> None:
    viewing = await open_page(plain.operator_link)
    await expect(viewing.page.locator("#now")).to_have_text("a calm sea")
    await expect(viewing.page.locator("#knobs")).to_be_hidden()
