import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from streamgen.http import app as application
from streamgen.http.page import MEDIA_TYPES, PAGES, PageFiles, web_folder
from tests.http.fakes import Server


async def test_the_page_is_served_with_its_modules() -> None:
    async with Server().client() as client:
        page = await client.get("/")
        module = await client.get("/main.js")
        style = await client.get("/style.css")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<streamgen-player" in page.text
    assert (module.status_code, module.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    for answer in (page, module, style):
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", sorted(PAGES))
async def test_each_page_has_an_address_of_its_own(name: str) -> None:
    async with Server().client() as client:
        page = await client.get(f"/{name}?token=x")
        slash = await client.get(f"/{name}/?token=x")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'src="{name}.js"' in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    # Its modules lie beside it, so that a slash at the end is taken away, and the token is kept.
    assert (slash.status_code, slash.headers["location"]) == (307, f"../{name}?token=x")
    assert slash.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["index", *sorted(PAGES)])
async def test_a_page_loads_nothing_from_elsewhere_and_everything_it_names_is_there(name: str) -> None:
    folder = web_folder()
    assert folder is not None
    page = (folder / f"{name}.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert not [each for each in named if "//" in each]
    files = {each for each in named if "." in each and not each.startswith(("./", "whep/"))}
    waiting, seen = set(files), set[str]()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        text = (folder / file).read_text()
        if file.endswith((".js", ".css")):
            assert "http://" not in text.replace("http://www.w3.org/2000/svg", "").replace("http://192.168.x.y", "")
        waiting |= {found for found in re.findall(r'from "\./([^"]+)"', text)} - seen
    assert f"{name}.js" in seen or name == "index"


@pytest.mark.parametrize("name", ["operator", "audience"])
def test_a_page_plays_by_itself_only_once_its_token_is_set(name: str) -> None:
    folder = web_folder()
    assert folder is not None
    player = re.search(r"<streamgen-player[^>]*>", (folder / f"{name}.html").read_text())
    assert player is not None
    assert "autoplay" not in player[0]
    script = (folder / f"{name}.js").read_text()
    assert -1 < script.find('player.setAttribute("token"') < script.find("player.play()")


@pytest.mark.parametrize(
    ("path", "open_to_frames"),
    [
        ("/", False),
        ("/index.html", False),
        ("/operator", False),
        ("/operator?token=x", False),
        ("/operator.html", False),
        ("/audience", True),
        ("/audience.html", True),
        ("/overlay", True),
        ("/overlay.html", True),
    ],
)
async def test_no_other_site_frames_a_page_that_steers(path: str, open_to_frames: bool) -> None:
    async with Server().client() as client:
        page = await client.get(path)
        unchanged = await client.get(path, headers={"If-None-Match": page.headers["etag"]})
    assert (page.status_code, unchanged.status_code) == (200, 304)
    for answer in (page, unchanged):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert ("frame-ancestors 'self'" in policy) is not open_to_frames
        assert answer.headers.get("x-frame-options") == (None if open_to_frames else "SAMEORIGIN")


async def test_an_unchanged_file_is_not_sent_again() -> None:
    async with Server().client() as client:
        first = await client.get("/main.js")
        second = await client.get("/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")


def folder(tmp_path: Path) -> TestClient:
    web = tmp_path / "web"
    web.mkdir()
    (web / "index.html").write_text("<p>page")
    (web / "notes.txt").write_text("not part of the page")
    (web / "tsconfig.json").write_text("{}")
    (tmp_path / "secret.js").write_text("secret")
    (web / "link.js").symlink_to(tmp_path / "secret.js")
    app = FastAPI()
    app.mount("/", PageFiles(web))
    return TestClient(app)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.js",
        "/..%2fsecret.js",
        "/%2e%2e/secret.js",
        "/..%5csecret.js",
        "//etc/passwd",
        "/link.js",
        "/notes.txt",
        "/tsconfig.json",
        "/%00",
        "/" + "x" * 5000,
    ],
)
def test_nothing_but_the_page_is_served(tmp_path: Path, path: str) -> None:
    answer = folder(tmp_path).get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_the_page_can_only_be_read(tmp_path: Path) -> None:
    assert folder(tmp_path).post("/index.html").status_code == 405


def test_the_page_is_found_without_importing_the_client() -> None:
    found = web_folder()
    assert found is not None
    assert (found / "index.html").is_file()
    assert {file.suffix for file in found.iterdir() if file.is_file()} <= {*MEDIA_TYPES, ".json"}
    # In a process of its own: here another test may have imported it.
    probe = (
        "import sys; from streamgen.http.page import web_folder; web_folder(); print('streamgen_client' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"


async def test_a_server_without_the_page_still_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "web_folder", lambda: None)
    async with Server().client() as client:
        assert (await client.get("/healthz")).status_code == 200
        missing = await client.get("/")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
