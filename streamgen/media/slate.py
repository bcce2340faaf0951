"""What plays in place of chunks, prepared: the slate, a dark room with slow soft light and a quiet swell, and black.

Both are drawn and encoded once, before they are needed, in every layer, into segments that start with a keyframe of
each; playing them costs nothing, and a viewer who joins meanwhile waits for the next segment only. The slate closes
without a seam: light moves on closed paths and the sound is silent at both ends.

`make_slate` and `make_black` compute, the slate for about a second: never call them on the event loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.clock import SLOT_TICKS
from streamgen.media.layers import Rung
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import VideoEncoder, ticks_per_picture
from streamgen.packets import VIDEO_CLOCK_HZ, VIDEO_CODECS, AudioPacket, Layer, VideoPacket

LOOP_S: Final = 7.68  # about one breath in and out
SEGMENT_S: Final = 0.96
PICTURES_PER_S: Final = 8  # about: enough for light this slow, and a third of the work of a channel's own rate
_BITRATE: Final = 1_200_000  # at most

_TOP: Final = (9, 11, 24)
_BOTTOM: Final = (28, 18, 42)
_LIGHTS: Final = (  # colour, size, turns per loop, phase, path (x, y) in picture heights
    ((70, 92, 190), 0.60, 1, 0.0, (0.42, 0.10)),
    ((168, 74, 120), 0.45, -1, 0.9, (0.55, 0.16)),
    ((36, 140, 150), 0.38, 2, 2.4, (0.30, 0.08)),
)
_CHORD_HZ: Final = (110.0, 164.81, 220.0, 277.18)  # A major, open
_LOUDNESS: Final = 0.035


@dataclass(frozen=True, slots=True)
class SlateSegment:
    """A stretch of the slate. `video` holds every layer and starts with a keyframe of each; pts start at the loop."""

    video: tuple[VideoPacket, ...]
    audio: tuple[AudioPacket, ...]


def make_slate(rungs: Sequence[Rung], *, fps: tuple[int, int], sample_rate: int) -> tuple[SlateSegment, ...]:
    """Draw and encode the slate, for every codec at every rung.

    Args:
        rungs: the channel's ladder, so that viewers see no change of size; the full size is drawn, the others shrunk.
        fps: pictures per second of the channel, as a fraction; the slate shows one of every few.
        sample_rate: the bundle's, in Hz: the sound then has the same delay as the generator's.
    """
    stretch = _Stretch.of(fps)
    segments = max(1, round(LOOP_S * VIDEO_CLOCK_HZ / stretch.length_ticks))
    loop_s = segments * stretch.length_ticks / VIDEO_CLOCK_HZ
    room = _Room(rungs[0].width, rungs[0].height)
    return _encode(
        rungs,
        stretch,
        segments,
        sample_rate,
        draw=lambda index: room.draw(index / (segments * stretch.pictures)),
        sound=lambda time_s: _swell(time_s, loop_s),
    )


def make_black(rungs: Sequence[Rung], *, fps: tuple[int, int], sample_rate: int) -> tuple[SlateSegment, ...]:
    """Encode one segment of black and silence; arguments as for `make_slate`."""
    black = np.zeros((rungs[0].height, rungs[0].width, 3), np.uint8)
    return _encode(
        rungs,
        _Stretch.of(fps),
        1,
        sample_rate,
        draw=lambda index: black,
        sound=lambda time_s: np.zeros((2, len(time_s)), np.float32),
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """How long a segment is: a whole number of pictures and of 20 ms slots."""

    fps: tuple[int, int]  # of the slate
    pictures: int
    picture_ticks: int  # 90 kHz

    @classmethod
    def of(cls, fps: tuple[int, int]) -> "_Stretch":
        every = max(1, round(fps[0] / fps[1] / PICTURES_PER_S))
        ticks = every * ticks_per_picture(fps)
        pictures = max(1, round(SEGMENT_S * VIDEO_CLOCK_HZ / ticks))
        while pictures * ticks % SLOT_TICKS:
            pictures += 1
        return cls((fps[0], fps[1] * every), pictures, ticks)

    @property
    def length_ticks(self) -> int:
        return self.pictures * self.picture_ticks


def _encode(
    rungs: Sequence[Rung],
    stretch: _Stretch,
    segments: int,
    sample_rate: int,
    *,
    draw: Callable[[int], NDArray[np.uint8]],
    sound: Callable[[NDArray[np.float64]], NDArray[np.float32]],
) -> tuple[SlateSegment, ...]:
    """Segments of what `draw` (number of the picture -> RGB of the full size) and `sound` (times in s) give."""
    full = (rungs[0].width, rungs[0].height)
    scalers = [Scaler(full, (rung.width, rung.height)) for rung in rungs]
    encoders = [
        [VideoEncoder(Layer(codec, number), _modest(rung), fps=stretch.fps) for codec in VIDEO_CODECS]
        for number, rung in enumerate(rungs)
    ]
    audio = AudioEncoder(sample_rate, 2)
    samples = round(stretch.length_ticks * sample_rate / VIDEO_CLOCK_HZ)
    made = []
    for segment in range(segments):
        video = []
        for index in range(segment * stretch.pictures, (segment + 1) * stretch.pictures):
            picture = draw(index)
            keyframe = index == segment * stretch.pictures
            for scaler, of_rung in zip(scalers, encoders, strict=True):
                planes = scaler.planes(picture)
                video += [each.encode(planes, index * stretch.picture_ticks, keyframe=keyframe) for each in of_rung]
        time_s = (segment * samples + np.arange(samples)) / sample_rate
        made.append(SlateSegment(tuple(video), audio.encode(sound(time_s))))
    return tuple(made)


def _modest(rung: Rung) -> Rung:
    """The rung with no more bitrate than the slate needs."""
    return Rung(rung.width, rung.height, min(rung.bitrate, _BITRATE))


class _Room:
    """Draws pictures of the loop; what does not move is computed once."""

    def __init__(self, width: int, height: int) -> None:
        self._x = ((np.arange(width) - width / 2) / height).astype(np.float32)[None, :]
        self._y = ((np.arange(height) - height / 2) / height).astype(np.float32)[:, None]
        fall = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
        wall = np.array(_TOP, np.float32) * (1 - fall) + np.array(_BOTTOM, np.float32) * fall
        # Grain of less than one step hides the bands of a dark gradient; standing still, it costs no bits.
        grain = np.random.default_rng(7).uniform(-1.2, 1.2, (height, width, 1)).astype(np.float32)
        vignette = np.exp(-0.5 * (self._x**2 + self._y**2))[..., None]
        self._wall = wall * vignette + grain

    def draw(self, turn: float) -> NDArray[np.uint8]:
        """Picture at `turn` (0..1) of the loop: uint8 `[height, width, 3]`."""
        picture = self._wall.copy()
        for colour, size, turns, phase, (reach_x, reach_y) in _LIGHTS:
            angle = 2 * np.pi * turns * turn + phase
            x, y = reach_x * np.cos(angle), reach_y * np.sin(angle + phase)
            breath = 0.38 + 0.12 * np.sin(2 * np.pi * turn + phase)
            # A Gaussian is the product of its two axes, so a whole glow is one outer product.
            across = np.exp(-(((self._x - x) / size) ** 2))
            down = np.exp(-(((self._y - y) / size) ** 2))
            picture += (breath * down * across)[..., None].astype(np.float32) * np.array(colour, np.float32)
        return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def _swell(time_s: NDArray[np.float64], loop_s: float) -> NDArray[np.float32]:
    """A chord that rises and falls once per loop: float32 `[2, S]`."""
    level = _LOUDNESS * (0.5 - 0.5 * np.cos(2 * np.pi * time_s / loop_s))
    left, right = np.zeros_like(time_s), np.zeros_like(time_s)
    for index, frequency in enumerate(_CHORD_HZ):
        # Two voices per note, a few cents apart and to either side, beat slowly.
        left += np.sin(2 * np.pi * frequency * time_s) / (1 + index)
        right += np.sin(2 * np.pi * (frequency + 0.4) * time_s + index) / (1 + index)
    return np.stack([level * left, level * right]).astype(np.float32)
