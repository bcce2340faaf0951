"""The window of a picture in which a subject is drawn, in the subject's own units, and shapes filled in it.

Outlines are polygons that OpenCV fills with soft edges; a surface gets its roundness from its own blurred mask: a blur
is high in the middle and low at the edge, so its slope towards the light says how much a spot faces it.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import cos, hypot, sin, sqrt
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamgen_export.pocket.world.masks import NOTHING, Mask, Part, common, inside
from streamgen_export.pocket.world.outlines import Outline, Point
from streamgen_export.pocket.world.palette import BRIGHTEST, LEVELS, Ramp, ramp
from streamgen_export.pocket.world.pose import Pose
from streamgen_export.pocket.world.screen import Plane, Screen, f32
from streamgen_export.pocket.world.view import Lighting

_SHIFT: Final = 4  # fractional bits of OpenCV's corners
_MARGIN: Final = 7  # pixels around a subject's reach, for soft light around it
_LEVEL: Final = np.float32((LEVELS - 1) / BRIGHTEST)


class Patch:
    """Pixels around one subject; shapes are painted one over the other.

    Attributes:
        pose: of the subject.
        lighting: on it.
        look: number that picks between its looks.
        rows: of the picture.
        columns: of the picture.
        colour: uint8 [h, w, 3], already multiplied by the coverage.
        cover: uint8 [h, w].
        scale: pixels in a unit of the subject.
        light: direction to the light (right, down, to the viewer), of length 1.
    """

    def __init__(
        self, screen: Screen, pose: Pose, reach: tuple[float, float, float, float], lighting: Lighting, look: int = 0
    ) -> None:
        """Takes how far the subject reaches to its left, right, up and down, unturned, in its radii."""
        self.pose, self.lighting, self.look = pose, lighting, look
        self.scale = pose.radius * screen.unit
        c, s = cos(pose.angle), sin(pose.angle)
        wide, tall = self.scale * pose.facing / pose.stretch, self.scale * pose.stretch
        # (right, down) in pixels of the picture = (u, v) @ _turn + _centre.
        self._turn = np.array([[c * wide, s * wide], [-s * tall, c * tall]])
        centre = np.array([pose.x * screen.unit - 0.5, pose.y * screen.unit - 0.5])
        left, right, up, down = reach
        corners = np.array([(-left, -up), (right, -up), (right, down), (-left, down)]) @ self._turn + centre
        low, high = corners.min(axis=0) - _MARGIN, corners.max(axis=0) + _MARGIN
        self.columns = _within(low[0], high[0], screen.width)
        self.rows = _within(low[1], high[1], screen.height)
        self._centre = centre - (self.columns.start, self.rows.start)
        self._fixed_turn = self._turn * (1 << _SHIFT)
        self._fixed_centre = self._centre * (1 << _SHIFT) + 0.5
        self.shape = (self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)
        self.colour = np.zeros((*self.shape, 3), np.uint8)
        self.cover = np.zeros(self.shape, np.uint8)
        x, y = lighting.towards
        length = sqrt(x * x + y * y + 0.55)
        self.light = (x / length, y / length, sqrt(0.55) / length)

    @property
    def empty(self) -> bool:
        """Whether no pixel of the picture is near the subject."""
        return not self.cover.size

    @cached_property
    def _grid(self) -> tuple[Plane, Plane]:
        back = np.linalg.inv(self._turn).astype(np.float32)
        x = f32(np.arange(self.shape[1]) - self._centre[0])[None, :]
        y = f32(np.arange(self.shape[0]) - self._centre[1])[:, None]
        return back[0, 0] * x + back[1, 0] * y, back[0, 1] * x + back[1, 1] * y

    @property
    def u(self) -> Plane:
        """Across, in the subject's units: float32 [h, w]."""
        return self._grid[0]

    @property
    def v(self) -> Plane:
        """Down, in the subject's units: float32 [h, w]."""
        return self._grid[1]

    @property
    def everywhere(self) -> Mask:
        """The whole patch."""
        return Mask((slice(0, self.shape[0]), slice(0, self.shape[1])), np.full(self.shape, 255, np.uint8))

    @cached_property
    def own_light(self) -> tuple[float, float, float]:
        """Direction to the light as the turned subject sees it (right, down, to the viewer)."""
        c, s = cos(self.pose.angle), sin(self.pose.angle)
        x, y, z = self.light
        across = (c * x + s * y) * (1.0 if self.pose.facing > 0 else -1.0)
        return across, c * y - s * x, z

    def mask(self, outline: Outline, within: Mask | None = None) -> Mask:
        """Coverage of an outline; only what is `within` another mask if that is given."""
        corners = self._corners(outline)
        x, y, w, h = cv2.boundingRect(corners)
        part = (
            slice(max((y >> _SHIFT) - 1, 0), max(min(((y + h) >> _SHIFT) + 2, self.shape[0]), 0)),
            slice(max((x >> _SHIFT) - 1, 0), max(min(((x + w) >> _SHIFT) + 2, self.shape[1]), 0)),
        )
        if within is not None:
            part = common(part, within.part) or NOTHING
        top, left = part[0].start, part[1].start
        share = np.zeros((max(part[0].stop - top, 0), max(part[1].stop - left, 0)), np.uint8)
        if not share.size:
            return Mask(NOTHING, np.zeros((0, 0), np.uint8))
        cv2.fillPoly(share, [corners], 255, cv2.LINE_AA, _SHIFT, (-left << _SHIFT, -top << _SHIFT))
        if within is not None:
            cv2.min(share, within.share[inside(part, within.part)], dst=share)
        return Mask(part, share)

    def fill(
        self,
        outline: Outline,
        colour: str | Ramp,
        bright: float = 0.75,
        *,
        fall: float = 0.0,
        plump: float = 0.0,
        relief: float = 0.5,
        within: Mask | None = None,
        alpha: float = 1.0,
    ) -> Mask:
        """Paint an outline; returns its mask.

        Args:
            outline: of the shape.
            colour: name of a colour in this light, or a ramp.
            bright: how much it faces the light.
            fall: how much darker it is at its bottom than at its top.
            plump: width of its rounded edge in the subject's units; 0 is flat.
            relief: how strongly that edge is lit and shaded.
            within: cuts the shape.
            alpha: 1 is solid.
        """
        found = self.mask(outline, within)
        self._paint(found, colour, bright, fall, plump, relief, alpha, within is not None)
        return found

    def dab(self, outline: Outline, colour: str | Ramp, bright: float = 0.75) -> None:
        """Paint a flat, solid outline; the fastest way."""
        corners = [self._corners(outline)]
        red, green, blue = self._flat(colour, bright)
        cv2.fillPoly(self.colour, corners, (red, green, blue), cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.cover, corners, 255, cv2.LINE_AA, _SHIFT)

    def paint(
        self,
        mask: Mask,
        colour: str | Ramp,
        bright: float | Plane = 0.75,
        *,
        fall: float = 0.0,
        plump: float = 0.0,
        relief: float = 0.5,
        alpha: float = 1.0,
    ) -> None:
        """Paint where a mask is; as `fill`. `bright` may be a field of the whole patch, [h, w]."""
        self._paint(mask, colour, bright, fall, plump, relief, alpha, False)

    def glint(self, at: Point, size: float, strength: float = 0.6, within: Mask | None = None) -> None:
        """A soft highlight around a point, on what has been painted."""
        x, y = np.asarray(at) @ self._turn + self._centre
        reach = size * self.scale
        columns = _within(x - 1.5 * reach, x + 1.5 * reach, self.shape[1])
        rows = _within(y - 1.5 * reach, y + 1.5 * reach, self.shape[0])
        part: Part | None = (rows, columns)
        covered = self.cover
        if within is not None:
            part = common((rows, columns), within.part)
            covered = within.share
        if part is None or rows.stop <= rows.start or columns.stop <= columns.start:
            return
        inner = part if within is None else inside(part, within.part)
        across = f32((np.arange(part[1].start, part[1].stop) - x) / reach) ** 2
        down = f32((np.arange(part[0].start, part[0].stop) - y) / reach) ** 2
        square = down[:, None] + across[None, :]
        square *= -square
        share = np.exp(square) * covered[inner]
        share *= np.float32(strength / 255)
        self._over(part, (255, 255, 255), share)

    def _paint(
        self,
        mask: Mask,
        colour: str | Ramp,
        bright: float | Plane,
        fall: float,
        plump: float,
        relief: float,
        alpha: float,
        covered: bool,
    ) -> None:
        if not mask.share.size:
            return
        share = mask.share * np.float32(alpha / 255)
        if isinstance(bright, float | int) and not fall and not plump:
            self._over(mask.part, self._flat(colour, bright), share)
        else:
            field = bright if isinstance(bright, float | int) else bright[mask.part]
            if fall:
                field = field + fall * (0.5 - _falling(share.shape[0]))
            if plump:
                field = field + self._relief(mask, plump, relief)
            level = np.empty(share.shape, np.uint8)
            level[:] = np.clip(field * _LEVEL, 0, LEVELS - 1)
            shades = ramp(colour, self.lighting) if isinstance(colour, str) else colour
            toned: NDArray[np.uint8] = cv2.applyColorMap(level, shades).astype(np.uint8, copy=False)
            self._over(mask.part, toned, share)
        if not covered:
            cover = self.cover[mask.part]
            seen = mask.share if alpha >= 1.0 else cv2.convertScaleAbs(mask.share, alpha=alpha)
            cv2.add(cover, cv2.multiply(255 - cover, seen, scale=1 / 255), dst=cover)

    def _corners(self, outline: Outline) -> NDArray[np.int32]:
        corners = np.asarray(outline) @ self._fixed_turn
        corners += self._fixed_centre
        fixed: NDArray[np.int32] = np.floor(corners).astype(np.int32)
        return fixed

    def _flat(self, colour: str | Ramp, bright: float) -> tuple[int, int, int]:
        shades = ramp(colour, self.lighting) if isinstance(colour, str) else colour
        red, green, blue = shades[min(max(int(bright * _LEVEL), 0), LEVELS - 1), 0].tolist()
        return red, green, blue

    def _over(self, part: Part, colour: NDArray[np.uint8] | tuple[int, int, int], share: Plane) -> None:
        """Paint a colour, or a field of them, with `share` [h, w] of 0 to 1."""
        below = self.colour[part]
        if isinstance(colour, tuple):
            flat = np.empty(below.shape, np.uint8)
            cv2.rectangle(flat, (0, 0), (below.shape[1], below.shape[0]), colour, -1)
            colour = flat
        self.colour[part] = cv2.blendLinear(colour, below, share, 1.0 - share)

    def _relief(self, mask: Mask, plump: float, strength: float) -> Plane:
        """How much a cushion with this mask faces the light, within about `strength` of 0: float32 [h, w]."""
        pixels = max(plump * self.scale, 1.0)
        pad = round(pixels) + 1
        padded = cv2.copyMakeBorder(mask.share, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0).astype(np.float32)
        size = max(2 * round(0.5 * pixels) + 1, 3)
        soft = cv2.blur(cv2.blur(padded, (size, size)), (size, size))
        x, y, _ = self.light
        length = hypot(x, y) + 1e-6
        dx, dy = round(0.8 * pixels * x / length), round(0.8 * pixels * y / length)
        h, w = mask.share.shape
        away = soft[pad - dy : pad - dy + h, pad - dx : pad - dx + w]
        towards = soft[pad + dy : pad + dy + h, pad + dx : pad + dx + w]
        slope: Plane = (away - towards) * np.float32(strength / 255)
        return slope


def _within(low: float, high: float, end: int) -> slice:
    start = min(max(int(low), 0), end)
    return slice(start, max(min(int(high) + 2, end), start))


@lru_cache(maxsize=512)
def _falling(rows: int) -> Plane:
    return np.linspace(0, 1, rows, dtype=np.float32)[:, None]
