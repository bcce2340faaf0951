"""The whole of it on a small scale, from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import record
from streamgen_engines.bundle import Bundle
from streamgen_export.variants.__main__ import UNFINISHED, main
from streamgen_export.variants.finding import findings_in


def test_a_quick_run_measures_and_judges_and_installs(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, results = tmp_path / "variants", tmp_path / "results.jsonl"
    sizes = ["--chunks", "2", "--prompts", "1", "--rounds", "1", "--takes", "2", "--take-chunks", "2", "--quick"]
    given = ["measure", str(folder), "--bundle", str(tiny.root), "--variants", "int8-static", "fp16", *sizes]
    assert main([*given, "--results", str(results)]) == 0
    found = {each.variant: each for each in findings_in(results)}
    assert list(found) == ["float32", "int8-static", "fp16"]
    assert found["float32"].errors == {}
    assert found["float32"].distance is None
    assert found["int8-static"].speed is not None
    assert found["fp16"].speed is None  # nothing for a GPU is timed on a CPU
    for each in found.values():
        assert each.judged is not None
        assert (each.judged.takes, each.judged.chunks) == (2, 4)
    (line,) = record.read(results)
    assert line["bench"] == "variants"
    assert line["settings"]["variants"] == ["int8-static", "fp16"]
    assert str(tmp_path) not in json.dumps(line)
    assert json.loads((folder / UNFINISHED).read_text())["figures"] == line["figures"]
    said = capsys.readouterr().out
    assert "fp16: " in said

    target = tmp_path / "served"
    verdict = found["int8-static"].verdict.result
    status = main(["install", str(folder), "int8-static", str(target), "--results", str(results)])
    assert status == (0 if verdict == "holds" else 1)
    assert target.exists() == (verdict == "holds")


def test_without_a_finding_nothing_is_installed(
    variants: dict[str, Bundle], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["install", str(folder), "fp16", str(tmp_path / "served"), "--results", str(tmp_path / "none.jsonl")]
    assert main(given) == 1
    assert "has not been measured" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()
