"""The last grading of a picture: a vignette that all have, and a palette."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.screen import Plane, Screen, f32

_LUMA = (0.30, 0.57, 0.13)

_PALETTES: Final[dict[str, tuple[float, tuple[float, float, float], tuple[float, float, float]]]] = {
    "warm": (0.96, (1.03, 0.95, 0.76), (0.065, 0.025, 0.0)),
    "cool": (0.94, (0.80, 0.95, 1.04), (0.0, 0.022, 0.075)),
    "pastel": (1.0, (0.66, 0.65, 0.66), (0.34, 0.325, 0.34)),
    "mono": (0.0, (1.12, 1.12, 1.12), (-0.035, -0.035, -0.035)),
}
"""Palette to (saturation, gain and lift of red, green and blue)."""


def graded(canvas: Plane, palette: str, screen: Screen) -> Plane:
    """Give a picture [H, W, 3] its palette and its vignette; may change and return its argument."""
    if palette != "natural":
        canvas = np.asarray(cv2.transform(np.clip(canvas, 0.0, 1.0), _matrix(palette)))
    canvas *= _vignette(screen)
    return canvas


@lru_cache(maxsize=8)
def _matrix(palette: str) -> Plane:
    """Colours to graded colours, [3, 4], the last column is added."""
    saturation, gain, lift = _PALETTES[palette]
    own = saturation * np.eye(3) + (1.0 - saturation) * np.array(_LUMA)[None, :]
    return f32(np.concatenate([np.array(gain)[:, None] * own, np.array(lift)[:, None]], axis=1))


@lru_cache(maxsize=4)
def _vignette(screen: Screen) -> Plane:
    """What every picture is multiplied with: float32 [H, W, 3]."""
    away = ((screen.x / screen.span - 0.5) * 2.0 * 0.9) ** 2 + ((screen.y / 96.0 - 0.5) * 2.0 * 0.8) ** 2
    dark = 1.0 - 0.17 * np.clip(away - 0.35, 0.0, None) ** 1.3
    return np.ascontiguousarray(np.broadcast_to(f32(dark)[..., None], (screen.height, screen.width, 3)))
