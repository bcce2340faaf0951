"""A tiny bundle with all its variants, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_export.variants.making import make_variants
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What the variants are made of."""
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "tiny"))


@pytest.fixture(scope="session")
def variants(tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """All of them, by name."""
    return make_variants(tiny, tmp_path_factory.mktemp("variants"), chunks=1)


@pytest.fixture
def folder(variants: dict[str, Bundle]) -> Path:
    """Where they lie."""
    return variants["float32"].root.parent
