"""Hand-written packets and a hand-driven clock for the tests of pacing."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from itertools import count

from streamgen.media.slate import SlateSegment
from streamgen.packets import (
    AUDIO_CLOCK_HZ,
    OPUS_FRAME_SAMPLES,
    VIDEO_CLOCK_HZ,
    AudioPacket,
    ChunkRecord,
    EncodedChunk,
    Layer,
    Still,
    VideoPacket,
)

DELAY = 360  # samples at 48 kHz that the sound's pts lie before the picture's
PICTURE_TICKS = 7_200
PICTURES = 4
CHUNK_TICKS = PICTURES * PICTURE_TICKS
SOUNDS = 16
CHUNK_NS = 320_000_000
SILENCE = b"silence"
VP8, H264, SMALL = Layer("vp8", 0), Layer("h264", 0), Layer("vp8", 1)
LAYERS = (VP8, SMALL, H264)


def make_chunk(
    index: int,
    *,
    layers: tuple[Layer, ...] = (VP8,),
    keyframe: bool | None = None,
    fade: int = 3,
    stills: tuple[Layer, ...] = (),
) -> EncodedChunk:
    """Chunk `index` of a generator; its first picture is a keyframe when it is the first chunk, or when asked."""
    first = index == 0 if keyframe is None else keyframe
    start = index * CHUNK_TICKS
    return EncodedChunk(
        index=index,
        video=tuple(
            VideoPacket(layer, start + n * PICTURE_TICKS, first and n == 0, f"picture {index}.{n}".encode())
            for n in range(PICTURES)
            for layer in layers
        ),
        audio=tuple(
            AudioPacket((index * SOUNDS + n) * OPUS_FRAME_SAMPLES - DELAY, f"sound {index}.{n}".encode())
            for n in range(SOUNDS)
        ),
        record=ChunkRecord(
            chunk=index,
            first_frame=index * PICTURES,
            fps=(25, 2),
            pts=start,
            prompt_id="p",
            prompt="a sea",
            seed=1,
            guidance=1.5,
            steps=4,
        ),
        duration_ticks=CHUNK_TICKS,
        fade=tuple(f"fade {index}.{n}".encode() for n in range(fade)),
        stills=tuple(Still(layer, start, f"still {index}".encode()) for layer in stills),
    )


def make_slate(segments: int = 2, *, name: str = "slate") -> tuple[SlateSegment, ...]:
    """Segments of one chunk's length; each starts with keyframes."""
    return tuple(
        SlateSegment(
            video=tuple(
                VideoPacket(layer, (s * PICTURES + n) * PICTURE_TICKS, n == 0, f"{name} {s}.{n}".encode())
                for n in range(PICTURES)
                for layer in LAYERS
            ),
            audio=tuple(
                AudioPacket((s * SOUNDS + n) * OPUS_FRAME_SAMPLES - DELAY, f"{name} sound {s}.{n}".encode())
                for n in range(SOUNDS)
            ),
        )
        for s in range(segments)
    )


class HandTimer:
    """A clock that stands still until `advance` moves it, alarm by alarm."""

    def __init__(self) -> None:
        self.now = 1_000_000_000
        self._alarms: dict[int, tuple[int, Callable[[], None]]] = {}
        self._numbers = count()

    def now_ns(self) -> int:
        return self.now

    def call_at_ns(self, due_ns: int, callback: Callable[[], None]) -> Callable[[], None]:
        number = next(self._numbers)
        self._alarms[number] = (due_ns, callback)

        def cancel() -> None:
            self._alarms.pop(number, None)

        return cancel

    async def advance(self, duration_ns: int) -> None:
        """Let time pass; every alarm rings at exactly its own time."""
        end = self.now + duration_ns
        await self.settle()
        while self._alarms and min(due for due, _ in self._alarms.values()) <= end:
            number, (due, callback) = min(self._alarms.items(), key=lambda item: item[1][0])
            del self._alarms[number]
            self.now = max(self.now, due)
            callback()
            await self.settle()
        self.now = end

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(8):
            await asyncio.sleep(0)


class ListSink:
    """Writes down what is released, and when."""

    def __init__(self, timer: HandTimer) -> None:
        self.timer = timer
        self.videos: list[tuple[int, VideoPacket]] = []
        self.audios: list[tuple[int, AudioPacket]] = []
        self.records: list[tuple[int, ChunkRecord]] = []
        self.stills: list[Still | None] = []
        self.flushed: list[tuple[int, int]] = []  # pictures and sounds so far, at each flush

    def video(self, packet: VideoPacket) -> None:
        self.videos.append((self.timer.now, packet))

    def still(self, still: Still | None) -> None:
        self.stills.append(still)

    def audio(self, packet: AudioPacket) -> None:
        self.audios.append((self.timer.now, packet))

    def chunk_started(self, record: ChunkRecord) -> None:
        self.records.append((self.timer.now, record))

    def flush(self) -> None:
        self.flushed.append((len(self.videos), len(self.audios)))


def video_s(pts: int) -> Fraction:
    return Fraction(pts, VIDEO_CLOCK_HZ)


def audio_s(pts: int) -> Fraction:
    return Fraction(pts, AUDIO_CLOCK_HZ)
