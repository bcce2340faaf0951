"""`streamgen compile`, as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamgen.cli import app
from streamgen_engines.tensorrt import compile as compiling
from streamgen_engines.tensorrt.cuda import gpu_count
from tests.tensorrt.rtx import needs_rtx
from tests.tiny_bundle import sha256, write_tiny_bundle

without_gpu = pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["compile", *arguments])
    return result.exit_code, result.stdout, result.stderr


@needs_rtx
@without_gpu
def test_a_dry_run_builds_every_graph_and_says_that_nothing_has_run() -> None:
    code, out, _ = run("testcard", "--dry-run")
    first, *lines = out.splitlines()
    assert code == 0
    assert first.startswith("testcard with tensorrt-rtx 1.7")
    assert first.endswith("(no GPU: nothing has been run)")
    names = ["text", "denoise", "decode_video", "decode_video, i420 640x360 426x240 320x180", "decode_audio"]
    assert [line.split(":")[0].strip() for line in lines] == names
    assert all("; built: " in line and "fp16" in line for line in lines)
    assert "2 caches" in lines[1]


@needs_rtx
@without_gpu
def test_a_graph_that_fails_makes_the_command_fail_and_the_others_are_tried(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    (folder / "decode_audio.onnx").write_bytes(b"no graph")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["decode_audio"]["sha256"] = sha256(folder / "decode_audio.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    code, out, _ = run(str(folder), "--dry-run")
    failed = [line for line in out.splitlines() if "FAILED" in line]
    assert code == 1
    assert len(out.splitlines()) == 6
    assert failed == [line for line in out.splitlines() if "decode_audio" in line]
    assert "tiny/decode_audio: not an ONNX file" in failed[0]


@needs_rtx
@without_gpu
@pytest.mark.parametrize("options", [(), ("--dry-run", "--check")])
def test_without_a_gpu_only_a_dry_run_is_possible(options: tuple[str, ...], tmp_path: Path) -> None:
    code, out, error = run("testcard", "--cache", str(tmp_path), *options)
    assert (code, out) == (1, "")
    assert error.startswith("error: ")
    assert "--dry-run" in error
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_int8_of_a_bundle_for_cpus_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "gpu_count", lambda: 0)
    code, out, _ = run("testcard", "--dry-run", "--precision", "int8")
    assert code == 1
    assert out.count("FAILED: testcard/") == 5
    assert "--precision fp16" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--runtime", "cuda"), "runtime is 'cuda'; TensorRT is one of tensorrt, tensorrt-rtx"),
        (("--precision", "fp12"), "precision is 'fp12', and not one of fp32, fp16, bf16, int8, fp8"),
        (("nowhere/at/all",), "nowhere/at/all is not a bundle"),
        (("no-such-name",), "no bundle named 'no-such-name'"),
    ],
)
def test_mistakes_are_one_line(options: tuple[str, ...], said: str) -> None:
    code, out, error = run(*options)
    assert (code, out) == (1, "")
    assert error.startswith(f"error: {said}")


def test_a_damaged_bundle_is_not_compiled(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    (folder / "denoise.onnx").write_bytes(b"something else")
    code, _, error = run(str(folder), "--dry-run")
    assert code == 1
    assert "SHA-256" in error
