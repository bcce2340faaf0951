"""The places that are visuals of the music: rings, waves, tunnel and mosaic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streamgen_export.pocket.world.abstract_mosaic import Mosaic
from streamgen_export.pocket.world.abstract_rings import Rings
from streamgen_export.pocket.world.abstract_tunnel import Tunnel
from streamgen_export.pocket.world.abstract_waves import Waves
from streamgen_export.pocket.world.screen import Screen
from streamgen_export.pocket.world.view import Place

PLACES: Final[dict[str, Callable[[Screen, str], Place]]] = {
    "rings": Rings,
    "waves": Waves,
    "tunnel": Tunnel,
    "mosaic": Mosaic,
}
"""Name to a factory that takes the screen and a colour of the vocabulary, or "none" for a quiet scheme."""
