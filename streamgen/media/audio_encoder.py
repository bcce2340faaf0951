"""Sound to Opus: continuous resampling to 48 kHz, then packets of 20 ms, stereo.

Resampler and encoder both look ahead, so what a decoder puts out lags behind what went in by a constant `delay`.
It is taken off the time stamps here: the sound that a decoder puts out at a packet's `pts` belongs to that time. A
packet therefore starts a little before the chunk's first sample, and the last samples of a chunk leave with the next
chunk. A chunk of whole 20 ms gives the same number of packets every time; one of 37.5 gives 37 and 38 in turn, because
the half that is left over waits for the next one.

An encoder belongs to one thread at a time. It computes: never call it on the event loop.
"""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from numpy.typing import NDArray

from streamgen.errors import EncoderUnavailableError
from streamgen.media.resampler import Upsampler
from streamgen.packets import AUDIO_CLOCK_HZ, OPUS_FRAME_SAMPLES, AudioPacket

DEFAULT_BITRATE: Final = 128_000  # bit/s
OPUS_DELAY_SAMPLES: Final = 312
"""What libopus looks ahead for `application=audio`, in samples at 48 kHz (6.5 ms). A test measures it."""

FADE_SAMPLES: Final = 3 * OPUS_FRAME_SAMPLES
_FADE_PRIMING_PACKETS: Final = 2  # what the fade's encoder hears before its first packet that is used


class OpusStream:
    """One Opus encoder: stereo blocks of 20 ms in, one packet each out."""

    def __init__(self, bitrate: int = DEFAULT_BITRATE) -> None:
        """Open the encoder.

        Raises:
            EncoderUnavailableError: this build of PyAV lacks libopus.
        """
        try:
            context = av.CodecContext.create("libopus", "w")
        except UnknownCodecError as error:
            raise EncoderUnavailableError(
                "PyAV was built without libopus; install the official wheel with "
                "`pip install --force-reinstall --only-binary :all: av`"
            ) from error
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate = AUDIO_CLOCK_HZ
        context.layout = "stereo"
        context.format = "flt"
        context.bit_rate = bitrate
        context.time_base = Fraction(1, AUDIO_CLOCK_HZ)
        context.options = {"application": "audio", "frame_duration": "20", "vbr": "constrained"}
        context.open()
        assert context.frame_size == OPUS_FRAME_SAMPLES
        self._context = context
        self._fed = 0

    def encode(self, block: NDArray[np.float32]) -> bytes:
        """Encode float32 `[2, 960]` at 48 kHz."""
        interleaved = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout="stereo")
        frame.sample_rate = AUDIO_CLOCK_HZ
        frame.time_base = Fraction(1, AUDIO_CLOCK_HZ)
        frame.pts = self._fed
        self._fed += OPUS_FRAME_SAMPLES
        packets = self._context.encode(frame)
        assert len(packets) == 1, f"libopus gave {len(packets)} packets for one block"
        return bytes(packets[0])


class AudioEncoder:
    """Encodes a continuous sound, chunk by chunk.

    Attributes:
        delay: samples at 48 kHz by which the decoded sound lags; taken off every `pts`.
    """

    def __init__(self, sample_rate: int, channels: int, bitrate: int = DEFAULT_BITRATE) -> None:
        """Open resampler and encoder.

        Raises:
            UnsupportedRateError: 48 kHz is no whole multiple of `sample_rate`.
            EncoderUnavailableError: this build of PyAV lacks libopus.
        """
        self._resampler = Upsampler(sample_rate, channels)
        self._channels = channels
        self._opus = OpusStream(bitrate)
        self._bitrate = bitrate
        self.delay = self._resampler.delay + OPUS_DELAY_SAMPLES
        self._pts = -self.delay
        self._pending = np.zeros((2, 0), np.float32)  # less than one block that waits for more sound
        self._heard = np.zeros((2, 2 * FADE_SAMPLES), np.float32)  # newest resampled sound

    def encode(self, samples: NDArray[np.float32]) -> tuple[AudioPacket, ...]:
        """Encode the next stretch of sound.

        Args:
            samples: float32 `[channels, S]` in [-1, 1]. If S is a whole number of 20 ms blocks, exactly that many
                packets come back.
        """
        stereo = self._resampler.process(samples)
        if self._channels == 1:
            stereo = np.repeat(stereo, 2, axis=0)
        self._heard = np.concatenate([self._heard, stereo], axis=1)[:, -self._heard.shape[1] :]
        sound = np.concatenate([self._pending, stereo], axis=1)
        packets = []
        whole = sound.shape[1] // OPUS_FRAME_SAMPLES
        for block in np.split(sound[:, : whole * OPUS_FRAME_SAMPLES], whole, axis=1) if whole else []:
            packets.append(AudioPacket(pts=self._pts, data=self._opus.encode(block)))
            self._pts += OPUS_FRAME_SAMPLES
        self._pending = sound[:, whole * OPUS_FRAME_SAMPLES :]
        return tuple(packets)

    def fade(self) -> tuple[bytes, ...]:
        """Opus packets that may follow the newest one instead of sound that does not come: down to silence.

        The sound so far is continued by its mirror image, which joins without a step, under a raised cosine. A
        second encoder hears the last real sound first, so that its state fits the listener's decoder. Sound that still
        waits to fill a packet comes first.
        """
        waiting = self._pending.shape[1]
        lead_in = _FADE_PRIMING_PACKETS * OPUS_FRAME_SAMPLES + waiting
        mirrored = self._heard[:, : -FADE_SAMPLES - 1 : -1]
        ramp = 0.5 + 0.5 * np.cos(np.pi * (np.arange(FADE_SAMPLES, dtype=np.float32) + 1) / FADE_SAMPLES)
        # Flushes what the encoder holds back, and fills the last packet.
        tail = np.zeros((2, OPUS_FRAME_SAMPLES + (-waiting) % OPUS_FRAME_SAMPLES), np.float32)
        sound = np.concatenate([self._heard[:, -lead_in:], mirrored * ramp.astype(np.float32), tail], axis=1)
        encoder = OpusStream(self._bitrate)
        packets = [encoder.encode(block) for block in np.split(sound, sound.shape[1] // OPUS_FRAME_SAMPLES, axis=1)]
        return tuple(packets[_FADE_PRIMING_PACKETS:])


def silence() -> bytes:
    """One Opus packet of 20 ms of silence, to be repeated for as long as there is nothing to hear."""
    encoder = OpusStream()
    quiet = np.zeros((2, OPUS_FRAME_SAMPLES), np.float32)
    for _ in range(4):  # the first packets still carry the start of the encoder
        packet = encoder.encode(quiet)
    return packet
