"""What the abstract places share: schemes of colour, motion that surges on the beat, the light on subjects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor, pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.attributes import NONE
from streamgen_export.pocket.world.screen import Plane, f32, rgb
from streamgen_export.pocket.world.view import Lighting


@dataclass(frozen=True, eq=False)
class Scheme:
    """Colours of an abstract place, float32 [3] each.

    Attributes:
        deep: of the dark that everything lies in.
        shade: of what is hardly lit; leans to one neighbour on the colour wheel.
        base: the colour itself.
        light: where it is bright.
        accent: the neighbour on the other side of the colour wheel, for a second voice.
        glow: nearly white.
    """

    deep: Plane
    shade: Plane
    base: Plane
    light: Plane
    accent: Plane
    glow: Plane


def _scheme(deep: str, shade: str, base: str, light: str, accent: str, glow: str) -> Scheme:
    return Scheme(*(rgb(code) for code in (deep, shade, base, light, accent, glow)))


_SCHEMES: Final[dict[str, Scheme]] = {
    "red": _scheme("#140309", "#5a0718", "#e8202c", "#ff6a50", "#ff2048", "#ffe0d0"),
    "orange": _scheme("#150802", "#5e2406", "#fb7d10", "#ffb050", "#ff6410", "#fff0d4"),
    "yellow": _scheme("#120d02", "#5a4206", "#f8c916", "#ffe65a", "#ffb414", "#fffbe0"),
    "green": _scheme("#02100a", "#05442c", "#1fc64c", "#7af07a", "#36d04c", "#eaffdc"),
    "cyan": _scheme("#021016", "#054a60", "#10c8e4", "#7af2ff", "#18c0f0", "#e6ffff"),
    "blue": _scheme("#030618", "#0d1c72", "#2456f2", "#5c9aff", "#2a70ff", "#dcebff"),
    "purple": _scheme("#0b0318", "#38107a", "#8f34ea", "#c080ff", "#7440ff", "#f2e2ff"),
    "pink": _scheme("#150411", "#6a1450", "#fb5fb2", "#ff9ed4", "#f058d8", "#ffeaf6"),
    "white": _scheme("#07090e", "#2f3846", "#c6d0de", "#eef3fa", "#9fb0c8", "#ffffff"),
    # Quiet, so that a subject of any colour stands out.
    NONE: _scheme("#080b14", "#1b2540", "#3a4f78", "#5a7096", "#4d4a80", "#a5b6d0"),
}


def scheme_of(colour: str) -> Scheme:
    """The scheme of a colour of the vocabulary; "none" is quiet."""
    return _SCHEMES[colour]


def surge(beat: float, share: float = 0.8) -> float:
    """Beats that have passed, in a motion that shoots off at each beat and eases until the next.

    `share` of the motion is that; the rest goes on evenly. Continuous, and whole where `beat` is.
    """
    whole = floor(beat)
    part = beat - whole
    eased = 1.0 - (1.0 - part) ** 3
    # A soft start, so that no picture jumps.
    eased *= min(1.0, 0.45 + 2.2 * part)
    return whole + (1.0 - share) * part + share * eased


def pulse(beat: float, sharp: float = 3.0) -> float:
    """1 on the beat, decaying towards 0 until the next; rises again shortly before it."""
    part = beat - floor(beat)
    return float(max(np.exp(-sharp * part), 1.0 - 9.0 * (1.0 - part), 0.0))


def swell(time_s: float, chunks: int, phase: float = 0.0) -> float:
    """A slow sinusoid from -1 to 1 with a period of whole chunks of 0.24 s."""
    return sin(2 * pi * (time_s / (0.24 * chunks) + phase))


@lru_cache(maxsize=16)
def lighting_in(colour: str) -> Lighting:
    """The light on a subject: neutral, with a rim in the colour of the place."""
    scheme = scheme_of(colour)
    rim, tint = _triple(scheme.light), _triple(0.5 * scheme.base + 0.5)
    return Lighting((-0.35, -0.85), (1.0, 1.0, 1.0), 0.46, rim, tint, tinted=0.05, shadow=0.25, mirror=0.12, glow=0.5)


def blended(*stops: tuple[float, Plane], size: int = 256) -> Plane:
    """A table of colours through (place from 0 to 1, colour [3]) stops: float32 [size, 3]."""
    at = np.linspace(0.0, 1.0, size)
    colours = np.stack([colour for _, colour in stops])
    places = [place for place, _ in stops]
    return f32(np.stack([np.interp(at, places, colours[:, c]) for c in range(3)], axis=-1))


def _triple(colour: Plane) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in colour)
    return red, green, blue
