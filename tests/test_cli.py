import csv
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
from typer.testing import CliRunner

from streamgen.access.keys import TokenKeys
from streamgen.access.tokens import read_token
from streamgen.cli import app
from streamgen.errors import RenderError
from streamgen.version import __version__
from streamgen_engines.gpu_options import GpuOptions
from tests.tiny_bundle import write_tiny_bundle

COMMAND = str(Path(sys.executable).with_name("streamgen"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("STREAMGEN_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        yield occupant.getsockname()[1]


def failure(*arguments: str) -> str:
    """The one line that a failing command says."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"streamgen {__version__}\n")


def test_help_names_the_commands_without_loading_anything_heavy() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from streamgen.cli import app; "
        "print(CliRunner().invoke(app, ['serve', '--help']).exit_code, "
        "*({'av', 'aiortc', 'numpy', 'onnxruntime', 'fastapi', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0"]


def test_a_busy_port_names_the_command_that_works(bundle: Path, busy_port: int) -> None:
    done = subprocess.run(
        [COMMAND, "serve", "--port", str(busy_port), "--bundle", str(bundle)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: 127.0.0.1:{busy_port} is in use by another program; "
        f"use another port: streamgen serve --host 127.0.0.1 --port {busy_port + 1}\n"
    )


def test_an_address_that_is_not_ours(bundle: Path) -> None:
    assert "cannot listen on 203.0.113.1:0" in failure("serve", "--host", "203.0.113.1", "--port", "0")


def test_settings_that_are_wrong() -> None:
    assert "(from the flag --port)" in failure("serve", "--port", "99999")
    assert "does not exist" in failure("serve", "--config", "missing.toml")


def test_runtimes_that_cannot_be_used(bundle: Path) -> None:
    assert "runtime: input should be 'onnxruntime-cpu'" in failure("serve", "--runtime", "abacus")
    for command in (("render", "--prompt", "sea", "out.mp4"), ("doctor",)):
        assert "no runtime 'abacus'; choose one of" in failure(*command, "--runtime", "abacus")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        for needed in (("serve", "--port", "0"), ("render", "--prompt", "sea", "out.mp4")):
            said = failure(*needed, "--bundle", str(bundle), "--runtime", "onnxruntime-cuda")
            assert 'pip install "streamgen[cuda]"' in said


def test_a_render_on_another_runtime(bundle: Path) -> None:
    arguments = ["render", "--bundle", str(bundle), "--prompt", "sea", "--seconds", "0.32", "--runtime", "openvino"]
    result = CliRunner().invoke(app, [*arguments, "--scale", "1", "out.mp4"])
    assert result.exit_code == 0, result.output


def test_precision_folder_and_gpu_reach_a_render_and_a_replay(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[GpuOptions] = []

    def made(*arguments: object, gpu: GpuOptions, **more: object) -> None:
        told.append(gpu)
        raise RenderError("far enough")

    monkeypatch.setattr("streamgen.render.render", made)
    monkeypatch.setattr("streamgen.replay_file.replay_to_file", made)
    monkeypatch.setenv("STREAMGEN_PLAN_CACHE", "of the settings")
    render = ("render", "--bundle", str(bundle), "--prompt", "sea", "out.mp4")
    failure(*render, "--precision", "fp32", "--plan-cache", "here", "--device", "1")
    failure(*render)
    failure("replay", "--bundle", str(bundle), str(tmp_path), "out.mp4", "--device", "2")
    assert told == [
        GpuOptions("fp32", Path("here"), 1),
        GpuOptions(plan_cache=Path("of the settings")),
        GpuOptions(plan_cache=Path("of the settings"), device=2),
    ]
    assert "precision is 'fp12'" in failure(*render, "--precision", "fp12")
    assert "precision: input should be" in failure("serve", "--precision", "fp12")


def test_the_doctor_looks_at_the_runtime_that_is_asked_for(bundle: Path) -> None:
    spoken = CliRunner().invoke(app, ["doctor", "--json", "--bundle", str(bundle), "--runtime", "onnxruntime-cuda"])
    checks = {check["name"]: check["verdict"] for check in json.loads(spoken.stdout)["checks"]}
    assert (checks["onnxruntime-cpu"], checks["openvino"]) == ("ok", "ok")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert (spoken.exit_code, checks["onnxruntime-cuda"]) == (1, "missing")


def test_bundles_that_cannot_be_used(bundle: Path, tmp_path: Path) -> None:
    for command in (("serve", "--port", "0"), ("render", "--prompt", "sea", "out.mp4")):
        assert "is not a bundle" in failure(*command, "--bundle", str(tmp_path / "nothing"))
    assert "at most 4096" in failure("render", "--prompt", "sea", "--bundle", str(bundle), "--scale", "99", "out.mp4")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "version": 99}))
    assert "version" in failure("serve", "--port", "0", "--bundle", str(bundle))
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "denoise.onnx").write_bytes(b"damaged")
    assert "SHA-256" in failure("serve", "--port", "0", "--bundle", str(bundle))
    (bundle / "denoise.onnx").unlink()
    assert "denoise.onnx is missing" in failure("serve", "--port", "0", "--bundle", str(bundle))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prompt", "  ", "out.mp4"), "has no text"),
        (("--prompt", "sea", "out.avi"), "out.avi"),
        (("--prompt", "sea", "missing/out.mp4"), "cannot be written"),
        (("--prompt", "sea", "--seconds", "0", "out.mp4"), "seconds"),
        (("--prompt", "@9 sea", "--seconds", "2", "out.mp4"), "after the end"),
    ],
)
def test_renders_that_cannot_be_made(bundle: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in failure("render", "--bundle", str(bundle), *arguments)
    assert not Path("out.mp4").exists()


def test_a_render(bundle: Path) -> None:
    result = CliRunner().invoke(
        app, ["render", "--bundle", str(bundle), "--prompt", "sea", "--seconds", "0.32", "--scale", "1", "out.mp4"]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("out.mp4: 4 pictures, 0.32 s, made in ")
    assert Path("out.mp4").stat().st_size > 0


SECRET = "0123456789abcdef0123456789abcdef"


def issued(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["token", *arguments])
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert SECRET not in result.output
    return result.stdout


def test_tokens_are_signed_with_the_secret_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_TOKEN_SECRET", SECRET)
    (line,) = issued("--role", "vote", "--role", "propose", "--subject", "seat-12", "--expires", "4h").splitlines()
    claims = read_token(TokenKeys([SECRET]), line, channel="main", now_s=time.time())
    assert claims.roles == {"vote", "propose"}
    assert (claims.subject, claims.channel) == ("seat-12", None)
    assert claims.expires_at - claims.not_before == 4 * 3600
    (line,) = issued("--role", "watch", "--channel", "main").splitlines()
    claims = read_token(TokenKeys([SECRET]), line, channel="main", now_s=time.time())
    assert (claims.channel, claims.expires_at - claims.not_before) == ("main", 12 * 3600)
    assert claims.subject.startswith("guest-")


def test_a_table_of_links_for_a_hall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGEN_TOKEN_SECRET", SECRET)
    arguments = ("--role", "vote", "--subject", "seat", "--count", "500", "--csv")
    rows = list(csv.DictReader(issued(*arguments, "--url", "https://stage.example/").splitlines()))
    assert len({row["token"] for row in rows}) == 500
    assert (rows[0]["subject"], rows[-1]["subject"]) == ("seat-001", "seat-500")
    assert all(row["link"] == f"https://stage.example/#token={row['token']}" for row in rows)


@pytest.mark.parametrize(
    ("variables", "page"),
    [
        ({}, "http://127.0.0.1:8000/"),
        ({"HOST": "::1", "PORT": "80"}, "http://[::1]:80/"),
        ({"ALLOWED_HOSTS": "stage.example,b.example"}, "https://stage.example/"),
    ],
)
def test_links_lead_to_where_the_server_is(
    variables: dict[str, str], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TOKEN_SECRET": SECRET, **variables}.items():
        monkeypatch.setenv(f"STREAMGEN_{name}", value)
    (row,) = csv.DictReader(issued("--role", "vote", "--csv").splitlines())
    assert row["link"].startswith(f"{page}#token=")


def test_tokens_that_cannot_be_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "export STREAMGEN_TOKEN_SECRET=$(openssl rand -hex 32)" in failure("token", "--role", "vote")
    monkeypatch.setenv("STREAMGEN_TOKEN_SECRET", SECRET)
    assert "there is no role emperor" in failure("token", "--role", "emperor")
    assert "expires: write 90s" in failure("token", "--role", "vote", "--expires", "soon")
    assert "count goes from 1" in failure("token", "--role", "vote", "--count", "0")
    assert "printable characters" in failure("token", "--role", "vote", "--subject", "")
    assert "printable characters" in failure("token", "--role", "vote", "--channel", "")
    assert CliRunner().invoke(app, ["token"]).exit_code == 2


def test_the_doctor_speaks_to_people_and_programs(bundle: Path) -> None:
    spoken = CliRunner().invoke(app, ["doctor", "--bundle", str(bundle)])
    assert spoken.exit_code == 0, spoken.output
    assert "onnxruntime-cpu" in spoken.output
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json", "--bundle", str(bundle)]).stdout)
    assert report["healthy"] is True


def test_the_doctor_fails_when_serving_cannot_work(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--bundle", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert "MISSING" in result.output
    assert "to add it: streamgen serve --bundle FOLDER" in result.output
