"""A city: a skyline in three depths with windows, and a street that mirrors it when wet."""

from __future__ import annotations

import cv2
import numpy as np

from streamgen_export.pocket.world.land_buildings import lamp, tower
from streamgen_export.pocket.world.layers import Layer, Sheet
from streamgen_export.pocket.world.open_land import OpenLand
from streamgen_export.pocket.world.screen import Plane, Screen, f32, rgb, smooth, stream_of
from streamgen_export.pocket.world.view import View

_STREET = 74.0
"""Row at which the street begins."""
_LAMPS = (36.0, 141.0, 246.0, 351.0)
"""Where street lamps stand."""


class City(OpenLand):
    """Towers behind a wide street."""

    def __init__(self, screen: Screen, variant: int) -> None:
        """The shape of its skyline follows `variant`."""
        key = f"city {variant}"
        super().__init__(screen, key, variant, 62.0)
        rng = stream_of(key)
        for name, low, high, narrow, wide, gap, panes, depth, far in (
            ("last", 26.0, 52.0, 9.0, 15.0, 1.0, (1.0, 1.3), 0.12, 1.5),
            ("middle", 34.0, 58.0, 13.0, 20.0, 3.0, (1.5, 1.9), 0.25, 0.7),
            ("front", 46.0, 64.0, 18.0, 26.0, 9.0, (2.1, 2.6), 0.5, 0.2),
        ):
            sheet = Sheet(screen, f"{key} {name}", 8, _STREET + 1.0)
            base = sheet.window(0, sheet.span, 69.0 if depth < 0.5 else 71.5)
            sheet.put(base, np.ones((len(base.y), sheet.columns), np.float32), rgb("#454f60"), 0.3)
            x, index = 0.0, 0
            while x < sheet.span - wide:
                width = float(rng.uniform(narrow, wide))
                top = low + (high - low) * float(rng.random()) ** (0.8 if depth < 0.5 else 0.6)
                tower(sheet, f"{key} {name} {index}", x, width, top, 73.5, self.side, panes=panes)
                x += width + gap * float(rng.uniform(0.2, 1.8))
                index += 1
            self.add(Layer(sheet, depth, far=far, sink=0.5 * far))
        self._street = Layer(self._paved(screen, key), 1.0)
        self._lamps = Layer(self._lit(screen, key), 1.0)
        self._mirrored = _Mirror(screen)

    def _paved(self, screen: Screen, key: str) -> Sheet:
        sheet = Sheet(screen, f"{key} street", _STREET, 96)
        window = sheet.whole
        noise = sheet.noise("asphalt", (50.0, 3.0), 0.9)
        down = (window.y - _STREET) / (96.0 - _STREET)
        shade = np.clip(0.62 - 0.22 * down + 0.05 * noise, 0, 1)
        kerb = smooth(1.6, 1.2, window.y - _STREET)
        albedo = rgb("#6a6e78") + (rgb("#a6a49e") - rgb("#6a6e78")) * kerb[..., None]
        albedo = np.broadcast_to(albedo, (*shade.shape, 3))
        snow = np.clip(0.82 + 0.12 * noise - 0.2 * (1 - kerb) * down, 0, 1)
        sheet.put(window, np.ones_like(shade), f32(albedo), f32(shade), snow=f32(snow), gloss=0.25)
        for x in _LAMPS:
            near = sheet.window(x - 30.0, x + 30.0)
            sheet.light(near, f32(0.5 * np.exp(-(((near.x - x) / 11.0) ** 2) - ((near.y - 79.0) / 4.0) ** 2)))
        return sheet

    def _lit(self, screen: Screen, key: str) -> Sheet:
        sheet = Sheet(screen, f"{key} lamps", 46, 82)
        for x in _LAMPS:
            lamp(sheet, x, 77.0, 22.0)
        return sheet

    def land(self, canvas: Plane, view: View) -> None:
        """See `view.Place`."""
        for layer in self._layers:
            layer.draw(canvas, view)
        self._street.draw(canvas, view)
        self._lamps.draw(canvas, view)
        self._mirrored.draw(canvas, view)
        self._falling.far(canvas, view)


class _Mirror:
    """The city upside down in the street, drawn out downwards, as wet asphalt shows it."""

    def __init__(self, screen: Screen) -> None:
        self._first = screen.row(_STREET + 2.0)
        rows = screen.height - self._first
        down = np.arange(rows, dtype=np.float32)[:, None]
        # Rows near the kerb show the foot of the towers; what is further down shows what is high above, compressed.
        self._source = (self._first - 2 - 2.6 * down - 0.02 * screen.unit * down).clip(0, None)
        self._strength = f32(np.linspace(0.78, 0.5, rows)[:, None])
        self._ripple = down / screen.unit
        self._columns = np.arange(screen.width, dtype=np.float32)[None, :]
        self._unit = screen.unit

    def draw(self, canvas: Plane, view: View) -> None:
        """Add it to the street."""
        amount = max(view.air.wet, 0.22 * view.air.lamps)
        if amount < 0.03:
            return
        swing = np.sin(1.1 * self._ripple - 1.7 * view.time_s) * (0.25 + 0.03 * self._ripple) * self._unit
        across = f32(self._columns + swing)
        seen = cv2.remap(
            canvas[: self._first],
            across,
            f32(np.broadcast_to(self._source, across.shape)),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        seen = cv2.blur(seen, (max(1, round(0.5 * self._unit)), max(1, round(3.2 * self._unit))))
        share = self._strength * np.float32(amount)
        share = np.repeat(share, seen.shape[1], axis=1)
        part = canvas[self._first :]
        part += cv2.merge((share, share, share)) * (seen - part)
