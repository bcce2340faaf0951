"""Real-time video encoders: one object encodes one layer, one packet per picture, without any delay.

An encoder belongs to one thread at a time. It computes: never call it on the event loop.
"""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from streamgen.errors import EncoderUnavailableError, UnsupportedRateError
from streamgen.media.ceiling import BURST_S, Ceiling
from streamgen.media.layers import Rung
from streamgen.packets import VIDEO_CLOCK_HZ, Layer, VideoCodec, VideoPacket

DEFAULT_SCALE: Final = 4  # 160x96 becomes 640x384
WATCHED_HEIGHT: Final = 360
DEFAULT_BITRATE: Final = 2_500_000  # bit/s; a ceiling that calm scenes stay far below
KEYFRAME_INTERVAL_S: Final = 4  # a viewer whose request was lost recovers within this time
MAX_ATTEMPTS: Final = 4
"""How often one picture is encoded at most; the last attempt leaves, whatever its size."""
_TARGET: Final = 0.9  # of the ceiling: what rate control aims at, so that a burst is paid back
_KEYFRAME_S: Final = 0.15  # of the bitrate: what libvpx may spend on a keyframe
_IN_VAIN: Final = 0.9  # a further attempt that saves less than a tenth shows that the coarsest quality is reached
_MAX_EDGE: Final = 4096
_ENCODERS: Final[dict[VideoCodec, str]] = {"vp8": "libvpx", "h264": "libx264"}
_MACROBLOCK: Final = 16
_LEVELS: Final = (
    ("3.1", 3_600, 108_000),
    ("3.2", 5_120, 216_000),
    ("4.0", 8_192, 245_760),
    ("4.2", 8_704, 522_240),
    ("5.0", 22_080, 589_824),
    ("5.1", 36_864, 983_040),
    ("5.2", 36_864, 2_073_600),
)
"""Levels of H.264 with the macroblocks of a picture and of a second that they allow (H.264, table A-1); not below what
browsers offer."""
SMPTE_170M: Final = 6  # H.273 code for primaries, transfer and matrix: what browsers assume for untagged video


def ticks_per_picture(fps: tuple[int, int]) -> int:
    """Length of a picture in ticks of 90 kHz.

    Raises:
        UnsupportedRateError: the rate is not a whole number of ticks, so that time stamps would drift.
    """
    numerator, denominator = fps
    ticks, rest = divmod(VIDEO_CLOCK_HZ * denominator, numerator)
    if rest or ticks == 0:
        raise UnsupportedRateError(
            f"{numerator}/{denominator} pictures per second are not a whole number of 90 kHz ticks; "
            f"use a bundle whose rate divides 90000, such as 25/2, 24 or 30"
        )
    return ticks


