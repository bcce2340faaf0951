from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle, opened; nobody writes into its folder."""
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny bundle of one's own, to be damaged."""
    return write_tiny_bundle(tmp_path / "tiny")
