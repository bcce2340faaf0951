"""Where everything in the picture moves to: optical flow, in a few cells, as a camera is told by it.

Flow after Farnebäck 2003, "Two-Frame Motion Estimation Based on Polynomial Expansion", as OpenCV computes it.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS: Final = 4
COLUMNS: Final = 7
"""Cells into which the picture is divided."""


def flow_of(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean movement of each cell from one picture to the next, in pixels: uint8 [T, h, w] -> float32 [T - 1, 2, 4, 7].

    The first of the two is to the right, the second downwards.
    """
    found = np.zeros((max(0, len(grey) - 1), 2, ROWS, COLUMNS), np.float32)
    for step in range(len(found)):
        blank = np.zeros((*grey.shape[1:], 2), np.float32)
        field = cv2.calcOpticalFlowFarneback(grey[step], grey[step + 1], blank, 0.5, 3, 13, 2, 5, 1.1, 0)
        found[step] = cv2.resize(field, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
    return found
