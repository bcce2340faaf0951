"""Where the sound of models comes from that make pictures only."""

from typing import Protocol

import numpy as np

from streamgen_engines.chunk import Float32Array, Shares, UInt8Array
from streamgen_engines.manifest import AudioPart


class Sound(Protocol):
    """Makes sound for pictures, chunk after chunk, without a seam. One thread at a time calls it.

    A chunk is `begin`, `see` as its pictures come, and `finish`. The length is that of the pictures by construction: as
    many samples as the manifest says that a chunk has. After an error only `reset` is left.
    """

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        """Begin the next chunk.

        Args:
            heard: what the sound is told, in the bundle's words: a text, or the shares of several.
            seed: of the chunk; its random numbers begin anew where it changes.
            cut: the pictures do not go on from those before; the sound may forget these, but must not click.
        """
        ...

    def see(self, pictures: UInt8Array) -> None:
        """The next pictures of the chunk, uint8 `[T, H, W, 3]`, RGB; only read, and not changed until `finish`."""
        ...

    def finish(self) -> Float32Array:
        """The sound of the chunk, all of whose pictures were seen.

        Returns:
            Float32 `[channels, samples]` in [-1, 1], which belongs to the caller.
        """
        ...

    def reset(self) -> None:
        """Begin anew, from silence."""
        ...


class Silence:
    """No sound, of exactly the right length."""

    def __init__(self, audio: AudioPart) -> None:
        """`audio` says how many channels and samples."""
        self._shape = (audio.channels, audio.samples_per_chunk)

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        """Nothing is told to it."""

    def see(self, pictures: UInt8Array) -> None:
        """Nothing is seen."""

    def finish(self) -> Float32Array:
        """Zeros, whatever was shown and told."""
        return np.zeros(self._shape, np.float32)

    def reset(self) -> None:
        """It carries nothing."""
