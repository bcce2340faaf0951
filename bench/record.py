"""What is written down about a run: one JSON object per line, with the commit and the machine it was made on.

Nothing that names the place on the disk is written: a bundle is known by its name and the hash of its manifest.
"""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.manifest import MANIFEST_FILE

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results.jsonl"
PACKAGES: Final = ("aiortc", "av", "numpy", "onnxruntime", "openvino")
_GIT_LIMIT_S: Final = 20
_DECIMALS: Final = 3

Record = dict[str, Any]


def open_bundle(folder: Path | None) -> Bundle:
    """The bundle in a folder, a bundled one by its name, or the usual one. Raises `BundleError`."""
    return bundle_at(folder)


def begin(what: str, bundle: Bundle | None, settings: dict[str, Any]) -> Record:
    """A record without figures yet; call it before the run, because it says how busy the machine was then.

    Args:
        what: name of the benchmark.
        bundle: that is measured; None where a model is made for the run.
        settings: of the run; values that JSON knows.
    """
    return {
        "bench": what,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **_commit(),
        "hardware": {
            "cpu": cpu_model(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_mib": psutil.virtual_memory().total // 2**20,
        },
        "software": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            **{name: _version(name) for name in PACKAGES},
        },
        "bundle": None
        if bundle is None
        else {
            "name": bundle.manifest.name,
            "manifest_sha256": hashlib.sha256((bundle.root / MANIFEST_FILE).read_bytes()).hexdigest(),
        },
        "load_average_1m": round(os.getloadavg()[0], 2),
        "settings": settings,
    }


def finish(record: Record, figures: dict[str, Any], failures: list[str]) -> Record:
    """The record with its figures, rounded; `failures` says what could not be measured, and why."""
    return {
        **record,
        "load_average_1m_after": round(os.getloadavg()[0], 2),
        "figures": plain(figures),
        "failures": failures,
    }


def append(record: Record, file: Path = RESULTS) -> None:
    """Add a line."""
    with file.open("a", encoding="utf-8") as results:
        results.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def read(file: Path = RESULTS) -> list[Record]:
    """All records, oldest first; none when there is no file.

    Raises:
        ValueError: a line is not a record; it is named.
    """
    if not file.exists():
        return []
    records = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{file.name}, line {number} is not JSON ({error}); restore it from git") from None
        if not isinstance(record, dict) or not {"bench", "at", "commit", "figures"} <= record.keys():
            raise ValueError(f"{file.name}, line {number} is not a record of a run; restore it from git")
        records.append(record)
    return records


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses become objects, and floats are rounded to what can be read."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return round(value, _DECIMALS)
    return value


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's own name."""
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _commit() -> dict[str, Any]:
    head = _git("rev-parse", "HEAD")
    # What runs is what counts: a change to prose, or to the results themselves, makes no run another one.
    changed = _git("status", "--porcelain", "--", "streamgen", "engines", "client", "bench/*.py", "pyproject.toml")
    return {"commit": head or "unknown", "dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=_GIT_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
