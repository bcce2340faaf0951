import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import Manifest
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle, opened; nobody writes into its folder."""
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="session")
def manifest(bundle: Bundle) -> Manifest:
    """Its manifest."""
    return bundle.manifest
