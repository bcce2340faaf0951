"""Styles on paper: watercolour, ink and cut paper.

Every threshold is soft and contours are those of slightly blurred pictures, so that what moves
smoothly does not flicker.
The density of pigment follows A. Bousseau et al., "Interactive watercolor rendering with temporal coherence and
abstraction" (NPAR 2006), section 3; lines are differences of Gaussians (H. Winnemoeller et al., "XDoG", 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.filters import blurred, luminance, reduced, resized, strongest
from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, rgb, smooth, texture

PAPER: Final = rgb("#f7f1e3")
"""Of watercolours and ink drawings."""
INK: Final = rgb("#1d1a26")

_MARGIN = 2.6  # units of paper left white around a watercolour
_WASHES = 6.0  # steps of brightness from black to white
_HATCH = 3.0  # units between the strokes of a hatching
_LAYERS = 7.0  # of cut paper, from black to white


def _saturated(share: float, gain: float, lift: float) -> Plane:
    """Matrix [3, 4] from bytes to colours that are further from grey."""
    grey = np.array([[0.30, 0.57, 0.13]]).repeat(3, axis=0)
    own = gain / 255 * (share * np.eye(3) + (1.0 - share) * grey)
    return f32(np.concatenate([own, np.full((3, 1), lift)], axis=1))


_RICH: Final = _saturated(1.30, 0.88, 0.13)
"""Colours of a picture to those of transparent paint."""


@dataclass(frozen=True, eq=False)
class _Watercolour:
    """What a sheet of watercolour paper does to paint.

    Attributes:
        run_x: column from which colour has run to a pixel of half the size, [H/2, W/2].
        run_y: its row.
        pigment: how much more pigment lies in the hollows of the paper, [H, W].
        painted: where the sheet is painted at all, [H, W, 1].
        sheet: colour of the bare sheet, [H, W, 3].
    """

    run_x: Plane
    run_y: Plane
    pigment: Plane
    painted: Plane
    sheet: Plane


def watercolour(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Soft areas of pigment with darker rims on white grained paper: [H, W, 3]."""
    sheet = _watercolour(screen)
    # Paint is transparent and rich: even the darkest lets some of the paper through.
    flat = np.clip(f32(cv2.transform(_flattened(canvas).astype(np.float32), _RICH)), 0.0, 1.0)
    flat = _run(flat, sheet)
    light = blurred(luminance(flat), 0.5 * 0.45 * screen.unit)
    # Washes laid over one another: steps of brightness, each of which dried with a rim.
    steps = light * np.float32(_WASHES)
    whole = np.floor(steps)
    washed = (whole + smooth(0.36, 0.64, steps - whole)) * np.float32(1.0 / _WASHES)
    around = blurred(washed, 0.5 * 1.2 * screen.unit)
    rim = smooth(0.02, 0.22, np.abs(around - washed) / (around + 0.12))
    part = blurred(_run(reduced(cover, 2), sheet), 0.25 * screen.unit)
    np.maximum(rim, 2.6 * part * (1.0 - part), out=rim)
    flat *= (1.0 + 0.6 * ((washed + 0.5 / _WASHES) / (light + 0.05) - 1.0))[..., None]
    paint = resized(flat, screen.height, screen.width)
    pools = resized(rim, screen.height, screen.width)
    density = (sheet.pigment * (1.0 - 0.5 * cover) + 0.62 * pools)[..., None]
    paint -= (paint - paint * paint) * density
    result: Plane = sheet.sheet * (1.0 - sheet.painted + sheet.painted * paint)
    return result


