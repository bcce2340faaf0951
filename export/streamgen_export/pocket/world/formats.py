"""Sizes and rates of what the world is rendered to. A chunk is a whole number of pictures and of control frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

PICTURES_PER_CHUNK: Final = 4
CONTROL_RATE_HZ: Final = 100
"""Control frames of the synthesiser per second."""


@dataclass(frozen=True)
class Format:
    """How a clip is rendered.

    Attributes:
        width: of a picture, in pixels.
        height: of a picture, in pixels.
        picture_rate: pictures per second; one picture lasts a whole number of control frames.
        sample_rate: of the sound, in hertz.
    """

    width: int
    height: int
    picture_rate: Fraction
    sample_rate: int = 24_000

    def __post_init__(self) -> None:
        if (CONTROL_RATE_HZ / self.picture_rate).denominator != 1:
            raise ValueError(
                f"a picture must last a whole number of control frames of 10 ms, not 1/{self.picture_rate} s"
            )

    @property
    def frames_per_picture(self) -> int:
        """Control frames that one picture lasts."""
        return int(CONTROL_RATE_HZ / self.picture_rate)

    @property
    def frames_per_chunk(self) -> int:
        """Control frames of a chunk."""
        return self.frames_per_picture * PICTURES_PER_CHUNK

    @property
    def chunk_s(self) -> float:
        """Length of a chunk in seconds."""
        return float(PICTURES_PER_CHUNK / self.picture_rate)

    @property
    def samples_per_chunk(self) -> int:
        """Sound samples of a chunk, per side."""
        return int(self.sample_rate * PICTURES_PER_CHUNK / self.picture_rate)


POCKET: Final = Format(448, 256, Fraction(50, 3))
"""A chunk is 0.24 s: 4 pictures, 24 control frames, 5,760 samples and exactly 12 Opus packets of 20 ms."""
