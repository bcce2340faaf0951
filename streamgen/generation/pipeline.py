"""The stages of generation: denoise, decode, encode. The worker gives each a thread; `Pipeline` runs them in turn.

A stage belongs to one thread at a time. All of them compute: never call one on the event loop. The encode stage owns a
few threads more, in which its encoders run side by side; libav gives up the interpreter's lock while it encodes.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamgen.generation.decoding import Decoded, DecodeStage, Denoised, ms_since, twice, with_timings
from streamgen.generation.prompt_flow import PromptFlow
from streamgen.generation.prompts import Taken
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.layers import FIRST_RUNG, ladder
from streamgen.media.reference import read_picture
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import DEFAULT_BITRATE, DEFAULT_SCALE, VideoEncoder, encoded_size, ticks_per_picture
from streamgen.packets import (
    AUDIO_CLOCK_HZ,
    OPUS_FRAME_SAMPLES,
    ChunkRecord,
    EncodedChunk,
    Layer,
    Occurred,
    SetPrompt,
    Still,
    VideoPacket,
)
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, Float32Array, UInt8Array, picture_name
from streamgen_engines.families import (
    Condition,
    Generator,
    Model,
    PromptEncoder,
    load_pictures,
)
from streamgen_engines.manifest import Manifest
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.prompt import Prompt

logger = logging.getLogger(__name__)

ENCODER_THREADS: Final = 2
"""Encoders that run at the same time; more would only take the cores from denoising."""


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


class DenoiseStage:
    """Makes latents; keeps what stays the same from chunk to chunk: prompts, guidance and seed."""

    def __init__(
        self, generator: Generator, manifest: Manifest, null: Prompt, picture: Float32Array | None = None
    ) -> None:
        """`null` is the prompt while nobody has asked for anything, `picture` what the first chunk continues."""
        self._generator = generator
        self._timeline = Timeline.of(manifest)
        self._sampler = manifest.sampler
        self._abilities = manifest.abilities
        self._rereading_passes, self._rereads = manifest.rereading_passes, manifest.rereads
        self._request: SetPrompt | None = None
        self._flow = PromptFlow(null, 1000 * float(manifest.chunk_duration), hides_past=self._abilities.hides_past)
        self._picture = picture
        self._guidance: float | None = None
        self._refused: float | None = None  # the guidance that was last left out and logged
        self._seed: int | None = None
        self._chunk = 0

    def make(
        self,
        taken: Sequence[Taken[Prompt]] = (),
        superseded: tuple[str, ...] = (),
        *,
        guidance: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        cut: bool = False,
        resets: tuple[str, ...] = (),
        scheduled: tuple[Occurred, ...] = (),
        chunks_before: int = 0,
    ) -> Denoised:
        """Make the next chunk.

        Args:
            taken: its new prompts, oldest first; without one the last ones stay.
            superseded, resets, scheduled, chunks_before: for the record.
            guidance, seed: new values from this chunk on; None keeps the last ones.
            steps: for this chunk alone; None takes the bundle's own.
            cut: it sees nothing of the chunks before, whatever the prompts ask for.
        """
        started = time.perf_counter_ns()
        for each in taken:
            self._request = each.request
            self._flow.take(each)
        self._guide(guidance)
        self._seed = self._seed if seed is None else seed
        told = self._flow.next()
        if cut:
            told = replace(told, cut=True, keep=None, recache=None)
        picture, self._picture = self._picture, None
        condition = Condition(
            prompt=told.prompt,
            guidance=self._guidance,
            seed=self._seed,
            steps=steps,
            cut=told.cut,
            picture=picture,
            keep=None if picture is not None else told.keep,
            alone_above=told.alone_above,
            sound=told.sound,
            recache=told.recache,
        )
        fresh = False

        def begin_anew() -> None:
            nonlocal fresh
            fresh = True
            self._generator.reset()

        latents = twice(lambda: self._generator.step(condition), begin_anew)
        request = self._request
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
            applied=(*resets, *(each.request.id for each in taken)),
            superseded=superseded,
            told=condition.prompt.shares,
            sound=() if told.sound is None else told.sound.shares,
            cut=told.cut,
            keep=condition.keep,
            alone_above=told.alone_above,
            recache=told.recache,
            picture=None if picture is None else picture_name(picture),
            fresh=fresh,
            scheduled=scheduled,
            chunks_before=chunks_before,
            timings_ms={"denoise": ms_since(started)},
        )
        self._chunk += 1
        per_step = condition.passes_per_step(guided=record.guidance != 1, joint=self._abilities.joint)
        return Denoised(latents, record, per_step, latents.passes)

    def extra_passes(self, waiting: Sequence[SetPrompt]) -> int:
        """Passes at most by which the next chunk takes longer if these prompts come with it, oldest first."""
        rereads = self._rereading_passes and self._flow.rereads(waiting, by_itself=self._rereads)
        return self._rereading_passes if rereads else 0

    def _guide(self, guidance: float | None) -> None:
        """Take another guidance, where the model follows one."""
        if guidance is None or guidance == self._guidance:
            return
        if not self._abilities.guided:
            if guidance != self._refused:
                logger.warning(
                    "guidance %g is left out: this model is distilled, and has one pass per step without it", guidance
                )
            self._refused = guidance
            return
        self._guidance = guidance


class EncodeStage:
    """Pictures and sound to packets, in the layers that are watched.

    Pictures are brought to each watched size once, in the thread that calls, where the decoder has not made planes of
    that size already; meanwhile the encoders of the sizes that are ready run in the stage's own threads. Each encoder
    gets its pictures in order, in one thread at a time.

    Attributes:
        rungs: the ladder of sizes, the full size first.
        sound_delay: samples at 48 kHz by which a chunk's first packet of sound is stamped before its first picture, at
            most.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        scale: int = DEFAULT_SCALE,
        bitrate: int = DEFAULT_BITRATE,
        upscale: bool = False,
    ) -> None:
        """Open the sound encoder; a video encoder is opened when its layer is first watched.

        Args:
            manifest: of the bundle.
            scale: whole factor by which pictures are enlarged to the full size.
            bitrate: ceiling of the full size, bit/s.
            upscale: whether the bundle's graph `upscale` has enlarged them before. A chunk that had no time for that
                is shown at the same full size.

        Raises:
            UnsupportedRateError: a rate of the bundle cannot be carried exactly.
            EncoderUnavailableError: this build of PyAV lacks libopus.
            ValueError: the enlarged picture cannot be encoded.
        """
        self._timeline = Timeline.of(manifest)
        shown = manifest.shown_size(upscale=upscale)
        self.rungs = ladder(*encoded_size(*shown, scale), bitrate)
        self._scalers = {
            size: tuple(Scaler(size, (rung.width, rung.height)) for rung in self.rungs)
            for size in {shown, manifest.shown_size(upscale=False)}
        }
        self._shown = shown
        self._audio = AudioEncoder(manifest.audio.sample_rate, manifest.audio.channels)
        # Where a chunk is no whole number of packets, sound of up to so many samples waits for the next one.
        samples = manifest.audio.samples_per_chunk * AUDIO_CLOCK_HZ // manifest.audio.sample_rate
        self.sound_delay = self._audio.delay + OPUS_FRAME_SAMPLES - gcd(samples, OPUS_FRAME_SAMPLES)
        self._encoders: dict[Layer, VideoEncoder] = {}
        self._still_encoders: dict[Layer, VideoEncoder] = {}
        self._threads = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="encode")

    def encode(
        self, decoded: Decoded, layers: frozenset[Layer], keyframes: frozenset[Layer] = frozenset()
    ) -> EncodedChunk:
        """Encode the next chunk.

        Args:
            decoded: pictures and sound.
            layers: what to encode. An encoder that starts begins with a keyframe; one that is not watched ends.
            keyframes: layers whose first picture shall be a keyframe.

        Raises:
            ValueError: the ladder has no such rung, the pictures have another size than the bundle's, or a watched size
                has neither RGB to be made of nor planes.
            EncoderUnavailableError: this build of PyAV lacks an encoder.
        """
        started = time.perf_counter_ns()
        self._follow(layers)
        record, timeline = decoded.record, self._timeline
        pts = [record.pts + index * timeline.picture_ticks for index in range(decoded.chunk.pictures)]
        running: dict[Layer, Future[list[VideoPacket]]] = {}
        firsts: dict[Layer, UInt8Array] = {}
        standing: list[Future[Still]] = []
        try:
            for rung in sorted({layer.rung for layer in self._encoders}):
                pictures = self._planes(decoded.chunk, rung)
                for layer, encoder in self._encoders.items():
                    if layer.rung == rung:
                        keyframe = layer in keyframes
                        running[layer] = self._threads.submit(_encode_all, encoder, pictures, pts, keyframe=keyframe)
                        firsts[layer] = pictures[0]
            for layer, encoder in self._still_encoders.items():
                standing.append(self._threads.submit(_encode_still, encoder, firsts[layer], record.pts))
            audio = self._audio.encode(decoded.chunk.audio)
            fade = self._audio.fade()
        finally:
            # Whatever failed, no encoder may still run when the caller goes on.
            wait(running.values())
            wait(standing)
        encoded = [running[layer].result() for layer in sorted(running)]
        return EncodedChunk(
            index=record.chunk,
            video=tuple(packet for instant in zip(*encoded, strict=True) for packet in instant),
            audio=audio,
            record=with_timings(record, {"encode": ms_since(started)}),
            duration_ticks=timeline.chunk_ticks,
            fade=fade,
            stills=tuple(future.result() for future in standing),
        )

    def close(self) -> None:
        """End the stage's threads, once they have done what is under way. Idempotent; nothing is encoded after it."""
        self._threads.shutdown()
        self._encoders.clear()
        self._still_encoders.clear()

    def _planes(self, chunk: Chunk, rung: int) -> Sequence[UInt8Array]:
        """The pictures of a chunk in the size of a rung, uint8 `[3/2 height, width]`."""
        width, height = size = (self.rungs[rung].width, self.rungs[rung].height)
        made = chunk.planes.get(size)
        if made is not None:
            return list(made)
        if len(chunk.video) < chunk.pictures:
            raise ValueError(
                f"chunk {chunk.index} has neither planes of {width}x{height} nor RGB; ask the decoder for this size, "
                f"or for RGB as well"
            )
        _, height, width, _ = chunk.video.shape
        scaler = self._scalers.get((width, height), self._scalers[self._shown])[rung]
        return [scaler.planes(picture) for picture in chunk.video]

    def _follow(self, layers: frozenset[Layer]) -> None:
        for layer in self._encoders.keys() - layers:
            del self._encoders[layer]
            self._still_encoders.pop(layer, None)
        for layer in sorted(layers - self._encoders.keys()):
            if not 0 <= layer.rung < len(self.rungs):
                raise ValueError(f"there is no {layer}: the ladder has {len(self.rungs)} rungs")
            rung = self.rungs[layer.rung]
            self._encoders[layer] = VideoEncoder(layer, rung, fps=self._timeline.fps)
            if layer.rung == FIRST_RUNG:
                # As if each picture were one, though only the first of a chunk is: a still is then no larger than a
                # keyframe of the stream, and a joiner's network carries it as fast.
                self._still_encoders[layer] = VideoEncoder(layer, rung, fps=self._timeline.fps)


