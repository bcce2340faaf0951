"""Latent chunks of the `wan` family to pictures and sound, strictly causal: chunks join without a seam.

Each latent frame makes four pictures, except a stream's first, which the autoencoder takes for a single picture (Wan
2.1, section 4.1.1). A chunk has to have its exact length, so that this picture is shown four times. There are two ways
to decode it: with a graph of its own, whose states the steady graph goes on with, or with the steady graph from zero
states, of whose pictures the first `lead` show nothing yet and are replaced by the one after them.

Where pictures are enlarged, those of one latent frame are while the next one is decoded, on runtimes that can. The
sound is made from the decoder's own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, LatentChunk, UInt8Array
from streamgen_engines.condition import check_seed
from streamgen_engines.errors import GraphRunError, NonFiniteError
from streamgen_engines.families.upscaling import Decoded, Upscaler, load_decoder
from streamgen_engines.families.wan.signatures import decode_signature
from streamgen_engines.manifest import WanManifest
from streamgen_engines.manifest.wan import FIRST_DECODER, PICTURES_PER_LATENT
from streamgen_engines.planes.interface import Fetch
from streamgen_engines.planes.request import RGB_OUTPUT, PlaneRequest
from streamgen_engines.runtimes.interface import Array, Engine, Runtime
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
        planes: PlaneRequest | None = None,
        upscale: bool = False,
    ) -> None:
        """Load the graphs.

        Args:
            bundle: an opened bundle.
            manifest: its own.
            runtime: what the graphs run on.
            sound: makes the sound of the pictures.
            threads: compute threads.
            planes: of enlarged pictures, what chunks shall have besides RGB, or in its place, where the runtime makes
                it. The decoder's own pictures come as RGB, for the sound looks at them.
            upscale: show the pictures larger, by the bundle's graph `upscale`.

        Raises:
            MissingGraphError: the bundle has no such graph.
            BundleError: a graph does not load or does not fit the manifest.
        """

        def loaded(graph: str) -> Engine:
            if upscale:
                return load_decoder(bundle, runtime, graph, threads=threads, fetches=True)
            return runtime.load(bundle.path(graph), manifest.graphs[graph].states, threads=threads)

        self._steady = loaded("decode_video")
        self._steady.signature.require(decode_signature(manifest), graph="decode_video")
        self._first: Engine | None = None
        if FIRST_DECODER in manifest.graphs:
            self._first = loaded(FIRST_DECODER)
            self._first.signature.require(decode_signature(manifest, pictures=1), graph=FIRST_DECODER)
        # Behind what it reads from, so that a runtime closes it first.
        self._upscaler = Upscaler(bundle, runtime, threads=threads, planes=planes) if upscale else None
        self._lead = manifest.decoding.lead
        width, height = manifest.shown_size(upscale=upscale)
        self._no_pictures = np.empty((0, height, width, 3), np.uint8)
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
        if begins and self._upscaler is not None:
            self._upscaler.reset()
        self._sound.begin(latents.heard, latents.seed, cut=latents.cut)
        shown = _Shown(latents.video.shape[2])
        waiting: Fetch | None = None
        for frame in range(latents.video.shape[2]):
            latent = latents.video[:, :, frame : frame + 1]
            fetch, decoded = self._begin_first(latent) if begins and frame == 0 else self._begin(self._steady, latent)
            if waiting is not None:  # what is enlarged on a device is, while the next latent frame is decoded there
                shown.add(waiting())
            waiting = fetch
            self._sound.see(decoded())
        if waiting is not None:
            shown.add(waiting())
        samples = self._sound.finish()
        if samples.shape != self._sound_shape:
            raise GraphRunError(
                f"the sound of chunk {latents.index} is {list(samples.shape)}, and has to be {list(self._sound_shape)}"
            )
        if not np.isfinite(samples).all():
            raise NonFiniteError(f"the sound of chunk {latents.index} is not a number; reset the decoder")
        self._begun = True
        planes = {} if self._upscaler is None else self._upscaler.planes
        return Chunk(
            latents.index,
            shown.results.get(RGB_OUTPUT, self._no_pictures),
            samples,
            {size: shown.results[name] for size, name in planes.items()},
        )

    @property
    def upscaler(self) -> Upscaler | None:
        """What enlarges pictures; None where nothing does."""
        return self._upscaler

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: silence and no picture before the next chunk. Each chunk brings its own seed for the sound."""
        if seed is not None:
            check_seed(seed)
        self._steady.reset()
        if self._first is not None:
            self._first.reset()
        if self._upscaler is not None:
            self._upscaler.reset()
        self._sound.reset()
        self._begun = False

    def _begin_first(self, latent: Float32Array) -> tuple[Fetch, Decoded]:
        """Pictures of a stream's first latent frame: one, or one after the lead, in the place of all four."""
        if self._first is None:
            self._steady.reset()
            order = [max(place, self._lead) for place in range(PICTURES_PER_LATENT)]
            return self._begin(self._steady, latent, order)
        self._first.reset()
        begun = self._begin(self._first, latent, [0] * PICTURES_PER_LATENT)
        self._steady.take_states(self._first)
        return begun

    def _begin(self, engine: Engine, latent: Float32Array, order: Sequence[int] | None = None) -> tuple[Fetch, Decoded]:
        """Begin what makes the pictures of a latent frame; see `Upscaler.begin`."""
        if self._upscaler is not None:
            return self._upscaler.begin(engine, {"latent": latent}, order=order)
        frames: UInt8Array = engine.run({"latent": latent})[RGB_OUTPUT]
        pictures = frames if order is None else frames[order]
        return lambda: {RGB_OUTPUT: pictures}, lambda: pictures


class _Shown:
    """What is shown of a chunk, latent frame by latent frame: engines may lend their results, and chunks own theirs.

    Attributes:
        results: pictures, or planes of each size, by the name of the graph's output.
    """

    def __init__(self, frames: int) -> None:
        self.results: dict[str, Array] = {}
        self._frames, self._next = frames, 0

    def add(self, made: Mapping[str, Array]) -> None:
        """Those of the next latent frame."""
        for name, array in made.items():
            count = len(array)
            if name not in self.results:
                self.results[name] = np.empty((self._frames * count, *array.shape[1:]), array.dtype)
            self.results[name][self._next * count : (self._next + 1) * count] = array
        self._next += 1
