"""The style in which a picture is made. Everything that is of the paper or of the screen stays fixed to the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from streamgen_export.pocket.world.screen import Plane, Screen
from streamgen_export.pocket.world.style_light import neon, pixel
from streamgen_export.pocket.world.style_paper import ink, paper, watercolour
from streamgen_export.pocket.world.view import View

_STYLES: Final[dict[str, Callable[[Plane, Plane, Screen], Plane]]] = {
    "watercolour": watercolour,
    "ink": ink,
    "neon": neon,
    "pixel": pixel,
    "paper": paper,
}


def stylised(canvas: Plane, cover: Plane, style: str, view: View) -> Plane:
    """A picture [H, W, 3] in a style, given the coverage of its subjects [H, W]; "natural" returns it as it is."""
    if style == "natural":
        return canvas
    # Light may be brighter than white; as paint it has no other hue than white.
    return _STYLES[style](np.clip(canvas, 0.0, 1.0), cover, view.screen)
