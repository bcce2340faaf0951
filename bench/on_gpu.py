"""Everything that a GPU is needed for, with one command: `python -m bench.on_gpu --out FOLDER`.

For a machine that is at hand for some minutes and has no network. Parts run one after the other, each in a process of
its own with a time limit; one that fails or hangs costs its own time and nothing else. Records go into `results.jsonl`
of the folder, what parts print into `log.txt`, and a short table comes last.

A folder with wheels (`--wheels`) is installed first, without dependencies and beside everything else. A wheel that is
too large to be carried in one piece may be cut: `NAME.whl.00`, `NAME.whl.01` and so on are joined.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cards import installed

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = "results.jsonl"
LOG: Final = "log.txt"
SECONDS: Final = 570.0
TAIL: Final = 12
"""Lines of a failed part that are shown."""
MODULES: Final = (
    *("numpy", "onnx", "onnxruntime", "pydantic", "tokenizers", "psutil", "av", "torch", "onnxscript"),
    *("pytest", "pytest_asyncio", "cuda.bindings", "tensorrt_rtx", "tensorrt"),
)
"""What the parts import; those that are not there are named first, because they explain what fails."""
PYTEST_INI: Final = "[pytest]\nmarkers =\n    gpu: needs an NVIDIA GPU\n"
"""In the place of the project's own settings, which ask for plugins that the tests for GPUs do not need."""
GPU_TESTS: Final = ("tests/tensorrt/test_gpu.py", "tests/engines/test_onnxruntime_cuda_device.py")
GRACE_S: Final = 10
"""Between the request to end and the end."""


@dataclass(frozen=True, slots=True)
class Part:
    """One command.

    Attributes:
        name: in the table.
        command: after the interpreter.
        limit_s: when it is ended.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part.

    Attributes:
        part: which.
        code: its exit code; None when it was ended, or not begun.
        took_s: how long it ran.
        said: its last line.
    """

    part: Part
    code: int | None
    took_s: float
    said: str

    def __str__(self) -> str:
        """As a line of the table."""
        state = "not begun" if self.took_s == 0 else "time was up" if self.code is None else f"code {self.code}"
        return f"{self.part.name:24} {state:12} {self.took_s:6.1f} s  {self.said}"


def parts(out: Path, ini: Path, *, rehearse: bool) -> tuple[Part, ...]:
    """What is done, in the order of its worth; together less than ten minutes.

    Args:
        out: where records go.
        ini: settings of pytest.
        rehearse: at tiny size on the CPU; nothing is recorded.
    """
    results = ("--results", str(out / RESULTS))
    tests = ("-m", "pytest", "-c", str(ini), "--rootdir", str(ROOT), "--import-mode=importlib", "-q")
    kept = (*tests, "-ra", "-p", "no:cacheprovider", "-m", "gpu", *GPU_TESTS)
    if rehearse:
        tiny = ("--device", "cpu", "--tiny", "--rings", "6", "--runs", "2", "--backend", "eager", "--decoders", "taehv")
        pocket = ("--bundle", "testcard", "--runs", "2", "--chunks", "2", "--channels", "1", "--trial-s", "0.5")
        return (
            Part("rtx", ("-m", "bench.rtx", "--no-record"), 60),
            Part("tests", kept, 60),
            Part("pocket", ("-m", "bench.gpu", "--runtime", "onnxruntime-cpu", *pocket), 90),
            Part("wan", ("-m", "bench.wan", *tiny, "--runtimes", "torch"), 90),
        )
    return (
        Part("rtx", ("-m", "bench.rtx", *results), 45),
        Part("cuda", ("-m", "bench.rtx", "--runtime", "onnxruntime-cuda", *results), 25),
        Part("wan torch", _wan(results, 170, "--runtimes", "torch"), 200),
        Part("pocket tensorrt-rtx", ("-m", "bench.gpu", "--limit-s", "75", *results), 90),
        # Where TensorRT-RTX does not run, this is the measured path.
        Part("pocket cuda", ("-m", "bench.gpu", "--runtime", "onnxruntime-cuda", "--limit-s", "70", *results), 85),
        Part("tests", kept, 60),
        Part("wan graphs", _wan(results, 40, "--runtimes", "tensorrt-rtx", "onnxruntime-cuda", "--rings", "21"), 65),
    )


def _wan(results: Sequence[str], limit_s: float, *options: str) -> tuple[str, ...]:
    return ("-m", "bench.wan", "--limit-s", str(limit_s), *options, *results)


