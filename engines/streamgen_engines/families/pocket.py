"""The pocket family: pictures and sound of a chunk are denoised together, one chunk after the other, without end.

`PocketGenerator` and `PocketDecoder` each belong to one thread at a time, and may be two different threads.
"""

from typing import Final

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, LatentChunk, Latents, UInt8Array
from streamgen_engines.condition import SUDDEN as SUDDEN
from streamgen_engines.condition import Condition as Condition
from streamgen_engines.condition import check_seed
from streamgen_engines.errors import ConditionError, MissingGraphError, NonFiniteError, UnknownFamilyError
from streamgen_engines.guard import StatisticsGuard
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.prompt import Prompt, moved, null_prompt
from streamgen_engines.ring import SINK_SLOT, KvRing
from streamgen_engines.runtimes.interface import Engine, Runtime, Signature, TensorSpec
from streamgen_engines.sampler import Velocity, guided, noised, sample, schedule, weighted

PICTURE_GRAPH: Final = "encode_picture"
"""An optional graph: a picture that a stream can start from."""

# Second number of every seed: latents and the noise in the sound never share random numbers.
_LATENT_STREAM: Final = 0
_SOUND_STREAM: Final = 1


class PocketGenerator:
    """The chunk loop: noise to clean latents, each chunk seen by those after it through the ring."""

    def __init__(self, bundle: Bundle, runtime: Runtime, seed: int = 0, *, threads: int = 1) -> None:
        manifest = _pocket(bundle)
        self._sampler = manifest.sampler
        guard = manifest.sampler.guard
        self._limit = guard.limit if guard is not None else None
        self._steady = StatisticsGuard(guard) if guard is not None else None
        self._shapes = ((1, *manifest.video.latent), (1, *manifest.audio.latent))
        self._null = null_prompt(manifest.text)
        attention = manifest.attention
        self._ring = KvRing(window=attention.window, sink=attention.sink, tokens=attention.tokens)
        graph = manifest.graphs["denoise"]
        self._ring_names = tuple(state.name for state in graph.states)
        # In place: each pass writes one slot of the ring, and every node reads the ring after that write.
        self._engine = runtime.load(bundle.path("denoise"), graph.states, threads=threads, in_place=True)
        self._engine.signature.require(_denoise_signature(manifest), graph="denoise")
        self._index = 0
        # Of the last chunk, for picture and sound.
        self._shown: Prompt | None = None
        self._heard: Prompt | None = None
        self._pushes = 0  # chunks that still get the guidance of a change
        self._seed = check_seed(seed)
        self._random = np.random.default_rng((seed, _LATENT_STREAM))

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
        sigmas = schedule(self._sampler.sigmas, condition.steps)
        velocity = self._velocity(condition, None if given is None else start.video)
        if given is not None:
            velocity = _towards(given, start.video, velocity)
        clean = sample(start, sigmas, velocity, limit=self._limit)
        clean = self._steady(clean) if self._steady is not None else clean
        _check_finite(clean)
        self._remember(noised(clean, echo, self._sampler.context_noise), condition.remembered)
        return self._deliver(clean, condition.picture)

    def reset(self, seed: int | None = None) -> None:
        """Begin anew, without context and with fresh random numbers; what follows is what a new generator would make.

        Args:
            seed: None takes the seed in use again.
        """
        self._engine.reset()
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

    def _velocity(self, condition: Condition, blank: Float32Array | None = None) -> Velocity:
        """The guided velocity of the chunk being made.

        Where pictures are given, guidance leads away from no text beside an average picture (zero, with the noise
        `blank` of the level), so that the sound goes further towards what is seen, too.

        Every pass writes its own keys and values into the chunk's slot before it attends, so the pass without text
        disturbs nothing: the slots before this one hold clean, conditioned chunks, and this one is overwritten by
        each pass, last by the clean conditioned pass of `_remember`.
        """
        guidance = self._sampler.guidance if condition.guidance is None else condition.guidance
        if self._pushes and self._sampler.change is not None:
            guidance = max(guidance, self._sampler.change.guidance)
        if guidance == 1:
            return lambda x, sigma: self._told(x, sigma, condition)

        def velocity(x: Latents, sigma: float) -> Latents:
            plain = x if blank is None else Latents(np.float32(sigma) * blank, x.audio)
            null = self._pass(plain, sigma, self._null, alone=_alone(condition, sigma))
            return guided(null, self._told(x, sigma, condition), guidance)

        return velocity

    def _told(self, x: Latents, sigma: float, condition: Condition) -> Latents:
        """The velocity with text; that of the sound from a pass of its own where it follows another prompt.

        Attention over a chunk joins both sides, so each pass takes the noisy state of the other side as it is: a
        picture still moves with the sound that it gets, whatever that was told.
        """
        shown = self._mixed(x, sigma, condition.prompt, condition)
        if not condition.split:
            return shown
        return Latents(shown.video, self._mixed(x, sigma, condition.heard, condition).audio)

    def _mixed(self, x: Latents, sigma: float, prompt: Prompt, condition: Condition) -> Latents:
        alone = _alone(condition, sigma)
        if not condition.exact:
            return self._pass(x, sigma, prompt, alone=alone)
        return weighted([(self._pass(x, sigma, part, alone=alone), share) for part, share in prompt.alone])

    def _pass(self, x: Latents, sigma: float, prompt: Prompt, *, alone: bool = False) -> Latents:
        """One run of the graph: velocity, and the keys and values of `x` in the current slot."""
        out = self._engine.run(
            {
                "video": x.video,
                "audio": x.audio,
                "sigma": np.array([sigma], np.float32),
                "context": prompt.context,
                "context_bias": prompt.context_bias,
                "pooled": prompt.pooled,
                "age": self._ring.ages(alone=alone),
                "write_index": np.array([self._ring.write_index], np.int64),
            }
        )
        return Latents(out["video_velocity"], out["audio_velocity"])

    def _remember(self, context: Latents, prompt: Prompt) -> None:
        """Write the finished chunk into the ring, slightly noised as in training, and keep the sink up to date."""
        self._pass(context, self._sampler.context_noise, prompt)
        anchor = self._ring.advance()
        if anchor is not None:
            source, sink = self._ring.rows(anchor), self._ring.rows(SINK_SLOT)
            for name in self._ring_names:
                ring = self._engine.state(name)
                ring[:, :, sink] = ring[:, :, source]

    def _start_from(self, picture: Float32Array, prompt: Prompt) -> None:
        """Write a picture into the ring as a chunk in which it stands still, and in which the sound is average."""
        video, audio = self._shapes
        if picture.shape != video:
            raise ConditionError(f"picture is a latent of shape {picture.shape}, this model's are {video}")
        echo = self._noise()
        still = Latents(picture.astype(np.float32, copy=False), np.zeros(audio, np.float32))
        self._remember(noised(still, echo, self._sampler.context_noise), prompt)

    def _deliver(self, clean: Latents, picture: Float32Array | None) -> LatentChunk:
        first = picture is not None or self._ring.position == 1
        chunk = LatentChunk(self._index, clean.video, clean.audio, seed=self._seed, cut=first, before=picture)
        self._index += 1
        return chunk


