"""The twelve scenes in their lights, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from streamgen_export.pocket.scenes.backdrop import Backdrop
from streamgen_export.pocket.scenes.glow_backdrops import aurora, city, fire, pulses, space
from streamgen_export.pocket.scenes.land_backdrops import desert, meadow, night_hills, rain, snow
from streamgen_export.pocket.scenes.sea_backdrops import sea, sunset

VARIANTS: Final = 3
"""Shapes of the land that each scene comes in."""

_SCENES: Final[dict[str, Callable[[str, str, int], Backdrop]]] = {
    "meadow": meadow,
    "night_hills": night_hills,
    "sea": sea,
    "sunset": sunset,
    "city": city,
    "rain": rain,
    "snow": snow,
    "fire": fire,
    "aurora": aurora,
    "space": space,
    "desert": desert,
}


@lru_cache(maxsize=128)
def backdrop(scene: str, light: str, variant: int, colour: str = "none") -> Backdrop:
    """The backdrop of a scene; `colour` is that of the rings of "pulses", if they have one."""
    if scene == "pulses":
        return pulses(light, colour)
    return _SCENES[scene](light, f"{scene} {variant}", variant)
