"""What a graphics card can do at most, as its maker publishes it: the peaks that floors are computed from.

Tensor cores without sparsity, with sums in float32; `float32` is that of the ordinary cores. Sources: NVIDIA's
datasheets of the H200, H100 and L4 (there with sparsity, so halved here), and its whitepapers on the Ada and the RTX
Blackwell GPU architecture, the tables that compare GeForce cards.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ANSWER_S: Final = 20


@dataclass(frozen=True, slots=True)
class Card:
    """Published peaks.

    Attributes:
        name: as the driver tells it, or its beginning.
        bytes_per_s: of its memory.
        flops_per_s: by the type of what is multiplied, numpy's names; additions and multiplications counted apart.
    """

    name: str
    bytes_per_s: float
    flops_per_s: Mapping[str, float]


def _card(name: str, gigabytes: float, half: float, eighth: float, single: float, integer: float) -> Card:
    tera = 1e12
    peaks = {
        "float16": half * tera,
        "bfloat16": half * tera,
        "float8": eighth * tera,
        "float32": single * tera,
        "int8": integer * tera,
    }
    return Card(name, gigabytes * 1e9, peaks)


CARDS: Final = (
    _card("NVIDIA H200", 4800, half=989.5, eighth=1979, single=67, integer=1979),
    _card("NVIDIA H100 PCIe", 2000, half=756.5, eighth=1513, single=51, integer=1513),
    _card("NVIDIA H100", 3350, half=989.5, eighth=1979, single=67, integer=1979),
    _card("NVIDIA GeForce RTX 4090", 1008, half=165.2, eighth=330.3, single=82.6, integer=660.6),
    _card("NVIDIA GeForce RTX 5090", 1792, half=209.5, eighth=419, single=104.8, integer=838),
    _card("NVIDIA L4", 300, half=121, eighth=242.5, single=30.3, integer=242.5),
)
"""The longer name first where one begins with another."""


def card_named(name: str) -> Card | None:
    """The card whose name begins so, word by word (an L40 is no L4); None for one that is not in the table."""
    words = name.split()
    return next((card for card in CARDS if words[: len(card.name.split())] == card.name.split()), None)


def installed() -> dict[str, str] | None:
    """Name, driver, memory and compute capability of the first NVIDIA GPU, as its driver tells them; None without."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    asked = ("name", "driver_version", "memory.total", "compute_cap")
    try:
        done = subprocess.run(
            [command, f"--query-gpu={','.join(asked)}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    first = next(iter(done.stdout.splitlines()), "")
    told = [each.strip() for each in first.split(",")]
    return dict(zip(asked, told, strict=True)) if len(told) == len(asked) else None
