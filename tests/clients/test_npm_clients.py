"""The WHEP clients of npm in Chromium, in a page of another origin: they play, and what they leave is nothing."""

from pathlib import Path
from typing import Final

import pytest

from tests.clients import browser, needed
from tests.clients.coturn import relaying
from tests.clients.stage import Exchange, Stage, on_stage
from tests.webrtc.loopback import HEIGHT, PICTURE_TICKS, WIDTH, brightness

UINT32: Final = 1 << 32
WHIP_WHEP: Final = "whip-whep"
EYEVINN: Final = "@eyevinn/webrtc-player"
TOKEN: Final = "a token for the viewers"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed.chromium()
    return browser.web_site(tmp_path_factory.mktemp("site"))


def matching(pictures: list[dict[str, int]], offset: int) -> int:
    """How many of the pictures are the ones that their RTP timestamp says."""
    found = 0
    for picture in pictures:
        assert (picture["width"], picture["height"]) == (WIDTH, HEIGHT)
        number, rest = divmod((picture["rtpTimestamp"] - offset) % UINT32, PICTURE_TICKS)
        assert rest == 0
        assert number >= 100
        # Chromium shows luma 16 to 235 as 0 to 255.
        found += abs(picture["luma"] - 1.164 * (brightness(number) - 16)) < 8
    return found


async def played(stage: Stage, site: Path, client: str, *, token: str | None = None) -> Exchange:
    """Watch with this client until pictures and sound have been checked, then leave; gives the POST."""
    complaints: list[str] = []
    async with browser.opened(site, complaints) as page:
        await browser.watch(page, client, stage.url, token=token)
        # A canvas that is asked before the compositor holds the first picture stays black: nothing was read then.
        await page.wait_for_function("() => window.pictures.filter(({ luma }) => luma > 0).length >= 15")
        pictures = await page.evaluate("() => window.pictures.filter(({ luma }) => luma > 0)")
        found = await browser.report(page)
        assert (stage.whep.viewers, stage.whep.sessions) == (1, 1)
        await page.evaluate("() => window.leave()")
        await stage.empty()
    (post,) = stage.http.of("POST")
    # On a machine that is too slow the canvas can get the picture after the one that is meant.
    assert matching(pictures, int(post.answer_headers["streamgen-rtp-offset"])) >= 10
    assert found["audio"]["totalAudioEnergy"] > 0
    assert complaints == []
    return post


@pytest.mark.parametrize("client", [WHIP_WHEP, EYEVINN])
async def test_an_npm_client_plays_and_leaves(client: str, site: Path) -> None:
    async with on_stage("vp8", "h264") as stage:
        post = await played(stage, site, client)
    assert post.headers["origin"] not in stage.url  # a page of another origin
    assert post.status == 201
    assert "etag" not in post.answer_headers
    (delete,) = stage.http.of("DELETE")
    assert (delete.path, delete.status) == (post.answer_headers["location"], 200)


@pytest.mark.parametrize("client", [WHIP_WHEP, EYEVINN])
async def test_an_npm_client_shows_the_viewers_token(client: str, site: Path) -> None:
    async with on_stage("vp8", viewer_token=TOKEN) as stage:
        post = await played(stage, site, client, token=TOKEN)
    assert post.headers["authorization"] == f"Bearer {TOKEN}"
    assert {each.status for each in stage.http.of("DELETE")} == {200}


@pytest.mark.parametrize("client", [WHIP_WHEP, EYEVINN])
async def test_an_npm_client_plays_through_the_relay(client: str, site: Path, tmp_path: Path) -> None:
    complaints: list[str] = []
    async with (
        relaying(tmp_path) as relay,
        on_stage("vp8", **relay.settings) as stage,
        browser.opened(site, complaints) as page,
    ):
        await browser.watch(page, client, stage.url, relay_only=True)
        found = await browser.report(page)
        ports = stage.remote_ports()
        told = {candidate.port for candidate in stage.told()}
        assert ports <= relay.relay_ports
        await page.evaluate("() => window.leave()")
        await stage.empty()
    assert found["local"]["candidateType"] == "relay"
    assert len(ports) == 1
    assert told == ports
    (post,) = stage.http.of("POST")
    patches = stage.http.of("PATCH")
    if client == WHIP_WHEP:  # it takes the TURN server from the answer, so its candidates come after the offer
        assert b"a=candidate" not in post.body
        assert b"a=candidate" in b"".join(each.body for each in patches)
        assert {each.status for each in patches} == {204}
        assert all("if-match" not in each.headers for each in patches)
    else:  # the page has asked for the TURN server beforehand
        assert b"a=candidate" in post.body
        assert patches == []
    assert complaints == []


async def test_a_restart_of_ice_is_refused_and_the_stream_plays_on(site: Path) -> None:
    async with on_stage("vp8") as stage, browser.opened(site, []) as page:
        await browser.watch(page, WHIP_WHEP, stage.url)
        await browser.report(page)
        refused = await page.evaluate("() => window.restart().then(() => null, (error) => error.message)")
        assert refused == "Request rejected with status 422"
        assert stage.whep.viewers == 1
        before = (await browser.report(page))["video"]["framesDecoded"]
        await browser.report(page, pictures=before + 10)
