"""Shooting stars, and a few large stars that twinkle slowly."""

from __future__ import annotations

from math import pi, sin
from typing import Final

import numpy as np

from streamgen_export.pocket.world.screen import HEIGHT, Plane, Screen, f32, rgb, shine, stream_of
from streamgen_export.pocket.world.timeline import Event
from streamgen_export.pocket.world.view import View

STREAK_PICTURES: Final = 6
"""How long a shooting star flies."""
_FADE_PICTURES = 5  # in which its trail goes out

_LENGTH = 62.0  # units that it flies
_TRAIL = 46.0  # units
_TWINKLES = 7


def draw_streak(canvas: Plane, event: Event, age: int, screen: Screen) -> None:
    """Draw a shooting star, `age` pictures after it appeared."""
    if not 0 <= age < STREAK_PICTURES + _FADE_PICTURES:
        return
    flown = min((age + 1) / STREAK_PICTURES, 1.0)
    fade = 1.0 - max(age + 1 - STREAK_PICTURES, 0) / (_FADE_PICTURES + 1)
    side = -1.0 if event.x > 0.5 else 1.0
    right, down = 0.88 * side, 0.475
    x, y = event.x * screen.span + right * _LENGTH * flown, event.y * HEIGHT + down * _LENGTH * flown
    trail = min(_TRAIL, _LENGTH * flown)
    tail_x, tail_y = x - right * trail, y - down * trail
    rows = slice(screen.row(min(y, tail_y) - 11.0), screen.row(max(y, tail_y) + 11.0))
    columns = slice(screen.column(min(x, tail_x) - 11.0), screen.column(max(x, tail_x) + 11.0))
    part = canvas[rows, columns]
    if not part.size:
        return
    dx, dy = screen.x[:, columns] - x, screen.y[rows] - y
    back = -(dx * right + dy * down)
    across = dx * down - dy * right
    share = np.clip(1.0 - back * (1.0 / trail), 0.0, 1.0)
    wide = 0.3 + 0.9 * share * share
    body = share**1.6 * np.exp(-((across / wide) ** 2)) * (back > -0.4)
    veil = 0.28 * share**2 * np.exp(-((across / (2.6 * wide)) ** 2)) * (back > -0.4)
    distance = dx * dx + dy * dy
    head = np.exp(-distance / 1.8) + 0.34 * np.exp(-distance / 14.0)
    light = fade * (body + veil)
    shine(part, f32(np.minimum(light, 1.0))[..., None] * rgb("#bfe0ff"))
    shine(part, f32(np.minimum(fade**2 * head, 1.0))[..., None] * rgb("#f4fbff"))


def draw_twinkles(canvas: Plane, view: View) -> None:
    """Draw the large stars."""
    screen = view.screen
    rng = stream_of("twinkles")
    for i in range(_TWINKLES):
        x = (i + rng.uniform(0.2, 0.8)) / _TWINKLES * screen.span
        y, size, period, phase = (rng.uniform(*r) for r in ((5.0, 40.0), (2.6, 4.6), (2.4, 4.8), (0.0, 1.0)))
        bright = 0.55 + 0.45 * sin(2 * pi * (view.time_s / (0.24 * round(period / 0.24)) + phase))
        reach = size * 1.6
        rows = slice(screen.row(y - reach), screen.row(y + reach))
        columns = slice(screen.column(x - reach), screen.column(x + reach))
        dx, dy = np.abs(screen.x[:, columns] - x), np.abs(screen.y[rows] - y)
        rays = np.exp(-dx * (3.2 / size) - dy * 3.6) + np.exp(-dy * (3.2 / size) - dx * 3.6)
        light = bright * (0.9 * rays + 0.5 * np.exp(-(dx * dx + dy * dy) / (0.12 * size * size)))
        shine(canvas[rows, columns], f32(np.minimum(light, 1.0))[..., None] * rgb("#dfeaff"))
