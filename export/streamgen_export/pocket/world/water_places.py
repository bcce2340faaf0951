"""The places of water: the open sea, a rocky coast, a river, and below the surface and the ice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streamgen_export.pocket.world.coast import coast
from streamgen_export.pocket.world.ice import ice
from streamgen_export.pocket.world.river import river
from streamgen_export.pocket.world.screen import Screen
from streamgen_export.pocket.world.sea import sea
from streamgen_export.pocket.world.underwater import underwater
from streamgen_export.pocket.world.view import Place

PLACES: Final[dict[str, Callable[[Screen, int], Place]]] = {
    "sea": sea,
    "coast": coast,
    "river": river,
    "underwater": underwater,
    "ice": ice,
}
