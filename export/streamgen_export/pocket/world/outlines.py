"""Outlines of shapes in a subject's own units: curves, ellipses, ribbons, rounded rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cos, hypot, pi, sin
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.screen import Plane

Point: TypeAlias = tuple[float, float]
Outline: TypeAlias = NDArray[np.floating[Any]] | Sequence[Point]
"""Corners (right, down) in the subject's units: its half height is 1, its centre (0, 0)."""

_PER_SPAN: Final = 6  # corners of a curve from one of its points to the next


@lru_cache(maxsize=64)
def _weights(count: int, closed: bool) -> Plane:
    """Matrix from the points of a Catmull-Rom spline to its corners: [corners, count]."""
    spans = count if closed else count - 1
    t = np.arange(_PER_SPAN) / _PER_SPAN
    basis = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1)
    matrix = np.zeros((spans * _PER_SPAN + (0 if closed else 1), count))
    for span in range(spans):
        for k in range(4):
            index = span + k - 1
            column = index % count if closed else min(max(index, 0), count - 1)
            matrix[span * _PER_SPAN : (span + 1) * _PER_SPAN, column] += 0.5 * basis[:, k]
    if not closed:
        matrix[-1, -1] = 1.0
    return matrix


def curve(points: Outline, closed: bool = True) -> Plane:
    """A smooth line through points: [corners, 2]. Spline after Catmull and Rom (1974), uniform."""
    corners = np.asarray(points, np.float64)
    smoothed: Plane = _weights(len(corners), closed) @ corners
    return smoothed


@lru_cache(maxsize=1024)
def ellipse(centre: Point, half: Point, angle: float = 0.0, corners: int = 28) -> Plane:
    """Outline of an ellipse turned clockwise by `angle`."""
    across, down = _circle(corners)
    x, y = across * half[0], down * half[1]
    c, s = cos(angle), sin(angle)
    outline = np.empty((corners, 2))
    outline[:, 0], outline[:, 1] = c * x - s * y + centre[0], s * x + c * y + centre[1]
    return outline


@lru_cache(maxsize=8)
def _circle(corners: int) -> tuple[Plane, Plane]:
    around = np.arange(corners) * (2 * np.pi / corners)
    return np.cos(around), np.sin(around)


def ribbon(points: Outline, widths: Sequence[float] | Plane | float) -> Outline:
    """Outline of a line through points that is `widths` wide at each of them."""
    if len(points) == 2:
        (ax, ay), (bx, by) = points
        first, last = (widths, widths) if isinstance(widths, float) else (widths[0], widths[1])
        dx, dy = bx - ax, by - ay
        half = 0.5 / (hypot(dx, dy) + 1e-9)
        x, y = -dy * half, dx * half
        return [
            (ax + first * x, ay + first * y),
            (bx + last * x, by + last * y),
            (bx - last * x, by - last * y),
            (ax - first * x, ay - first * y),
        ]
    line = np.asarray(points)
    along = np.empty_like(line, dtype=np.float64)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    half_width = (0.5 * np.asarray(widths)) / (np.sqrt(along[:, 0] ** 2 + along[:, 1] ** 2) + 1e-9)
    side = along[:, ::-1] * half_width[..., None]
    side[:, 0] *= -1.0
    both = np.empty((2 * len(line), 2))
    np.add(line, side, out=both[: len(line)])
    np.subtract(line[::-1], side[::-1], out=both[len(line) :])
    return both


def rounded(centre: Point, half: Point, corner: float) -> Plane:
    """Outline of a rectangle with round corners."""
    x, y = half[0] - corner, half[1] - corner
    around = np.linspace(0, pi / 2, 6)
    quarters = [(x, y, 0.0), (-x, y, pi / 2), (-x, -y, pi), (x, -y, 1.5 * pi)]
    parts = [
        np.stack([a + corner * np.cos(around + t), b + corner * np.sin(around + t)], axis=1) for a, b, t in quarters
    ]
    outline: Plane = np.concatenate(parts) + np.asarray(centre)
    return outline
