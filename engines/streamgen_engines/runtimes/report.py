"""What can run a graph on this machine, and the command that adds what cannot: detection only, nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import onnxruntime

from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.runtime_name import RuntimeName, read_runtime
from streamgen_engines.runtimes.cuda_provider import INSTALL as INSTALL_CUDA
from streamgen_engines.runtimes.cuda_provider import PROVIDER as CUDA_PROVIDER
from streamgen_engines.runtimes.openvino import INSTALL as INSTALL_OPENVINO

_CPU_FLAGS = Path("/proc/cpuinfo")
DRIVER_FILE: Final = Path("/proc/driver/nvidia/version")
"""There as long as the kernel has NVIDIA's driver."""
_BESIDE_CUDA: Final = ("cuda-bindings", "onnx")  # what the extra brings besides ONNX Runtime, and loading needs


@dataclass(frozen=True)
class RuntimeReport:
    """One runtime as it is found here."""

    name: str
    usable: bool
    detail: str
    install: str
    """The command that adds the runtime; empty when it is usable or when no command can add it."""


def _int8_instructions(cpuinfo: str) -> str:
    flags = set(cpuinfo.split())
    if flags & {"avx512_vnni", "avx_vnni"}:
        return "int8 dot products in hardware (VNNI)"
    return "no VNNI: int8 graphs run, but slower"


def tensorrt_report(
    name: str, installed: Callable[[str], str | None] | None = None, driver: Path | None = None
) -> RuntimeReport:
    """Whether TensorRT or TensorRT-RTX (`name`) can run.

    Args:
        name: of the runtime, which is that of its package.
        installed: gives the version of a package, None when it is not there.
        driver: the file that NVIDIA's driver shows.
    """
    installed = _version if installed is None else installed
    driver = DRIVER_FILE if driver is None else driver
    found = installed(name) or installed(name.replace("-", "_"))
    if found is None:
        return RuntimeReport(name, False, "not installed", f"pip install 'streamgen[{name}]'")
    if not driver.exists():
        detail = f"version {found} builds graphs here (streamgen compile --dry-run); no NVIDIA driver to run them with"
        return RuntimeReport(name, False, detail, "")
    return RuntimeReport(name, True, f"version {found}, and a driver; not yet tried by us on any GPU", "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def openvino_report(installed: Callable[[str], str | None] = _version) -> RuntimeReport:
    """Whether OpenVINO is here. `installed` gives the version of a package, None when it is not there."""
    found = installed("openvino")
    if found is None:
        return RuntimeReport("openvino", False, "not installed; an optional runtime for CPUs", INSTALL_OPENVINO)
    return RuntimeReport("openvino", True, f"OpenVINO {found} on the CPU", "")


def cuda_report(
    providers: list[str], installed: Callable[[str], str | None] = _version, driver: Path = DRIVER_FILE
) -> RuntimeReport:
    """Whether ONNX Runtime can use a GPU.

    Args:
        providers: that this ONNX Runtime has been built with.
        installed: the version of a package, None when it is not there.
        driver: the file that NVIDIA's driver shows.
    """
    name = "onnxruntime-cuda"
    if CUDA_PROVIDER not in providers:
        package = installed("onnxruntime-gpu")
        if package is None:
            return RuntimeReport(name, False, "this ONNX Runtime has no CUDA provider", INSTALL_CUDA)
        detail = f"onnxruntime-gpu {package} is installed, but the files of the package onnxruntime lie over its own"
        return RuntimeReport(name, False, detail, INSTALL_CUDA)
    lacking = [package for package in _BESIDE_CUDA if installed(package) is None]
    if lacking:
        named = " ".join(lacking)
        return RuntimeReport(name, False, f"the provider is there, {named} is not installed", f"pip install {named}")
    if not driver.exists():
        return RuntimeReport(name, False, "the provider is there, and no NVIDIA driver", "")
    return RuntimeReport(
        name, True, "provider and driver are there; not tried here, and not yet tried by us on any GPU", ""
    )


def require(name: str, reports: Iterable[RuntimeReport] | None = None) -> RuntimeName:
    """The runtime of that name, once it is known to be here; nothing is loaded.

    Args:
        name: of the runtime.
        reports: what is here; None = look.

    Raises:
        RuntimeUnavailableError: it is not, or there is none of that name; the message says what adds it.
    """
    found = read_runtime(name)
    report = next(each for each in (available() if reports is None else reports) if each.name == found)
    if not report.usable:
        advice = f"; install it with `{report.install}`" if report.install else ""
        raise RuntimeUnavailableError(f"the runtime {name} cannot be used here: {report.detail}{advice}")
    return found


def available() -> list[RuntimeReport]:
    """Every runtime that streamgen knows, usable ones first."""
    cpuinfo = _CPU_FLAGS.read_text() if _CPU_FLAGS.exists() else ""
    every = [
        RuntimeReport(
            "onnxruntime-cpu", True, f"ONNX Runtime {onnxruntime.__version__}, {_int8_instructions(cpuinfo)}", ""
        ),
        openvino_report(),
        cuda_report(onnxruntime.get_available_providers()),
        tensorrt_report("tensorrt"),
        tensorrt_report("tensorrt-rtx"),
    ]
    return sorted(every, key=lambda report: not report.usable)
