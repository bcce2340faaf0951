"""A reference picture: any picture file, cropped to the shape of a model's pictures and scaled to their size."""

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from streamgen.errors import PictureError

MAX_BYTES: Final = 64 * 1024**2
MAX_PIXELS: Final = 64_000_000


def read_picture(file: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Read a picture, keep as much of its middle as has the wanted shape, and scale that: uint8 `[H, W, 3]`, RGB.

    Args:
        file: in any format that FFmpeg reads (JPEG, PNG, WebP, ...); of a video, its first picture.
        width: wanted, in pixels.
        height: wanted, in pixels.

    Raises:
        PictureError: it cannot be read, or is too large to be read safely.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise PictureError(f"{file} has more than {MAX_BYTES // 1024**2} MiB; save the picture smaller")
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise PictureError(f"{file} holds no picture")
            stream = container.streams.video[0]
            if stream.width * stream.height > MAX_PIXELS:
                raise PictureError(f"{file} is {stream.width}x{stream.height}; at most {MAX_PIXELS:,} pixels are read")
            whole = next(container.decode(stream)).to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    except (OSError, FFmpegError, StopIteration, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it holds no picture"
        raise PictureError(f"{file} cannot be read as a picture: {reason}") from error
    cropped = av.VideoFrame.from_ndarray(_cropped(whole, Fraction(width, height)), format="rgb24")
    return cropped.reformat(width, height, interpolation="AREA").to_ndarray().astype(np.uint8, copy=False)


def _cropped(picture: NDArray[np.uint8], shape: Fraction) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    if Fraction(width, height) > shape:
        kept = max(1, round(height * shape))
        left = (width - kept) // 2
        return np.ascontiguousarray(picture[:, left : left + kept])
    kept = max(1, round(width / shape))
    top = (height - kept) // 2
    return np.ascontiguousarray(picture[top : top + kept])
