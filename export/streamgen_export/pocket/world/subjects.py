"""Paints the subjects into a picture: themselves, their shadow or reflection, and the light that they give off."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.aloft import balloon, comet, kite, kite_string, lantern
from streamgen_export.pocket.world.attributes import WATER_SURFACE, Attributes
from streamgen_export.pocket.world.figures import creature, dancer, robot
from streamgen_export.pocket.world.flyers import bird, butterfly
from streamgen_export.pocket.world.motion import poses, recent_splashes
from streamgen_export.pocket.world.palette import SHADES
from streamgen_export.pocket.world.pose import EXTENTS, Pose
from streamgen_export.pocket.world.screen import GROUND, WATERLINE, Plane, Screen, f32
from streamgen_export.pocket.world.shading import Patch
from streamgen_export.pocket.world.solids import ball, cube, heart, pyramid, ring, star
from streamgen_export.pocket.world.surface import coloured, foam, grey, reflect, sink, splash, veil, window
from streamgen_export.pocket.world.swimmers import fish, jellyfish, whale
from streamgen_export.pocket.world.vehicles import boat, paper_boat, spaceship, train
from streamgen_export.pocket.world.view import Lighting, View
from streamgen_export.pocket.world.world import World

PAINTERS: Final[dict[str, Callable[[Patch, str], None]]] = {
    "ball": ball,
    "cube": cube,
    "star": star,
    "heart": heart,
    "ring": ring,
    "pyramid": pyramid,
    "balloon": balloon,
    "lantern": lantern,
    "kite": kite,
    "bird": bird,
    "butterfly": butterfly,
    "boat": boat,
    "paper_boat": paper_boat,
    "fish": fish,
    "whale": whale,
    "jellyfish": jellyfish,
    "spaceship": spaceship,
    "comet": comet,
    "train": train,
    "dancer": dancer,
    "robot": robot,
    "creature": creature,
}

_OWN_GLOW: Final[dict[str, float]] = {"lantern": 0.62, "comet": 0.6, "jellyfish": 0.3}
"""Light that a subject gives off by itself, whatever the place."""


def paint_subjects(
    canvas: Plane,
    cover: Plane,
    world: World,
    attributes: Attributes,
    picture: int,
    view: View,
    lighting: Lighting,
) -> None:
    """Paint all subjects of `attributes` in place, the furthest first.

    Args:
        canvas: float32 [H, W, 3].
        cover: float32 [H, W], coverage of the subjects, is brought up to date.
        world: of the clip.
        attributes: what is shown; need not be those of that picture, as one segment fades into the next.
        picture: which one.
        view: circumstances of the picture.
        lighting: of the place.
    """
    shown = sorted(poses(world, attributes, picture), key=lambda item: item[2].depth)
    over_water = attributes.place in WATER_SURFACE
    for subject, colour, pose in shown:
        _paint(canvas, cover, subject, colour, pose, view, lighting, world.seed, over_water)
    if attributes.motion == "leaps":
        for age, x, out in recent_splashes(world, attributes, picture):
            splash(canvas, view.screen, lighting, x, age, out)


def _paint(
    canvas: Plane,
    cover: Plane,
    subject: str,
    colour: str,
    pose: Pose,
    view: View,
    lighting: Lighting,
    look: int,
    over_water: bool,
) -> None:
    screen = view.screen
    mirror_row = WATERLINE if pose.wet or over_water else GROUND
    if pose.height >= 0.0 and lighting.shadow > 0 and not over_water:
        _cast_shadow(canvas, screen, subject, pose, lighting.shadow)
    if subject == "train":
        _rails(canvas, screen, lighting)
    glow = max(lighting.glow, _OWN_GLOW.get(subject, 0.0))
    if glow > 0:
        _shed_light(canvas, screen, pose, f32(SHADES[colour].base), glow)
    if subject == "kite":
        _string(canvas, screen, pose)
    patch = Patch(screen, pose, _reach(subject, pose), lighting, look)
    if patch.empty:
        return
    PAINTERS[subject](patch, colour)
    _rim(patch)
    if lighting.mirror > 0 and (pose.wet or over_water or pose.height >= 0.0):
        reflect(canvas, patch, screen, mirror_row, lighting.mirror, view.time_s)
    if pose.wet:
        sink(patch, screen, view.time_s)
    part = canvas[patch.rows, patch.columns]
    if subject != "comet":
        _set_off(part, patch)
    share = patch.cover * np.float32(1 / 255)
    part *= grey(1.0 - share)
    part += patch.colour * np.float32(1 / 255)
    covered = cover[patch.rows, patch.columns]
    covered += share * (1.0 - covered)
    if pose.wet and subject in ("boat", "paper_boat"):
        foam(canvas, screen, pose, subject, lighting, view.time_s)


def _reach(subject: str, pose: Pose) -> tuple[float, float, float, float]:
    """How far a subject reaches, with the tail that bends to the inside of its path."""
    left, right, up, down = EXTENTS[subject]
    return left, right, up, down + 0.5 * min(left * pose.bend * pose.radius, 1.5) * left


def _cast_shadow(canvas: Plane, screen: Screen, subject: str, pose: Pose, strength: float) -> None:
    lift = max(pose.height, 0.0)
    left, right, _, _ = EXTENTS[subject]
    half = 0.5 * (left + right) * pose.radius * (0.84 + 0.006 * lift)
    x = pose.x + 0.5 * (right - left) * pose.radius
    tall = 3.4 + 0.1 * pose.radius + 0.03 * lift
    rows, columns = window(screen, x, GROUND, 1.7 * half, 2.2 * tall)
    across = ((screen.x[:, columns] - x) * np.float32(1 / half)) ** 2
    down = ((screen.y[rows] - GROUND) * np.float32(1 / tall)) ** 2
    square = across + down
    alpha = np.minimum(strength * 1.25 / (1.0 + lift / 14.0) * np.exp(-square * (1.0 + 0.5 * square)), 0.8)
    if alpha.size:
        canvas[rows, columns] *= grey(1.0 - alpha)


def _rails(canvas: Plane, screen: Screen, lighting: Lighting) -> None:
    """A bed of gravel and two rails, across the picture."""
    rows = slice(screen.row(GROUND - 2), screen.row(GROUND + 7))
    y = screen.y[rows]
    gravel = f32([0.2, 0.17, 0.16]) + 0.12 * f32(lighting.tint)
    layers = [(np.clip(1.0 - np.abs(y - GROUND - 2.2) / 3.6, 0.0, 1.0) ** 0.6 * 0.5, gravel)]
    for row, tall in ((GROUND - 0.1, 0.8), (GROUND + 2.8, 1.0)):
        layers.append((screen.cover(np.abs(y - row) - 0.5 * tall), f32([0.26, 0.25, 0.29])))
        gleam = 0.75 * screen.cover(np.abs(y - row + 0.32 * tall) - 0.14 * tall)
        layers.append((gleam, f32(lighting.key) * 0.5 + 0.4))
    # All of them together, as what is kept of a row and what is added to it.
    kept, added = np.ones_like(y), np.zeros((len(y), 3), np.float32)
    for alpha, colour in layers:
        kept, added = kept * (1.0 - alpha), added * (1.0 - alpha) + alpha * colour
    part = canvas[rows]
    part *= kept[..., None]
    part += cv2.resize(f32(added)[:, None], (screen.width, len(y)), interpolation=cv2.INTER_NEAREST)


def _shed_light(canvas: Plane, screen: Screen, pose: Pose, light: Plane, strength: float) -> None:
    reach = 1.75 * pose.radius
    rows, columns = window(screen, pose.x, pose.y, 2.1 * reach, 2.1 * reach)
    across = np.exp(-(((screen.x[:, columns] - pose.x) * np.float32(1 / reach)) ** 2))
    down = np.exp(-(((screen.y[rows] - pose.y) * np.float32(1 / reach)) ** 2))
    # Not quite 0 at the window's edge otherwise.
    halo = np.maximum(across * down - np.float32(0.0123), 0.0) * np.float32(0.75 * strength)
    part = canvas[rows, columns]
    if halo.size:
        part += coloured(halo, light) * (1.0 - part)


def _string(canvas: Plane, screen: Screen, pose: Pose) -> None:
    line = kite_string(pose.x, pose.y, pose.radius)
    found = np.zeros((screen.height, screen.width), np.uint8)
    fixed = np.round((line * screen.unit - 0.5) * 16).astype(np.int32)
    cv2.polylines(found, [fixed], False, 255, 1, cv2.LINE_AA, 4)
    x, y, w, h = cv2.boundingRect(found)
    part = canvas[y : y + h, x : x + w]
    veil(part, f32([0.94, 0.92, 0.88]), found[y : y + h, x : x + w] * np.float32(0.55 / 255))


def _rim(patch: Patch) -> None:
    """Light from behind along the edge that faces away from the main light."""
    x, y, _ = patch.light
    length = hypot(x, y) + 1e-6
    move = max(0.034 * patch.scale, 1.0)
    shift = np.array([[1, 0, move * x / length], [0, 1, move * y / length]], np.float32)
    moved = cv2.warpAffine(patch.cover, shift, (patch.shape[1], patch.shape[0]))
    edge = cv2.blur(cv2.subtract(patch.cover, moved), (3, 3))
    edge = np.minimum(edge, patch.cover) * np.float32(0.62 / 255)
    rim = np.empty_like(patch.colour)
    red, green, blue = (round(255 * c) for c in patch.lighting.rim)
    cv2.rectangle(rim, (0, 0), (rim.shape[1], rim.shape[0]), (red, green, blue), -1)
    lit = cv2.blendLinear(rim, patch.colour, edge, 1.0 - edge)
    patch.colour = np.minimum(lit, cv2.merge((patch.cover, patch.cover, patch.cover)))


def _set_off(part: Plane, patch: Patch) -> None:
    """Deepen the air around a subject a little and line its edge with light, so that it stands out anywhere."""
    size = max(2 * round(0.14 * patch.scale) + 1, 3)
    near = cv2.blur(cv2.blur(patch.cover, (size, size)), (size, size)) * np.float32(0.2 / 255)
    line = np.minimum(cv2.blur(patch.cover, (5, 5)) * np.float32(0.48 / 255), np.float32(0.3))
    light = f32(patch.lighting.rim) * np.float32(0.6) + np.float32(0.35)
    part *= grey((1.0 - near) * (1.0 - line))
    part += coloured(line, light)
