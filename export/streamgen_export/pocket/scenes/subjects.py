"""Paints a subject into a scene: itself, its shadow or reflection, and the light it gives off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from streamgen_export.pocket.scenes.backdrop import Lighting
from streamgen_export.pocket.scenes.canvas import Plane, X, Y, f32, mix, rgb, screen
from streamgen_export.pocket.scenes.figures import balloon, bird, boat, fish
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH, Pose
from streamgen_export.pocket.scenes.palette import SHADES, Shades
from streamgen_export.pocket.scenes.shading import Frame, Paint, framed
from streamgen_export.pocket.scenes.solids import ball, cube, heart, ring, star, triangle

SHAPES: Final[dict[str, Callable[[Frame, Shades], Paint]]] = {
    "ball": ball,
    "cube": cube,
    "star": star,
    "triangle": triangle,
    "heart": heart,
    "ring": ring,
    "boat": boat,
    "balloon": balloon,
    "bird": bird,
    "fish": fish,
}

_REACH = 1.36  # units around the centre in which a shape is painted
_TINT = 0.1  # share of the scene's own colour in the subject's light


def paint_subject(
    canvas: Plane, cover: Plane, subject: str, colour: str, pose: Pose, lighting: Lighting, time_s: float
) -> None:
    """Paint one subject in place.

    Args:
        canvas: float32 [96, 160, 3].
        cover: float32 [96, 160], coverage of the subjects, is brought up to date.
        subject: what it is.
        colour: its colour.
        pose: where it is.
        lighting: of the scene.
        time_s: for the ripples of its reflection.
    """
    shades = SHADES[colour]
    ground = pose.y + pose.radius * pose.stretch + max(pose.height, 0.0)
    grounded = pose.height >= 0.0 or subject == "boat"
    if grounded and lighting.shadow > 0:
        _cast_shadow(canvas, pose, ground, lighting.shadow)
    if lighting.glow < 0.1:
        _set_off(canvas, pose)
    if lighting.glow > 0:
        _shed_light(canvas, pose, shades, lighting.glow)
    rows = slice(max(0, int(pose.y - _REACH * pose.radius)), min(HEIGHT, int(pose.y + _REACH * pose.radius) + 1))
    wide = _REACH * pose.radius / min(pose.stretch, 1.0)
    columns = slice(max(0, int(pose.x - wide)), min(WIDTH, int(pose.x + wide) + 1))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    frame = framed(X[:, columns], Y[rows], pose, lighting.towards, lighting.ambient)
    paint = SHAPES[subject](frame, shades)
    light = mix(f32([1, 1, 1]), rgb(lighting.tint), _TINT) * mix(f32([1, 1, 1]), rgb(lighting.key), 0.4)
    lit = np.minimum(paint.colour * light, 1.0)
    _rim(lit, paint.cover, frame, rgb(lighting.rim))
    if grounded and lighting.mirror > 0:
        _reflect(canvas, lit, paint.cover, rows, columns, ground, lighting.mirror, time_s)
    part = canvas[rows, columns]
    part += paint.cover[..., None] * (lit - part)
    covered = cover[rows, columns]
    covered += paint.cover * (1.0 - covered)


def _cast_shadow(canvas: Plane, pose: Pose, ground: float, strength: float) -> None:
    top = max(0, int(ground) - 12)
    lift = max(pose.height, 0.0)
    wide = pose.radius * (0.92 + 0.008 * lift)
    square = ((X - pose.x) * (1.0 / wide)) ** 2 + ((Y[top:] - ground) * (4.2 / wide)) ** 2
    alpha = (strength * 1.3 / (1.0 + lift / 12.0)) * np.exp(-square * 1.2)
    canvas[top:] *= (1.0 - np.minimum(alpha, 0.75))[..., None]


def _set_off(canvas: Plane, pose: Pose) -> None:
    """Darken the air around a subject a little, so that it stands out in bright light."""
    square = ((X - pose.x) ** 2 + (Y - pose.y) ** 2) * (1.0 / (1.2 * pose.radius) ** 2)
    canvas *= (1.0 - 0.17 * np.exp(-square * square))[..., None]


def _shed_light(canvas: Plane, pose: Pose, shades: Shades, strength: float) -> None:
    square = ((X - pose.x) ** 2 + (Y - pose.y) ** 2) * (1.0 / (1.7 * pose.radius) ** 2)
    screen(canvas, (strength * np.exp(-square))[..., None] * shades.base)


def _rim(colour: Plane, cover: Plane, frame: Frame, rim: Plane) -> None:
    """Light from behind along the edge that faces away from the main light."""
    dx, dy = (1 if frame.light[0] > 0 else -1), (1 if frame.light[1] > 0 else -1)
    moved = np.roll(cover, (2 * dy, 2 * dx), (0, 1))
    edge = np.clip(cover - moved, 0.0, 1.0) * 0.34
    colour += edge[..., None] * (rim - colour)


def _reflect(
    canvas: Plane, lit: Plane, cover: Plane, rows: slice, columns: slice, ground: float, strength: float, time_s: float
) -> None:
    """Paint the subject upside down below the ground line, broken by ripples."""
    mirrored = np.arange(int(ground), HEIGHT)
    source = np.round(2 * ground - mirrored).astype(np.intp) - 1 - rows.start
    inside = (source >= 0) & (source < cover.shape[0])
    if not inside.any():
        return
    mirrored, source = mirrored[inside], source[inside]
    ripple = 0.72 + 0.28 * np.sin(1.5 * mirrored - 4.0 * time_s)
    fade = strength * ripple * np.exp(-(mirrored - ground) / 16.0)
    alpha = f32(cover[source] * fade[:, None])
    part = canvas[mirrored[0] : mirrored[-1] + 1, columns]
    part += alpha[..., None] * (lit[source] - part)
