"""Only what was measured as it is, and holds, is put where a bundle is served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_export.variants.install import VariantRefusedError, install
from tests.export.variants.material import finding, sha256_of
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A bundle that is there already."""
    return write_tiny_bundle(tmp_path / "served", smaller="tinier")


def test_a_variant_that_holds_takes_the_bundles_place(
    variants: dict[str, Bundle], folder: Path, target: Path, tmp_path: Path
) -> None:
    static = variants["int8-static"]
    made = install(folder, "int8-static", target, [finding(manifest=sha256_of(static))])
    assert made.root == target
    assert made.manifest.graphs == static.manifest.graphs
    assert made.manifest.smaller == "tinier"
    told = made.manifest.training["variant"]
    assert isinstance(told, dict)
    assert told["name"] == "int8-static"
    assert told["gain_over_float32"] == 0.0
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


def test_it_may_be_a_new_folder(variants: dict[str, Bundle], folder: Path, tmp_path: Path) -> None:
    made = install(folder, "fp16", tmp_path / "new" / "one", [finding("fp16", manifest=sha256_of(variants["fp16"]))])
    assert made.manifest.smaller is None


@pytest.mark.parametrize(("gain", "margin"), [(-0.1, 0.02), (0.0, 0.2)])
def test_what_does_not_hold_is_refused(
    variants: dict[str, Bundle], folder: Path, target: Path, gain: float, margin: float
) -> None:
    before = (target / "manifest.json").read_bytes()
    found = finding(manifest=sha256_of(variants["int8-static"]), gain=gain, margin=margin)
    with pytest.raises(VariantRefusedError, match=r"is not installed: (lost|undecided)"):
        install(folder, "int8-static", target, [found])
    assert (target / "manifest.json").read_bytes() == before


def test_the_newest_finding_counts(variants: dict[str, Bundle], folder: Path, target: Path) -> None:
    digest = sha256_of(variants["int8-static"])
    findings = [finding(manifest=digest), finding(manifest=digest, gain=-0.2)]
    with pytest.raises(VariantRefusedError, match="lost"):
        install(folder, "int8-static", target, findings)


def test_what_was_not_measured_as_it_is_is_refused(folder: Path, target: Path) -> None:
    with pytest.raises(VariantRefusedError, match="has not been measured as it is now"):
        install(folder, "int8-static", target, [finding(manifest="1" * 64)])


def test_a_folder_with_something_else_is_left_alone(variants: dict[str, Bundle], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "list.txt").write_text("keep")
    with pytest.raises(VariantRefusedError, match="is no bundle"):
        install(folder, "int8-static", tmp_path / "notes", [finding(manifest=sha256_of(variants["int8-static"]))])
    assert (tmp_path / "notes" / "list.txt").read_text() == "keep"


def test_a_copy_that_cannot_be_finished_leaves_the_old_one(
    variants: dict[str, Bundle], folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, copy: Path) -> None:
        copy.mkdir()
        (copy / "manifest.json").write_text("{")
        raise OSError("no space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="no space"):
        install(folder, "int8-static", target, [finding(manifest=sha256_of(variants["int8-static"]))])
    assert json.loads((target / "manifest.json").read_text())["smaller"] == "tinier"
    assert [path.name for path in tmp_path.iterdir()] == ["served"]
