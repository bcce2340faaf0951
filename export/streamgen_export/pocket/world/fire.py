"""A large campfire in a dark glade: layered flames over glowing logs, and a few large sparks.

The camera circles around the fire when it pans: the fire keeps its place, the ground before it moves one way and the
trees behind it the other.
"""

from __future__ import annotations

from math import pi, sin
from typing import Final

import cv2
import numpy as np

from streamgen_export.pocket.world.air import Air
from streamgen_export.pocket.world.hearth import Hearth
from streamgen_export.pocket.world.screen import (
    HEIGHT,
    Plane,
    Screen,
    Scroll,
    f32,
    mix,
    rgb,
    smooth,
    stream_of,
    texture,
)
from streamgen_export.pocket.world.strip import Spot, add_glow, lay, premultiplied, stack
from streamgen_export.pocket.world.view import Lighting, View

_FOOT: Final = 82.0
"""Row on which the fire stands."""
_REACH: Final = 74.0
"""Height of the flames."""
_HORIZON: Final = 66.0
_WARM: Final = rgb("#ff8a34")
_TREES_DEPTH, _NEAR_DEPTH = -0.2, 1.0
_SPARKS: Final = 9
_SPARK_S: Final = 4.8
"""From a spark's birth to its end."""


class Fire:
    """A `Place`."""

    def __init__(self, screen: Screen, variant: int) -> None:
        key = f"fire {variant}"
        self._screen, self._x = screen, 0.5 * screen.span
        self._far = Scroll(_trees(screen, key + " far", 13, (5.0, 9.0), 0.14), screen.width)
        self._near_trees = Scroll(_trees(screen, key + " near", 7, (9.0, 15.0), 0.3), screen.width)
        away = np.hypot((screen.x - self._x) / 82.0, (screen.y - 54.0) / 62.0)
        self._light = f32(1.0 / (1.0 + 2.6 * away * away) ** 1.5)
        self._ground = Scroll(_ground(screen, key), screen.width)
        flat = np.hypot((screen.x - self._x) / 84.0, (screen.y[screen.row(_HORIZON) :] - _FOOT) / 19.0)
        self._pool = f32(1.5 / (1.0 + 2.0 * flat**2) ** 1.3)[..., None] * _WARM + rgb("#0e0d16")
        self._hearth = Hearth(screen, key, self._x)
        self._flames = Flames(screen, key, self._x)
        self._grass = Scroll(_grass(screen, key), screen.width)
        self._grass_top = screen.height - self._grass.at(0).shape[0]

    def sky(self, canvas: Plane, view: View) -> None:
        """The dark between the trees."""
        canvas[:] = self._screen.gradient([(0, rgb("#05060f")), (60, rgb("#101222")), (HEIGHT, rgb("#08080f"))])

    def land(self, canvas: Plane, view: View) -> None:
        """Trees, ground, fire."""
        flicker = np.float32(_flicker(view.time_s))
        top = self._screen.row(_HORIZON)
        glow = self._light * (np.float32(0.62) * flicker)
        canvas += cv2.merge([glow * c for c in rgb("#8a3414")])
        lit = self._light[:top] * (flicker * np.float32(3.0)) + np.float32(0.10)
        lit = f32(cv2.merge((lit, lit, lit)))
        for trees, depth in ((self._far, 0.6 * _TREES_DEPTH), (self._near_trees, _TREES_DEPTH)):
            red, green, blue, cover = cv2.split(trees.at(view.shift(depth)))
            clear = 1.0 - cover
            upper = canvas[:top]
            upper *= cv2.merge((clear, clear, clear))
            upper += cv2.merge((red, green, blue)) * lit
        canvas[top:] = self._ground.at(view.shift(0.7)) * (self._pool * flicker)
        self._hearth.draw(canvas, view)
        self._flames.draw(canvas, view)
        self._hearth.draw_front(canvas, flicker)
        for index in range(_SPARKS):
            self._spark(canvas, view.time_s, index)

    def before(self, canvas: Plane, view: View) -> None:
        """Dark grass at the lower edge."""
        lay(canvas[self._grass_top :], self._grass.at(view.shift(_NEAR_DEPTH)))

    def lighting(self, air: Air) -> Lighting:
        """Warm light from behind and below."""
        return Lighting(
            (0.05, 0.45), (1.0, 0.8, 0.52), 0.46, (1.0, 0.62, 0.24), (1.0, 0.62, 0.36), 0.24, shadow=0.5, glow=0.06
        )

    def _spark(self, canvas: Plane, time_s: float, index: int) -> None:
        rng = stream_of(f"spark {index}")
        side, swing, phase, size = (float(v) for v in rng.uniform((-1, 2, 0, 0.7), (1, 6, 6.28, 1.05)))
        age = (time_s / _SPARK_S + index / _SPARKS) % 1.0
        x = self._x + side * (9 + 26 * age) + swing * age * sin(5.0 * age + phase)
        y = 66.0 - 74.0 * age
        strength = np.float32(min(6 * age, 1.0) * (1.0 - age) ** 0.7)
        add_glow(canvas, self._screen, (x, y), 4.5 * size, strength * np.float32(0.6) * rgb("#ff6a14"))
        add_glow(canvas, self._screen, (x, y), 1.5 * size, strength * rgb("#ffe0a0"))


