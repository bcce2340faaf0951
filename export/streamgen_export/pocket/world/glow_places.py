"""The places that are lit by themselves: space and the campfire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streamgen_export.pocket.world.fire import fire
from streamgen_export.pocket.world.screen import Screen
from streamgen_export.pocket.world.space import space
from streamgen_export.pocket.world.view import Place

PLACES: Final[dict[str, Callable[[Screen, int], Place]]] = {"space": space, "fire": fire}
