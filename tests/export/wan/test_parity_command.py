"""The command that compares at full size, run at the smallest."""

import sys

import pytest

from streamgen_export.wan import graphs, parity

pytest.importorskip("diffusers", reason="pip install 'streamgen[dev]'")


def run(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    monkeypatch.setattr(sys, "argv", ["parity", "--size", "tiny", "--chunks", "4", *flags])
    parity.main()


def test_it_tells_each_error_and_its_limit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "--precision", "fp16", "--layers", "1")
    told = capsys.readouterr().out
    for name in ("diffusers", "prompt_kv", "denoise"):
        assert f"{name}: " in told
    assert told.count(": kept") == 3
    assert "peak memory" in told


def test_it_fails_when_a_limit_is_not_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(graphs.TOLERANCES, "denoise", 0.0)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "--layers", "1")
    assert caught.value.code == 1
    assert "NOT kept" in capsys.readouterr().out
