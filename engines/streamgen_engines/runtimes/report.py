"""What can run a graph on this machine, and the command that adds what cannot: detection only, nothing is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import onnxruntime

_CPU_FLAGS = Path("/proc/cpuinfo")


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


def _installed(name: str, module: str, install: str) -> RuntimeReport:
    found = find_spec(module) is not None
    detail = "the package is installed; nothing here runs on it yet" if found else "not installed"
    return RuntimeReport(name, False, detail, "" if found else install)


def available() -> list[RuntimeReport]:
    """Every runtime that streamgen knows, usable ones first."""
    cpuinfo = _CPU_FLAGS.read_text() if _CPU_FLAGS.exists() else ""
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return [
        RuntimeReport(
            "onnxruntime-cpu", True, f"ONNX Runtime {onnxruntime.__version__}, {_int8_instructions(cpuinfo)}", ""
        ),
        RuntimeReport(
            "onnxruntime-cuda",
            False,
            "the provider is there; nothing here runs on it yet" if cuda else "this ONNX Runtime has no CUDA provider",
            "" if cuda else "pip install onnxruntime-gpu",
        ),
        _installed("tensorrt", "tensorrt", "pip install tensorrt"),
        _installed("tensorrt-rtx", "tensorrt_rtx", "pip install tensorrt-rtx"),
        _installed("openvino", "openvino", "pip install openvino"),
    ]
