"""`streamgen compile`, as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamgen.cli import app
from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.tensorrt import compile as compiling
from streamgen_engines.tensorrt.flavour import load_flavour
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanKey
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
    lines, loop, table = lines[:5], lines[5:8], lines[8:]
    assert code == 0
    assert first.startswith("testcard with tensorrt-rtx 1.7")
    assert first.endswith("(no GPU: nothing has been run)")
    names = ["text", "denoise", "decode_video", "decode_video, i420 640x360 426x240 320x180", "decode_audio"]
    assert [line.split(":")[0].strip() for line in lines] == names
    assert all("; built: " in line and "fp16" in line for line in lines)
    assert "2 caches" in lines[1]
    assert [line.split(":")[0].strip() for line in loop] == ["sampler step", "sampler weigh", "sampler finish"]
    assert all(": fp32; built: " in line for line in loop)
    assert table[0] == "memory of one channel on the GPU (~ is estimated)"
    assert [row.split()[0] for row in table[2:-3]] == ["text", "denoise", "decode_video", "decode_audio", "chunk"]
    assert "8 GiB" in table[-1]


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
    assert failed == [line for line in out.splitlines()[:6] if "decode_audio" in line]
    assert out.splitlines()[-1] == "  that is without decode_audio, which failed"
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


@needs_rtx
@without_gpu
def test_old_plans_are_removed_on_request(tmp_path: Path) -> None:
    plans = PlanCache(tmp_path)
    here = load_flavour("tensorrt-rtx").version
    for version in (here, "1.0"):
        plans.install(Plan(PlanKey("a" * 64, "tensorrt-rtx", version, "NVIDIA L4", "8.9"), b"plan"))
    _, out, _ = run("testcard", "--dry-run", "--prune", "--plan-cache", str(tmp_path))
    assert out.startswith("would remove 1 plans of other versions (no GPU answers, so those for GPUs stay)")
    assert len(list(tmp_path.glob("*.plan"))) == 2
    code, out, error = run("testcard", "--prune", "--plan-cache", str(tmp_path))
    assert (code, "no GPU" in out, "CUDA can use none here" in error) == (1, True, True)
    assert out.startswith("removed 1 plans")
    assert len(list(tmp_path.glob("*.plan"))) == 1
    assert plans.find(PlanKey("a" * 64, "tensorrt-rtx", here, "NVIDIA L4", "8.9")) is not None


@without_gpu
def test_what_serve_is_told_holds_for_compile_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[dict[str, object]] = []

    def compiled(bundle: Path | None, **options: object) -> int:
        told.append(options)
        return 0

    monkeypatch.setattr("streamgen.compiling.compile_bundle", compiled)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "streamgen.toml").write_text(
        'runtime = "tensorrt"\nprecision = "bf16"\nplan_cache = "plans"\ndevice = 2\n'
    )
    assert run("testcard")[0] == 0
    assert (
        run("testcard", "--runtime", "tensorrt-rtx", "--precision", "fp32", "--device", "0", "--cache", "here")[0] == 0
    )
    assert [each["runtime"] for each in told] == ["tensorrt", "tensorrt-rtx"]
    assert [each["gpu"] for each in told] == [
        GpuOptions("bf16", Path("plans"), 2),
        GpuOptions("fp32", Path("here"), 0),
    ]


@without_gpu
def test_the_memory_of_a_model_is_told_without_a_gpu() -> None:
    result = CliRunner().invoke(app, ["memory", "testcard", "--precision", "fp16"])
    assert result.exit_code == 0
    first, head, columns, *rows = result.stdout.splitlines()
    assert first == "testcard with tensorrt-rtx, estimated from its graphs (no GPU has been asked)"
    assert head == "memory of one channel on the GPU (~ is estimated)"
    assert columns.split()[:3] == ["MiB", "weights", "states"]
    assert [row.split()[0] for row in rows[:4]] == ["text", "denoise", "decode_video", "decode_audio"]
    assert rows[-1].strip().startswith("channels that have room (memory alone, not speed): 8 GiB ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("no-such-name",), "no bundle named 'no-such-name'"),
        (("--runtime", "openvino"), "runtime is 'openvino'; TensorRT is one of tensorrt, tensorrt-rtx"),
        (("--precision", "fp12"), "precision is 'fp12', and not one of"),
    ],
)
def test_memory_that_cannot_be_told(options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, ["memory", *options])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {said}")
