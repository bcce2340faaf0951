"""The whole way of a Wan: published files, `streamgen export`, `streamgen serve`, pictures in a real Chromium.

Weights are random and few; layouts, code and graphs are those of the published models.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, expect

from streamgen_engines.manifest import MANIFEST_FILE
from tests.e2e.conftest import DESKTOP
from tests.e2e.serving import Server, serving
from tests.e2e.viewing import Viewing
from tests.export.wan.tiny_files import write_files

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FIRST, SECOND = "a red ball", "blue"
SETTLED = 36
"""Pictures after which nothing of the beginning, or of another prompt, is in the window of two chunks any more."""
LOOKED_AT = 48


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("wan")
    checkpoint = write_files(work / "files")
    command = [str(Path(sys.executable).with_name("streamgen")), "export", "wan", "--dimensions", "tiny"]
    command += ["--checkpoint", str(checkpoint), "--variant", "self-forcing", "--out", str(work / "bundle")]
    command += ["--size", "64x64", "--window", "6", "--precision", "fp32", "--decoder", "taehv", "--sound", "none"]
    ran = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return work


@pytest.fixture
def served(work: Path) -> Iterator[Server]:
    with serving(work / "server", prompt=FIRST, bundle=work / "bundle") as running:
        yield running


async def test_a_checkpoint_becomes_pictures_that_follow_prompts(served: Server, browser: Browser) -> None:
    width, height = DESKTOP
    context = await browser.new_context(viewport={"width": width, "height": height})
    viewing = await Viewing.open(context, served.operator_link)
    await viewing.play()
    await expect(viewing.page.locator("#now")).to_have_text(FIRST)
    await viewing.more_pictures(SETTLED)
    before, again = await colour(viewing), await colour(viewing)
    await viewing.send(SECOND)
    await expect(viewing.page.locator("#now")).to_have_text(SECOND)
    await viewing.more_pictures(SETTLED)
    after = await colour(viewing)
    drift, change = np.abs(again - before).mean(), np.abs(after - again).mean()
    print(f"mean colour {before}, {again}; after the prompt {after}")
    assert change > 2.0
    assert change > 3 * drift
    assert (await viewing.inbound())["audio"]["packetsReceived"] > 100  # silence is sent like any other sound
    await context.close()
    assert viewing.complaints == []


async def colour(viewing: Viewing) -> NDArray[np.float64]:
    """Mean colour of the next pictures, 0..255."""
    mean: NDArray[np.float64] = (await viewing.mean_picture(LOOKED_AT)).mean(axis=0)
    return mean


async def test_the_bundled_model_makes_sound_for_its_pictures(work: Path, browser: Browser) -> None:
    sounding = shutil.copytree(work / "bundle", work / "sounding")
    manifest = json.loads((sounding / MANIFEST_FILE).read_text())
    assert manifest["audio"]["bundle"] is None
    manifest["audio"]["bundle"] = "pocket"
    (sounding / MANIFEST_FILE).write_text(json.dumps(manifest))
    with serving(work / "sounding-server", prompt="waves on a beach", bundle=sounding) as server:
        width, height = DESKTOP
        context = await browser.new_context(viewport={"width": width, "height": height})
        viewing = await Viewing.open(context, server.operator_link)
        await viewing.play()
        await viewing.more_pictures(LOOKED_AT)
        sound = (await viewing.inbound())["audio"]
        assert sound["totalAudioEnergy"] > 1e-6, "silence has none"
        await context.close()
