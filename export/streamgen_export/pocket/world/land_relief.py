"""The shapes of bare land: hills with grass, peaks with rock and snow, dunes with a sharp crest."""

from __future__ import annotations

from math import pi

import numpy as np

from streamgen_export.pocket.world.layers import Sheet, blended, relief
from streamgen_export.pocket.world.screen import Plane, f32, rgb, smooth, stream_of


def ridge(sheet: Sheet, key: str, row: float, height: float, waves: tuple[int, ...], rough: float = 0.55) -> Plane:
    """A soft upper edge of land, periodic with the sheet: float32 [period], rows in units.

    Args:
        sheet: for its period.
        key: names the line.
        row: its mean.
        height: how far it leaves that at most, about.
        waves: how often each of its waves repeats within a period, the largest first.
        rough: how much smaller each wave is than the one before.
    """
    rng = stream_of(key)
    turn = 2 * pi * (np.arange(sheet.columns) + 0.5) / sheet.columns
    line = sum(rough**n * np.sin(k * turn + rng.uniform(0, 2 * pi)) for n, k in enumerate(waves))
    return f32(row + height * line / sum(rough**n for n in range(len(waves))))


def crags(sheet: Sheet, key: str, row: float, height: float, peaks: int, rough: float = 0.5) -> Plane:
    """A ridge of pointed peaks with smaller ones on their flanks: float32 [period], rows in units."""
    rng = stream_of(key)
    x = (np.arange(sheet.columns) + 0.5) / sheet.columns
    line = np.zeros(sheet.columns)
    count, size = peaks, 1.0
    for octave in range(5):
        knots = (np.arange(2 * count) + rng.uniform(-0.32, 0.32, 2 * count)) / (2 * count)
        heights = rng.uniform(0.55, 1.0, 2 * count) * np.where(np.arange(2 * count) % 2, -0.5, 1.0)
        line += size * np.interp(x, np.r_[knots - 1, knots, knots + 1], np.tile(heights, 3))
        count, size = count * 2 + (octave % 2), size * rough
    return f32(row - height * line)


def hill(
    sheet: Sheet,
    key: str,
    line: Plane,
    colours: tuple[str, str, str],
    side: float,
    *,
    grain: tuple[float, float] = (30.0, 8.0),
    strength: float = 1.0,
    gloss: float = 0.0,
    depth: float = 26.0,
) -> None:
    """Land below a line: dark to light colours in soft patches, shaded by its slope and its bumps.

    `gloss` is how much of it is puddles when it is wet, `depth` the units over which it turns away from the sky.
    """
    window = sheet.whole
    below = window.y - line[None, :]
    patches = sheet.noise(f"{key} patches", (grain[0] * 2.2, grain[1] * 1.6), 0.8)
    bumps = sheet.noise(f"{key} bumps", grain, 0.9)
    slope = np.gradient(line) * sheet.screen.unit
    crest = np.exp(-np.maximum(below, 0.0) / depth)
    facing = np.clip(0.62 - 1.1 * side * slope[None, :] * crest, 0.1, 1.0)
    shade = facing + strength * 0.26 * (relief(bumps, side) - 0.5) + 0.22 * (crest - 0.5)
    # Light along the crest: grass against the sky.
    shade = np.clip(shade + 0.22 * np.exp(-np.maximum(below, 0.0) / 1.1), 0.0, 1.0)
    dark, middle, light = (rgb(code) for code in colours)
    share = np.clip(0.5 + strength * (0.18 * patches + 0.06 * bumps) + 0.25 * (crest - 0.55), 0.0, 1.0)
    puddles = gloss * smooth(-0.5, 1.3, f32(patches - 0.3 * bumps)) if gloss else 0.0
    snow = np.clip(0.95 + 0.06 * patches, 0.75, 1.0)
    sheet.put(
        window,
        sheet.screen.cover(-below),
        blended((dark, middle, light), f32(share)),
        f32(shade),
        snow=f32(snow),
        gloss=puddles,
    )