class PocketDecoder:
    """Latent chunks to pictures and sound, strictly causal: chunks join without a seam."""

    def __init__(self, bundle: Bundle, runtime: Runtime, seed: int = 0, *, threads: int = 1) -> None:
        manifest = _pocket(bundle)
        self._video = _load(bundle, runtime, "decode_video", _video_signature(manifest), threads)
        self._sound = SoundDecoder(bundle, runtime, seed, threads=threads)

    def decode(self, latents: LatentChunk) -> Chunk:
        """Decode the next chunk; chunks must come in order and none may be left out.

        Raises:
            NonFiniteError: the sound is not a number; `reset()` before the next chunk.
            GraphRunError: a graph failed; `reset()` before the next chunk.
        """
        if latents.cut:
            # The picture must not smear over a cut.
            self._video.reset()
        if latents.before is not None:
            # Only for the decoder's states: what it shows of the picture itself nobody sees.
            self._video.run({"latent": latents.before})
        frames = self._video.run({"latent": latents.video})["frames"]
        return Chunk(latents.index, frames, self._sound.decode(latents))

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: silence and no picture before the next chunk. `seed` None takes the seed in use again."""
        self._video.reset()
        self._sound.reset(seed)


class SoundDecoder:
    """The sound of latent chunks alone; across a cut it keeps its phases and levels, or that would click."""

    def __init__(self, bundle: Bundle, runtime: Runtime, seed: int = 0, *, threads: int = 1) -> None:
        manifest = _pocket(bundle)
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
        samples = self._engine.run({"latent": latents.audio, "noise": noise})["samples"]
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


def _pocket(bundle: Bundle) -> PocketManifest:
    manifest = bundle.manifest
    if not isinstance(manifest, PocketManifest):
        raise UnknownFamilyError(
            f"bundle {manifest.name} is of the family {manifest.family!r}, and this is the code of 'pocket'"
        )
    return manifest


def _alone(condition: Condition, sigma: float) -> bool:
    return condition.alone_above is not None and sigma > condition.alone_above


def _towards(given: Float32Array, noise: Float32Array, velocity: Velocity) -> Velocity:
    """The velocity of the sound, beside one that leads the picture to what is given, whatever the model says of it.

    So at every level the picture is the given one with that level's noise, as in inpainting with diffusion models
    (Lugmayr et al. 2022, RePaint, section 4.1); the path is straight, so one noise serves all levels.
    """
    straight = noise - given
    return lambda x, sigma: Latents(straight, velocity(x, sigma).audio)


def _check_finite(latents: Latents) -> None:
    if not all(np.isfinite(part).all() for part in (latents.video, latents.audio)):
        raise NonFiniteError("the latents are not numbers any more; reset the generator, and check the bundle's graphs")


def _load(bundle: Bundle, runtime: Runtime, graph: str, expected: Signature, threads: int) -> Engine:
    engine = runtime.load(bundle.path(graph), bundle.manifest.graphs[graph].states, threads=threads)
    engine.signature.require(expected, graph=graph)
    return engine


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


def _video_signature(manifest: PocketManifest) -> Signature:
    video = manifest.video
    frames = TensorSpec((video.frames_per_chunk, video.height, video.width, 3), "uint8")
    return Signature({"latent": _float(1, *video.latent)}, {"frames": frames})


def _audio_signature(manifest: PocketManifest) -> Signature:
    audio = manifest.audio
    samples = _float(audio.channels, audio.samples_per_chunk)
    return Signature({"latent": _float(1, *audio.latent), "noise": samples}, {"samples": samples})


def _float(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")