@lru_cache(maxsize=4)
def _watercolour(screen: Screen) -> _Watercolour:
    rows, columns = screen.height, screen.width
    half = Screen(columns // 2, rows // 2)
    run = [texture(screen, f"watercolour run {i}", rows, columns, (9.0, 9.0), 1.0) for i in range(2)]
    run_x, run_y = (reduced(r, 2) for r in run)
    grain, clouds = _grain(screen, "watercolour"), texture(screen, "watercolour pools", rows, columns, (30.0, 30.0))
    x, y = screen.x, screen.y
    inside = np.minimum(np.minimum(x, screen.span - x), np.minimum(y, HEIGHT - y))
    ragged = inside - _MARGIN - 0.7 * texture(screen, "watercolour edge", rows, columns, (16.0, 16.0), 1.4)
    painted = smooth(-0.35, 0.55, ragged - 0.25 * grain)
    rim = np.exp(-(((ragged - 0.7) / 0.8) ** 2))
    return _Watercolour(
        run_x=f32(np.arange(half.width)[None, :] + 0.55 * half.unit * run_x),
        run_y=f32(np.arange(half.height)[:, None] + 0.55 * half.unit * run_y),
        pigment=f32(0.11 * grain + 0.16 * clouds + 0.45 * rim),
        painted=f32(painted)[..., None],
        sheet=f32(PAPER * (1.0 + 0.022 * grain)[..., None]),
    )


def ink(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Contours of varying weight on warm paper, with light washes of the picture's colours: [H, W, 3]."""
    light = luminance(canvas)
    fine = blurred(light, 0.33 * screen.unit)
    broad = blurred(light, 0.9 * screen.unit)
    lines = smooth(0.02, 0.12, (broad - fine) / (broad + 0.06))
    # The contour of a subject lies around it, so that its thin parts keep their colour.
    edge = blurred(cover, 0.42 * screen.unit)
    np.maximum(lines, smooth(0.10, 0.36, edge) * (1.0 - cover), out=lines)
    tone = blurred(reduced(light, 4), 0.3 * screen.unit)
    washed = 0.5 * smooth(0.06, 0.22, tone) + 0.5 * smooth(0.34, 0.56, tone)
    shade = resized(washed, screen.height, screen.width)
    hatch, sheet = _ink(screen)
    lines += hatch * (1.0 - shade) * (1.0 - cover)
    np.minimum(lines, 1.0, out=lines)

    wash = resized(blurred(reduced(canvas, 4), 0.34 * screen.unit), screen.height, screen.width)
    wash += cover[..., None] * (canvas - wash)
    # The hue at full brightness: the paper shines through it, and the tone is laid in by itself.
    shade *= 0.5
    shade += 0.5
    wash += np.float32(0.1)
    wash *= (shade / strongest(wash))[..., None]
    wash *= sheet
    wash += lines[..., None] * (INK - wash)
    return np.asarray(wash)


@lru_cache(maxsize=4)
def _ink(screen: Screen) -> tuple[Plane, Plane]:
    """Strokes of a hatching, [H, W], and the sheet, [H, W, 3]."""
    wobble = 0.35 * texture(screen, "ink hatch", screen.height, screen.width, (24.0, 24.0))
    turns = (screen.x + screen.y + wobble) / _HATCH
    strokes = smooth(0.62, 0.95, f32(0.5 + 0.5 * np.cos(2 * np.pi * turns)))
    sheet = PAPER * (1.0 + 0.018 * _grain(screen, "ink"))[..., None]
    return f32(0.42 * strokes), f32(sheet)


def paper(canvas: Plane, cover: Plane, screen: Screen) -> Plane:
    """Flat layers of cut paper that cast soft shadows on one another, the dark ones in front: [H, W, 3]."""
    bite, grain = _paper(screen)
    flat = resized(_flattened(canvas).astype(np.float32) * np.float32(1 / 255), screen.height, screen.width)
    flat += cover[..., None] * (canvas - flat)
    light = blurred(luminance(flat), 0.35 * screen.unit)
    np.sqrt(light, out=light)
    steps = (light + bite) * _LAYERS
    whole = np.floor(steps)
    level = whole + smooth(0.44, 0.56, steps - whole)
    height = cover * 2.0 - level
    # Light comes from the upper left: a higher layer darkens what lies to its lower right.
    reach = max(1, round(1.2 * screen.unit))
    moved = np.empty_like(height)
    moved[reach:, reach:] = height[:-reach, :-reach]
    moved[:reach], moved[:, :reach] = height[:reach], height[:, :reach]
    cast = blurred(moved, 0.9 * screen.unit)
    cast -= height
    shadow = np.clip(cast, -0.8, 1.6)
    shadow *= np.where(shadow > 0.0, np.float32(-0.50), np.float32(-0.22))
    shadow += grain
    # Each layer has the brightness of its step, and within it the colour that was there.
    target = np.minimum((level + 0.5) * (1.0 / _LAYERS), 0.96)
    gain = np.clip((target * target + 0.03) / (light * light + 0.03), 0.7, 1.3)
    gain += 0.6 * cover * (1.0 - gain)
    gain *= shadow
    # Card reflects light: even black card is not dark.
    flat *= np.float32(0.93)
    flat += np.float32(0.05)
    flat *= gain[..., None]
    return flat


@lru_cache(maxsize=4)
def _paper(screen: Screen) -> tuple[Plane, Plane]:
    """How the scissors stray, and the grain of paper about 1, both [H, W]."""
    rows, columns = screen.height, screen.width
    stray = 0.018 * texture(screen, "scissors", rows, columns, (40.0, 30.0), 0.8)
    return f32(stray), f32(1.03 + 0.02 * _grain(screen, "cut paper"))


def _grain(screen: Screen, key: str) -> Plane:
    """Fine grain of paper, of deviation 1: [H, W]."""
    return np.clip(texture(screen, f"{key} grain", screen.height, screen.width, (2.6, 2.6), 1.2), -2.0, 2.0)


def _run(picture: Plane, sheet: _Watercolour) -> Plane:
    """A picture of half the size whose colours have run a little."""
    moved = cv2.remap(picture, sheet.run_x, sheet.run_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _flattened(canvas: Plane) -> NDArray[np.uint8]:
    """The picture at half its size without its finest detail: uint8 [H/2, W/2, 3]."""
    return np.asarray(cv2.medianBlur(cv2.convertScaleAbs(reduced(canvas, 2), alpha=255.0), 3), np.uint8)
