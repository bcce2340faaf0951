"""Where a report comes from: the commit, the bundle's hashes and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from streamgen_engines.bundle import Bundle


@dataclass(frozen=True)
class Provenance:
    """What must be known to make a report again.

    Attributes:
        bundle: name in the manifest.
        sha256: graph to the hash of its file.
        training: what the bundle says about its training.
        commit: of the source, with "-dirty" where files differ from it; None outside a checkout.
        hardware: processor and its number of cores.
        software: package to version.
    """

    bundle: str
    sha256: dict[str, str]
    training: dict[str, object]
    commit: str | None
    hardware: str
    software: dict[str, str]


def provenance_of(bundle: Bundle) -> Provenance:
    """Provenance of a report made here and now about `bundle`."""
    manifest = bundle.manifest
    return Provenance(
        bundle=manifest.name,
        sha256={name: graph.sha256 for name, graph in manifest.graphs.items()},
        training=dict(manifest.training),
        commit=_commit(),
        hardware=f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        software={name: version(name) for name in ("streamgen", "torch", "onnxruntime", "numpy")},
    )


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
