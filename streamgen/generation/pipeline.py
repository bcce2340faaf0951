"""The stages of generation: denoise, decode, encode. The worker gives each a thread; `Pipeline` runs them in turn.

A stage belongs to one thread at a time. All of them compute: never call one on the event loop.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, TypeVar

from streamgen.generation.prompts import Taken
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.reference import read_picture
from streamgen.media.video_encoder import DEFAULT_BITRATE, DEFAULT_SCALE, VideoEncoder, encoded_size, ticks_per_picture
from streamgen.packets import VIDEO_CODECS, ChunkRecord, EncodedChunk, SetPrompt, VideoCodec, VideoPacket
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, LatentChunk
from streamgen_engines.errors import GraphRunError, NonFiniteError
from streamgen_engines.families import Condition, Model, load_pictures
from streamgen_engines.manifest import Manifest
from streamgen_engines.text import Prompt

logger = logging.getLogger(__name__)

_NS_PER_MS: Final = 1_000_000
_Result = TypeVar("_Result")


class Generator(Protocol):
    """What the denoise stage needs of a family's generator."""

    def step(self, condition: Condition) -> LatentChunk:
        """Make the next chunk."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Begin anew."""
        ...


class Decoder(Protocol):
    """What the decode stage needs of a family's decoder."""

    def decode(self, latents: LatentChunk) -> Chunk:
        """Decode the next chunk."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Begin anew."""
        ...


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rates of a bundle on the RTP clocks; making one checks that the media plane can carry them exactly."""

    fps: tuple[int, int]
    pictures: int  # per chunk
    picture_ticks: int  # 90 kHz

    @classmethod
    def of(cls, manifest: Manifest) -> "Timeline":
        """The timeline of a bundle.

        Raises:
            UnsupportedRateError: its picture rate is no whole number of ticks.
        """
        video = manifest.video
        return cls(video.fps, video.frames_per_chunk, ticks_per_picture(video.fps))

    @property
    def chunk_ticks(self) -> int:
        """Length of a chunk, in ticks of 90 kHz."""
        return self.pictures * self.picture_ticks


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """A chunk between denoising and decoding."""

    latents: LatentChunk
    record: ChunkRecord


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Pictures and sound of a chunk with its record."""

    chunk: Chunk
    record: ChunkRecord


class DenoiseStage:
    """Makes latents; keeps what stays the same from chunk to chunk: prompt, guidance and seed."""

    def __init__(
        self, generator: Generator, manifest: Manifest, null: Prompt, picture: Float32Array | None = None
    ) -> None:
        """`null` is the prompt while nobody has asked for anything, `picture` what the first chunk continues."""
        self._generator = generator
        self._timeline = Timeline.of(manifest)
        self._sampler = manifest.sampler
        self._prompt: Taken[Prompt] | None = None
        self._null = null
        self._picture = picture
        self._guidance: float | None = None
        self._seed: int | None = None
        self._chunk = 0

    def make(
        self,
        taken: Taken[Prompt] | None = None,
        superseded: tuple[str, ...] = (),
        *,
        guidance: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
    ) -> Denoised:
        """Make the next chunk.

        Args:
            taken: its new prompt; None keeps the last one.
            superseded: ids for the record.
            guidance, seed: new values from this chunk on; None keeps the last ones.
            steps: for this chunk alone; None takes the bundle's own.
        """
        started = time.perf_counter_ns()
        if taken is not None:
            self._prompt = taken
        self._guidance = self._guidance if guidance is None else guidance
        self._seed = self._seed if seed is None else seed
        condition = Condition(
            prompt=self._null if self._prompt is None else self._prompt.encoded,
            guidance=self._guidance,
            seed=self._seed,
            steps=steps,
            cut=taken is not None and taken.request.cut,
            picture=self._picture,
        )
        self._picture = None
        latents = _twice(lambda: self._generator.step(condition), self._generator.reset)
        request = None if self._prompt is None else self._prompt.request
        record = ChunkRecord(
            chunk=self._chunk,
            first_frame=self._chunk * self._timeline.pictures,
            fps=self._timeline.fps,
            pts=self._chunk * self._timeline.chunk_ticks,
            prompt_id=None if request is None else request.id,
            prompt="" if request is None else request.text,
            seed=latents.seed,
            guidance=self._sampler.guidance if self._guidance is None else self._guidance,
            steps=self._sampler.steps if steps is None else steps,
            knobs={} if request is None else request.knobs,
            applied=() if taken is None else (taken.request.id,),
            superseded=superseded,
            timings_ms={"denoise": _ms_since(started)},
        )
        self._chunk += 1
        return Denoised(latents, record)


