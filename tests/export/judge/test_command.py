"""The whole judge on a small scale, from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from streamgen_export.pocket.judge import __main__ as command
from streamgen_export.pocket.judge import instruments as chest
from streamgen_export.pocket.judge.instruments import Schooling, default_cache, fingerprint, instruments, judge_take
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED
from streamgen_export.pocket.judge.report import read_report
from streamgen_export.pocket.judge.run import QUICK, Settings
from streamgen_export.pocket.judge.tables import markdown
from streamgen_export.pocket.world.attributes import VOCABULARY
from tests.export.judge.material import MEADOW, take
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
    assert [folder / f"{fingerprint(QUICK.schooling)}.pt"] == list(folder.iterdir())
    monkeypatch.setattr(chest, "school", None)  # rendering again would fail
    first, again = (instruments(QUICK.schooling, 1, folder) for _ in range(2))
    shown = take((MEADOW,) * 14)
    opinion = judge_take(first, shown)
    np.testing.assert_array_equal(opinion.features, judge_take(again, shown).features)
    assert opinion.classes.shape == (14, len(JUDGED))
    assert (opinion.classes < [len(VOCABULARY[name]) for name in JUDGED]).all()
    assert (opinion.classes[-1] >= 0).all()
    assert fingerprint(Schooling()) != fingerprint(QUICK.schooling)


def test_a_cache_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cache: Path
) -> None:
    kept = instruments(QUICK.schooling, 1, cache / "streamgen" / "judge")
    monkeypatch.setattr(chest, "school", lambda schooling, processes: kept)
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
    names = ["drift.png", "judge.md", "samples.png", "sound.png", "tiny.json"]
    assert sorted(file.name for file in out.iterdir()) == names
    report = read_report((out / "tiny.json").read_text())
    assert report.provenance.bundle == "tiny"
    assert report.form["width"] == 160
    for found in report.recognition.values():
        assert set(found) == set(JUDGED)
        assert found["place"].takes == QUICK.samples + QUICK.events
    for followed in report.following.values():
        assert [followed[name].changes for name in CHANGED] == [1] * len(CHANGED)
    assert sum(stays.cases for stays in report.staying_by_change["renders"].values()) > 0
    sources = {"generated", "generated, shuffled sound", "renders", "renders, shuffled sound"}
    assert set(report.sync) == sources
    assert report.detectors["picture"]["contact"].events > 0
    # 27 joints of each change less the two around it, 13 of each eventful take.
    assert report.joints["generated"].joints == QUICK.samples * 25 + QUICK.events * 13
    assert report.drift["generated"][0].duration_s == pytest.approx(9 * 0.32)
    assert report.drift["renders"][0].failures.flat == 0.0
    assert (out / "judge.md").read_text() == markdown(report)
    assert report.command.startswith("python -m streamgen_export.pocket.judge --quick")
    for name in ("samples", "sound", "drift"):
        assert imread(out / f"{name}.png").shape[1] > 1000
    assert "judge.md" in capsys.readouterr().out
    assert json.loads((out / "tiny.json").read_text())["settings"]["samples"] == QUICK.samples


def test_the_page_says_what_is_reached_and_finds_its_pictures(tmp_path: Path) -> None:
    assert command._way(tmp_path / "docs", tmp_path / "bench" / "judge") == "../bench/judge/"
    assert command._way(tmp_path, tmp_path) == ""
    with pytest.raises(ValueError, match="14 chunks"):
        Settings(before=13)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [("--samples", "0", "at least 2"), ("--threads", "0", "at least 1"), ("--drift-minutes", "61", "at most 60")],
)
def test_too_few_or_too_many_of_something_is_refused(
    option: str, value: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([option, value])
    assert why in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--bundle", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is not a bundle" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
