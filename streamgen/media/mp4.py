"""Files: pictures and sound into MP4 (H.264 and AAC) or WebM (VP8 and Opus), aligned to the sample.

A file is written beside its place under another name and moved there when it is complete, so a half-written file never
carries the name that was asked for.

A writer belongs to one thread at a time. It computes: never call it on the event loop.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamgen.errors import OutputPathError
from streamgen.media.resampler import Upsampler
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import DEFAULT_SCALE, SMPTE_170M, encoded_size
from streamgen.packets import AUDIO_CLOCK_HZ

_AUDIO_BITRATE: Final = 192_000
_AAC_FRAME: Final = 1_024


@dataclass(frozen=True, slots=True)
class _Kind:
    """How files of one extension are made."""

    container: str
    video: str
    video_options: dict[str, str]
    video_bitrate: int | None
    audio: str
    container_options: dict[str, str]


# Without mbtree: with it x264 writes different pictures from the same input where it uses AVX-512 (found with PyAV
# 18.1), and the same seed is to give the same file.
_X264: Final = {"preset": "medium", "crf": "16", "x264-params": "mbtree=0"}
KINDS: Final = {
    ".mp4": _Kind("mp4", "libx264", _X264, None, "aac", {"movflags": "+faststart"}),
    ".webm": _Kind(
        "webm",
        "libvpx",
        {"deadline": "good", "cpu-used": "5", "crf": "6", "auto-alt-ref": "1", "lag-in-frames": "16"},
        6_000_000,
        "libopus",
        {},
    ),
}
"""By extension."""


def check_output(path: Path) -> None:
    """See whether a file can be written there, before any work is done.

    Raises:
        OutputPathError: the extension names no known container, or the folder is missing or cannot be written.
    """
    if path.suffix.lower() not in KINDS:
        raise OutputPathError(f"{path}: unknown kind of file {path.suffix!r}; use a name that ends in {_known_kinds()}")
    if path.is_dir():
        raise OutputPathError(f"{path} is a folder; give the name of a file")
    part = _part_of(path)
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise OutputPathError(f"{path} cannot be written ({error.strerror}); choose a folder that can") from error


class FileWriter:
    """Writes one file; `with` completes it, or removes what was written when an exception passes."""

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: tuple[int, int],
        sample_rate: int,
        channels: int,
        scale: int = DEFAULT_SCALE,
    ) -> None:
        """Open the file.

        Args:
            path: its extension chooses the kind.
            width, height: of the pictures that come in, in pixels.
            fps: pictures per second, as a fraction.
            sample_rate: of the sound that comes in, in Hz.
            channels: 1 or 2.
            scale: whole factor by which pictures are enlarged.

        Raises:
            OutputPathError: see `check_output`.
            UnsupportedRateError: 48 kHz is no whole multiple of `sample_rate`.
            ValueError: the enlarged picture cannot be encoded.
        """
        check_output(path)
        self._path = path
        self._part = _part_of(path)
        self._size = encoded_size(width, height, scale)
        self._channels = channels
        self._fps = Fraction(*fps)
        self._scaler = Scaler((width, height), self._size)
        self._upsampler = Upsampler(sample_rate, channels)
        self._late = self._upsampler.delay  # samples at 48 kHz that the resampler still has to give up
        self._sound = np.zeros((2, 0), np.float32)  # less than one frame of the encoder
        self._pictures = 0
        self._samples = 0
        kind = KINDS[path.suffix.lower()]
        try:
            self._container: OutputContainer = av.open(
                str(self._part), "w", format=kind.container, container_options=kind.container_options
            )
        except OSError as error:
            raise OutputPathError(f"{path} cannot be written ({error.strerror}); choose a folder that can") from error
        self._open = True
        self._video = self._add_video(kind)
        self._audio = self._add_audio(kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def write(self, pictures: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
        """Append pictures and the sound of the same stretch of time.

        Args:
            pictures: uint8 `[T, height, width, 3]`, RGB.
            samples: float32 `[channels, S]` in [-1, 1].

        Raises:
            OutputPathError: the disk is full, or the file cannot be written any more.
        """
        with self._writing():
            for picture in pictures:
                frame = self._scaler.frame(picture)
                frame.pts = self._pictures
                frame.time_base = 1 / self._fps
                self._pictures += 1
                for packet in self._video.encode(frame):
                    self._container.mux(packet)
            self._write_sound(self._upsampler.process(samples))

    def close(self) -> None:
        """Complete the file and give it its name. Idempotent."""
        if not self._open:
            return
        try:
            with self._writing():
                rest = self._upsampler.delay // self._upsampler.factor
                self._write_sound(self._upsampler.process(np.zeros((self._channels, rest), np.float32)))
                if self._sound.shape[1]:
                    self._encode_sound(self._sound)
                for packet in (*self._audio.encode(None), *self._video.encode(None)):
                    self._container.mux(packet)
                self._container.close()
                self._part.replace(self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Give the file up and remove what was written. Idempotent; does nothing to a complete file."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(OSError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    def _add_video(self, kind: _Kind) -> VideoStream:
        stream = self._container.add_stream(kind.video, rate=self._fps, options=kind.video_options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / self._fps
        if kind.video_bitrate is not None:
            stream.bit_rate = kind.video_bitrate
        context = stream.codec_context
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = SMPTE_170M
        return stream

    def _add_audio(self, kind: _Kind) -> AudioStream:
        stream = self._container.add_stream(kind.audio, rate=AUDIO_CLOCK_HZ)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "stereo"
        stream.codec_context.format = "flt" if kind.audio == "libopus" else "fltp"
        stream.codec_context.bit_rate = _AUDIO_BITRATE
        stream.codec_context.open()
        return stream

    def _write_sound(self, sound: NDArray[np.float32]) -> None:
        """Sound at 48 kHz, float32 `[channels, S]`, as it leaves the resampler."""
        early = min(self._late, sound.shape[1])
        self._late -= early
        stereo = np.broadcast_to(sound[:, early:], (2, sound.shape[1] - early))
        waiting = np.concatenate([self._sound, stereo], axis=1)
        frame = self._audio.codec_context.frame_size or _AAC_FRAME
        whole = waiting.shape[1] // frame * frame
        for start in range(0, whole, frame):
            self._encode_sound(waiting[:, start : start + frame])
        self._sound = waiting[:, whole:]

    def _encode_sound(self, block: NDArray[np.float32]) -> None:
        planar = self._audio.codec_context.format.is_planar
        data = np.ascontiguousarray(block) if planar else np.ascontiguousarray(block.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format=self._audio.codec_context.format.name, layout="stereo")
        frame.sample_rate = AUDIO_CLOCK_HZ
        frame.time_base = Fraction(1, AUDIO_CLOCK_HZ)
        frame.pts = self._samples
        self._samples += block.shape[1]
        for packet in self._audio.encode(frame):
            self._container.mux(packet)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.discard()
            raise OutputPathError(
                f"{self._path} cannot be written any more ({error.strerror}); make room on the disk and start again"
            ) from error


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _known_kinds() -> str:
    return " or ".join(KINDS)
