"""Which variants of a bundle there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to compute a bundle.

    Attributes:
        name: also that of its folder.
        device: what it is for. Those for GPUs run on ONNX Runtime's CPU kernels too, slowly, so their pictures can be
            judged without one.
        linears: how the products with weights are computed, in words.
    """

    name: str
    device: Device
    linears: str


REFERENCE: Final = Kind("float32", "cpu", "float32, the bundle's weights turned back from int8")
DYNAMIC: Final = Kind("int8-dynamic", "cpu", "int8, range of an activation looked for on every call")
STATIC: Final = Kind("int8-static", "cpu", "int8, range of an activation measured once")
HALF: Final = Kind("fp16", "gpu", "float16")
FP8: Final = Kind("fp8", "gpu", "fp8 (E4M3) in the denoiser, float16 elsewhere")
INT8_GPU: Final = Kind("int8-gpu", "gpu", "int8, symmetric, in the denoiser, float16 elsewhere")

KINDS: Final = {kind.name: kind for kind in (REFERENCE, DYNAMIC, STATIC, HALF, FP8, INT8_GPU)}
"""By name, the yardstick first."""