def peaks(
    sheet: Sheet, key: str, line: Plane, side: float, *, rock: tuple[str, str], cap: float, snowline: float
) -> None:
    """Mountains below a pointed line: lit and dark faces that meet in the crests running down from every peak.

    Snow lies `cap` units below the line where that is above row `snowline`.
    """
    window = sheet.whole
    unit = sheet.screen.unit
    below = np.maximum(window.y - line[None, :], 0.0)
    rough = sheet.noise(f"{key} rock", (22.0, 18.0), 1.3)
    fine = sheet.noise(f"{key} strata", (9.0, 7.0), 1.4)
    # The faces follow the slope of the large peaks, found a little to the side the further down, which bends crests.
    spread = max(3, round(2.4 * unit))
    soft = np.convolve(np.r_[line[-spread:], line, line[:spread]], np.ones(2 * spread + 1) / (2 * spread + 1), "valid")
    slope = f32(np.gradient(soft) * unit)
    bend = 0.22 * below * np.sin(0.16 * below + 2.0) + (0.6 + 0.08 * below) * rough + 0.5 * fine
    facing = f32(np.interp(window.x * unit - 0.5 + bend * unit, np.arange(sheet.columns), slope, period=sheet.columns))
    facing *= -side
    lit = smooth(-0.14, 0.12, f32(facing + 0.07 * fine))
    shade = np.clip(0.16 + 0.74 * lit + 0.09 * fine * lit + 0.04 * rough, 0.0, 1.0)
    dark, light = (rgb(code) for code in rock)
    albedo = blended((dark, light), f32(np.clip(0.5 + 0.22 * rough + 0.12 * fine, 0, 1)))
    reach = cap * np.clip((snowline - line[None, :]) / 14.0, 0.0, 1.4)
    white = smooth(0.10, -0.10, f32((below - reach - (2.0 * fine + 2.2 * rough)) / np.maximum(cap, 1.0)))
    albedo = albedo + f32(white * (0.55 + 0.45 * lit))[..., None] * (rgb("#f4f7ff") - albedo)
    cover = sheet.screen.cover(line[None, :] - window.y)
    sheet.put(window, cover, f32(albedo), f32(shade), snow=f32(np.clip(0.6 + 0.3 * lit + 0.12 * rough, 0.0, 1.0)))


def dune(sheet: Sheet, key: str, row: float, height: float, crests: int, side: float, *, dark: float = 0.68) -> None:
    """A row of dunes: a long flank towards the light and a short dark one, parted by a sharp winding crest.

    `dark` is how much of the light the dark flank loses.
    """
    rng = stream_of(f"{sheet.key} {key}")
    window = sheet.whole
    x = (np.arange(sheet.columns) + 0.5) / sheet.columns
    noise = sheet.noise(f"{key} sand", (46.0, 9.0), 0.7)
    ripple = sheet.noise(f"{key} ripples", (19.0, 1.9), 0.5)
    share = f32(np.clip(0.55 + 0.16 * noise, 0.0, 1.0))
    albedo = blended((rgb("#cf925a"), rgb("#e8b673"), rgb("#f4d096")), share)
    # Each dune lies a little before the one painted before it and covers its foot.
    for index, place in enumerate(rng.permutation(crests)):
        base = row + height * (0.10 + 0.30 * index / crests)
        tall = height * rng.uniform(0.8, 1.3)
        width = rng.uniform(0.95, 1.25) / crests
        t = ((x - (place + rng.uniform(0.35, 0.65)) / crests + 0.5) % 1.0 - 0.5) * -side / width
        # Rises gently on the side of the light (t < 0), falls steeply on the other; the crest is a cusp.
        rise = np.where(t < 0.0, np.clip(1 + t / 0.8, 0, 1) ** 1.5, np.clip(1 - t / 0.62, 0, 1) ** 1.7)
        line = f32(base - tall * rise)
        below = f32(np.maximum(window.y - line[None, :], 0.0))
        # The crest runs down towards the viewer in a slow bend: beyond it the flank is dark.
        down = np.maximum(window.y - (base - tall), 0.0) / (height + 4.0)
        winding = -0.20 * down**0.8 + 0.11 * np.sin(2.4 * down + rng.uniform(0, 6)) * down
        beyond = smooth(-0.35, 0.45, f32((t[None, :] - winding) * (width * sheet.span)))
        lee = beyond * smooth(0.72, 0.25, f32(t))[None, :] * np.exp(-0.75 * np.maximum(down - 0.5, 0.0))
        wind = ripple * smooth(1.0, 14.0, below) * (1.0 - 0.7 * lee)
        shade = 0.84 - dark * lee + 0.04 * noise + 0.06 * wind - 0.22 * (1.0 - np.exp(-below / 26.0))
        shade = shade + 0.14 * np.exp(-below / 0.9) * (1.0 - lee)
        cover = sheet.screen.cover(line[None, :] - window.y)
        sheet.put(window, cover, albedo, f32(np.clip(shade, 0.0, 1.0)), snow=0.9)
