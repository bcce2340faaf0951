"""The camera: what of the painted picture is seen. Panning is not here: layers move by `View.pan`, near ones faster."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.screen import Plane, Screen, f32
from streamgen_export.pocket.world.view import View

ZOOM: Final = 1.3
"""How much larger everything is when the camera is closest."""
ZOOM_CHUNKS: Final = 20
"""From one closest moment to the next."""
_ZOOM_ON = (0.5, 0.56)
"""Share of the picture's width and height that stays where it is."""

_SWAY_SCALE = 1.07
"""Larger than the picture by this much, so that its border never comes into sight."""
_SWAY_X: Final = ((1.5, 16, 0.0), (0.8, 7, 1.3))
_SWAY_Y: Final = ((1.0, 12, 0.7), (0.6, 5, 2.1))
_SWAY_TURN: Final = ((0.0062, 24, 0.4), (0.0026, 10, 1.9))
"""Sinusoids of a hand: (units or radians, period in chunks, phase)."""


def framed(canvas: Plane, cover: Plane, camera: str, view: View) -> tuple[Plane, Plane]:
    """What the camera sees of a picture [H, W, 3] and of the coverage of its subjects [H, W]."""
    if camera == "zoom":
        matrix = _zoom(view.screen, view.time_s)
    elif camera == "sway":
        matrix = _sway(view.screen, view.time_s)
    else:
        return canvas, cover
    return _warped(canvas, matrix), _warped(cover, matrix)


def _warped(picture: Plane, matrix: Plane) -> Plane:
    size = (picture.shape[1], picture.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT))


def _zoom(screen: Screen, time_s: float) -> Plane:
    """Matrix [2, 3] from where a pixel is seen to where it was painted."""
    close = 0.5 - 0.5 * cos(2 * pi * time_s / (ZOOM_CHUNKS * POCKET.chunk_s))
    shrunk = 1.0 / (1.0 + (ZOOM - 1.0) * close)
    x, y = _ZOOM_ON[0] * screen.width, _ZOOM_ON[1] * screen.height
    return f32([[shrunk, 0.0, (1.0 - shrunk) * x], [0.0, shrunk, (1.0 - shrunk) * y]])


def _sway(screen: Screen, time_s: float) -> Plane:
    """Matrix [2, 3] from where a pixel is seen to where it was painted."""
    dx, dy, turn = (_swing(waves, time_s) for waves in (_SWAY_X, _SWAY_Y, _SWAY_TURN))
    x, y = 0.5 * screen.width, 0.5 * screen.height
    a, b = cos(turn) / _SWAY_SCALE, sin(turn) / _SWAY_SCALE
    return f32([[a, -b, x - a * x + b * y + dx * screen.unit], [b, a, y - b * x - a * y + dy * screen.unit]])


def _swing(waves: tuple[tuple[float, int, float], ...], time_s: float) -> float:
    return sum(size * sin(2 * pi * time_s / (chunks * POCKET.chunk_s) + phase) for size, chunks, phase in waves)
