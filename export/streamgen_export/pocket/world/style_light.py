"""Styles of the screen: glowing contours and pixel art."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.filters import blurred, luminance, reduced, resized, strongest
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, smooth

CELLS: Final = 64
"""Rows of a picture in pixel art."""
_NIGHT = rgb("#07030f")  # what is not lit at all in neon
_CONES: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_TABLE = 32  # levels of red, green and blue in the table of the palette
_SHARP = 260.0  # how suddenly one colour of the palette takes over from the next


def neon(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Glowing contours in the hue of what they outline, on near black: [H, W, 3]."""
    light = blurred(luminance(canvas), 0.42 * screen.unit)
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    steep = f32(cv2.magnitude(across, down)) * (0.125 * screen.unit)
    lines = smooth(0.07, 0.32, steep / (0.7 * light + 0.09))
    edge = blurred(cover, 0.5 * screen.unit)
    np.maximum(lines, smooth(0.3, 0.9, 4.0 * edge * (1.0 - edge)), out=lines)

    # Small bright things, windows and stars, are lit all over; the rest keeps a breath of its colour.
    wide = blurred(reduced(light, 8), 1.9 * screen.unit)
    lit = smooth(0.10, 0.45, light - resized(wide, screen.height, screen.width))
    lit *= 0.55 * (1.0 - cover)
    lit += 0.15 * light
    lit += lines
    hue = _hue(canvas, cover, screen)
    body = resized(hue, screen.height, screen.width)
    body *= lit[..., None]
    body += canvas * (0.05 + 0.40 * cover)[..., None]
    body += resized(_bloom(hue, lines, cover, screen), screen.height, screen.width)
    # Too bright to show keeps its hue, so orange does not turn yellow; only the tube itself is nearly white.
    body *= (1.0 / np.maximum(strongest(body), 1.0))[..., None]
    core = lines * lines
    core *= 0.30 * core
    body += core[..., None]
    return np.asarray(np.minimum(body, 1.0, out=body))


def _bloom(hue: Plane, lines: Plane, cover: Plane, screen: Screen) -> Plane:
    """Light around the lines, less of it before a subject, and what is never quite dark: [H/4, W/4, 3]."""
    few = reduced(lines, 4)
    part = reduced(cover, 4)
    near = blurred(hue * few[..., None], 0.25 * 1.1 * screen.unit)
    far = blurred(near, 0.25 * 4.0 * screen.unit)
    bloom: Plane = (0.6 * near + 0.9 * far) * (1.0 - 0.55 * part)[..., None] + _NIGHT
    return bloom


def _hue(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Saturated colour at full brightness, soft: [H/4, W/4, 3]. Near a subject it is the subject's own."""
    small = reduced(canvas, 4)
    part = reduced(cover, 4)[..., None]
    weighted = np.concatenate([small * part, part], axis=-1)
    spread = blurred(weighted, 0.45 * screen.unit)
    inside = np.minimum(spread[..., 3:] * 3.0, 1.0)
    own = spread[..., :3] / (spread[..., 3:] + 1e-3)
    colour = blurred(small, 0.38 * screen.unit)
    colour += inside * (own - colour)
    # What all three have in common is grey.
    grey = 0.72 * (1.0 - strongest(1.0 - colour))
    colour -= (grey - 0.012)[..., None]
    colour /= strongest(colour)[..., None]
    return colour


def pixel(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Cells of a fixed grid in the colours of a fixed palette; subjects have a dark outline: [H, W, 3]."""
    cell = max(2, round(screen.height / CELLS))
    rows, columns = -(-screen.height // cell), -(-screen.width // cell)
    beyond = (rows * cell - screen.height, columns * cell - screen.width)
    if any(beyond):
        canvas = np.pad(canvas, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
        cover = np.pad(cover, ((0, beyond[0]), (0, beyond[1])), "edge")
    cells, part = reduced(canvas, cell), reduced(cover, cell)
    # Pixel art is crisper than an average over its cells.
    cells += 0.55 * (cells - blurred(cells, 1.1))
    around = f32(cv2.dilate(part, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))))
    outline = smooth(0.35, 0.6, around) * smooth(0.24, 0.08, part)
    cells *= (1.0 - 0.72 * outline)[..., None]
    index = np.clip(cells * (_TABLE - 1) + 0.5, 0, _TABLE - 1).astype(np.intp)
    drawn = _table()[index[..., 0], index[..., 1], index[..., 2]]
    large = f32(cv2.resize(drawn, (columns * cell, rows * cell), interpolation=cv2.INTER_NEAREST))
    result: Plane = large[: screen.height, : screen.width] * _cells(screen, cell)
    return result


@lru_cache(maxsize=4)
def _cells(screen: Screen, cell: int) -> Plane:
    """A breath of shade at the lower and right edge of each cell: [H, W, 1]."""
    shade = np.ones((screen.height, screen.width, 1), np.float32)
    if cell >= 3:
        shade[cell - 1 :: cell] *= 0.94
        shade[:, cell - 1 :: cell] *= 0.94
    return shade


def palette() -> NDArray[np.float64]:
    """The colours of pixel art, [N, 3]: greys and ramps whose shadows turn to violet and whose lights to yellow."""
    colours = [(v, v * 0.99 + 0.005, min(1.0, v * 0.97 + 0.03)) for v in (0.03, 0.16, 0.32, 0.5, 0.68, 0.85, 0.99)]
    for hue, saturation in ((5, 0.85), (28, 0.88), (50, 0.85), (90, 0.6), (140, 0.72), (182, 0.75), (212, 0.72)):
        colours += [_shade(hue, saturation, step) for step in range(5)]
    for hue, saturation in ((235, 0.75), (272, 0.72), (318, 0.6), (210, 0.34), (22, 0.40)):
        colours += [_shade(hue, saturation, step) for step in range(5)]
    return np.array(colours)


def _shade(hue: float, saturation: float, step: int) -> tuple[float, float, float]:
    """A colour from hue in degrees, saturation and step 0 (dark) to 4 (light)."""
    value = (0.20, 0.42, 0.66, 0.90, 1.0)[step]
    shift = (hue - 60.0 + 180.0) % 360.0 - 180.0
    turned = hue - (0.16, 0.10, 0.04, 0.0, -0.0)[step] * (-20.0 if shift > 0 else 20.0)
    strong = saturation * (0.85, 1.0, 1.0, 0.92, 0.45)[step]
    sector = np.array([5.0, 3.0, 1.0]) + (turned % 360.0) / 60.0
    wheel = np.clip(np.minimum(sector % 6.0, 4.0 - sector % 6.0), 0.0, 1.0)
    red, green, blue = value - value * strong * wheel
    return float(red), float(green), float(blue)


@lru_cache(maxsize=1)
def _table() -> Plane:
    """Colour to the nearest of the palette, softly between two: float32 [32, 32, 32, 3]."""
    axis = np.linspace(0.0, 1.0, _TABLE)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    colours = palette()
    distance = ((_lab(grid)[:, None] - _lab(colours)[None]) ** 2).sum(axis=-1)
    weight = np.exp(-_SHARP * 4.0 * (distance - distance.min(axis=1, keepdims=True)))
    soft = (weight[..., None] * colours[None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return f32(soft.reshape(_TABLE, _TABLE, _TABLE, 3))


def _lab(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Oklab (B. Ottosson, 2020) of display-referred colours [N, 3]."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lab: NDArray[np.float64] = np.cbrt(linear @ _CONES.T) @ _OPPONENTS.T
    return lab
