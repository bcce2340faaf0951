"""What a place needs to know to draw one picture of itself, and what it tells about its light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.screen import Plane, Screen


@dataclass(frozen=True)
class View:
    """One picture's circumstances.

    Attributes:
        screen: its pixels.
        air: light and weather.
        time_s: time in the slow cycles of waves, clouds and light.
        beat: beats that have passed since the first bar began; whole at the start of a beat.
        pan: units by which the nearest ground (depth 1) has moved to the left.
    """

    screen: Screen
    air: Air
    time_s: float
    beat: float
    pan: float = 0.0

    def shift(self, depth: float) -> float:
        """Pixels by which a layer of this depth has moved to the left: 1 is the nearest ground, 0 the sky."""
        return self.pan * depth * self.screen.unit


@dataclass(frozen=True)
class Lighting:
    """How a place lights a subject.

    Attributes:
        towards: direction of the light from the subject (right, down), not normalised.
        key: colour of the light.
        ambient: brightness of the side away from the light, 0 to 1.
        rim: colour of the light from behind.
        tint: colour that everything in the place is bathed in.
        tinted: how much of that colour a subject takes on, 0 to 1.
        shadow: darkness of the shadow on the ground, 0 to 1.
        mirror: strength of the reflection in water or on a wet floor, 0 to 1.
        glow: strength of the coloured light that the subject gives off, 0 to 1.
    """

    towards: tuple[float, float]
    key: tuple[float, float, float]
    ambient: float
    rim: tuple[float, float, float]
    tint: tuple[float, float, float]
    tinted: float = 0.1
    shadow: float = 0.0
    mirror: float = 0.0
    glow: float = 0.0


class Place(Protocol):
    """A place without its subjects, for one size of picture; painted from the back to the front."""

    def sky(self, canvas: Plane, view: View) -> None:
        """Paint everything that lies behind fireworks, northern lights and lightning; fills the whole canvas."""

    def land(self, canvas: Plane, view: View) -> None:
        """Paint what lies before those and behind the subjects."""

    def before(self, canvas: Plane, view: View) -> None:
        """Paint what lies before the subjects: near rain and snow, mist on the ground."""

    def lighting(self, air: Air) -> Lighting:
        """The light on its subjects."""
