"""What a stretch of picture and sound looks and sounds like, in a few numbers, and how much like another it is."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

LOOKS: Final = ("luminance", "saturation", "sharpness", "contrast", "loudness_db", "motion")
"""What `measure_look` measures."""
SILENCE_DB: Final = -90.0
SAME: Final = 0.3
"""Mean absolute difference of two chunks, of 255 levels, below which they count as equal."""
FLAT: Final = 0.02
"""Contrast below which a picture shows nothing."""
SILENT_DB: Final = -60.0


def measure_look(video: NDArray[np.uint8], audio: NDArray[np.float32]) -> dict[str, float]:
    """Measures a chunk of uint8 [T, H, W, 3] and float32 [channels, S].

    Returns:
        of the last picture: luminance, 0 to 1; saturation, largest minus smallest of red, green and blue, 0 to 1;
        sharpness, mean absolute difference of neighbouring pixels' luminance, 0 to 1; contrast, standard deviation of
        the luminance; of all: loudness_db, RMS in dB of full scale; motion, mean absolute difference of neighbouring
        pictures, 0 to 1.
    """
    last = video[-1]
    luminance = cv2.cvtColor(last, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    red, green, blue = cv2.split(last)
    spread = cv2.subtract(cv2.max(red, cv2.max(green, blue)), cv2.min(red, cv2.min(green, blue)))
    across, down = np.abs(np.diff(luminance, axis=1)).mean(), np.abs(np.diff(luminance, axis=0)).mean()
    return {
        "luminance": float(luminance.mean()),
        "saturation": float(spread.mean()) / 255,
        "sharpness": float(across + down) / 2,
        "contrast": float(luminance.std()),
        "loudness_db": loudness(audio),
        "motion": float(picture_changes(video).mean()) / 255,
    }


def loudness(audio: NDArray[np.float32]) -> float:
    """RMS in dB of full scale, not below `SILENCE_DB`."""
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return max(SILENCE_DB, float(10 * np.log10(power + 1e-12)))


def picture_changes(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean absolute difference of each picture to the next: uint8 [T, H, W, 3] -> float64 [T - 1], 0 to 255."""
    return np.array([float(cv2.absdiff(a, b).mean()) for a, b in pairwise(video)], dtype=np.float64)


def difference(small: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two chunks of small pictures, of 255 levels."""
    return float(cv2.absdiff(small, other).mean())
