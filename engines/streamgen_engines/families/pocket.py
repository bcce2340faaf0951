"""The pocket family: pictures and sound of a chunk are denoised together, one chunk after the other, without end.

`PocketGenerator` and `PocketDecoder` each belong to one thread at a time, and may be two different threads.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, LatentChunk, Latents, Side, Size, UInt8Array
from streamgen_engines.condition import SUDDEN as SUDDEN
from streamgen_engines.condition import Condition as Condition
from streamgen_engines.condition import check_seed
from streamgen_engines.errors import ConditionError, MissingGraphError, NonFiniteError
from streamgen_engines.families.upscaling import Upscaler, load_decoder
from streamgen_engines.host_sampler import HostSampler
from streamgen_engines.manifest import PocketManifest, pocket_manifest
from streamgen_engines.planes.interface import Beginning, Fetch, PlanesRuntime, advance, begin
from streamgen_engines.planes.request import RGB_OUTPUT, PlaneRequest, planes_shape
from streamgen_engines.prompt import Prompt, moved
from streamgen_engines.recipe import ChunkSampler, Made, Parts, Recipe, SamplingRuntime
from streamgen_engines.ring import SINK_SLOT, KvRing
from streamgen_engines.runtimes.interface import Array, Engine, Placed, Runtime, Signature, TensorSpec
from streamgen_engines.sampler import noised, schedule

PICTURE_GRAPH: Final = "encode_picture"
"""An optional graph: a picture that a stream can start from."""

# Second number of every seed: latents and the noise in the sound never share random numbers.
_LATENT_STREAM: Final = 0
_SOUND_STREAM: Final = 1


class PocketGenerator:
    """The chunk loop: noise to clean latents, each chunk seen by those after it through the ring.

    It decides what each chunk is made from. A `ChunkSampler` computes: on the runtime's device where the runtime
    makes whole chunks there, else on the host, with an engine of the runtime for the passes.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, seed: int = 0, *, threads: int = 1) -> None:
        manifest = pocket_manifest(bundle.manifest)
        self._sampler = manifest.sampler
        self._shapes = ((1, *manifest.video.latent), (1, *manifest.audio.latent))
        attention = manifest.attention
        self._ring = KvRing(window=attention.window, sink=attention.sink, tokens=attention.tokens)
        self._chunks: ChunkSampler
        if isinstance(runtime, SamplingRuntime):
            self._chunks = runtime.chunk_sampler(bundle)
        else:
            states = manifest.graphs["denoise"].states
            # In place: each pass writes one slot of the ring, and every node reads the ring after that write.
            engine = runtime.load(bundle.path("denoise"), states, threads=threads, in_place=True)
            self._chunks = HostSampler(engine, manifest)
        self._chunks.signature.require(_denoise_signature(manifest), graph="denoise")
        self._index = 0
        # Of the last chunk, for picture and sound.
        self._shown: Prompt | None = None
        self._heard: Prompt | None = None
        self._pushes = 0  # chunks that still get the guidance of a change
        self._seed = check_seed(seed)
        self._random = np.random.default_rng((seed, _LATENT_STREAM))

    @property
    def _engine(self) -> Engine:
        """What runs the passes of a sampler on the host; may be exchanged for one that watches them."""
        if not isinstance(self._chunks, HostSampler):
            raise AttributeError("chunks are made on the device, where passes have no engine of their own")
        return self._chunks.engine

    @_engine.setter
    def _engine(self, engine: Engine) -> None:
        if not isinstance(self._chunks, HostSampler):
            raise AttributeError("chunks are made on the device, where passes have no engine of their own")
        self._chunks.engine = engine

    def step(self, condition: Condition, given: Float32Array | None = None) -> LatentChunk:
        """Make the next chunk.

        Args:
            condition: what it is made from.
            given: latent of its pictures, float32 `[1, C, H/16, W/16]`, where these are known already: then only the
                sound is made, and it hears what is shown.

        Raises:
            NonFiniteError: the model ran away; `reset()` before the next step.
            GraphRunError: the graph failed; `reset()` before the next step.
        """
        self._follow(condition)
        if condition.picture is not None:
            self._start_from(condition.picture, condition.remembered)
        start, echo = self._noise(), self._noise()
        made = self._chunks.make(self._recipe(condition, given), start, echo)
        self._advance()
        return self._deliver(made, condition.picture)

    def reset(self, seed: int | None = None) -> None:
        """Begin anew, without context and with fresh random numbers; what follows is what a new generator would make.

        Args:
            seed: None takes the seed in use again.
        """
        self._chunks.reset()
        self._ring.cut()
        self._shown = self._heard = None
        self._pushes = 0
        self._reseed(self._seed if seed is None else check_seed(seed))

    def _follow(self, condition: Condition) -> None:
        """Take over what differs from the last chunk's condition, before anything is computed."""
        if condition.seed is not None and condition.seed != self._seed:
            self._reseed(condition.seed)
        if condition.cut or condition.picture is not None:
            self._ring.cut()
        self._pushes = max(self._pushes - 1, 0)
        if condition.picture is None:  # a change may hide the past, and the picture is to be seen
            self._follow_prompts(condition)
        self._shown, self._heard = condition.prompt, condition.heard

    def _follow_prompts(self, condition: Condition) -> None:
        shown = 0.0 if self._shown is None else moved(self._shown, condition.prompt)
        heard = 0.0 if self._heard is None else moved(self._heard, condition.heard)
        change = self._sampler.change
        keep = condition.keep
        # A new sound alone hides nothing: the ring holds both, and the picture would jump with it.
        if keep is None and shown > SUDDEN and change is not None:
            keep = change.keep
        if keep is not None or max(shown, heard) > 0:
            self._ring.prompt_changed(keep)
        if max(shown, heard) > SUDDEN:
            self._pushes = change.chunks if change is not None else 0

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        self._random = np.random.default_rng((seed, _LATENT_STREAM))

    def _noise(self) -> Latents:
        # Two draws per chunk whatever the number of steps, so that fewer steps do not change the chunks after.
        video, audio = (self._random.standard_normal(shape, np.float32) for shape in self._shapes)
        return Latents(video, audio)

    def _recipe(self, condition: Condition, given: Float32Array | None = None) -> Recipe:
        """What the sampler is to do for the chunk being made."""
        guidance = self._sampler.guidance if condition.guidance is None else condition.guidance
        if self._pushes and self._sampler.change is not None:
            guidance = max(guidance, self._sampler.change.guidance)
        return Recipe(
            sigmas=schedule(self._sampler.sigmas, condition.steps),
            guidance=guidance,
            shown=_parts(condition.prompt, exact=condition.exact),
            heard=_parts(condition.heard, exact=condition.exact) if condition.split else (),
            remembered=condition.remembered,
            ages=self._ring.ages(),
            alone_ages=self._ring.ages(alone=True),
            alone_above=condition.alone_above,
            write_index=self._ring.write_index,
            given=given,
        )

    def _advance(self) -> None:
        """The chunk is in the ring, slightly noised as in training: keep the sink up to date."""
        anchor = self._ring.advance()
        if anchor is not None:
            self._chunks.copy_slot(self._ring.rows(anchor), self._ring.rows(SINK_SLOT))

    def _start_from(self, picture: Float32Array, prompt: Prompt) -> None:
        """Write a picture into the ring as a chunk in which it stands still, and in which the sound is average."""
        video, audio = self._shapes
        if picture.shape != video:
            raise ConditionError(f"picture is a latent of shape {picture.shape}, this model's are {video}")
        echo = self._noise()
        still = Latents(picture.astype(np.float32, copy=False), np.zeros(audio, np.float32))
        context = noised(still, echo, self._sampler.context_noise)
        self._chunks.write(context, prompt, self._ring.ages(), self._ring.write_index)
        self._advance()

    def _deliver(self, made: Made, picture: Float32Array | None) -> LatentChunk:
        first = picture is not None or self._ring.position == 1
        clean = made.latents
        chunk = LatentChunk(
            self._index, clean.video, clean.audio, self._seed, cut=first, before=picture, resident=made.resident
        )
        self._index += 1
        return chunk