class VideoEncoder:
    """Encodes pictures to VP8 or H.264 (constrained baseline), under a true ceiling.

    Rate control alone overshoots several times over when a calm picture becomes a wild one, or when keyframes are asked
    for in a row. A picture that does not fit under the ceiling is therefore encoded again, as a keyframe because
    nothing may refer to what was thrown away; rate control has then seen how much it takes, and is coarser. Any second
    carries at most `ceiling.TOLERANCE` times the rung's bitrate, unless the codec's coarsest quality is above that.

    Attributes:
        layer: what comes out.
        width, height: size of the picture, in pixels.
    """

    def __init__(self, layer: Layer, rung: Rung, *, fps: tuple[int, int]) -> None:
        """Open the encoder.

        Args:
            layer: names the codec, and is written on every packet.
            rung: size (even edges) and ceiling.
            fps: pictures per second as a fraction; drives rate control only, time stamps come with the pictures.

        Raises:
            EncoderUnavailableError: this build of PyAV lacks the encoder.
        """
        self.layer = layer
        self.width, self.height = rung.width, rung.height
        codec = layer.codec
        try:
            context = av.CodecContext.create(_ENCODERS[codec], "w")
        except UnknownCodecError as error:
            raise EncoderUnavailableError(
                f"PyAV was built without {_ENCODERS[codec]}; install the official wheel with "
                f"`pip install --force-reinstall --only-binary :all: av`"
            ) from error
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = self.width, self.height
        context.pix_fmt = "yuv420p"
        # Pictures are counted, not timed: an attempt that is thrown away takes a place of its own.
        context.time_base = 1 / Fraction(*fps)
        context.framerate = Fraction(*fps)
        target = max(1, round(_TARGET * rung.bitrate))
        context.bit_rate = target
        context.gop_size = max(1, round(KEYFRAME_INTERVAL_S * Fraction(*fps)))
        context.thread_count = 1  # the layers are what runs side by side
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = SMPTE_170M
        buffer = max(1, round(BURST_S * target))
        context.options = (
            _vp8_options(target, buffer, fps)
            if codec == "vp8"
            else _h264_options(target, buffer, context.gop_size, h264_level(rung.width, rung.height, fps))
        )
        context.open()
        self._context = context
        self._ceiling = Ceiling(rung.bitrate)
        self._attempts = 0  # all of them: the encoder's own time

    def encode(self, planes: NDArray[np.uint8], pts: int, *, keyframe: bool = False) -> VideoPacket:
        """Encode one picture.

        Args:
            planes: uint8 `[3/2 height, width]`, YUV 4:2:0, of the rung's size (see `Scaler`); only read.
            pts: ticks of 90 kHz; must rise from call to call.
            keyframe: make it decodable on its own.
        """
        expected = (self.height * 3 // 2, self.width)
        if planes.shape != expected or planes.dtype != np.uint8:
            raise ValueError(f"expected uint8 {expected}, got {planes.dtype} {planes.shape}")
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        packet = self._attempt(frame, keyframe=keyframe)
        for _ in range(MAX_ATTEMPTS - 1):
            if self._ceiling.fits(packet.size, pts):
                break
            before = packet.size
            packet = self._attempt(frame, keyframe=True)
            if packet.size > _IN_VAIN * before:
                break
        self._ceiling.take(packet.size, pts)
        return VideoPacket(layer=self.layer, pts=pts, keyframe=packet.is_keyframe, data=bytes(packet))

    def _attempt(self, frame: av.VideoFrame, *, keyframe: bool) -> "av.Packet[av.VideoStream]":
        frame.pts = self._attempts
        frame.time_base = self._context.time_base
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._attempts += 1
        packets = self._context.encode(frame)
        # No look-ahead, no reordering, no dropping: anything but one packet would break the pacing.
        assert len(packets) == 1, f"{self.layer} gave {len(packets)} packets for one picture"
        return packets[0]


def usual_scale(height: int) -> int:
    """The whole factor that makes pictures of this height large enough to be watched: the first to reach 360 rows."""
    return max(1, -(-WATCHED_HEIGHT // height))


def encoded_size(width: int, height: int, scale: int) -> tuple[int, int]:
    """Width and height after enlarging.

    Raises:
        ValueError: `scale` is not positive, or an edge is odd or too large.
    """
    if scale < 1:
        raise ValueError(f"scale is {scale}; give a whole number of at least 1")
    size = (width * scale, height * scale)
    if any(edge % 2 or edge > _MAX_EDGE for edge in size):
        raise ValueError(
            f"pictures of {size[0]}x{size[1]} cannot be encoded: edges must be even and at most {_MAX_EDGE}; "
            f"choose another scale"
        )
    return size


def h264_level(width: int, height: int, fps: tuple[int, int]) -> str:
    """The least level of H.264, from 3.1 on, for pictures of this size (pixels) and rate; the highest where none is."""
    blocks = -(-width // _MACROBLOCK) * -(-height // _MACROBLOCK)
    for name, picture, second in _LEVELS:
        if blocks <= picture and blocks * Fraction(*fps) <= second:
            return name
    return _LEVELS[-1][0]


def _vp8_options(bitrate: int, buffer: int, fps: tuple[int, int]) -> dict[str, str]:
    """Constant bitrate: other modes overshoot more. Calm pictures stay far below it, because quality ends at qmin."""
    keyframe_percent = round(100 * _KEYFRAME_S * Fraction(*fps))
    return {
        "deadline": "realtime",
        "cpu-used": "-8",  # negative is fixed effort; positive adapts and burns whatever time there is
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "error-resilient": "0",
        "drop-threshold": "0",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "bufsize": str(buffer),
        "max-intra-rate": str(max(150, keyframe_percent)),  # percent of a mean picture
        "undershoot-pct": "95",
        "qmin": "4",
        "qmax": "63",
    }


def _h264_options(bitrate: int, buffer: int, gop: int, level: str) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",  # x264's baseline never uses what constrained baseline forbids
        "level": level,
        "forced-idr": "1",
        "x264-params": (
            f"keyint={gop}:min-keyint=1:scenecut=0:repeat-headers=1:annexb=1:sliced-threads=0:"
            f"vbv-maxrate={max(1, bitrate // 1000)}:vbv-bufsize={max(1, buffer // 1000)}"
        ),
    }
