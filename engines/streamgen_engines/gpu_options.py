"""How a model is put on a GPU, for settings and flags: importing this loads no runtime."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from streamgen_engines.errors import UnknownPrecisionError

Precision: TypeAlias = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
"""What heavy operators are computed in."""
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class GpuOptions:
    """What runtimes on a GPU are told; those on a CPU need none of it.

    Attributes:
        precision: of every graph; None is what each was exported in, or fp16.
        plan_cache: folder of the plans; None is the user's. TensorRT alone.
        device: number of the GPU, from 0.
    """

    precision: Precision | None = None
    plan_cache: Path | None = None
    device: int = 0


def read_precision(name: str | None) -> Precision | None:
    """The precision of that name; None stays None.

    Raises:
        UnknownPrecisionError: there is none of that name.
    """
    found = next((each for each in PRECISIONS if each == name), None)
    if name is not None and found is None:
        raise UnknownPrecisionError(f"precision is {name!r}, and not one of {', '.join(PRECISIONS)}")
    return found