def _flicker(time_s: float) -> float:
    return 1.0 + 0.06 * sin(2 * pi * time_s / 1.44) + 0.04 * sin(2 * pi * time_s / 0.96 + 1.0)


class Flames:
    """Tongues that stream upwards through one another: noise that rises, bent into the shape of a fire."""

    _PERIOD: Final = 96.0
    _STOPS: Final = (
        (0.00, "#7c1604", 0.0),
        (0.05, "#b02405", 0.55),
        (0.11, "#e2460a", 0.92),
        (0.27, "#ff7410", 0.97),
        (0.33, "#ff9a20", 1.0),
        (0.52, "#ffb42e", 1.0),
        (0.60, "#ffd556", 1.0),
        (0.82, "#ffe88a", 1.0),
        (1.00, "#fffae0", 1.0),
    )

    def __init__(self, screen: Screen, key: str, x: float) -> None:
        self._screen = screen
        half = 47.0
        self._left, self._right = screen.column(x - half), screen.column(x + half)
        self._top, self._bottom = screen.row(_FOOT - _REACH - 8), screen.row(_FOOT + 2)
        across = f32(screen.x[:, self._left : self._right] - x)
        self._up = (_FOOT - screen.y[self._top : self._bottom]) * np.float32(1 / _REACH)
        self._across = across
        columns, rows = across.shape[1], round(self._PERIOD * screen.unit)
        self._rows = self._bottom - self._top
        self._slow = self._rising(texture(screen, key + " slow", rows, columns, (30.0, 46.0), 0.7))
        self._quick = self._rising(texture(screen, key + " quick", rows, columns, (9.0, 22.0), 0.7))
        # A broad flame in the middle, smaller ones on both sides: (column, half width, share of the height).
        self._lobes = []
        for x_lobe, half_width, share in ((0.0, 23.0, 1.0), (-17.0, 12.0, 0.52), (16.0, 13.0, 0.60)):
            up = np.clip(self._up / share, 0.0, 1.3)
            width = half_width * np.clip(0.8 + 1.1 * up, 0, 1) * np.clip(1.12 - 0.94 * up, 0.08, 1) ** 0.7
            self._lobes.append((np.float32(x_lobe), f32(1.0 / width), f32(1.06 - 1.0 * up)))
        self._gain = f32(0.12 + 0.30 * np.clip(self._up, 0, 1) ** 0.7)
        self._up_limit = np.float32(1.08)
        self._bed = smooth(-0.02, 0.05, self._up)
        at = np.linspace(0, 1, 256)
        stops = [stop for stop, _, _ in self._STOPS]
        colours = np.stack([rgb(code) for _, code, _ in self._STOPS])
        cover = f32(np.interp(at, stops, [c for _, _, c in self._STOPS]))
        colour = f32(np.stack([np.interp(at, stops, colours[:, c]) for c in range(3)], axis=-1))
        self._table = f32(np.concatenate([colour * cover[:, None], cover[:, None]], axis=1))

    def _rising(self, noise: Plane) -> Plane:
        return np.ascontiguousarray(np.concatenate([noise, noise[: self._rows + 1]]))

    def _risen(self, noise: Plane, time_s: float, seconds: float) -> Plane:
        period = noise.shape[0] - self._rows - 1
        row = round(time_s / seconds * period) % period
        return noise[row : row + self._rows]

    def draw(self, canvas: Plane, view: View) -> None:
        """Paint them over the canvas."""
        t, up = view.time_s, self._up
        # 96 units in 4.32 s and 3.36 s: 14 and 18 pixels a chunk at 256 rows.
        noise = self._risen(self._slow, t, 4.32)
        noise = noise + np.float32(0.8) * self._risen(self._quick, t, 3.36)
        bend = (3.0 + 9.0 * up) * np.sin(3.4 * up - 2.0 * t) * up + 2.0 * np.sin(1.1 * t) * up
        x = self._across + f32(bend)
        heat = np.full(x.shape, -1.0, np.float32)
        for middle, narrow, fall in self._lobes:
            away = (x - middle) * narrow
            heat = np.maximum(heat, fall - away * away * np.float32(0.9))
        # Tongues may leave the flames, but not fly far.
        held = np.clip((heat + np.float32(0.30)) * np.float32(4.0), 0.0, 1.0)
        heat = (heat + noise * self._gain) * self._bed * held
        heat *= np.clip(8.0 * (self._up_limit - up), 0.0, 1.0)
        index = np.clip(heat * 255.0, 0.0, 255.0).astype(np.uint8)
        part = canvas[self._top : self._bottom, self._left : self._right]
        lay(part, np.take(self._table, index, axis=0))


