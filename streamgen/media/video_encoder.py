"""Real-time video encoders: one object encodes one codec, one packet per picture, without any delay.

Generated pictures are small. Browsers enlarge them with a plain filter and block edges of the codec grow with them,
so pictures are enlarged here, by a whole factor with Lanczos, before they are encoded.

An encoder belongs to one thread at a time. It computes: never call it on the event loop.
"""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from streamgen.errors import EncoderUnavailableError, UnsupportedRateError
from streamgen.packets import VIDEO_CLOCK_HZ, VideoCodec, VideoPacket

DEFAULT_SCALE: Final = 4  # 160x96 becomes 640x384
WATCHED_HEIGHT: Final = 360
DEFAULT_BITRATE: Final = 2_500_000  # bit/s; a ceiling that calm scenes stay far below
KEYFRAME_INTERVAL_S: Final = 4  # a viewer whose request was lost recovers within this time
_MAX_EDGE: Final = 4096
_ENCODERS: Final[dict[VideoCodec, str]] = {"vp8": "libvpx", "h264": "libx264"}
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
    """Encodes RGB pictures to VP8 or H.264 (constrained baseline).

    Attributes:
        codec: what comes out.
        width, height: size of the encoded picture, the source's times `scale`.
    """

    def __init__(
        self,
        codec: VideoCodec,
        *,
        width: int,
        height: int,
        fps: tuple[int, int],
        scale: int = DEFAULT_SCALE,
        bitrate: int = DEFAULT_BITRATE,
    ) -> None:
        """Open the encoder.

        Args:
            codec: `vp8` or `h264`.
            width, height: of the pictures that come in, in pixels.
            fps: pictures per second as a fraction; drives rate control only, time stamps come with the pictures.
            scale: whole factor by which pictures are enlarged.
            bitrate: bit/s.

        Raises:
            EncoderUnavailableError: this build of PyAV lacks the encoder.
            ValueError: the enlarged picture has an odd or a too large edge.
        """
        self.codec: VideoCodec = codec
        self.width, self.height = encoded_size(width, height, scale)
        self._source_shape = (height, width, 3)
        self._reformatter = VideoReformatter()
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
        context.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        context.framerate = Fraction(*fps)
        context.bit_rate = bitrate
        context.gop_size = max(1, round(KEYFRAME_INTERVAL_S * Fraction(*fps)))
        context.thread_count = 1  # a second thread would take the other core from the generator
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = SMPTE_170M
        context.options = _vp8_options(bitrate) if codec == "vp8" else _h264_options(bitrate, context.gop_size)
        context.open()
        self._context = context

    def encode(self, picture: NDArray[np.uint8], pts: int, *, keyframe: bool = False) -> VideoPacket:
        """Encode one picture.

        Args:
            picture: uint8 `[height, width, 3]`, RGB, of the source size.
            pts: ticks of 90 kHz; must rise from call to call.
            keyframe: make it decodable on its own.
        """
        if picture.shape != self._source_shape or picture.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._source_shape}, got {picture.dtype} {picture.shape}")
        frame = to_yuv420(self._reformatter, picture, self.width, self.height)
        frame.pts = pts
        frame.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(frame)
        # No look-ahead, no reordering, no dropping: anything but one packet would break the pacing.
        assert len(packets) == 1, f"{self.codec} gave {len(packets)} packets for one picture"
        return VideoPacket(codec=self.codec, pts=pts, keyframe=packets[0].is_keyframe, data=bytes(packets[0]))


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


def to_yuv420(reformatter: VideoReformatter, picture: NDArray[np.uint8], width: int, height: int) -> av.VideoFrame:
    """Enlarge an RGB picture (uint8 `[H, W, 3]`) and convert it to YUV 4:2:0, BT.601, limited range."""
    source = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return reformatter.reformat(
        source,
        width=width,
        height=height,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.LANCZOS,
        threads=1,
    )


def _vp8_options(bitrate: int) -> dict[str, str]:
    return {
        "deadline": "realtime",
        "cpu-used": "-8",  # negative is fixed effort; positive adapts and burns whatever time there is
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "error-resilient": "0",
        "drop-threshold": "0",
        "minrate": "0",
        "maxrate": str(bitrate),
        "bufsize": str(bitrate),
        "max-intra-rate": "400",  # percent of a mean picture: keeps a keyframe from delaying what follows
        "undershoot-pct": "95",
        "qmin": "4",
        "qmax": "63",
    }


def _h264_options(bitrate: int, gop: int) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",  # x264's baseline never uses what constrained baseline forbids
        "level": "3.1",
        "forced-idr": "1",
        "x264-params": (
            f"keyint={gop}:min-keyint=1:scenecut=0:repeat-headers=1:annexb=1:sliced-threads=0:"
            f"vbv-maxrate={bitrate // 1000}:vbv-bufsize={bitrate // 1000}"
        ),
    }
