"""Renders the pictures of a world: place, happenings, subjects, what is in front, camera, style and palette."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.air import Air, air_of, blend
from streamgen_export.pocket.world.attributes import ABSTRACT, NONE, Attributes
from streamgen_export.pocket.world.camera import framed
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK
from streamgen_export.pocket.world.happenings import draw_happenings, flash_light, light_land
from streamgen_export.pocket.world.palettes import graded
from streamgen_export.pocket.world.places import place
from streamgen_export.pocket.world.screen import Plane, Screen
from streamgen_export.pocket.world.styles import stylised
from streamgen_export.pocket.world.subjects import paint_subjects
from streamgen_export.pocket.world.timeline import beat_position, pan
from streamgen_export.pocket.world.view import View
from streamgen_export.pocket.world.world import World, changed_fields

FADE_PICTURES = 2 * PICTURES_PER_CHUNK
"""Over which one segment turns into the next: 0.48 s."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of a clip.

    Attributes:
        rgb: uint8 [T, H, W, 3].
        subject: coverage of the subjects, 0 to 255, uint8 [T, H, W].
    """

    rgb: NDArray[np.uint8]
    subject: NDArray[np.uint8]


def render_pictures(world: World) -> Pictures:
    """Render every picture of `world`; a pure function of its argument.

    Time and weather turn gradually from one segment to the next; everything else dissolves.
    """
    form = world.format
    rgb = np.empty((world.pictures, form.height, form.width, 3), np.uint8)
    subject = np.empty((world.pictures, form.height, form.width), np.uint8)
    before: Attributes | None = None
    for first, end, attributes in world.segments:
        for picture in range(first * PICTURES_PER_CHUNK, end * PICTURES_PER_CHUNK):
            share = eased((picture - first * PICTURES_PER_CHUNK + 1) / FADE_PICTURES) if before else 1.0
            canvas, cover = _between(world, before, attributes, picture, share)
            rgb[picture], subject[picture] = _bytes(canvas), _bytes(cover)
        before = attributes
    return Pictures(rgb, subject)


def eased(share: float) -> float:
    """0 to 1 with a soft start and end."""
    t = min(max(share, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def _between(
    world: World, before: Attributes | None, now: Attributes, picture: int, share: float
) -> tuple[Plane, Plane]:
    """A picture on the way from one segment to the next: float32 [H, W, 3] and [H, W], 0 to 1."""
    new_air = air_of(now.time, now.weather)
    if before is None or share >= 1.0:
        return _draw(world, now, new_air, picture)
    old_air = air_of(before.time, before.weather)
    if set(changed_fields(before, now)) <= {"time", "weather", "mood", "tempo"}:
        return _draw(world, now, blend(old_air, new_air, share), picture)
    canvas, cover = _draw(world, now, new_air, picture)
    old, old_cover = _draw(world, before, old_air, picture)
    return old + (canvas - old) * np.float32(share), old_cover + (cover - old_cover) * np.float32(share)


@lru_cache(maxsize=2)
def _screen(width: int, height: int) -> Screen:
    return Screen(width, height)


def _draw(world: World, attributes: Attributes, air: Air, picture: int) -> tuple[Plane, Plane]:
    screen = _screen(world.format.width, world.format.height)
    time_s = world.offset_s + picture / float(world.format.picture_rate)
    view = View(screen, air, time_s, beat_position(world, attributes.tempo, picture), pan(world, picture))
    light = attributes.colour if attributes.subject == NONE and attributes.place in ABSTRACT else NONE
    # The abstract places have one shape each: more variants would only fill the cache.
    variant = 0 if attributes.place in ABSTRACT else world.variant
    scene = place(screen, attributes.place, variant, light)
    canvas = screen.blank()
    scene.sky(canvas, view)
    draw_happenings(canvas, world, attributes, picture, view)
    scene.land(canvas, view)
    cover = np.zeros((screen.height, screen.width), np.float32)
    paint_subjects(canvas, cover, world, attributes, picture, view, scene.lighting(air))
    light_land(canvas, flash_light(world, attributes, picture), screen)
    scene.before(canvas, view)
    canvas, cover = framed(canvas, cover, attributes.camera, view)
    canvas = stylised(canvas, cover, attributes.style, view)
    return graded(canvas, attributes.palette, screen), cover


def _bytes(values: Plane) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(values * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return rounded
