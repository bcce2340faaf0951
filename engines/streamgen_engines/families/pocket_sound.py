"""Sound for the pictures of another model, from the audio side of a `pocket` bundle.

That model makes picture and sound together, each attending to the other and to the chunks before. Here its pictures
are given: those that are shown are encoded to its latents, every step of the sampler takes them with the noise of its
level, and only the sound is made (`PocketGenerator.step`). Both are then written into its ring, so the sound goes on
from what was seen and heard. A latent holds four pictures in order, so it says what moves as well as what is there.

Two clocks meet here. Chunks of the pictures and of the `pocket` bundle need not divide each other (0.75 s and 0.24 s
with the bundled one), so as many of the latter are made as the sound needs, and what is left over, less than one of
them, waits for the next chunk: every chunk gets its exact samples, and nothing drifts. Of a model chunk that reaches
beyond the pictures that are there, the rest is taken to stand still. No sound waits for a picture.

Guidance leads away from the sound of an average picture, not only from that of no text. Even so the model hears in its
pictures mostly what is there, and meets moments weakly. So its sound is raised and lowered with what moves
(`MotionLoudness`), which is a rule and not the model.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from streamgen_engines.area_mean import AreaMean
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array, Int64Array, Shares, UInt8Array
from streamgen_engines.condition import Condition
from streamgen_engines.errors import BundleError, MissingGraphError
from streamgen_engines.families.pocket import PocketGenerator, SoundDecoder
from streamgen_engines.manifest import AudioPart, Manifest, PocketManifest, VideoPart
from streamgen_engines.motion_loudness import MotionLoudness
from streamgen_engines.runtimes.interface import Runtime, Signature, TensorSpec
from streamgen_engines.text import TextEncoder
from streamgen_engines.upsample import Upsampler

VIDEO_GRAPH: Final = "encode_video"
"""An optional graph: the pictures of a chunk, for which sound can be made."""


class VideoEncoder:
    """The pictures of a chunk to their latent (`PocketGenerator.step`)."""

    def __init__(self, bundle: Bundle, runtime: Runtime, *, threads: int = 1) -> None:
        """Load the bundle's optional graph `encode_video`.

        Raises:
            MissingGraphError: the bundle has none.
        """
        video = bundle.manifest.video
        if VIDEO_GRAPH not in bundle.manifest.graphs:
            raise MissingGraphError(
                f"bundle {bundle.manifest.name} cannot make sound for pictures: it has no graph {VIDEO_GRAPH}; "
                f"name another bundle, or export it again from its training run"
            )
        self.shape = (video.frames_per_chunk, video.height, video.width, 3)
        self._engine = runtime.load(bundle.path(VIDEO_GRAPH), (), threads=threads)
        self._engine.signature.require(
            Signature(
                {"pictures": TensorSpec(self.shape, "uint8")}, {"latent": TensorSpec((1, *video.latent), "float32")}
            ),
            graph=VIDEO_GRAPH,
        )

    def encode(self, pictures: UInt8Array) -> Float32Array:
        """uint8 `[T, H, W, 3]` of the model's size (`shape`), RGB -> float32 `[1, C, H/16, W/16]`."""
        return self._engine.run({"pictures": np.ascontiguousarray(pictures)})["latent"]


class PictureClock:
    """Which of the pictures that are shown belong to a model chunk that begins anywhere in a chunk of them.

    Args:
        shown: the pictures that are shown, and their rate.
        model: those of the model that makes the sound.
        sample_rate: of that model, Hz.
    """

    def __init__(self, shown: VideoPart, model: VideoPart, sample_rate: int) -> None:
        self._last = shown.frames_per_chunk - 1
        numerator, denominator = model.fps
        # Middles of the model's pictures as (samples of the model times `_unit`) after its chunk begins.
        self._middles = (2 * np.arange(model.frames_per_chunk, dtype=np.int64) + 1) * sample_rate * denominator
        self._unit = 2 * numerator
        self._rate = shown.fps[0]
        self._samples = sample_rate * shown.fps[1] * self._unit

    def pictures(self, start: int) -> Int64Array:
        """Numbers of the pictures that are shown in the middle of each of the model's; the last where they end.

        Args:
            start: samples of the model from the beginning of the shown chunk to that of its own.
        """
        found: Int64Array = (self._middles + start * self._unit) * self._rate // self._samples
        return np.minimum(found, self._last)


