"""The tiny bundle and what it is told: fixtures for tests of the pocket family's loop, on whatever runtime."""

import json

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import ChannelRanges, Guard
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from tests.tiny_bundle import AUDIO, VIDEO, write_tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle, opened; nobody writes into its folder."""
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a limit and ranges that hold back most of what the tiny model makes."""
    folder = write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "guarded")
    narrow = {
        side: ChannelRanges(mean=((-0.05, 0.1),) * channels, deviation=((0.2, 0.3),) * channels)
        for side, channels in (("video", VIDEO.latent[0]), ("audio", AUDIO.latent[0]))
    }
    raw = json.loads((folder / "manifest.json").read_text())
    raw["sampler"]["guard"] = Guard(limit=0.6, pull=0.5, **narrow).model_dump(mode="json")
    (folder / "manifest.json").write_text(json.dumps(raw))
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def text(tiny: Bundle) -> TextEncoder:
    return TextEncoder(tiny, OnnxRuntimeCpu())


@pytest.fixture(scope="session")
def ball(text: TextEncoder) -> Prompt:
    return text.encode("a red ball bounces")


@pytest.fixture(scope="session")
def sea(text: TextEncoder) -> Prompt:
    return text.encode("calm sea at night")


@pytest.fixture(scope="session")
def blended(text: TextEncoder) -> Prompt:
    return text.blend([("rain", 1), ("a red ball bounces", 2), ("a green field", 3)])
