"""A real viewer (aiortc) and a real programme (PyAV) on this machine, for tests that go over the network stack."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import AnyRtcpPacket, RtcpSenderInfo, RtcpSrPacket, RtpPacket
from numpy.typing import NDArray

from streamgen.media.layers import Rung
from streamgen.packets import AudioPacket, Layer, VideoCodec, VideoPacket
from streamgen.webrtc.fanout import Fanout

WIDTH, HEIGHT = 160, 96
PICTURE_TICKS = 7200  # 12.5 pictures/s on the 90 kHz clock
PATIENCE_S = 30.0  # for what takes milliseconds on an idle machine
RUNGS = (Rung(WIDTH, HEIGHT, 900_000), Rung(112, 64, 600_000), Rung(80, 48, 400_000))


class PictureEncoder:
    """Encodes numbered pictures: picture k is of one brightness, `brightness(k)`."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.size = (RUNGS[layer.rung].width, RUNGS[layer.rung].height)
        codec = layer.codec
        name = "libvpx" if codec == "vp8" else "libx264"
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = self.size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, 90_000)
        context.framerate = Fraction(25, 2)
        context.gop_size = 10_000
        context.thread_count = 1
        if codec == "vp8":
            context.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "auto-alt-ref": "0"}
        else:
            context.profile = "Baseline"
            context.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", "annexb": "1"}
        self._context = context

    def encode(self, number: int, *, keyframe: bool) -> VideoPacket:
        width, height = self.size
        luma = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        luma[:height] = brightness(number)
        frame = av.VideoFrame.from_ndarray(luma, format="yuv420p")
        frame.pts = number * PICTURE_TICKS
        frame.time_base = Fraction(1, 90_000)
        if keyframe:
            frame.pict_type = av.video.frame.PictureType.I
        (packet,) = self._context.encode(frame)
        assert packet.is_keyframe == keyframe
        return VideoPacket(self.layer, number * PICTURE_TICKS, keyframe, bytes(packet))


def brightness(number: int) -> int:
    return 40 + 8 * (number % 20)


class SoundEncoder:
    """Encodes 20 ms packets of a tone: 1 kHz on the left, silence on the right."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate = 48_000
        context.layout = "stereo"
        context.format = "flt"
        context.options = {"frame_duration": "20", "application": "audio"}
        context.bit_rate = 96_000
        self._context = context

    def encode(self, number: int) -> AudioPacket:
        time = (np.arange(960) + number * 960) / 48_000
        samples = np.zeros((1, 1920), dtype=np.float32)
        samples[0, 0::2] = 0.5 * np.sin(2 * np.pi * 1000 * time)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="stereo")
        frame.sample_rate = 48_000
        frame.pts = number * 960
        (packet,) = self._context.encode(frame)
        return AudioPacket(number * 960, bytes(packet))


class Programme:
    """Releases pictures with the sound that belongs to them into a fan-out, as fast as the test asks.

    `start` is the number of the first picture: media time 0 is not the only place to begin.
    """

    def __init__(self, *codecs: VideoCodec, start: int = 0, rungs: Sequence[Rung] = RUNGS[:1], **fanout: Any) -> None:
        self.number = start
        self.keyframes: list[int] = []  # numbers of the pictures that were keyframes because somebody asked
        self.requests = 0
        self._encoders = {
            layer: PictureEncoder(layer)
            for codec in codecs
            for rung in range(len(rungs))
            if (layer := Layer(codec, rung))
        }
        self._wanted = set(self._encoders)
        self._sound = SoundEncoder()
        self.fanout = Fanout(on_keyframe_request=self._request, rungs=rungs, **fanout)

    def _request(self, layer: Layer) -> None:
        self.requests += 1
        self._wanted.add(layer)

    def release(self) -> int:
        """Release one picture in each layer and 80 ms of sound; returns the picture's number."""
        number = self.number
        self.number += 1
        for layer, encoder in self._encoders.items():
            keyframe = layer in self._wanted
            self._wanted.discard(layer)
            packet = encoder.encode(number, keyframe=keyframe)
            if keyframe:
                self.keyframes.append(number)
            self.fanout.video(packet)
        self.fanout.flush()
        for each in range(4 * number, 4 * number + 4):
            self.fanout.audio(self._sound.encode(each))
        return number

    async def play_until(self, done: Callable[[], bool]) -> None:
        """Release pictures, faster than real time, until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                self.release()
                await asyncio.sleep(0.01)


class Receiver:
    """One received track: what came as RTP and what came out of the decoder."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.rtp: list[RtpPacket] = []
        self.reports: list[RtcpSenderInfo] = []
        self.frames: list[av.VideoFrame | av.AudioFrame] = []
        self.ended = False
        self._receiver = receiver
        self._reader: asyncio.Task[None] | None = None
        handle_rtp, handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet

        async def rtp(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.rtp.append(packet)
            await handle_rtp(packet, arrival_time_ms)

        async def rtcp(packet: AnyRtcpPacket) -> None:
            if isinstance(packet, RtcpSrPacket):
                self.reports.append(packet.sender_info)
            await handle_rtcp(packet)

        receiver._handle_rtp_packet = rtp  # type: ignore[method-assign]
        receiver._handle_rtcp_packet = rtcp  # type: ignore[method-assign]

    def start(self, track: MediaStreamTrack) -> None:
        """Begin to take what the decoder puts out."""
        self._reader = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                self.frames.append(frame)
        except MediaStreamError:
            self.ended = True

    @property
    def timestamps(self) -> list[int]:
        """RTP timestamps in the order of arrival, each once."""
        return list(dict.fromkeys(packet.timestamp for packet in self.rtp))

    @property
    def gaps(self) -> int:
        """RTP packets that are missing between the first and the last."""
        numbers = [packet.sequence_number for packet in self.rtp]
        return sum((after - before - 1) & 0xFFFF for before, after in itertools.pairwise(numbers))

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        for frame in self.frames:
            assert isinstance(frame, av.VideoFrame)
            yield frame.to_ndarray(format="gray").astype(np.uint8)

    async def ask_for_keyframe(self) -> None:
        await self._receiver._send_rtcp_pli(self.rtp[-1].ssrc)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


class Player:
    """A WHEP viewer: offers, takes the answer, receives both tracks."""

    def __init__(self, *, codec: VideoCodec | None = None) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        video = self.peer.addTransceiver("video", direction="recvonly")
        audio = self.peer.addTransceiver("audio", direction="recvonly")
        if codec is not None:
            capabilities = RTCRtpReceiver.getCapabilities("video")
            assert capabilities is not None
            video.setCodecPreferences(
                [each for each in capabilities.codecs if each.mimeType.lower() == f"video/{codec}"]
            )
        self.video = Receiver(video.receiver)
        self.audio = Receiver(audio.receiver)
        self.peer.on("track", self._track)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _track(self, track: MediaStreamTrack) -> None:
        (self.video if track.kind == "video" else self.audio).start(track)

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def close(self) -> None:
        await self.peer.close()
        await self.video.close()
        await self.audio.close()


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that happens by itself."""
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110 - aiortc has no event for what the tests wait for
            await asyncio.sleep(0.005)
