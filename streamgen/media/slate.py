"""The slate: what plays while there is no generator. A dark room with slow soft light, and a quiet swell of sound.

It is drawn and encoded once, before it is needed, into segments that start with a keyframe each; playing it costs
nothing, and a viewer who joins meanwhile waits for the next segment only. The loop closes without a seam: light moves
on closed paths and the sound is silent at both ends.

`make_slate` computes for about a second: never call it on the event loop.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.clock import SLOT_TICKS
from streamgen.media.video_encoder import VideoEncoder, ticks_per_picture
from streamgen.packets import VIDEO_CLOCK_HZ, VIDEO_CODECS, AudioPacket, VideoPacket

LOOP_S: Final = 7.68  # about one breath in and out
SEGMENT_S: Final = 0.96
_BITRATE: Final = 1_200_000

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
    """A stretch of the slate. `video` holds every codec and starts with a keyframe of each; pts start at the loop."""

    video: tuple[VideoPacket, ...]
    audio: tuple[AudioPacket, ...]


def make_slate(*, width: int, height: int, fps: tuple[int, int], sample_rate: int) -> tuple[SlateSegment, ...]:
    """Draw and encode the loop.

    Args:
        width, height: of the encoded picture (the channel's size after scaling), so that viewers see no change of size.
        fps: pictures per second, as a fraction.
        sample_rate: the bundle's, in Hz: the sound then has the same delay as the generator's.
    """
    ticks = ticks_per_picture(fps)
    # A segment must be a whole number of pictures and of 20 ms slots.
    pictures = max(1, round(SEGMENT_S * VIDEO_CLOCK_HZ / ticks))
    while pictures * ticks % SLOT_TICKS:
        pictures += 1
    segments = max(1, round(LOOP_S * VIDEO_CLOCK_HZ / (pictures * ticks)))
    loop_s = segments * pictures * ticks / VIDEO_CLOCK_HZ
    samples = round(pictures * ticks * sample_rate / VIDEO_CLOCK_HZ)

    encoders = [
        VideoEncoder(codec, width=width, height=height, fps=fps, scale=1, bitrate=_BITRATE) for codec in VIDEO_CODECS
    ]
    sound = AudioEncoder(sample_rate, 2)
    room = _Room(width, height)
    made = []
    for segment in range(segments):
        video = []
        for index in range(segment * pictures, (segment + 1) * pictures):
            picture = room.draw(index / (segments * pictures))
            keyframe = index == segment * pictures
            video += [encoder.encode(picture, index * ticks, keyframe=keyframe) for encoder in encoders]
        time_s = (segment * samples + np.arange(samples)) / sample_rate
        made.append(SlateSegment(tuple(video), sound.encode(_swell(time_s, loop_s))))
    return tuple(made)


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
