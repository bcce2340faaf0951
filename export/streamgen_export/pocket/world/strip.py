"""Layers that cover a part of the picture's rows: colour with coverage, scrolled, bent or set down anywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np

from streamgen_export.pocket.world.screen import Plane, Screen, f32

Spot: TypeAlias = tuple[float, float]
"""A place in units (right, down)."""


def premultiplied(colour: Plane, cover: Plane) -> Plane:
    """Colour ([3] or [h, w, 3]) times coverage [h, w], with the coverage behind it: float32 [h, w, 4]."""
    layer = np.empty((*cover.shape, 4), np.float32)
    layer[..., :3] = colour * cover[..., None]
    layer[..., 3] = cover
    return layer


def stack(below: Plane, above: Plane) -> Plane:
    """One premultiplied layer over another, both float32 [h, w, 4]."""
    return f32(above + below * (1.0 - above[..., 3:]))


def lay(canvas: Plane, layer: Plane, strength: float = 1.0) -> None:
    """Paint a premultiplied layer [h, w, 4] over a canvas of the same size, in place."""
    if strength < 1.0:
        layer = layer * np.float32(strength)
    red, green, blue, cover = cv2.split(layer)
    clear = 1.0 - cover
    canvas *= cv2.merge((clear, clear, clear))
    canvas += cv2.merge((red, green, blue))


def toward(canvas: Plane, colour: Plane, share: Plane) -> None:
    """Move a canvas towards one colour [3] in place, by a share [h, w]."""
    clear = f32(1.0 - share)
    canvas *= cv2.merge((clear, clear, clear))
    canvas += cv2.merge([share * np.float32(c) for c in colour])


def bent(layer: Plane, across: Plane, down: Plane) -> Plane:
    """The layer [h, w, ...] read at other places, in pixels [h', w'] each; what lies outside repeats the edge."""
    return f32(cv2.remap(layer, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def set_down(canvas: Plane, patch: Plane, left: float, top: float) -> None:
    """Paint a premultiplied patch [h, w, 4] with its corner anywhere, in pixels, cut where it leaves the canvas.

    Its place is kept to a fraction of a pixel sideways, so that it can drift slowly without steps. The outermost
    columns of the patch must be empty.
    """
    column, row = int(np.floor(left)), round(top)
    height, width = patch.shape[:2]
    first, last = max(0, -column), min(width, canvas.shape[1] - column)
    upper, lower = max(0, -row), min(height, canvas.shape[0] - row)
    if first >= last or upper >= lower:
        return
    matrix = f32([[1, 0, left - column], [0, 1, 0]])
    moved: Plane = f32(
        cv2.warpAffine(patch, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )
    lay(canvas[row + upper : row + lower, column + first : column + last], f32(moved[upper:lower, first:last]))


def add_glow(canvas: Plane, screen: Screen, at: Spot, radius: float, light: Plane) -> None:
    """Add soft round light of a colour [3] that ends at `radius` units; white is never exceeded."""
    (x, y), unit = at, screen.unit
    left, right = max(0, int((x - radius) * unit)), min(screen.width, int((x + radius) * unit) + 2)
    top, bottom = max(0, int((y - radius) * unit)), min(screen.height, int((y + radius) * unit) + 2)
    if left >= right or top >= bottom:
        return
    square = (screen.x[:, left:right] - x) ** 2 + (screen.y[top:bottom] - y) ** 2
    fall = np.maximum(1.0 - square * np.float32(1.0 / radius**2), 0.0)
    part = canvas[top:bottom, left:right]
    part += (fall * fall * fall)[..., None] * light * np.maximum(1.0 - part, 0.0)


def polyline(x: Plane, y: Plane, points: tuple[Spot, ...]) -> tuple[Plane, Plane]:
    """Distance to an open line through points, and how far along it the nearest place is (0 to 1), like x + y."""
    best = np.full(np.broadcast(x, y).shape, 1e9, np.float32)
    along = np.zeros_like(best)
    count = len(points) - 1
    for index, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        dx, dy = bx - ax, by - ay
        share = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-9), 0.0, 1.0)
        distance = np.hypot(x - ax - share * dx, y - ay - share * dy)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        along = np.where(nearer, (index + share) / count, along)
    return f32(best), f32(along)
