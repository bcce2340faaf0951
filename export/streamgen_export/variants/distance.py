"""How far the streams of variants get from those of float32, chunk by chunk, each going on from what it made itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.families import Condition, load


@dataclass(frozen=True, slots=True)
class Distance:
    """Between two streams, over all prompts together. Two streams of different noise are about 1.4 apart.

    Attributes:
        video: per chunk, norm of the difference of the picture's latents over that of the float32 ones.
        audio: the same of the sound's latents.
        picture_levels: per chunk, mean absolute difference of the pictures, of 255 levels.
    """

    video: tuple[float, ...]
    audio: tuple[float, ...]
    picture_levels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Streams:
    """Which streams are made.

    Attributes:
        prompts: one stream each.
        chunks: in each of them.
        seed: of the first stream's noise; each further one takes the next number.
    """

    prompts: tuple[str, ...]
    chunks: int
    seed: int

    def made_by(self, bundle: Bundle) -> Iterator[Made]:
        """Every chunk of every stream in order; the bundle encodes the prompts with its own text graph.

        Raises:
            EngineError: the bundle does not load, or its latents or its sound are not numbers.
        """
        model = load(bundle)
        for number, prompt in enumerate(self.prompts):
            model.generator.reset(self.seed + number)
            model.decoder.reset(self.seed + number)
            condition = Condition(model.text.encode(prompt))
            for _ in range(self.chunks):
                latents = model.generator.step(condition)
                yield Made(latents, model.decoder.decode(latents))


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A chunk before and after decoding."""

    latents: LatentChunk
    chunk: Chunk


def distance(right: Sequence[Made], found: Iterator[Made], chunks: int) -> Distance:
    """Of streams from those that are right.

    Args:
        right: every chunk of the float32 streams.
        found: every chunk of the other ones, as many.
        chunks: in each stream.
    """
    sums: NDArray[np.float64] = np.zeros((chunks, 5))  # squares off and whole of video, then of audio; levels
    for index, (one, other) in enumerate(zip(right, found, strict=True)):
        levels = np.abs(one.chunk.video.astype(np.int16) - other.chunk.video).mean()
        sums[index % chunks] += (
            *_squares(other.latents.video, one.latents.video),
            *_squares(other.latents.audio, one.latents.audio),
            float(levels),
        )
    return Distance(
        video=tuple(np.sqrt(sums[:, 0] / np.maximum(sums[:, 1], 1e-30)).tolist()),
        audio=tuple(np.sqrt(sums[:, 2] / np.maximum(sums[:, 3], 1e-30)).tolist()),
        picture_levels=tuple((sums[:, 4] * chunks / len(right)).tolist()),
    )


def _squares(found: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[float, float]:
    exact = right.astype(np.float64)
    return float(np.sum((found - exact) ** 2)), float(np.sum(exact**2))
