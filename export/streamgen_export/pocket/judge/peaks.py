"""From a probability at each moment to the times of single events."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_GAP_S: Final = 0.2
"""Events of one kind that follow one another faster count as one."""


def peaks(likely: NDArray[np.float32], step_s: float, threshold: float = 0.5) -> list[float]:
    """Times in seconds of the highest probabilities, finer than one step.

    Args:
        likely: probability at each step, float32 [N].
        step_s: from one step to the next.
        threshold: what a probability must reach.
    """
    gap = round(MIN_GAP_S / step_s)
    times: list[float] = []
    left = likely.copy()
    while left.size and left.max() > threshold:
        step = int(left.argmax())
        around = slice(max(0, step - 1), step + 2)
        centre = float(np.average(np.arange(len(likely))[around], weights=likely[around]))
        times.append(centre * step_s)
        left[max(0, step - gap) : step + gap + 1] = 0
    return sorted(times)
