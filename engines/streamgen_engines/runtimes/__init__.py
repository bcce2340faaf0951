"""Runtimes: what loads a graph onto a device and runs it."""

from streamgen_engines.runtimes.choice import runtime_named
from streamgen_engines.runtimes.interface import Array, Engine, Runtime, Signature, TensorSpec
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from streamgen_engines.runtimes.opened import OpenRuntimes
from streamgen_engines.runtimes.report import RuntimeReport, available, require

__all__ = [
    "Array",
    "Engine",
    "OnnxRuntimeCpu",
    "OpenRuntimes",
    "Runtime",
    "RuntimeReport",
    "Signature",
    "TensorSpec",
    "available",
    "require",
    "runtime_named",
]
