"""The whole judge on a small scale, from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from streamgen_export.pocket.judge import __main__ as command
from streamgen_export.pocket.judge.instruments import (
    Schooling,
    default_cache,
    fingerprint,
    instruments,
    judge_take,
)
from streamgen_export.pocket.judge.report import read_report
from streamgen_export.pocket.judge.run import QUICK
from streamgen_export.pocket.judge.tables import markdown
from streamgen_export.pocket.judge.takes import JUDGED
from streamgen_export.pocket.scenes.attributes import VOCABULARY
from tests.export.judge_material import SEA, take
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Instruments that have learned next to nothing, kept for this module's tests."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cache")
    instruments(QUICK.schooling, 1, folder / "streamgen" / "judge")
    return folder


def test_instruments_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    folder = default_cache()
    assert folder == cache / "streamgen" / "judge"
    kept = folder / f"{fingerprint(QUICK.schooling)}.pt"
    assert [kept] == list(folder.iterdir())
    monkeypatch.setattr("streamgen_export.pocket.judge.instruments.school", None)  # rendering again would fail
    first, again = (instruments(QUICK.schooling, 1, folder) for _ in range(2))
    shown = take((SEA,) * 6)
    opinion = judge_take(first, shown)
    np.testing.assert_array_equal(opinion.features, judge_take(again, shown).features)
    assert opinion.classes.shape == (6, len(JUDGED))
    assert (opinion.classes < [len(VOCABULARY[name]) for name in JUDGED]).all()
    assert fingerprint(Schooling()) != fingerprint(QUICK.schooling)


def test_a_cache_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cache: Path
) -> None:
    kept = instruments(QUICK.schooling, 1, cache / "streamgen" / "judge")
    monkeypatch.setattr("streamgen_export.pocket.judge.instruments.school", lambda schooling, processes: kept)
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert instruments(QUICK.schooling, 1, blocked / "judge") is kept
    assert "XDG_CACHE_HOME" in caplog.text


def test_a_quick_run_reports_everything(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    out = tmp_path / "out"
    bundle = write_tiny_bundle(tmp_path / "bundle")
    assert command.main(["--quick", "--threads", "1", "--bundle", str(bundle), "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["judge.md", "samples.png", "sound.png", "tiny.json"]
    report = read_report((out / "tiny.json").read_text())
    assert report.provenance.bundle == "tiny"
    assert set(report.provenance.sha256) == {"text", "denoise", "decode_video", "decode_audio"}
    for found in report.recognition.values():
        assert set(found) == set(JUDGED)
        assert all(accuracy.counted for accuracy in found.values())
    assert [following.changes for following in report.following["generated"].values()] == [1, 1, 1, 1]
    assert set(report.sync) == {"generated", "generated, shuffled sound", "renders", "renders, shuffled sound"}
    assert report.detectors["picture, where something bounces"].impacts > 0
    assert report.joints["generated"].joints == report.joints["renders"].joints == 4 * 14 + 2 * 7
    assert report.drift["generated"][0].duration_s == pytest.approx(9 * 0.32)
    assert (out / "judge.md").read_text() == markdown(report)
    assert report.command.startswith("python -m streamgen_export.pocket.judge --quick")
    assert imread(out / "samples.png").shape[1] > 1000
    assert imread(out / "sound.png").shape[1] > 1000
    assert "judge.md" in capsys.readouterr().out
    assert json.loads((out / "tiny.json").read_text())["settings"]["samples"] == QUICK.samples


def test_the_page_finds_its_pictures(tmp_path: Path) -> None:
    assert command._way(tmp_path / "docs", tmp_path / "bench" / "judge") == "../bench/judge/"
    assert command._way(tmp_path, tmp_path) == ""


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--bundle", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is not a bundle" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_chunks_of_another_length_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["video"]["frames_per_chunk"] = 8
    manifest["video"]["fps"] = [25, 1]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert command.main(["--bundle", str(bundle), "--out", str(tmp_path / "out")]) == 1
    assert "the judge knows" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "why"), [("--samples", "at least 2"), ("--threads", "at least 1")])
def test_too_few_of_something_is_refused(option: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([option, "0"])
    assert why in capsys.readouterr().err
