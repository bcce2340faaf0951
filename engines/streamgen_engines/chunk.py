"""What moves from stage to stage: latents from the generator, then the decoded picture and sound."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
UInt8Array: TypeAlias = NDArray[np.uint8]
Shares: TypeAlias = tuple[tuple[str, float], ...]
"""Texts and how much of each; the shares add up to 1."""
Int64Array: TypeAlias = NDArray[np.int64]
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
Side: TypeAlias = Literal["video", "audio"]


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """One picture latent and the sound latent of the same stretch of media time.

    Attributes:
        video: float32 `[1, C, H/16, W/16]`, unit variance per channel.
        audio: float32 `[1, C, T]`, unit variance per channel.
    """

    video: Float32Array
    audio: Float32Array


class Resident(Protocol):
    """Latents that still lie on the device that made them, for an engine on the same one."""

    def copy_to(self, side: Side, device: Any, address: int) -> bool:
        """Enqueue a copy of one side to an address of a `tensorrt.device.Device`.

        Returns:
            False when they do not lie there, or not any more: take the arrays of the chunk instead.
        """
        ...


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
        resident: where the same latents still lie on a device; None = nowhere.
        heard: what the sound is told, for families that make it from the pictures.
        passes: runs of the denoising graph since the chunk before, those that read the past again among them; None = as
            many as steps and guidance say (`Condition.passes_per_step`).
    """

    index: int
    video: Float32Array
    audio: Float32Array
    seed: int = 0
    cut: bool = False
    before: Float32Array | None = None
    resident: Resident | None = None
    heard: Shares = (("", 1.0),)
    passes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A decoded chunk; owns its arrays, unless it has planes: pictures of such a chunk may be memory that the decoder
    uses again, and are valid until it has been called twice more.

    Attributes:
        index: number of the chunk, as in `LatentChunk`.
        video: uint8 `[T, H, W, 3]`, RGB; T is 0 where a decoder was asked for planes alone.
        audio: float32 `[channels, samples]` in [-1, 1].
        planes: the same pictures as YUV 4:2:0 (BT.601, limited range) of other sizes, made by the decoder: uint8
            `[T, 3/2 height, width]` by (width, height), Y above U above V unless it was asked for another order.
    """

    index: int
    video: UInt8Array
    audio: Float32Array
    planes: Mapping[Size, UInt8Array] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        """How many there are."""
        return len(next(iter(self.planes.values()), self.video))


def picture_name(latent: Float32Array) -> str:
    """The name under which records know a picture that a stream started from: a hash of its latent."""
    return hashlib.sha256(latent.tobytes()).hexdigest()
