"""Northern lights: curtains of vertical rays whose folds are brighter where one sees along the curtain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.filters import blurred, resized
from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, shine
from streamgen_export.pocket.world.view import View

_BOTTOM = 70.0  # row below which there is none, in units
_SAMPLES = 1600  # along a curtain


@dataclass(frozen=True)
class _Curtain:
    """One curtain.

    Attributes:
        foot: mean row of its lower edge, in units.
        swing: how far that goes up and down.
        fold: how far the curtain goes back and forth sideways, in units.
        height: in units in which the low light falls to a third.
        low: colour above the lower edge.
        high: colour of the tall faint rays.
        strength: of its light.
        phase: makes it different from the others.
    """

    foot: float
    swing: float
    fold: float
    height: float
    low: str
    high: str
    strength: float
    phase: float


_CURTAINS: Final = (
    _Curtain(30.0, 5.0, 8.0, 7.0, "#2ee6b8", "#5b4bd8", 1.0, 2.4),
    _Curtain(48.0, 7.0, 11.0, 11.0, "#4dff9a", "#c04fd6", 1.75, 0.0),
)

_TALL = 2.7  # how much higher the faint rays reach
# The tall rays begin above the bright edge: there is as little of them there as of the low light above.
_COLOURS: Final = f32(
    np.stack(
        [0.80 * rgb(c.low) - 0.34 * rgb(c.high) for c in _CURTAINS] + [0.40 * rgb(c.high) for c in _CURTAINS], axis=1
    )
)
"""Light of low and of tall rays to colour, [3, 4]."""


def draw_aurora(canvas: Plane, view: View) -> None:
    """Add the curtains to the sky of a picture [H, W, 3]."""
    screen = view.screen
    bottom = screen.row(_BOTTOM)
    # Rays are sharp sideways only: half the rows are enough.
    edges = [_edge(curtain, screen, view.time_s, bottom // 2) for curtain in _CURTAINS]
    light = cv2.transform(_raised(np.stack([*edges, *edges], axis=-1), screen), _COLOURS)
    shine(canvas[:bottom], np.clip(resized(f32(light), bottom, screen.width), 0.0, 1.0))


def _edge(curtain: _Curtain, screen: Screen, time_s: float, rows: int) -> Plane:
    """Light along the lower edge, by row and column: [rows, W], rows are two pixels high."""
    s = np.linspace(-0.12, 1.12, _SAMPLES, dtype=np.float32) * np.float32(2 * np.pi)
    turn, p = 2 * np.pi * time_s / (80 * POCKET.chunk_s), curtain.phase
    x = s * (screen.span / (2 * np.pi)) + curtain.fold * (
        np.sin(2.0 * s + 2 * turn + p) + 0.45 * np.sin(5.0 * s - 3 * turn + 2 * p)
    )
    y = curtain.foot + curtain.swing * (
        np.sin(1.0 * s - turn + p) + 0.7 * np.cos(2.0 * s + 2 * turn + p) + 0.35 * np.cos(5.0 * s - 3 * turn + 2 * p)
    )
    rays = 0.55 + 0.25 * np.sin(23.0 * s + 2.5 * np.sin(3.0 * s + 2 * turn) + 5 * turn)
    rays += 0.14 * np.sin(57.0 * s - 7 * turn + 3.0 * np.sin(5.0 * s)) + 0.1 * np.sin(101.0 * s + 9 * turn)
    veil = 0.70 + 0.30 * np.sin(1.5 * s - 3 * turn + 1.7 * p)
    # A curtain seen along its length is brighter, but not as much as thin gas would be: it has some depth.
    spread = (np.abs(np.gradient(x)) * (_SAMPLES / (1.24 * screen.span)) + 0.12) ** 0.55
    weight = np.maximum(rays, 0.05) * veil * spread * (curtain.strength * 1.24 * screen.width / _SAMPLES)
    edge = _splat(x * screen.unit - 0.5, y * (0.5 * screen.unit) - 0.5, weight, (rows, screen.width))
    return blurred(edge, 0.3 * screen.unit, 0.35 * screen.unit)


def _splat(x: Plane, y: Plane, weight: Plane, shape: tuple[int, int]) -> Plane:
    """Sum weighted points into the four pixels around each: float32 `shape`."""
    rows, columns = shape
    column, row = np.floor(x), np.floor(y)
    right, down = x - column, y - row
    total = np.zeros(rows * columns)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        c, r = column + j, row + i
        share = weight * (right if j else 1.0 - right) * (down if i else 1.0 - down)
        inside = (c >= 0) & (c < columns) & (r >= 0) & (r < rows)
        at = (r[inside] * columns + c[inside]).astype(np.intp)
        total += np.bincount(at, share[inside], minlength=rows * columns)
    return f32(total).reshape(shape)


def _raised(edges: Plane, screen: Screen) -> Plane:
    """What rises above the edges and fades upward, slowly in the last channels: float32 [rows, W, 4] like `edges`."""
    step = 2.0 / screen.unit
    keep = f32([np.exp(-step / (c.height * tall)) for tall in (1.0, _TALL) for c in _CURTAINS])
    risen = np.empty_like(edges)
    column = np.zeros(edges.shape[1:], np.float32)
    for row in range(edges.shape[0] - 1, -1, -1):
        column *= keep
        column += edges[row]
        risen[row] = column
    return risen