class PocketSound:
    """A `Sound` (`streamgen_engines.sound`) made by a `pocket` bundle. One thread at a time calls it."""

    def __init__(
        self, source: Bundle, wanted: Manifest, runtime: Callable[[], Runtime], seed: int = 0, *, threads: int = 1
    ) -> None:
        """Load the graphs.

        Args:
            source: the bundle that makes the sound.
            wanted: manifest of the bundle that makes the pictures; it says what sound a chunk has to have.
            runtime: makes what the graphs run on.
            seed: of the noise, until a chunk brings another.
            threads: compute threads.

        Raises:
            BundleError: the bundle cannot make this sound, a graph does not load or does not fit the manifest.
        """
        model = source.manifest
        if not isinstance(model, PocketManifest):
            raise BundleError(
                f"field audio.bundle of bundle {wanted.name} names {model.name}, which is of the family "
                f"{model.family}; sound for pictures comes from bundles of the family pocket"
            )
        ratio = _ratio(wanted, model.audio)
        self._encoder = VideoEncoder(source, runtime(), threads=threads)
        self._text = TextEncoder(source, runtime())
        self._generator = PocketGenerator(source, runtime(), seed, threads=threads)
        self._decoder = SoundDecoder(source, runtime(), seed, threads=threads)
        video = wanted.video
        self._scaled = AreaMean((video.height, video.width), self._encoder.shape[1:3])
        self._clock = PictureClock(video, model.video, model.audio.sample_rate)
        self._needed = wanted.audio.samples_per_chunk // ratio  # of the model's samples, per chunk
        self._mono = wanted.audio.channels < model.audio.channels
        self._upsampler = Upsampler(ratio, wanted.audio.channels)
        self._motion = MotionLoudness(video.fps[0] / video.fps[1])
        # Sound that was made with a chunk and lies behind its end: less than a chunk of the model.
        self._ahead = np.zeros((wanted.audio.channels, 0), np.float32)
        self._cut = False  # the next model chunk follows a cut
        # Of the chunk that is being made: what it is told, whether it follows a cut, its pictures at the model's size,
        # and its sound so far, as a list and as a count of samples.
        self._told = Condition(self._text.encode(""), seed=seed)
        self._moved_on = False
        self._seen: list[UInt8Array] = []
        self._made: list[Float32Array] = []
        self._length = 0

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        """Begin the next chunk; see `Sound`."""
        self._told = Condition(self._text.blend(heard), seed=seed)
        self._moved_on = cut
        self._cut = self._cut or cut
        self._seen.clear()
        self._made = [self._ahead]
        self._length = self._ahead.shape[1]

    def see(self, pictures: UInt8Array) -> None:
        """Make as much of the sound as these pictures are enough for; see `Sound`.

        Raises:
            NonFiniteError: the model ran away; `reset()` before the next chunk.
            GraphRunError: a graph failed; `reset()` before the next chunk.
        """
        self._seen += [self._scaled(picture) for picture in pictures]
        while self._length < self._needed:
            numbers = self._clock.pictures(self._length)
            if numbers[-1] >= len(self._seen):
                return
            samples = self._hear(np.stack([self._seen[number] for number in numbers]))
            self._made.append(samples)
            self._length += samples.shape[1]

    def finish(self) -> Float32Array:
        """The sound of the chunk; see `Sound`."""
        if self._length < self._needed:
            raise ValueError(f"only {len(self._seen)} pictures of the chunk were seen")
        sound = np.concatenate(self._made, axis=1)
        self._ahead = sound[:, self._needed :].copy()
        samples = self._upsampler(sound[:, : self._needed])
        gains = self._motion.gains(np.stack(self._seen), samples.shape[1], cut=self._moved_on)
        louder: Float32Array = samples * gains
        return np.clip(louder, -1, 1, out=louder)

    def reset(self) -> None:
        """Begin anew, from silence."""
        self._generator.reset()
        self._decoder.reset()
        self._upsampler.reset()
        self._motion.reset()
        self._ahead = self._ahead[:, :0]
        self._cut = False

    def _hear(self, pictures: UInt8Array) -> Float32Array:
        """The next chunk of the model, beside these pictures of its size, `[channels, samples]`."""
        latent = self._encoder.encode(pictures)
        samples = self._decoder.decode(self._generator.step(replace(self._told, cut=self._cut), latent))
        self._cut = False
        return samples.mean(axis=0, keepdims=True) if self._mono else samples


def _ratio(wanted: Manifest, model: AudioPart) -> int:
    """How many times the rate of the model's sound the wanted one is.

    Raises:
        BundleError: it is no whole number, or a chunk has no whole number of the model's samples.
    """
    audio = wanted.audio
    ratio, rest = divmod(audio.sample_rate, model.sample_rate)
    if rest or ratio == 0:
        raise BundleError(
            f"field audio.sample_rate of bundle {wanted.name} is {audio.sample_rate}, but its sound is made at "
            f"{model.sample_rate} Hz; give that or a whole multiple of it"
        )
    if audio.samples_per_chunk % ratio:
        raise BundleError(
            f"field audio.samples_per_chunk of bundle {wanted.name} is {audio.samples_per_chunk}, which is no whole "
            f"number of samples at {model.sample_rate} Hz, at which its sound is made; give audio.sample_rate "
            f"{model.sample_rate}, or make chunks of another length"
        )
    if audio.channels > model.channels:
        raise BundleError(
            f"field audio.channels of bundle {wanted.name} is {audio.channels}, but its sound is made with "
            f"{model.channels}; give {model.channels}"
        )
    return ratio