def perform(part: Part, out: Path, environment: Mapping[str, str], left_s: float) -> Outcome:
    """Run one part for as long as it may, and what is left of the whole; everything that it started ends with it."""
    limit_s = min(part.limit_s, left_s)
    if limit_s <= 0:
        return Outcome(part, None, 0.0, "no time was left")
    started = time.monotonic()
    code: int | None
    log = out / LOG
    with log.open("ab") as written:
        written.write(f"\n== {part.name}: {' '.join(part.command)}\n".encode())
        written.flush()
        begin = written.tell()
        process = subprocess.Popen(
            [sys.executable, *part.command],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
            process.terminate()  # what it has found so far can still be written down
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
        finally:
            _end(process)
    said = log.read_bytes()[begin:].decode(errors="replace")
    lines = [line for line in said.splitlines() if line.strip()]
    if code != 0:
        print("\n".join(lines[-TAIL:]), flush=True)
    return Outcome(part, code, time.monotonic() - started, lines[-1][:160] if lines else "said nothing")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part with all processes that it started: they are a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of them have ended
    process.wait(GRACE_S)


def install(wheels: Path, site: Path) -> str:
    """Install a folder of wheels, joined where they are cut; what was done, in a line."""
    pieces: dict[str, list[Path]] = {}
    for piece in sorted(wheels.glob("*.whl.[0-9][0-9]")):
        pieces.setdefault(piece.stem, []).append(piece)
    site.mkdir(parents=True, exist_ok=True)
    for name, each in pieces.items():
        with (site / name).open("wb") as whole:
            for piece in each:
                whole.write(piece.read_bytes())
    found = [*sorted(wheels.glob("*.whl")), *sorted(site.glob("*.whl"))]
    if not found:
        return f"no wheels in {wheels.name}"
    pip = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade")
    failed = []
    for wheel in found:  # one by one, so that one that does not fit this Python takes no other with it
        done = subprocess.run(
            [sys.executable, *pip, "--target", str(site), str(wheel)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            failed.append(f"{wheel.name}: {last}")
    told = f"{len(found) - len(failed)} of {len(found)} wheels installed"
    return "; ".join([told, *failed])


def missing(environment: Mapping[str, str]) -> list[str]:
    """Modules that the parts would look for in vain."""
    ask = "import importlib.util as u, sys\nfor n in sys.argv[1:]:\n try: f = u.find_spec(n)\n"
    ask += " except ImportError: f = None\n print('' if f else n)"
    done = subprocess.run(
        [sys.executable, "-c", ask, *MODULES], env=dict(environment), capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def headlines(results: Path) -> list[str]:
    """The figures that were asked for, from the records that there are."""
    if not results.exists():
        return ["nothing was recorded"]
    lines = []
    for text in results.read_text().splitlines():
        run = json.loads(text)
        figures = run["figures"]
        if run["bench"] == "runs":
            answer = "runs" if figures["runs"] else f"does not run ({run['failures'][0]})"
            capability = figures["gpu"].get("compute_cap")
            lines.append(f"{run['settings']['runtime']} {answer} on compute capability {capability}")
        elif run["bench"] == "gpu":
            held = figures.get("held") or {"channels": "?"}
            name = f"{run['bundle']['name']} {run['settings']['runtime']}"
            loop = f", loop on the {figures['loop']}" if "loop" in figures else ""
            lines.append(
                f"{name}: {figures['realtime_ratio']} times real time, chunk p50 {figures['chunk_ms']['p50']} "
                f"p99 {figures['chunk_p99_ms']} ms, {held['channels']} channels{loop}"
            )
        elif run["bench"] == "wan":
            for row in sorted(figures["chunks"], key=lambda each: each["chunk_ms"]["p50"])[:3]:
                lines.append(
                    f"wan {row['size']} {row['precision']} ring {row['ring']} {row['decoder']} torch {row['way']}: "
                    f"{row['chunk_ms']['p50']} ms a chunk, {row['pictures_per_s']} pictures/s"
                )
    return lines


def _environment(site: Path) -> dict[str, str]:
    """Of every part: the project's packages, and what was installed for it."""
    paths = [str(site), *(str(ROOT / each) for each in ("", "engines", "export", "client"))]
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*paths, *([before] if before else [])]),
        "PYTHONUNBUFFERED": "1",
    }


def main(arguments: list[str] | None = None) -> int:
    """The command. 0 when every part came to its end well."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.on_gpu", description="All measurements on a GPU, in minutes."
    )
    parser.add_argument("--out", type=Path, default=os.environ.get("OUT"), help="folder for records and logs [$OUT]")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install first")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for all of it [{SECONDS:g}]")
    parser.add_argument("--only", nargs="+", help="names of parts")
    parser.add_argument("--rehearse", action="store_true", help="at tiny size on the CPU; records nothing")
    given = parser.parse_args(arguments)
    if given.out is None:
        parser.error("--out: name a folder for records and logs")
    end_s = time.monotonic() + given.seconds
    out = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    print(f"{installed() or 'no NVIDIA GPU'}; Python {sys.version.split()[0]}", flush=True)
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        ini, site = Path(scratch) / "pytest.ini", Path(scratch) / "site"
        ini.write_text(PYTEST_INI)
        environment = _environment(site)
        if given.wheels:
            print(install(given.wheels, site), flush=True)
        print(f"not installed: {', '.join(missing(environment)) or 'nothing'}", flush=True)
        for part in parts(out, ini, rehearse=given.rehearse):
            if not given.only or part.name in given.only:
                outcomes.append(perform(part, out, environment, end_s - time.monotonic()))
                print(outcomes[-1], flush=True)
    print("\n".join(["", *map(str, outcomes), "", *headlines(out / RESULTS)]))
    return 0 if all(outcome.code == 0 for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
