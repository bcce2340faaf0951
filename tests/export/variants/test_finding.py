"""Findings to lines and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from streamgen_export.variants.finding import findings_in, finite, from_document, to_document
from tests.export.variants.material import finding


def test_a_finding_comes_back() -> None:
    found = replace(finding(), errors={"denoise": {"video_velocity": None, "states": 0.1}}, look=None)
    document = json.loads(json.dumps(to_document(found), allow_nan=False))
    assert from_document(document) == found
    assert document["verdict"] == "lost"
    assert found.total_bytes == 36_000_000


def test_the_verdict_in_a_line_is_not_believed() -> None:
    document = {**to_document(finding(gain=-0.2)), "verdict": "holds", "reason": "trust me"}
    assert from_document(document).verdict.result == "lost"


def test_a_stream_that_ended_early_is_lost() -> None:
    assert replace(finding(), failure="its stream ended early: not a number").verdict.result == "lost"


def test_what_is_not_finite_is_told_as_such() -> None:
    assert finite({"g": {"a": float("inf"), "b": float("nan"), "c": 0.5}}) == {"g": {"a": None, "b": None, "c": 0.5}}


def test_lines_are_read_oldest_first(tmp_path: Path) -> None:
    file = tmp_path / "variants.jsonl"
    assert findings_in(file) == []
    old, new = finding(gain=-0.1), finding(gain=0.01)
    lines = [json.dumps({"figures": {"variants": [to_document(each)]}}) for each in (old, new)]
    file.write_text("\n".join(lines) + "\n")
    assert findings_in(file) == [old, new]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"figures": {"variants": [{"variant": "fp8"}]}}'])
def test_a_line_that_is_something_else_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "variants.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1 is not what a run found"):
        findings_in(file)
