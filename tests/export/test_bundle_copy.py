"""A bundle with other graphs: the rest is the same, and hashes fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_export.bundle_copy import MadeGraph, write_copy
from tests.tiny_bundle import write_tiny_bundle


def test_only_what_is_given_differs(tmp_path: Path) -> None:
    bundle = Bundle.open(write_tiny_bundle(tmp_path / "tiny", smaller="tinier"))
    graph = bundle.path("decode_audio").read_bytes()
    copy = Bundle.open(write_copy(bundle, tmp_path / "copy", {"denoise": MadeGraph(graph, "fp16")}))
    assert copy.path("denoise").read_bytes() == graph
    assert copy.manifest.graphs["denoise"].precision == "fp16"
    assert copy.manifest.graphs["denoise"].states == bundle.manifest.graphs["denoise"].states
    for name in ("text", "decode_video", "decode_audio"):
        assert copy.manifest.graphs[name] == bundle.manifest.graphs[name]
    assert copy.manifest.smaller is None
    assert copy.manifest.sampler == bundle.manifest.sampler


def test_licences_go_with_the_weights(tmp_path: Path) -> None:
    source = bundled("pocket-small")
    made = write_copy(source, tmp_path / "copy", {})
    licences = sorted(file.name for file in source.root.glob("LICENSE*"))
    assert licences
    assert sorted(file.name for file in made.glob("LICENSE*")) == licences


def test_the_bundle_itself_and_unknown_graphs_are_refused(tmp_path: Path) -> None:
    bundle = Bundle.open(write_tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(ValueError, match="is the bundle itself"):
        write_copy(bundle, bundle.root, {})
    with pytest.raises(ValueError, match="has no graph upscale"):
        write_copy(bundle, tmp_path / "copy", {"upscale": MadeGraph(b"", "fp16")})
    assert not (tmp_path / "copy").exists()
