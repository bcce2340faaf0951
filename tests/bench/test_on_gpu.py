import json
import os
import time
import zipfile
from pathlib import Path

import pytest

from bench import on_gpu, rtx
from bench.cards import installed
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.flavour import load_flavour
from streamgen_engines.tensorrt.lint import lint


def part(program: str, limit_s: float = 60.0) -> on_gpu.Part:
    return on_gpu.Part("a part", ("-c", program), limit_s)


def test_a_part_that_ends_well_and_one_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    well = on_gpu.perform(part("print('figure'); print()"), tmp_path, os.environ, 60)
    assert (well.code, well.said) == (0, "figure")
    ill = on_gpu.perform(part("raise SystemExit('no such thing')"), tmp_path, os.environ, 60)
    assert (ill.code, ill.said) == (1, "no such thing")
    assert "no such thing" in capsys.readouterr().out
    assert "figure" in (tmp_path / on_gpu.LOG).read_text()


def test_a_part_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    file = tmp_path / "child"
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    outcome = on_gpu.perform(part(program, 5.0), tmp_path, os.environ, 60)
    assert outcome.code is None
    status = Path(f"/proc/{file.read_text()}/stat")
    deadline_s = time.monotonic() + 10
    # Whoever inherits an orphan collects it; until then it is there as a zombie.
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < deadline_s:
        pass
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_a_part_whose_time_is_up_may_write_down_what_it_has(tmp_path: Path) -> None:
    program = (
        "import signal, sys, time\n"
        "def end(*_): print('so far'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "time.sleep(600)\n"
    )
    outcome = on_gpu.perform(part(program, 3.0), tmp_path, os.environ, 60)
    assert (outcome.code, outcome.said) == (None, "so far")


def test_what_is_left_of_the_whole_ends_a_part(tmp_path: Path) -> None:
    outcome = on_gpu.perform(part("print(1)"), tmp_path, os.environ, 0)
    assert (outcome.code, outcome.took_s) == (None, 0.0)
    assert "not begun" in str(outcome)


@pytest.mark.parametrize("rehearse", [False, True])
def test_the_parts_fit_into_the_time_that_a_gpu_is_at_hand(rehearse: bool, tmp_path: Path) -> None:
    found = on_gpu.parts(tmp_path, tmp_path / "pytest.ini", rehearse=rehearse)
    assert sum(each.limit_s for each in found) < 600
    assert len({each.name for each in found}) == len(found)


def test_a_wheel_in_pieces_is_joined_and_installed_and_a_wrong_one_named(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    whole = tmp_path / "streamgen_piece-1.0-py3-none-any.whl"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("streamgen_piece.py", "answer = 42\n")
        archive.writestr(
            "streamgen_piece-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: streamgen-piece\nVersion: 1.0\n"
        )
        archive.writestr(
            "streamgen_piece-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("streamgen_piece-1.0.dist-info/RECORD", "")
    content = whole.read_bytes()
    (wheels / f"{whole.name}.00").write_bytes(content[:100])
    (wheels / f"{whole.name}.01").write_bytes(content[100:])
    (wheels / "broken-1.0-py3-none-any.whl").write_bytes(b"nothing")
    told = on_gpu.install(wheels, site)
    assert told.startswith("1 of 2 wheels installed; broken-1.0-py3-none-any.whl: ")
    assert (site / "streamgen_piece.py").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert on_gpu.install(empty, tmp_path / "other") == "no wheels in empty"


def test_headlines_are_read_from_records(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert on_gpu.headlines(results) == ["nothing was recorded"]
    runs = [
        {
            "bench": "runs",
            "settings": {"runtime": "tensorrt-rtx"},
            "figures": {"gpu": {"compute_cap": "9.0"}, "runs": False},
            "failures": ["no kernel"],
        },
        {
            "bench": "gpu",
            "bundle": {"name": "pocket"},
            "settings": {"runtime": "tensorrt-rtx"},
            "figures": {"realtime_ratio": 3.0, "chunk_ms": {"p50": 1.0}, "chunk_p99_ms": 2.0},
        },
        {
            "bench": "gpu",
            "bundle": {"name": "pocket"},
            "settings": {"runtime": "onnxruntime-cuda"},
            "figures": {"realtime_ratio": 2.0, "chunk_ms": {"p50": 1.5}, "chunk_p99_ms": 2.5, "loop": "device"},
        },
    ]
    results.write_text("".join(json.dumps(run) + "\n" for run in runs))
    assert on_gpu.headlines(results) == [
        "tensorrt-rtx does not run (no kernel) on compute capability 9.0",
        "pocket tensorrt-rtx: 3.0 times real time, chunk p50 1.0 p99 2.0 ms, ? channels",
        "pocket onnxruntime-cuda: 2.0 times real time, chunk p50 1.5 p99 2.5 ms, ? channels, loop on the device",
    ]


def test_the_question_is_one_that_can_be_answered(tmp_path: Path) -> None:
    assert rtx.distance(OnnxRuntimeCpu(), tmp_path) == 0
    assert lint(rtx.question().SerializeToString(), "tensorrt-rtx") == []
    state = State(name="ring", shape=(1, rtx.HEADS, rtx.ROWS, rtx.WIDTH), dtype="float16")
    flavour = load_flavour("tensorrt-rtx")
    assert build(flavour, rtx.question().SerializeToString(), name="question", states=[state]).plan


def test_without_a_gpu_the_answer_is_no(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if installed() is not None:
        pytest.skip("this machine has a GPU")
    results = tmp_path / "results.jsonl"
    assert rtx.main(["--results", str(results)]) == 1
    assert "does not run on this machine" in capsys.readouterr().err
    assert not results.exists()


def test_the_command_runs_its_parts_and_goes_on_after_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(*_: object, **__: object) -> tuple[on_gpu.Part, ...]:
        asks = "import bench.cards, streamgen_engines, streamgen_export; print('all imported')"
        return part("raise SystemExit('lost')"), on_gpu.Part("second", ("-c", asks), 60.0)

    monkeypatch.setattr(on_gpu, "parts", two)
    assert on_gpu.main(["--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().out
    assert "not installed: " in told
    assert told.count("all imported") == 2  # when it came to its end, and in the table
    assert told.rstrip().endswith("nothing was recorded")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {on_gpu.LOG}
