"""Fireworks: a spark that rises, then large streamers of light that leave a point, droop and fade."""

from __future__ import annotations

from functools import lru_cache
from math import exp, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.screen import GROUND, HEIGHT, Plane, Screen, f32, rgb, shine, smooth, stream_of
from streamgen_export.pocket.world.timeline import Event

RISE_PICTURES: Final = 10
"""How long the spark rises before its burst."""
BURST_PICTURES: Final = 32
"""How long the streamers of a burst can be seen: 1.9 s."""

_COLOURS: Final = (
    ("#ff3b4e", "#ffb36b"),
    ("#ffc23a", "#fff1b8"),
    ("#35e07a", "#d8ff9a"),
    ("#3fa8ff", "#b9f0ff"),
    ("#b45cff", "#ff9ae6"),
    ("#ff5fb0", "#ffe3a0"),
    ("#2fe6e0", "#ffffff"),
    ("#ff8a2a", "#ffe07a"),
)
_KINDS: Final = ("peony", "palm", "willow", "double")
_RADIUS: Final = {"peony": 31.0, "palm": 33.0, "willow": 34.0, "double": 32.0}  # units
_STREAMERS: Final = {"peony": 16, "palm": 9, "willow": 13, "double": 14}
_DROOP: Final = {"peony": 5.0, "palm": 8.0, "willow": 14.0, "double": 5.0}  # units that the ends fall in their time
_LONG: Final = {"peony": 0.62, "palm": 0.8, "willow": 0.92, "double": 0.5}  # of a streamer, as a share of its way


def draw_rise(canvas: Plane, event: Event, age: int, screen: Screen) -> None:
    """Draw the spark that rises before a burst; `age` is the pictures since the burst, negative before it."""
    if not -RISE_PICTURES <= age < 0:
        return
    left = -age / RISE_PICTURES
    x = event.x * screen.span + 1.2 * sin(6.0 * left) * left
    y = event.y * HEIGHT + (GROUND - event.y * HEIGHT) * left**1.7
    tail = 22.0 * left + 5.0
    rows = slice(screen.row(y - 3.0), screen.row(y + tail))
    columns = slice(screen.column(x - 6.0), screen.column(x + 6.0))
    down = screen.y[rows] - y
    along = np.where(down < 0, np.exp(-((down / 0.8) ** 2)), np.exp(-down / (0.4 * tail)))
    across = (screen.x[:, columns] - x - 0.06 * np.sin(0.8 * down)) ** 2
    light = 0.8 * along * (np.exp(-across * 1.3) + 0.3 * np.exp(-across * 0.22))
    light = light + np.exp(-((screen.x[:, columns] - x) ** 2 + down * down) * 0.7)
    shine(canvas[rows, columns], f32(np.minimum(light, 1.0) * (0.95 - 0.3 * left))[..., None] * rgb("#ffd9a0"))


def draw_burst(canvas: Plane, event: Event, age: int, screen: Screen) -> None:
    """Draw a burst, `age` pictures after it began."""
    if not 0 <= age < BURST_PICTURES:
        return
    kind = _KINDS[(event.number // 2) % len(_KINDS)]
    outer, inner = (rgb(code) for code in _COLOURS[event.number % len(_COLOURS)])
    t = (age + 0.6) / BURST_PICTURES
    # Air brakes the streamers soon; then only their weight moves them.
    reach = _RADIUS[kind] * (1.0 - exp(-4.2 * t)) / (1.0 - exp(-4.2))
    droop = _DROOP[kind] * t * t
    fade = float(smooth(1.0, 0.42, f32(t)))
    x, y = event.x * screen.span, event.y * HEIGHT
    span = max(1.3 * reach + 4.0, 0.8 * _RADIUS[kind])
    rows = slice(screen.row(y - span), screen.row(y + span + droop))
    columns = slice(screen.column(x - span), screen.column(x + span))
    part = canvas[rows, columns]
    if not part.size:
        return
    right = screen.x[:, columns] - x
    down = screen.y[rows] - y
    # What is farther out left the centre faster, has been lighter for longer and hangs lower.
    straight = np.sqrt(right * right + down * down) * np.float32(1.0 / reach)
    fallen = down - np.float32(droop) * np.minimum(straight, 1.3) ** 2
    radius, angle = map(f32, cv2.cartToPolar(np.broadcast_to(right, fallen.shape).copy(), fallen))
    light = _streamers(radius, angle, reach, kind, event.number % 12, t)
    if kind == "double":
        light += 0.8 * _streamers(radius, angle + np.float32(0.2), 0.52 * reach, "peony", event.number % 12, t)
    falling = -(radius * radius)
    light *= np.float32(fade)
    white = np.maximum(light - np.float32(0.85 * fade), 0.0)
    light += (0.24 * fade) * np.exp(falling * np.float32(1.0 / (0.52 * reach + 1.0) ** 2))
    far = smooth(0.0, 0.55, radius * np.float32(1.0 / reach))
    near = light * (1.0 - far)
    if t < 0.5:
        flash = exp(-9.0 * t) * np.exp(falling * np.float32(1.0 / (0.26 * _RADIUS[kind]) ** 2))
        near += 0.4 * flash
        white += 0.6 * flash
    colours = np.stack([inner, outer, rgb("#ffffff")], axis=1)
    lit = f32(cv2.transform(cv2.merge((near, light * far, white)), colours))
    shine(part, np.minimum(lit, 1.0))


def _streamers(radius: Plane, angle: Plane, reach: float, kind: str, number: int, t: float) -> Plane:
    """Light of the streamers at polar places [h, w]."""
    count = _STREAMERS[kind]
    own = _lengths(kind, number)
    turns = angle * np.float32(count / (2 * np.pi)) + np.float32(0.37 * number)
    index = np.floor(turns)
    off = turns - index - 0.5
    index %= count
    length = own[index.astype(np.uint8)]
    along = radius / (length * np.float32(reach))
    # A streamer is as wide as its head at the head and pointed where it came from.
    wide = (0.55 + 1.35 * np.minimum(along, 1.0)) * np.float32(0.62 if kind != "palm" else 1.0)
    away = off * radius * np.float32(2 * np.pi / count) / wide
    core = 1.1 * np.exp(-away * away) + 0.30 * np.exp(-0.12 * away * away)
    tail = smooth(1.0 - _LONG[kind] - 0.15 * t, 0.97, along)
    head = smooth(1.07, 0.98, along)
    return f32(core * tail * head)


@lru_cache(maxsize=64)
def _lengths(kind: str, number: int) -> Plane:
    """How far each streamer of a burst comes, as a share."""
    return f32(stream_of(f"{kind} {number}").uniform(0.86, 1.0, _STREAMERS[kind]))
