"""What a scene without its subjects is made of: a still picture, layers that move, and the light on the subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamgen_export.pocket.scenes.canvas import Moment, Plane


class Layer(Protocol):
    """Something that is painted over what is already there."""

    def draw(self, canvas: Plane, moment: Moment) -> None:
        """Paint it over the canvas in place."""


@dataclass(frozen=True)
class Lighting:
    """How a scene lights a subject.

    Attributes:
        towards: direction of the light from the subject (right, down), not normalised.
        key: colour of the light.
        ambient: brightness of the side away from the light, 0 to 1.
        rim: colour of the light from behind.
        tint: colour that everything in the scene is bathed in.
        shadow: darkness of the shadow on the ground, 0 to 1.
        mirror: strength of the reflection in water or on a wet floor, 0 to 1.
        glow: strength of the coloured light that the subject gives off, 0 to 1.
    """

    towards: tuple[float, float]
    key: str
    ambient: float
    rim: str
    tint: str
    shadow: float
    mirror: float = 0.0
    glow: float = 0.0


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A scene without its subjects.

    Attributes:
        still: what never moves, float32 [96, 160, 3].
        behind: layers between it and the subjects.
        before: layers in front of the subjects.
        lighting: of the subjects.
    """

    still: Plane
    behind: Sequence[Layer]
    before: Sequence[Layer]
    lighting: Lighting

    def draw(self, moment: Moment) -> Plane:
        """The picture behind the subjects, a new array."""
        canvas = self.still.copy()
        for layer in self.behind:
            layer.draw(canvas, moment)
        return canvas
