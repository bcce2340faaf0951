"""The comparison of samplers on a small scale, from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from streamgen_export.pocket.judge import sweep
from streamgen_export.pocket.judge.briefs import change_briefs
from streamgen_export.pocket.judge.development import (
    QUICK,
    SmallEye,
    classes_of,
    development_briefs,
    development_eye,
    train_small_eye,
)
from streamgen_export.pocket.judge.eye import NAMED
from streamgen_export.pocket.judge.labels import CHANGED, JUDGED, label
from streamgen_export.pocket.judge.renders import picture_lesson, picture_worlds
from streamgen_export.pocket.judge.run import Settings
from tests.tiny_bundle import write_tiny_bundle


def test_no_development_prompt_is_one_of_the_report() -> None:
    briefs = development_briefs(12, 3)
    assert len(briefs) == 12
    reported = change_briefs(Settings.seed, Settings.samples, Settings.before, Settings.after)
    shown = {tuple(getattr(w, name) for name in CHANGED) for brief in reported for w in brief.wanted}
    assert not any(tuple(getattr(w, name) for name in CHANGED) in shown for brief in briefs for w in brief.wanted)
    assert development_briefs(12, 3) == briefs
    # The report's own seed gives the report's own prompts, and all of them are left out.
    assert development_briefs(12, Settings.before, Settings.seed) != change_briefs(Settings.seed, 12, 15, 15)


def test_the_eye_learns_what_it_is_shown() -> None:
    torch.set_num_threads(1)
    lessons = [picture_lesson(world) for world in picture_worlds(6)]
    eye = train_small_eye(lessons, steps=60, seed=0)
    seen = classes_of(eye, np.stack([lesson.picture for lesson in lessons]))
    right = np.array([label(lesson.shown) for lesson in lessons])
    assert seen.shape == (6, len(JUDGED))
    for name in JUDGED:
        column = JUDGED.index(name)
        if name not in NAMED:
            assert (seen[:, column] == -1).all()
        elif name in ("place", "style"):
            assert (seen[:, column] == right[:, column]).all()


def test_the_eye_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    first = development_eye(QUICK, 1, tmp_path)
    monkeypatch.setattr("streamgen_export.pocket.judge.development.train_small_eye", None)  # again would fail
    again = development_eye(QUICK, 1, tmp_path)
    assert isinstance(again, SmallEye)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_a_quick_sweep_compares_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle, trials, out = write_tiny_bundle(tmp_path / "bundle"), tmp_path / "trials.json", tmp_path / "sweep.json"
    trials.write_text(json.dumps({"same": {}, "plain": {"guidance": 1.0}, "two": {"sigmas": [1.0, 0.5, 0.0]}}))
    sizes = ["--takes", "2", "--chunks", "4", "--threads", "1"]
    given = ["--quick", "--bundle", str(bundle), "--trials", str(trials), "--out", str(out), *sizes]
    assert sweep.main(given) == 0
    report = json.loads(out.read_text())
    assert list(report["trials"]) == ["own", "same", "plain", "two"]
    assert report["takes"] == 2
    own, same, plain, two = report["trials"].values()
    assert own["all"]["gain"] is None
    assert same["all"]["gain"] == same["all"]["margin"] == 0.0
    assert same["looks"] == own["looks"]
    assert plain["passes"] == 5
    assert two["passes"] < own["passes"]
    assert set(own["all"]["by_attribute"]) <= set(CHANGED)
    assert "plain: 5 passes" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[]", "{", '{"x": {"sigmas": [0.5, 0.0]}}', '{"x": {"what": 1}}'])
def test_trials_that_cannot_be_are_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trials.json"
    path.write_text(text)
    assert sweep.main(["--trials", str(path), "--bundle", "testcard", "--out", str(tmp_path / "out.json")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out.json").exists()
