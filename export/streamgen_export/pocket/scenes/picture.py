"""Renders the pictures of a world: scene, subjects, weather in front, and a last grading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import NONE, Attributes
from streamgen_export.pocket.scenes.backdrops import VARIANTS, backdrop
from streamgen_export.pocket.scenes.canvas import Moment, Plane, X, Y, f32
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH, beat_phase, poses
from streamgen_export.pocket.scenes.subjects import paint_subject
from streamgen_export.pocket.scenes.world import PICTURE_RATE_HZ, PICTURES_PER_CHUNK, World

_GRADES: Final[dict[str, tuple[float, tuple[float, float, float]]]] = {
    "calm": (0.0, (1.0, 1.0, 1.0)),
    "joyful": (0.025, (1.03, 1.02, 0.99)),
    "melancholy": (-0.015, (0.95, 0.97, 1.01)),
    "dreamy": (0.03, (1.01, 0.99, 1.02)),
    "tense": (-0.03, (0.97, 0.95, 0.96)),
}
"""Mood to (lift of the shadows, gain of red, green and blue): a breath of colour, no more."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of a clip.

    Attributes:
        rgb: uint8 [T, 96, 160, 3].
        subject: coverage of the subjects, 0 to 255, uint8 [T, 96, 160].
    """

    rgb: NDArray[np.uint8]
    subject: NDArray[np.uint8]


def render_pictures(world: World) -> Pictures:
    """Render every picture of `world`; a pure function of its argument.

    The first chunk of each new segment fades from the old one: the fourth picture shows only the new one.
    """
    count = world.chunks * PICTURES_PER_CHUNK
    rgb = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    subject = np.empty((count, HEIGHT, WIDTH), np.uint8)
    before: Attributes | None = None
    for first, end, attributes in world.segments:
        for picture in range(first * PICTURES_PER_CHUNK, end * PICTURES_PER_CHUNK):
            canvas, cover = _draw(world, attributes, picture)
            share = (picture - first * PICTURES_PER_CHUNK + 1) / PICTURES_PER_CHUNK
            if before is not None and share < 1.0:
                old, old_cover = _draw(world, before, picture)
                canvas = old + (canvas - old) * share
                cover = old_cover + (cover - old_cover) * share
            rgb[picture] = _bytes(canvas)
            subject[picture] = _bytes(cover)
        before = attributes
    return Pictures(rgb, subject)


def _draw(world: World, attributes: Attributes, picture: int) -> tuple[Plane, Plane]:
    """One picture: float32 [96, 160, 3] from 0 to 255, and the coverage of its subjects, [96, 160], likewise."""
    time_s = world.offset_s + picture / PICTURE_RATE_HZ
    moment = Moment(time_s, picture, beat_phase(world, picture))
    ring_colour = attributes.colour if attributes.subject == NONE else NONE
    scene = backdrop(attributes.scene, attributes.light, world.seed % VARIANTS, ring_colour)
    canvas = scene.draw(moment)
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    shown = zip(
        (attributes.subject, attributes.second),
        (attributes.colour, attributes.second_colour),
        poses(world, attributes, picture),
        strict=False,
    )
    for subject, colour, pose in sorted(shown, key=lambda item: item[2].depth):
        paint_subject(canvas, cover, subject, colour, pose, scene.lighting, time_s)
    for layer in scene.before:
        layer.draw(canvas, moment)
    lift, gain = _GRADES[attributes.mood]
    canvas *= _vignette(attributes.mood)
    if lift:
        canvas += np.float32(255.0 * lift) * f32(gain)
    return canvas, cover * 255.0


@cache
def _vignette(mood: str) -> Plane:
    """What every picture is multiplied with in the end: float32 [96, 160, 3]."""
    lift, gain = _GRADES[mood]
    away = ((X - WIDTH / 2) / 96.0) ** 2 + ((Y - HEIGHT / 2) / 66.0) ** 2
    dark = 1.0 - 0.2 * np.clip(away - 0.25, 0.0, None) ** 1.2
    return f32(dark[..., None] * np.array(gain) * 255.0 * (1.0 - max(lift, 0.0)))


def _bytes(values: Plane) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(values + 0.5, 0.0, 255.0).astype(np.uint8)
    return rounded
