"""The colours of subjects: each with the darker and lighter shades that keep it unmistakable in any light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamgen_export.pocket.scenes.canvas import Plane, rgb


@dataclass(frozen=True, eq=False)
class Shades:
    """One colour, float32 [3] each."""

    dark: Plane
    base: Plane
    light: Plane


def _shades(dark: str, base: str, light: str) -> Shades:
    return Shades(rgb(dark), rgb(base), rgb(light))


SHADES: Final[dict[str, Shades]] = {
    "red": _shades("#7d0614", "#ea1c24", "#ff7a6e"),
    "orange": _shades("#a84000", "#ff8208", "#ffc06a"),
    "yellow": _shades("#b08400", "#ffdc12", "#fff59a"),
    "green": _shades("#06581e", "#1cb83c", "#8cf08a"),
    "cyan": _shades("#04708a", "#0ed2e6", "#a4fbff"),
    "blue": _shades("#0a1a80", "#1c4cf0", "#7fb0ff"),
    "purple": _shades("#400a80", "#8a26e0", "#cc8cff"),
    "pink": _shades("#b42a78", "#ff6cb8", "#ffc4e2"),
    "white": _shades("#747e96", "#f0f2f7", "#ffffff"),
}
