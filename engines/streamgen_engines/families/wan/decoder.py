"""Latent chunks of the `wan` family to pictures and sound, strictly causal: chunks join without a seam.

Each latent frame makes four pictures, except a stream's first, which the autoencoder takes for a single picture (Wan
2.1, section 4.1.1). A chunk has to have its exact length, so that this picture is shown four times. There are two ways
to decode it: with a graph of its own, whose states the steady graph goes on with, or with the steady graph from zero
states, of whose pictures the first `lead` show nothing yet and are replaced by the one after them.
"""

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, LatentChunk, UInt8Array
from streamgen_engines.condition import check_seed
from streamgen_engines.errors import GraphRunError, NonFiniteError
from streamgen_engines.families.wan.signatures import decode_signature
from streamgen_engines.manifest import WanManifest
from streamgen_engines.manifest.wan import FIRST_DECODER, PICTURES_PER_LATENT
from streamgen_engines.runtimes.interface import Engine, Runtime
from streamgen_engines.sound import Sound


class WanDecoder:
    """Decodes chunks in order. One thread at a time calls it."""

    def __init__(
        self,
        bundle: Bundle,
        manifest: WanManifest,
        runtime: Runtime,
        sound: Sound,
        *,
        threads: int = 1,
    ) -> None:
        """Load the graphs.

        Args:
            bundle: an opened bundle.
            manifest: its own.
            runtime: what the graphs run on.
            sound: makes the sound of the pictures.
            threads: compute threads.

        Raises:
            BundleError: a graph does not load or does not fit the manifest.
        """
        video = manifest.video
        steady = manifest.graphs["decode_video"]
        self._steady = runtime.load(bundle.path("decode_video"), steady.states, threads=threads)
        self._steady.signature.require(decode_signature(manifest), graph="decode_video")
        self._first: Engine | None = None
        first = manifest.graphs.get(FIRST_DECODER)
        if first is not None:
            self._first = runtime.load(bundle.path(FIRST_DECODER), first.states, threads=threads)
            self._first.signature.require(decode_signature(manifest, pictures=1), graph=FIRST_DECODER)
        self._lead = manifest.decoding.lead
        self._shape = (video.frames_per_chunk, video.height, video.width, 3)
        self._sound = sound
        self._sound_shape = (manifest.audio.channels, manifest.audio.samples_per_chunk)
        self._begun = False

    def decode(self, latents: LatentChunk) -> Chunk:
        """Decode the next chunk; chunks must come in order and none may be left out.

        Raises:
            NonFiniteError: the sound is not a number; `reset()` before the next chunk.
            GraphRunError: a graph failed, or the sound has another length; `reset()` before the next chunk.
        """
        begins = latents.cut or not self._begun
        self._begun = False  # until all of it is decoded
        pictures = np.empty(self._shape, np.uint8)
        self._sound.begin(latents.heard, latents.seed, cut=latents.cut)
        for frame in range(latents.video.shape[2]):
            latent = latents.video[:, :, frame : frame + 1]
            shown = self._decode_first(latent) if begins and frame == 0 else self._run(self._steady, latent)
            made = pictures[PICTURES_PER_LATENT * frame : PICTURES_PER_LATENT * (frame + 1)]
            made[:] = shown
            self._sound.see(made)
        samples = self._sound.finish()
        if samples.shape != self._sound_shape:
            raise GraphRunError(
                f"the sound of chunk {latents.index} is {list(samples.shape)}, and has to be {list(self._sound_shape)}"
            )
        if not np.isfinite(samples).all():
            raise NonFiniteError(f"the sound of chunk {latents.index} is not a number; reset the decoder")
        self._begun = True
        return Chunk(latents.index, pictures, samples)

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: silence and no picture before the next chunk. Each chunk brings its own seed for the sound."""
        if seed is not None:
            check_seed(seed)
        self._steady.reset()
        if self._first is not None:
            self._first.reset()
        self._sound.reset()
        self._begun = False

    def _decode_first(self, latent: Float32Array) -> UInt8Array:
        """Pictures of a stream's first latent frame: one, or one after the lead, in the place of all four."""
        if self._first is None:
            self._steady.reset()
            frames = self._run(self._steady, latent)
            frames[: self._lead] = frames[self._lead]
            return frames
        self._first.reset()
        frame = self._run(self._first, latent)
        self._steady.take_states(self._first)
        return np.repeat(frame, PICTURES_PER_LATENT, axis=0)

    def _run(self, engine: Engine, latent: Float32Array) -> UInt8Array:
        frames: UInt8Array = engine.run({"latent": latent})["frames"]
        return frames