class DecodeStage:
    """Latents to pictures and sound."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def decode(self, denoised: Denoised) -> Decoded:
        """Decode the next chunk; none may be left out."""
        started = time.perf_counter_ns()
        chunk = _twice(lambda: self._decoder.decode(denoised.latents), self._decoder.reset)
        return Decoded(chunk, with_timings(denoised.record, {"decode": _ms_since(started)}))


class EncodeStage:
    """Pictures and sound to packets, for the codecs that are watched.

    Attributes:
        sound_delay: samples at 48 kHz by which sound is stamped before the picture it belongs to.
    """

    def __init__(self, manifest: Manifest, *, scale: int = DEFAULT_SCALE, bitrate: int = DEFAULT_BITRATE) -> None:
        """Open the sound encoder; a video encoder is opened when its codec is first watched.

        Raises:
            UnsupportedRateError: a rate of the bundle cannot be carried exactly.
            EncoderUnavailableError: this build of PyAV lacks libopus.
            ValueError: the enlarged picture cannot be encoded.
        """
        self._timeline = Timeline.of(manifest)
        self._size = (manifest.video.width, manifest.video.height)
        self.encoded_size = encoded_size(*self._size, scale)
        self._scale = scale
        self._bitrate = bitrate
        self._audio = AudioEncoder(manifest.audio.sample_rate, manifest.audio.channels)
        self.sound_delay = self._audio.delay
        self._encoders: dict[VideoCodec, VideoEncoder] = {}

    def encode(
        self, decoded: Decoded, codecs: frozenset[VideoCodec], keyframes: frozenset[VideoCodec] = frozenset()
    ) -> EncodedChunk:
        """Encode the next chunk.

        Args:
            decoded: pictures and sound.
            codecs: what to encode for. An encoder that starts begins with a keyframe; one that is not watched ends.
            keyframes: codecs whose first picture shall be a keyframe.
        """
        started = time.perf_counter_ns()
        self._follow(codecs)
        record, timeline = decoded.record, self._timeline
        video: list[VideoPacket] = []
        for index, picture in enumerate(decoded.chunk.video):
            pts = record.pts + index * timeline.picture_ticks
            for codec, encoder in self._encoders.items():
                video.append(encoder.encode(picture, pts, keyframe=index == 0 and codec in keyframes))
        audio = self._audio.encode(decoded.chunk.audio)
        fade = self._audio.fade()
        return EncodedChunk(
            index=record.chunk,
            video=tuple(video),
            audio=audio,
            record=with_timings(record, {"encode": _ms_since(started)}),
            duration_ticks=timeline.chunk_ticks,
            fade=fade,
        )

    def _follow(self, codecs: frozenset[VideoCodec]) -> None:
        for codec in VIDEO_CODECS:
            if codec not in codecs:
                self._encoders.pop(codec, None)
            elif codec not in self._encoders:
                width, height = self._size
                self._encoders[codec] = VideoEncoder(
                    codec,
                    width=width,
                    height=height,
                    fps=self._timeline.fps,
                    scale=self._scale,
                    bitrate=self._bitrate,
                )


class Pipeline:
    """All stages in this thread, one chunk after the other: for rendering to files and for tests."""

    def __init__(
        self, model: Model, *, scale: int = DEFAULT_SCALE, seed: int = 0, picture: Float32Array | None = None
    ) -> None:
        manifest = model.bundle.manifest
        self.timeline = Timeline.of(manifest)
        self._text, self._manifest = model.text, manifest
        self._denoise = DenoiseStage(model.generator, manifest, model.text.encode(""), picture)
        self._decode = DecodeStage(model.decoder)
        self._encode = EncodeStage(manifest, scale=scale)
        self._seed: int | None = seed
        self._taken: Taken[Prompt] | None = None

    def set_prompt(self, request: SetPrompt) -> None:
        """Show this prompt from the next chunk on."""
        self._taken = Taken(request, self._text.encode(self._manifest.told(request.text, request.knobs)))

    def next_decoded(self, *, guidance: float | None = None, steps: int | None = None) -> Decoded:
        """The next chunk's pictures and sound."""
        taken, self._taken = self._taken, None
        seed, self._seed = self._seed, None
        return self._decode.decode(self._denoise.make(taken, guidance=guidance, seed=seed, steps=steps))

    def next_encoded(
        self,
        codecs: frozenset[VideoCodec],
        keyframes: frozenset[VideoCodec] = frozenset(),
        *,
        steps: int | None = None,
    ) -> EncodedChunk:
        """The next chunk as packets."""
        return self._encode.encode(self.next_decoded(steps=steps), codecs, keyframes)


def start_picture(bundle: Bundle, file: Path | None) -> Float32Array | None:
    """The latent of a picture that a stream shall start from; None without one.

    Raises:
        MissingGraphError: the bundle cannot start from a picture.
        PictureError: the file cannot be read as one.
    """
    if file is None:
        return None
    video = bundle.manifest.video
    return load_pictures(bundle).encode(read_picture(file, video.width, video.height))


def with_timings(record: ChunkRecord, timings_ms: Mapping[str, float]) -> ChunkRecord:
    """The record with more timings."""
    return replace(record, timings_ms={**record.timings_ms, **timings_ms})


def _twice(attempt: Callable[[], _Result], reset: Callable[[], None]) -> _Result:
    """A model that ran away starts afresh: a cut in the picture is better than the end of the stream."""
    try:
        return attempt()
    except (NonFiniteError, GraphRunError) as error:
        logger.warning("starting afresh after: %s", error)
        reset()
        return attempt()


def _ms_since(started_ns: int) -> float:
    return (time.perf_counter_ns() - started_ns) / _NS_PER_MS
