"""Decodes packets with FFmpeg's own decoders, as a receiver would."""

from collections.abc import Iterable
from typing import Final

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from streamgen.packets import VideoCodec, VideoPacket

_DECODERS: Final[dict[VideoCodec, str]] = {"vp8": "vp8", "h264": "h264"}


def decode_video(packets: Iterable[VideoPacket]) -> list[NDArray[np.uint8]]:
    """Pictures, uint8 `[H, W, 3]`, RGB; raises when a packet cannot be decoded on its turn."""
    decoder: av.VideoCodecContext | None = None
    pictures: list[NDArray[np.uint8]] = []
    for packet in packets:
        if decoder is None:
            context = av.CodecContext.create(_DECODERS[packet.codec], "r")
            assert isinstance(context, av.VideoCodecContext)
            context.thread_count = 1
            context.flags |= av.codec.context.Flags.low_delay
            decoder = context
        for frame in decoder.decode(av.Packet(packet.data)):
            rgb = frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU601).to_ndarray()
            pictures.append(np.asarray(rgb, np.uint8))
    if decoder is not None:
        pictures += [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in decoder.decode(None)]
    return pictures


def decode_opus(packets: Iterable[bytes]) -> NDArray[np.float32]:
    """Sound, float32 `[2, S]` at 48 kHz: all that a WebRTC receiver would play, nothing skipped at the start."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = 48_000
    decoder.layout = "stereo"
    decoder.format = "flt"
    blocks: list[NDArray[np.float32]] = []
    for data in packets:
        for frame in decoder.decode(av.Packet(data)):
            samples = np.asarray(frame.to_ndarray(), np.float32)
            if frame.format.name.startswith("s16"):
                samples /= 32_768
            blocks.append(samples if frame.format.is_planar else samples.reshape(-1, 2).T)
    return np.concatenate(blocks, axis=1)


def shrink(picture: NDArray[np.uint8], scale: int) -> NDArray[np.float64]:
    """Mean over blocks of `scale` x `scale` pixels."""
    height, width, _ = picture.shape
    blocks = picture.reshape(height // scale, scale, width // scale, scale, 3)
    return np.asarray(blocks.mean((1, 3)), np.float64)


def psnr_db(picture: NDArray[np.float64], reference: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = float(np.mean((picture - reference) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
