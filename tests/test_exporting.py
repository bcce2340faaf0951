"""`streamgen export` runs an exporter, or says what is missing for it."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
from typer.testing import CliRunner

from streamgen import exporting
from streamgen.cli import app


def test_the_options_of_the_family_are_its_own() -> None:
    with pytest.raises(exporting.ExportError, match="no exporter for 'sora', only for wan, upscaler"):
        exporting.export("sora", [])


def test_what_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without_torch(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "torch" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_torch)
    ran = CliRunner().invoke(app, ["export", "wan", "--checkpoint", "x.pt"])
    assert ran.exit_code == 1
    assert "torch is not installed; add it with: pip install 'streamgen[export]'" in ran.output


def test_the_exporters_exit_status_is_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    ran = CliRunner().invoke(app, ["export", "wan", "--variant", "nobody"])
    assert ran.exit_code == 2
    assert "--variant" in capfd.readouterr().err


def test_a_graph_that_enlarges_pictures_has_an_exporter_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    ran = CliRunner().invoke(app, ["export", "upscaler", "--bundle", "testcard"])
    assert ran.exit_code == 2
    assert "--checkpoint" in capfd.readouterr().err
