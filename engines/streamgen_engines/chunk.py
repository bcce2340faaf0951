"""What moves from stage to stage: latents from the generator, then the decoded picture and sound."""

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
UInt8Array: TypeAlias = NDArray[np.uint8]
Shares: TypeAlias = tuple[tuple[str, float], ...]
"""Texts and how much of each; the shares add up to 1."""
Int64Array: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """One picture latent and the sound latent of the same stretch of media time.

    Attributes:
        video: float32 `[1, C, H/16, W/16]`, unit variance per channel.
        audio: float32 `[1, C, T]`, unit variance per channel.
    """

    video: Float32Array
    audio: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class LatentChunk:
    """A generated chunk before decoding; owns its arrays.

    Attributes:
        index: number of the chunk since the generator was made; never repeats, never goes back.
        video: float32 `[1, C, H/16, W/16]`; of the family `wan` `[1, C, F, H/8, W/8]` with F latent frames.
        audio: float32 `[1, C, T]`; of the family `wan`, whose models make no sound, `[1, 0, 0]`.
        seed: seed that made this chunk, and that makes the noise of its sound.
        cut: the context was dropped before this chunk, so the picture does not continue the last one.
        before: float32 `[1, C, H/16, W/16]`, the picture that this chunk continues instead; None = there is none.
        heard: what the sound is told, for families that make it from the pictures.
    """

    index: int
    video: Float32Array
    audio: Float32Array
    seed: int = 0
    cut: bool = False
    before: Float32Array | None = None
    heard: Shares = (("", 1.0),)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A decoded chunk; owns its arrays.

    Attributes:
        index: number of the chunk, as in `LatentChunk`.
        video: uint8 `[T, H, W, 3]`, RGB.
        audio: float32 `[channels, samples]` in [-1, 1].
    """

    index: int
    video: UInt8Array
    audio: Float32Array


def picture_name(latent: Float32Array) -> str:
    """The name under which records know a picture that a stream started from: a hash of its latent."""
    return hashlib.sha256(latent.tobytes()).hexdigest()
