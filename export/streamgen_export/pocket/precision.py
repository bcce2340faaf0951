"""Which number type training computes in."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

import torch

ROWS, INNER, OUTER = 4096, 384, 1152
"""Sizes of the product that decides: what a layer of the transformer does with a batch."""
ROUNDS: Final = 5


@lru_cache(maxsize=1)
def bfloat16_pays() -> bool:
    """Whether this processor multiplies matrices faster in bfloat16, which is so with AMX and mostly not without.

    With AVX-512 alone, also with its bfloat16 part, torch 2.13 can be much slower in bfloat16 than in float32, so it is
    measured rather than read from the processor's flags.
    """
    return _product_s(torch.bfloat16) < _product_s(torch.float32)


def _product_s(kind: torch.dtype) -> float:
    x, weight = torch.ones(ROWS, INNER, dtype=kind), torch.ones(OUTER, INNER, dtype=kind)
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        took.append(time.perf_counter() - began)
    return min(took)


def mixed(device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe and faster, on this device."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or bfloat16_pays())
