"""Every place by its name."""

from __future__ import annotations

from functools import lru_cache

from streamgen_export.pocket.world import abstract_places, glow_places, land_places, water_places
from streamgen_export.pocket.world.attributes import ABSTRACT
from streamgen_export.pocket.world.screen import Screen
from streamgen_export.pocket.world.view import Place

_SHAPED = {**land_places.PLACES, **water_places.PLACES, **glow_places.PLACES}
_ABSTRACT = abstract_places.PLACES


@lru_cache(maxsize=64)
def place(screen: Screen, name: str, variant: int, colour: str) -> Place:
    """A place for one size of picture.

    Args:
        screen: its pixels.
        name: one of `attributes.PLACES`.
        variant: shape of the land, below `world.VARIANTS`; the abstract places have only one.
        colour: light of an abstract place, one of `attributes.COLOURS` or "none"; the others ignore it.
    """
    return _ABSTRACT[name](screen, colour) if name in ABSTRACT else _SHAPED[name](screen, variant)