class PocketDecoder:
    """Latent chunks to pictures and sound, strictly causal: chunks join without a seam."""

    def __init__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        seed: int = 0,
        *,
        threads: int = 1,
        planes: PlaneRequest | None = None,
        upscale: bool = False,
    ) -> None:
        """Load both decoders, and what enlarges pictures where that is wanted.

        Args:
            bundle: whose graphs.
            runtime: what they run on.
            seed: of the noise in the sound.
            threads: compute threads of each graph.
            planes: what chunks shall have besides RGB, or in its place, where the runtime makes it. One that does not
                gives RGB alone, for whoever makes planes on the CPU.
            upscale: show the pictures larger, by the bundle's graph `upscale`; planes are then of these.

        Raises:
            MissingGraphError: the bundle has no such graph.
            BundleError: a graph does not load or does not fit the manifest.
        """
        manifest = pocket_manifest(bundle.manifest)
        self._upscaler: Upscaler | None = None
        if upscale:
            self._video = load_decoder(bundle, runtime, "decode_video", threads=threads)
            self._video.signature.require(_video_signature(manifest), graph="decode_video")
            # Behind what it reads from, so that a runtime closes it first.
            self._upscaler = Upscaler(bundle, runtime, threads=threads, planes=planes)
            self._planes = self._upscaler.planes
        else:
            self._video, self._planes = _load_video(bundle, runtime, threads, planes)
        width, height = manifest.shown_size(upscale=upscale)
        self._no_pictures = np.empty((0, height, width, 3), np.uint8)
        self._sound = SoundDecoder(bundle, runtime, seed, threads=threads)

    @property
    def works_beside(self) -> bool:
        """Whether pictures are decoded while the caller does something else, once they have begun."""
        return isinstance(self._video, Beginning) if self._upscaler is None else self._upscaler.works_beside

    @property
    def upscaler(self) -> Upscaler | None:
        """What enlarges pictures; None where nothing does."""
        return self._upscaler

    def decode(self, latents: LatentChunk) -> Chunk:
        """Decode the next chunk; chunks must come in order and none may be left out.

        Raises:
            NonFiniteError: the sound is not a number; `reset()` before the next chunk.
            GraphRunError: a graph failed; `reset()` before the next chunk.
        """
        return self.begin(latents)()

    def begin(self, latents: LatentChunk) -> Callable[[], Chunk]:
        """Begin to decode the next chunk, whose sound is ready then; what is returned waits for its pictures.

        It is to be called before the chunk after the next begins. The same errors, here and there, as `decode`.
        """
        if latents.cut:
            # The picture must not smear over a cut.
            self._reset_pictures()
        if latents.before is not None:
            # Only for the decoder's states: what it shows of the picture itself nobody sees.
            self._advance_pictures({"latent": latents.before})
        fetch = self._begin_pictures({"latent": latents.video}, _placed(latents, "video"))
        # Where pictures are decoded on a GPU, the sound is meanwhile, and while they come back.
        samples = self._sound.decode(latents)

        def finished() -> Chunk:
            shown = fetch()
            planes = {size: shown[name] for size, name in self._planes.items()}
            return Chunk(latents.index, shown.get(RGB_OUTPUT, self._no_pictures), samples, planes)

        return finished

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: silence and no picture before the next chunk. `seed` None takes the seed in use again."""
        self._reset_pictures()
        self._sound.reset(seed)

    def _begin_pictures(self, inputs: Mapping[str, Array], placed: Mapping[str, Placed]) -> Fetch:
        if self._upscaler is None:
            return begin(self._video, inputs, placed)
        return self._upscaler.begin(self._video, inputs, placed)[0]

    def _advance_pictures(self, inputs: Mapping[str, Array]) -> None:
        if self._upscaler is None:
            advance(self._video, inputs)
        else:
            self._upscaler.advance(self._video, inputs)

    def _reset_pictures(self) -> None:
        self._video.reset()
        if self._upscaler is not None:
            self._upscaler.reset()


class SoundDecoder:
    """The sound of latent chunks alone; across a cut it keeps its phases and levels, or that would click."""

    def __init__(self, bundle: Bundle, runtime: Runtime, seed: int = 0, *, threads: int = 1) -> None:
        manifest = pocket_manifest(bundle.manifest)
        self._engine = _load(bundle, runtime, "decode_audio", _audio_signature(manifest), threads)
        self._shape = (manifest.audio.channels, manifest.audio.samples_per_chunk)
        self._reseed(check_seed(seed))

    def decode(self, latents: LatentChunk) -> Float32Array:
        """Sound of the next chunk, float32 `[channels, samples]`; chunks come in order, and none may be left out.

        Raises:
            NonFiniteError: the sound is not a number; `reset()` before the next chunk.
            GraphRunError: the graph failed; `reset()` before the next chunk.
        """
        if latents.seed != self._seed:
            self._reseed(latents.seed)
        noise = self._random.standard_normal(self._shape, np.float32)
        samples = begin(self._engine, {"latent": latents.audio, "noise": noise}, _placed(latents, "audio"))()["samples"]
        if not np.isfinite(samples).all():
            raise NonFiniteError(f"the sound of chunk {latents.index} is not a number; reset the decoder")
        return samples

    def reset(self, seed: int | None = None) -> None:
        """Begin anew, from silence. `seed` None takes the seed in use again."""
        self._engine.reset()
        self._reseed(self._seed if seed is None else check_seed(seed))

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        self._random = np.random.default_rng((seed, _SOUND_STREAM))


class PictureEncoder:
    """Pictures to the latents from which a stream can start (`Condition.picture`)."""

    def __init__(self, bundle: Bundle, runtime: Runtime, *, threads: int = 1) -> None:
        """Load the bundle's optional graph `encode_picture`.

        Raises:
            MissingGraphError: the bundle has none.
        """
        manifest = bundle.manifest
        if PICTURE_GRAPH not in manifest.graphs:
            raise MissingGraphError(
                f"bundle {manifest.name} cannot start from a picture: it has no graph {PICTURE_GRAPH}; "
                f"choose another bundle, or export it again from its training run"
            )
        video = manifest.video
        self._size = (video.height, video.width)
        self._engine = runtime.load(bundle.path(PICTURE_GRAPH), (), threads=threads)
        self._engine.signature.require(
            Signature({"picture": TensorSpec((*self._size, 3), "uint8")}, {"latent": _float(1, *video.latent)}),
            graph=PICTURE_GRAPH,
        )

    def encode(self, picture: UInt8Array) -> Float32Array:
        """Latent of a picture, uint8 `[H, W, 3]` of the model's size, RGB -> float32 `[1, C, H/16, W/16]`.

        Raises:
            ConditionError: it has another size.
        """
        if picture.shape != (*self._size, 3) or picture.dtype != np.uint8:
            height, width = self._size
            raise ConditionError(
                f"the picture is {picture.dtype} {picture.shape}; this model takes {width}x{height} RGB"
            )
        return self._engine.run({"picture": np.ascontiguousarray(picture)})["latent"]


def _parts(prompt: Prompt, *, exact: bool) -> Parts:
    """The passes that follow a prompt: one, or one for each of its texts."""
    return prompt.alone if exact else ((prompt, 1.0),)


def _placed(latents: LatentChunk, side: Side) -> Mapping[str, Placed]:
    """The latent of one side where it lies already, for an engine that can reach that."""
    return {} if latents.resident is None else {"latent": partial(latents.resident.copy_to, side)}


def _load(bundle: Bundle, runtime: Runtime, graph: str, expected: Signature, threads: int) -> Engine:
    engine = runtime.load(bundle.path(graph), bundle.manifest.graphs[graph].states, threads=threads)
    engine.signature.require(expected, graph=graph)
    return engine


def _load_video(
    bundle: Bundle, runtime: Runtime, threads: int, planes: PlaneRequest | None
) -> tuple[Engine, Mapping[Size, str]]:
    """The decoder of pictures, and which of its outputs has the planes of each size."""
    manifest = pocket_manifest(bundle.manifest)
    if planes is None or not isinstance(runtime, PlanesRuntime):
        return _load(bundle, runtime, "decode_video", _video_signature(manifest), threads), {}
    states = manifest.graphs["decode_video"].states
    engine = runtime.load_planes(bundle.path("decode_video"), states, planes, threads=threads)
    engine.signature.require(_video_signature(manifest, planes), graph="decode_video")
    return engine, planes.outputs()


def _denoise_signature(manifest: PocketManifest) -> Signature:
    text = manifest.text
    video = _float(1, *manifest.video.latent)
    audio = _float(1, *manifest.audio.latent)
    return Signature(
        {
            "video": video,
            "audio": audio,
            "sigma": _float(1),
            "context": _float(1, text.max_tokens, text.width),
            "context_bias": _float(1, text.max_tokens),
            "pooled": _float(1, text.width),
            "age": _float(manifest.attention.slots),
            "write_index": TensorSpec((1,), "int64"),
        },
        {"video_velocity": video, "audio_velocity": audio},
    )


def _video_signature(manifest: PocketManifest, planes: PlaneRequest | None = None) -> Signature:
    video = manifest.video
    shown: dict[str, TensorSpec] = {}
    if planes is None or planes.rgb:
        shown[RGB_OUTPUT] = TensorSpec((video.frames_per_chunk, video.height, video.width, 3), "uint8")
    for size, name in (planes.outputs() if planes is not None else {}).items():
        shown[name] = TensorSpec(planes_shape(video.frames_per_chunk, size), "uint8")
    return Signature({"latent": _float(1, *video.latent)}, shown)


def _audio_signature(manifest: PocketManifest) -> Signature:
    audio = manifest.audio
    samples = _float(audio.channels, audio.samples_per_chunk)
    return Signature({"latent": _float(1, *audio.latent), "noise": samples}, {"samples": samples})


def _float(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")
