"""What goes on between a place's sky and its land: fireworks, lightning, northern lights, shooting stars."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from streamgen_export.pocket.world.attributes import Attributes
from streamgen_export.pocket.world.aurora import draw_aurora
from streamgen_export.pocket.world.fireworks import draw_burst, draw_rise
from streamgen_export.pocket.world.lightning import draw_lightning, flash_of
from streamgen_export.pocket.world.screen import Plane, Screen, f32, smooth
from streamgen_export.pocket.world.shooting_stars import draw_streak, draw_twinkles
from streamgen_export.pocket.world.timeline import Event, sky_events
from streamgen_export.pocket.world.view import View
from streamgen_export.pocket.world.world import World

_LAND_FROM, _LAND_ALL = 44.0, 66.0  # rows between which the light of a flash comes in on the land
_LAND_GAIN = f32([0.55, 0.62, 0.78])


def draw_happenings(canvas: Plane, world: World, attributes: Attributes, picture: int, view: View) -> None:
    """Draw over a picture [H, W, 3] what happens in the sky of a place with these attributes."""
    if attributes.weather == "storm":
        for event in _events(world, "flash"):
            draw_lightning(canvas, event, picture - event.picture, view.screen)
    match attributes.happening:
        case "aurora":
            draw_aurora(canvas, view)
        case "fireworks":
            for event in _events(world, "burst"):
                draw_rise(canvas, event, picture - event.picture, view.screen)
                draw_burst(canvas, event, picture - event.picture, view.screen)
        case "shooting_stars":
            draw_twinkles(canvas, view)
            for event in _events(world, "streak"):
                draw_streak(canvas, event, picture - event.picture, view.screen)


def flash_light(world: World, attributes: Attributes, picture: int) -> float:
    """How strongly lightning lights the land in a picture, 0 to 1."""
    if attributes.weather != "storm":
        return 0.0
    return max((flash_of(picture - event.picture) for event in _events(world, "flash")), default=0.0)


def light_land(canvas: Plane, flash: float, screen: Screen) -> None:
    """Light what is on the ground by lightning of this strength, 0 to 1, in place; the sky is lit already."""
    if flash > 0.0:
        canvas[screen.row(_LAND_FROM) :] *= 1.0 + np.float32(flash) * _land_gain(screen)


@lru_cache(maxsize=4)
def _land_gain(screen: Screen) -> Plane:
    """What strong lightning adds to the light on each row and colour: [rows, 1, 3]."""
    below = smooth(_LAND_FROM, _LAND_ALL, screen.y[screen.row(_LAND_FROM) :])
    return f32(below[..., None] * _LAND_GAIN)


@lru_cache(maxsize=16)
def _events(world: World, kind: str) -> tuple[Event, ...]:
    return tuple(event for event in sky_events(world) if event.kind == kind)