def _encode_all(
    encoder: VideoEncoder, pictures: Sequence[UInt8Array], pts: Sequence[int], *, keyframe: bool
) -> list[VideoPacket]:
    """The pictures of a chunk in one layer. Runs in a thread of the encode stage."""
    return [
        encoder.encode(picture, at, keyframe=keyframe and index == 0)
        for index, (picture, at) in enumerate(zip(pictures, pts, strict=True))
    ]


def _encode_still(encoder: VideoEncoder, picture: UInt8Array, pts: int) -> Still:
    """A picture on its own. Runs in a thread of the encode stage."""
    packet = encoder.encode(picture, pts, keyframe=True)
    return Still(packet.layer, packet.pts, packet.data)


class Pipeline:
    """All stages in this thread, one chunk after the other: for rendering to files and for tests.

    `with` ends the threads of its encoders.
    """

    def __init__(
        self, model: Model, *, scale: int = DEFAULT_SCALE, seed: int = 0, picture: Float32Array | None = None
    ) -> None:
        manifest = model.bundle.manifest
        self.timeline = Timeline.of(manifest)
        self._text, self._manifest = model.text, manifest
        self._denoise = DenoiseStage(model.generator, manifest, model.text.encode(""), picture)
        self._decode = DecodeStage(model.decoder)
        self._encode = EncodeStage(manifest, scale=scale, upscale=model.upscale)
        self._seed: int | None = seed
        self._taken: tuple[Taken[Prompt], ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads of the encoders. Idempotent."""
        self._encode.close()

    def set_prompt(self, request: SetPrompt) -> None:
        """Show this prompt from the next chunk on."""
        self._taken = (Taken(request, *encode_request(request, self._text, self._manifest)),)

    def next_decoded(self, *, guidance: float | None = None, steps: int | None = None) -> Decoded:
        """The next chunk's pictures and sound."""
        taken, self._taken = self._taken, ()
        seed, self._seed = self._seed, None
        return self._decode.decode(self._denoise.make(taken, guidance=guidance, seed=seed, steps=steps))

    def next_encoded(
        self,
        layers: frozenset[Layer],
        keyframes: frozenset[Layer] = frozenset(),
        *,
        steps: int | None = None,
    ) -> EncodedChunk:
        """The next chunk as packets."""
        return self._encode.encode(self.next_decoded(steps=steps), layers, keyframes)


def encode_request(request: SetPrompt, text: PromptEncoder, manifest: Manifest) -> tuple[Prompt, Prompt | None]:
    """What a model is told for a prompt, in the bundle's words: text or blend with its knobs, and that of the sound.

    Raises:
        EngineError: the text encoder failed, or the weights are of no use.
    """

    def blended(parts: tuple[tuple[str, float], ...], knobs: Mapping[str, str]) -> Prompt:
        return text.blend([(manifest.told(part, knobs), weight) for part, weight in parts])

    shown = blended(request.blend or ((request.text, 1.0),), request.knobs)
    return shown, blended(request.sound, request.sound_knobs) if request.sound else None


def wanted_planes(manifest: Manifest, scale: int, *, upscale: bool = False) -> PlaneRequest:
    """What the encode stage takes from a decoder that makes planes: every size of the ladder, and no RGB.

    All sizes, watched or not: which ones are changes while a stream runs, and a graph does not.

    Args:
        manifest: of the bundle.
        scale: whole factor by which pictures are enlarged to the full size.
        upscale: whether the bundle's graph `upscale` has enlarged them before.

    Raises:
        ValueError: the enlarged picture cannot be encoded.
    """
    rungs = ladder(*encoded_size(*manifest.shown_size(upscale=upscale), scale), DEFAULT_BITRATE)
    return PlaneRequest(tuple((rung.width, rung.height) for rung in rungs))


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
