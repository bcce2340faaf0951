"""Lightning: one branching bolt and one flash of the sky that decays, never a strobe."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.filters import blurred, reduced
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, rgb, shine, stream_of
from streamgen_export.pocket.world.timeline import Event

BOLT: Final = (1.0, 0.85, 0.55, 0.22)
"""Strength of the bolt in each picture since it struck."""
FLASH: Final = (0.75, 1.0, 0.80, 0.60, 0.43, 0.30, 0.20, 0.12, 0.06, 0.025)
"""Strength of the lit sky in each picture since the bolt struck. It rises once and falls once."""

_FOOT = 66.0  # row that bolts reach, in units; land is before them
_COLOUR = rgb("#cfdcff")
_SKY = rgb("#93a6dc")


def flash_of(age: int) -> float:
    """Strength of the flash, 0 to 1, this many pictures after the bolt struck."""
    return FLASH[age] if 0 <= age < len(FLASH) else 0.0


def draw_lightning(canvas: Plane, event: Event, age: int, screen: Screen) -> None:
    """Draw a flash and its bolt, `age` pictures after it struck."""
    flash = flash_of(age)
    if not flash:
        return
    bolt, lit = _bolt(screen, event.number % 12, event.x)
    shine(canvas, (lit * (0.50 * flash))[..., None] * _SKY)
    if age < len(BOLT):
        shine(canvas, bolt * BOLT[age])


@lru_cache(maxsize=8)
def _bolt(screen: Screen, number: int, x: float) -> tuple[Plane, Plane]:
    """Light of the bolt, [H, W, 3], and how it lights the clouds, [H, W]."""
    rng = stream_of(f"bolt {number}")
    # Drawn three times as large and reduced, so that thin branches have soft edges and true weights.
    large = np.zeros((screen.height * 3, screen.width * 3), np.uint8)
    foot = x * screen.span + rng.uniform(-14.0, 14.0)
    trunk = _fractal(rng, (x * screen.span, -2.0), (foot, _FOOT), 6)
    _line(large, trunk, 1.35, 255, screen)
    for start in (0.22, 0.36, 0.5, 0.64, 0.78):
        at = trunk[int(start * (len(trunk) - 1))]
        side = rng.choice((-1.0, 1.0))
        length = (1.0 - start) * rng.uniform(24.0, 44.0)
        branch = _fractal(rng, at, (at[0] + side * length * 0.75, at[1] + length * 0.7), 4)
        _line(large, branch, 0.68, 215, screen)
        twig = branch[len(branch) // 2]
        end = (twig[0] + side * 0.15 * length, twig[1] + 0.45 * length)
        _line(large, _fractal(rng, twig, end, 3), 0.45, 165, screen)
    thin = reduced(large.astype(np.float32) * np.float32(1 / 255), 3)
    glow = 1.5 * blurred(thin, 0.9 * screen.unit) + 3.0 * blurred(thin, 4.0 * screen.unit)
    light = f32(np.minimum(thin * 1.25, 1.0))[..., None] * rgb("#ffffff") + glow[..., None] * _COLOUR
    away = ((screen.x / screen.span - x) * 1.15) ** 2 + (screen.y / HEIGHT * 0.75) ** 2
    return np.minimum(f32(light), 1.0), f32(0.25 + 0.75 * np.exp(-3.2 * away))


def _fractal(
    rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], splits: int
) -> list[tuple[float, float]]:
    """A jagged way by displaced midpoints."""
    points = [start, end]
    reach = 0.16 * float(np.hypot(end[0] - start[0], end[1] - start[1]))
    for _ in range(splits):
        between = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(points)]
        moved = [(x + reach * rng.uniform(-1, 1), y + 0.3 * reach * rng.uniform(-1, 1)) for x, y in between]
        points = [point for pair in zip(points, [*moved, end], strict=True) for point in pair][:-1]
        reach *= 0.52
    return points


def _line(
    large: NDArray[np.uint8], points: list[tuple[float, float]], thick: float, bright: int, screen: Screen
) -> None:
    """Draw on a mask of three times the screen's size, thinner towards the end; `thick` in units."""
    at = np.array(points) * screen.unit * 3
    for i in range(len(at) - 1):
        width = max(1, round(thick * (1.0 - 0.55 * i / len(at)) * screen.unit * 3 * 0.6))
        one, two = ((round(8 * at[j, 0]), round(8 * at[j, 1])) for j in (i, i + 1))
        cv2.line(large, one, two, (bright,), width, cv2.LINE_AA, 3)
