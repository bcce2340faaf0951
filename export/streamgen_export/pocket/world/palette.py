"""The colours of subjects and of what they are made of, each with a darker and a lighter shade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.screen import Plane, f32, mix, rgb, smooth
from streamgen_export.pocket.world.view import Lighting


@dataclass(frozen=True, eq=False)
class Shades:
    """One colour, float32 [3] each."""

    dark: Plane
    base: Plane
    light: Plane


def _shades(dark: str, base: str, light: str) -> Shades:
    return Shades(rgb(dark), rgb(base), rgb(light))


SHADES: Final[dict[str, Shades]] = {
    "red": _shades("#6d0a22", "#e52328", "#ff8066"),
    "orange": _shades("#96360a", "#fa7d10", "#ffc470"),
    "yellow": _shades("#a8700a", "#fbd51a", "#fff6a0"),
    "green": _shades("#07503a", "#25b043", "#a0ee8a"),
    "cyan": _shades("#05607e", "#12cbe0", "#a8fbff"),
    "blue": _shades("#101a78", "#2452ea", "#80b8ff"),
    "purple": _shades("#360c74", "#8730dc", "#d09aff"),
    "pink": _shades("#a02676", "#fb6cb4", "#ffcbe4"),
    "white": _shades("#717ea0", "#eceff6", "#ffffff"),
}
"""The asked colours of subjects."""

MATERIALS: Final[dict[str, Shades]] = {
    "wood": _shades("#3c2416", "#85562f", "#c9935a"),
    "straw": _shades("#6b4420", "#b98442", "#ecc684"),
    "rope": _shades("#3a2a20", "#6a5040", "#a58c72"),
    "paper": _shades("#8d8798", "#f1ece2", "#ffffff"),
    "mist": _shades("#46587c", "#9fb4d4", "#dce8fa"),
    "iron": _shades("#15161f", "#3b3e4e", "#9aa3b8"),
    "brass": _shades("#6b3f0a", "#d9a030", "#ffeaa0"),
    "beak": _shades("#b05708", "#ffa726", "#ffdc8a"),
    "ink": _shades("#0c0a14", "#1b1826", "#4a4660"),
    "eye": _shades("#b4bccb", "#ffffff", "#ffffff"),
    "glass": _shades("#123a5c", "#5fb4e0", "#e0fbff"),
    "hair": _shades("#120c10", "#2a1c20", "#6a4a44"),
    "skin0": _shades("#6e3b2c", "#e0a582", "#ffdcc0"),
    "skin1": _shades("#4a2418", "#b4764e", "#e6b088"),
    "skin2": _shades("#26120e", "#6f4430", "#b07c5c"),
    "skin3": _shades("#5a3020", "#cc9068", "#f4c8a0"),
}
"""What parts of subjects are made of, whatever colour was asked for."""

Ramp: TypeAlias = NDArray[np.uint8]
"""A colour by brightness, uint8 [LEVELS, 1, 3]: the form of OpenCV's colour maps."""
LEVELS: Final = 256
"""Steps of a ramp."""
BRIGHTEST: Final = 1.3
"""Brightness at the end of a ramp; 1 faces the light."""


def pale(colour: str) -> str:
    """What panels and stripes beside a colour are made of, so that they stand out from it."""
    return "mist" if colour == "white" else "paper"


@lru_cache(maxsize=512)
def ramp(colour: str, lighting: Lighting) -> Ramp:
    """Return a colour in a light by brightness.

    Row `LEVELS` * b / `BRIGHTEST` is what faces the light by b: 0 turned away, 1 full, more is a gleam.
    """
    shades = SHADES.get(colour) or MATERIALS[colour]
    faced = f32(np.linspace(0.0, BRIGHTEST, LEVELS))[:, None]
    # Some shade is left even where light comes from everywhere, or solids would look like paper cuts.
    ambient = 0.14 + 0.5 * lighting.ambient
    bright = ambient + (1.0 - ambient) * faced
    low = mix(shades.dark, shades.base, smooth(0.16, 0.9, bright))
    own = mix(low, shades.light, 0.8 * smooth(0.86, 1.22, bright))
    tint, key, white = f32(lighting.tint), f32(lighting.key), f32([1.0, 1.0, 1.0])
    bathed = mix(white, tint / max(float(tint.max()), 0.35), 0.14 + lighting.tinted)
    lit = own * mix(bathed, mix(white, key, 0.45), smooth(0.1, 0.9, faced))
    # What is turned away takes on some of the colour of the place around it.
    return _bytes(lit + 0.1 * tint * (1.0 - smooth(0.0, 0.6, faced)))


@lru_cache(maxsize=512)
def flame(colour: str) -> Ramp:
    """Return a colour that gives off light itself, by brightness; white hot at the end."""
    shades = SHADES.get(colour) or MATERIALS[colour]
    bright = f32(np.linspace(0.0, BRIGHTEST, LEVELS))[:, None]
    own = mix(mix(shades.dark, shades.base, smooth(0.0, 0.5, bright)), shades.light, smooth(0.5, 0.9, bright))
    return _bytes(mix(own, f32([1.0, 0.99, 0.94]), smooth(0.9, 1.25, bright)))


def _bytes(colours: Plane) -> Ramp:
    rounded: Ramp = np.clip(colours * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)[:, None, :]
    return np.ascontiguousarray(rounded)
