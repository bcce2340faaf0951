"""Pictures to the size and the colours in which they are encoded.

Generated pictures are small. Browsers enlarge them with a plain filter and block edges of the codec grow with them, so
pictures are enlarged here, with Lanczos, before they are encoded. Smaller layers are made from the same source, never
from an enlarged picture: by the mean over areas when they are smaller than it.

A scaler belongs to one thread at a time. It computes: never call it on the event loop.
"""

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray


class Scaler:
    """Brings RGB pictures of one size to YUV 4:2:0 of another (BT.601, limited range)."""

    def __init__(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        """Widths and heights in pixels; the target's must be even."""
        self._source_shape = (source[1], source[0], 3)
        self._width, self._height = target
        shrinks = target[0] < source[0] or target[1] < source[1]
        self._interpolation = Interpolation.AREA if shrinks else Interpolation.LANCZOS
        self._reformatter = VideoReformatter()

    def frame(self, picture: NDArray[np.uint8]) -> av.VideoFrame:
        """A picture (uint8 `[H, W, 3]`, RGB) as a frame of FFmpeg."""
        if picture.shape != self._source_shape or picture.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._source_shape}, got {picture.dtype} {picture.shape}")
        source = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        return self._reformatter.reformat(
            source,
            width=self._width,
            height=self._height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=self._interpolation,
            threads=1,
        )

    def planes(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (uint8 `[H, W, 3]`, RGB) as planes: uint8 `[3/2 height, width]`, Y above U above V.

        Several encoders may read them at the same time.
        """
        return np.asarray(self.frame(picture).to_ndarray(), np.uint8)
