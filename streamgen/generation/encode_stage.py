"""The last stage: pictures and sound become packets, in the layers that are watched.

It belongs to one thread at a time, and computes: never call it on the event loop. It owns a few threads more, in which
its encoders run side by side; libav gives up the interpreter's lock while it encodes.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from math import gcd
from typing import Final

from streamgen.generation.decode_stage import Decoded
from streamgen.generation.rtp_timeline import Timeline
from streamgen.generation.timings import ms_since, with_timings
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.layers import FIRST_RUNG, ladder
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import DEFAULT_BITRATE, DEFAULT_SCALE, VideoEncoder, encoded_size
from streamgen.packets import AUDIO_CLOCK_HZ, OPUS_FRAME_SAMPLES, EncodedChunk, Layer, Still, VideoPacket
from streamgen_engines.chunk import Chunk, UInt8Array
from streamgen_engines.manifest import Manifest
from streamgen_engines.planes import PlaneRequest

ENCODER_THREADS: Final = 2
"""Encoders that run at the same time; more would only take the cores from denoising."""


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