def _trees(screen: Screen, key: str, count: int, width: Spot, albedo: float) -> Plane:
    """Trunks and crowns as far down as the ground; colour is that in full firelight: [rows, period, 4]."""
    rows, period = screen.row(_HORIZON), round(1.25 * screen.width)
    x, y = f32((np.arange(period) + 0.5) / screen.unit)[None, :], screen.y[:rows]
    span = period / screen.unit
    rng = stream_of(key)
    leaves = texture(screen, key + " leaves", rows, period, (30.0, 24.0), 1.5)
    layer = np.zeros((rows, period, 4), np.float32)
    bark = texture(screen, key + " bark", rows, period, (3.0, 30.0), 1.0)
    for index in range(count):
        middle = (index + rng.uniform(0.15, 0.85)) * span / count
        wide = rng.uniform(*width) * 0.5
        lean = rng.uniform(-0.06, 0.06)
        away = (x - middle - lean * (_HORIZON - y) + 0.5 * span) % span - 0.5 * span
        thick = wide * (0.62 + 0.5 * np.exp((y - _HORIZON) / 7.0))
        cover = screen.cover(np.abs(away) - thick)
        side = np.clip(away / thick, -1, 1)
        shade = (1 - 0.75 * side**2) * (0.8 + 0.14 * bark)
        colour = f32(albedo * shade)[..., None] * rgb("#ffb07a")
        layer = stack(layer, premultiplied(colour, f32(cover)))
    crown = smooth(-0.3, 0.15, 0.8 * leaves + 2.3 - y / 10.0)
    bush = smooth(-0.3, 0.3, 0.55 * leaves + (y - 61.0) / 3.0)
    crown = np.maximum(crown, bush)
    colour = f32(albedo * np.clip(0.42 + 0.2 * leaves, 0.1, 1))[..., None] * rgb("#a8883c")
    return stack(layer, premultiplied(np.maximum(colour, 0), f32(crown)))


def _ground(screen: Screen, key: str) -> Plane:
    """What the ground reflects: float32 [rows, period, 3]."""
    rows, period = screen.height - screen.row(_HORIZON), round(1.25 * screen.width)
    rough = texture(screen, key + " ground", rows, period, (34.0, 5.0), 1.0)
    blades = texture(screen, key + " blades", rows, period, (3.0, 3.4), 0.8)
    value = np.clip(0.40 + 0.07 * rough + 0.035 * blades, 0.1, 1)[..., None]
    return f32(value * mix(rgb("#c08450"), rgb("#94964c"), smooth(-1.2, 1.2, rough)[..., None]))


def _grass(screen: Screen, key: str) -> Plane:
    """Tufts along the lower edge, almost black: [rows, period, 4]."""
    top, period = screen.row(84), round(1.5 * screen.width)
    x, y = f32((np.arange(period) + 0.5) / screen.unit)[None, :], screen.y[top:]
    span = period / screen.unit
    layer = np.zeros((screen.height - top, period, 4), np.float32)
    rng = stream_of(key + " grass")
    for index in range(int(span / 2.2)):
        root = (index + rng.uniform(0, 1)) * 2.2
        height, lean = rng.uniform(3.0, 8.5) * (0.45 + 0.55 * sin(root * 2 * pi * 3 / span) ** 2), rng.uniform(-3, 3)
        up = np.clip((HEIGHT - y) / height, 0, 1)
        away = (x - root - lean * up * up + 0.5 * span) % span - 0.5 * span
        cover = screen.cover(np.abs(away) - 0.75 * (1 - up)) * (up < 1)
        colour = mix(rgb("#07070a"), rgb("#3a1c0c"), up[..., None] * up[..., None])
        layer = stack(layer, premultiplied(f32(np.broadcast_to(colour, (*cover.shape, 3))), f32(cover)))
    return layer


def fire(screen: Screen, variant: int) -> Fire:
    """A campfire at night."""
    return Fire(screen, variant)
