from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.engines.watched_engine import WatchedEngine, WatchedRuntime
from tests.pocket_fixtures import ball, blended, guarded, sea, text, tiny
from tests.tiny_bundle import write_tiny_bundle

__all__ = ["ball", "blended", "folder", "guarded", "sea", "text", "tiny"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny bundle of one's own, to be damaged."""
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def generator(tiny: Bundle) -> PocketGenerator:
    return PocketGenerator(tiny, OnnxRuntimeCpu())


@pytest.fixture
def watched(tiny: Bundle) -> tuple[PocketGenerator, WatchedEngine]:
    runtime = WatchedRuntime()
    generator = PocketGenerator(tiny, runtime)
    return generator, runtime.engine
