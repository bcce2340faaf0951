"""What a channel falls back on: only after long enough, and only on what viewers can be switched to."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamgen.generation.ladder import Patience, smaller_sibling
from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


def test_only_reports_in_a_row_exhaust_the_patience() -> None:
    patience = Patience(3)
    assert not any(patience.exhausted(behind) for behind in (True, True, False, True, True))
    assert patience.exhausted(True)
    assert not patience.exhausted(True), "it starts anew"


@pytest.fixture
def large(tmp_path: Path) -> Bundle:
    write_tiny_bundle(tmp_path / "tinier", name="tinier")
    return Bundle.open(write_tiny_bundle(tmp_path / "tiny", smaller="tinier"))


def shrink(bundle: Bundle, **video: Any) -> None:
    """Change what the sibling's manifest says of its pictures."""
    file = bundle.root.parent / "tinier" / MANIFEST_FILE
    document = json.loads(file.read_text())
    document["video"].update(video)
    file.write_text(json.dumps(document))


def test_half_the_size_is_shown_at_twice_the_scale(large: Bundle) -> None:
    shrink(large, width=80, height=48)
    assert smaller_sibling(large, 3) == (large.root.parent / "tinier", 6)


def test_pictures_that_a_graph_has_enlarged_have_no_other_size_from_the_sibling(large: Bundle) -> None:
    larger = add_upscaler(large.root, 3)
    assert smaller_sibling(larger, 2, upscale=True) == (large.root.parent / "tinier", 6)
    assert smaller_sibling(larger, 2) == (large.root.parent / "tinier", 2)


@pytest.mark.parametrize(
    "video",
    [{"width": 96, "height": 48}, {"width": 80, "height": 40}, {"fps": [50, 4]}, {"fps": [25, 1]}],
    ids=["no whole factor", "another shape", "another fraction", "another rate"],
)
def test_what_viewers_cannot_be_switched_to_is_no_sibling(large: Bundle, video: dict[str, Any]) -> None:
    shrink(large, **video)
    assert smaller_sibling(large, 1) is None


def test_a_sibling_that_is_missing_or_damaged_is_none(large: Bundle, tmp_path: Path) -> None:
    (tmp_path / "tinier" / "denoise.onnx").write_bytes(b"damaged")
    assert smaller_sibling(large, 1) is None
    for file in (tmp_path / "tinier").iterdir():
        file.unlink()
    (tmp_path / "tinier").rmdir()
    assert smaller_sibling(large, 1) is None
    assert smaller_sibling(Bundle.open(write_tiny_bundle(tmp_path / "alone")), 1) is None
