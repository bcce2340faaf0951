"""Viewers per core, three ways side by side: `python -m bench.fanout`.

- `streamgen`: the server's own fan-out.
- `aiortc, packets`: aiortc's sender fed with the same encoded packets, through a queue per viewer.
- `aiortc, relay`: aiortc's sender fed with raw pictures and sound by a `MediaRelay`: what an aiortc server does by
  default, one encoder per viewer.

The programme is the same: 25 pictures/s of VP8 at about 1 Mbit/s and Opus. Its viewers are real peers in a process of
their own (`bench.audience`), on other cores than this one where there are several. What is measured is the processor
time of this process, which also pays for the kernel's way through the loopback network. The cost of a viewer is the
slope between a small and a larger audience.
"""

import argparse
import asyncio
import fractions
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from bench import record
from bench.audience import Audience
from bench.figures import Summary, percentile
from streamgen.garbage import GarbageCollection
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.layers import Rung
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import VideoEncoder
from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket, Layer, VideoPacket
from streamgen.rtp.outgoing import Picture
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.sender import Outlet
from streamgen.webrtc.whep import WhepLimits, WhepServer

FPS: Final = 25
WIDTH, HEIGHT = 640, 360
BITRATE: Final = 1_000_000
LOOP_PICTURES: Final = 100
SLOT_S: Final = 0.02
SLOTS_PER_PICTURE: Final = 2
SETTLE_S: Final = 0.5  # for what an encoder still does after its source has ended
START_S: Final = 2.0  # until everybody has started, before anything is measured
_LAYER: Final = Layer("vp8", 0)
_SAMPLED: Final = 10
"""One viewer of so many is asked how late its packets leave."""


@dataclass(frozen=True)
class Programme:
    """A loop of encoded pictures and sound, and the pictures that they are of."""

    pictures: tuple[VideoPacket, ...]
    sound: tuple[bytes, ...]
    planes: tuple[NDArray[np.uint8], ...]  # YUV 4:2:0

    @property
    def bitrate(self) -> float:
        """Of the pictures, bit/s."""
        return 8 * sum(len(picture.data) for picture in self.pictures) * FPS / len(self.pictures)

    @classmethod
    def made(cls) -> "Programme":
        """Moving stripes under noise, which is hard enough to take the whole bit rate."""
        rng = np.random.default_rng(1)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        scaler = Scaler((WIDTH, HEIGHT), (WIDTH, HEIGHT))
        planes = []
        for number in range(LOOP_PICTURES):
            wave = 127 + 90 * np.sin((x + 3 * y + 8 * number) / 23)[..., None] * np.array([1.0, 0.6, -0.7])
            noisy = np.clip(wave + rng.normal(0, 12, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
            planes.append(scaler.planes(noisy))
        encoder = VideoEncoder(_LAYER, Rung(WIDTH, HEIGHT, BITRATE), fps=(FPS, 1))
        ticks = VIDEO_CLOCK_HZ // FPS
        pictures = tuple(
            encoder.encode(picture, number * ticks, keyframe=number == 0) for number, picture in enumerate(planes)
        )
        sound = AudioEncoder(AUDIO_CLOCK_HZ, 2)
        tone = np.sin(np.arange(AUDIO_CLOCK_HZ) / 20, dtype=np.float32) * 0.3
        packets = sound.encode(np.stack((tone, tone)))
        return cls(pictures, tuple(packet.data for packet in packets), tuple(planes))


class Way(Protocol):
    """One way to serve viewers."""

    async def answer(self, offer: str) -> str:
        """A viewer joins."""

    def picture(self, number: int) -> None:
        """Picture number n of the programme is due."""

    def slot(self, number: int) -> None:
        """20 ms of sound are due."""

    async def close(self) -> None:
        """Everybody leaves."""


class OurFanout:
    """The server's own parts, without HTTP and without a generator."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme
        self._fanout = Fanout(rungs=(Rung(WIDTH, HEIGHT, BITRATE),))
        limits = WhepLimits(
            max_viewers=4096, max_pending=4096, include_loopback=True, joins_per_s=1e6, address_joins_per_s=1e6
        )
        self._whep = WhepServer(self._fanout, limits)

    async def answer(self, offer: str) -> str:
        """A viewer joins."""
        return (await self._whep.offer(offer)).sdp

    def picture(self, number: int) -> None:
        """One call for everybody."""
        packet = self._programme.pictures[number % LOOP_PICTURES]
        pts = number * VIDEO_CLOCK_HZ // FPS
        self._fanout.video(VideoPacket(_LAYER, pts, packet.keyframe, packet.data))
        self._fanout.flush()

    def slot(self, number: int) -> None:
        """One call for everybody."""
        sound = self._programme.sound
        self._fanout.audio(AudioPacket(number * 960, sound[number % len(sound)]))

    async def close(self) -> None:
        """End all sessions."""
        await self._whep.close()


class _Fed(MediaStreamTrack):
    """A track that hands over what it is given."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.queue: asyncio.Queue[Any] = asyncio.Queue(64)

    async def recv(self) -> Any:
        if (item := await self.queue.get()) is None:
            raise MediaStreamError
        return item

    def put(self, item: Any) -> None:
        if not self.queue.full():
            self.queue.put_nowait(item)

    def end(self) -> None:
        """Nothing more comes: whoever waits for it ends."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class _Stock:
    """aiortc as it is."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self._peers: list[RTCPeerConnection] = []

    def tracks(self) -> tuple[MediaStreamTrack, MediaStreamTrack]:
        """Picture and sound for one more viewer."""
        raise NotImplementedError

    def fed(self) -> Iterable[_Fed]:
        """All tracks that are fed."""
        raise NotImplementedError

    async def answer(self, offer: str) -> str:
        """A viewer joins."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        for track in self.tracks():
            peer.addTrack(track)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def close(self) -> None:
        """Close every peer, once none of their encoders is at work any more: aiortc frees those that are."""
        for track in self.fed():
            track.end()
        await asyncio.sleep(SETTLE_S)
        await asyncio.gather(*(peer.close() for peer in self._peers))


class StockPackets(_Stock):
    """aiortc's sender fed with encoded packets."""

    def __init__(self, programme: Programme) -> None:
        super().__init__(programme)
        self._fed: list[tuple[_Fed, _Fed]] = []

    def tracks(self) -> tuple[MediaStreamTrack, MediaStreamTrack]:
        """A queue per viewer and track."""
        self._fed.append((_Fed("video"), _Fed("audio")))
        return self._fed[-1]

    def fed(self) -> Iterable[_Fed]:
        """Two per viewer."""
        return (track for pair in self._fed for track in pair)

    def picture(self, number: int) -> None:
        """To every queue."""
        data = self.programme.pictures[number % LOOP_PICTURES].data
        for video, _ in self._fed:
            video.put(_packet(data, number * VIDEO_CLOCK_HZ // FPS, VIDEO_CLOCK_HZ))

    def slot(self, number: int) -> None:
        """To every queue."""
        data = self.programme.sound[number % len(self.programme.sound)]
        for _, audio in self._fed:
            audio.put(_packet(data, number * 960, AUDIO_CLOCK_HZ))


class StockRelay(_Stock):
    """aiortc's sender fed with raw pictures and sound by a relay: an encoder for each viewer."""

    def __init__(self, programme: Programme) -> None:
        super().__init__(programme)
        self._video, self._audio, self._relay = _Fed("video"), _Fed("audio"), MediaRelay()

    def tracks(self) -> tuple[MediaStreamTrack, MediaStreamTrack]:
        """Proxies of one source."""
        return self._relay.subscribe(self._video), self._relay.subscribe(self._audio)

    def fed(self) -> Iterable[_Fed]:
        """The relay's sources."""
        return (self._video, self._audio)

    def picture(self, number: int) -> None:
        """To the relay."""
        # Planes, as a camera gives them: the encoders of all viewers share the frame, and converting it in several
        # threads at once crashes.
        frame = av.VideoFrame.from_ndarray(self.programme.planes[number % LOOP_PICTURES], format="yuv420p")
        frame.pts, frame.time_base = number * VIDEO_CLOCK_HZ // FPS, fractions.Fraction(1, VIDEO_CLOCK_HZ)
        self._video.put(frame)

    def slot(self, number: int) -> None:
        """To the relay."""
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate = AUDIO_CLOCK_HZ
        frame.pts, frame.time_base = number * 960, fractions.Fraction(1, AUDIO_CLOCK_HZ)
        self._audio.put(frame)


def _packet(data: bytes, pts: int, clock_hz: int) -> "av.Packet[Any]":
    packet: av.Packet[Any] = av.Packet(data)
    packet.pts, packet.time_base = pts, fractions.Fraction(1, clock_hz)
    return packet


@dataclass(frozen=True)
class Load:
    """What an audience cost.

    Attributes:
        viewers: who watched.
        core_share: processor time of this process per second.
        packets_per_s: that arrived at all viewers together.
        late_ms: how late packets left, of some viewers; None where it was not measured.
        late_p99_ms: the 99th percentile of that.
    """

    viewers: int
    core_share: float
    packets_per_s: float
    late_ms: Summary | None
    late_p99_ms: float | None


async def play(way: Way, first: int, seconds: float, due: Callable[[float], None] = lambda due_s: None) -> int:
    """Release the programme from a slot on, on an absolute schedule; returns the slot after the last.

    `due` is told when each picture should have left.
    """
    began = time.monotonic()
    after = first + round(seconds / SLOT_S)
    for slot in range(first, after):
        due_s = began + (slot - first) * SLOT_S
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        if slot % SLOTS_PER_PICTURE == 0:
            due(due_s)
            way.picture(slot // SLOTS_PER_PICTURE)
        way.slot(slot)
    return after


async def load(make: Callable[[], Way], viewers: int, seconds: float, audience_cores: Collection[int] = ()) -> Load:
    """Let an audience watch for so long."""
    async with AsyncExitStack() as stack:
        way = make()
        stack.push_async_callback(way.close)
        await stack.enter_async_context(GarbageCollection())  # as the server does; the other ways get it too
        audience = await stack.enter_async_context(Audience(audience_cores))
        await audience.join(viewers, way.answer)
        slot = await play(way, 0, START_S)
        await audience.received()
        late, measured = _Lateness(), isinstance(way, OurFanout)
        with late:
            began, spent = time.monotonic(), time.process_time()
            await play(way, slot, seconds, late.due)
            share = (time.process_time() - spent) / (time.monotonic() - began)
        packets = await audience.received()
        if not measured:
            return Load(viewers, share, packets / seconds, None, None)
        in_order = sorted(late.late_ms)
        return Load(viewers, share, packets / seconds, Summary.of(in_order), percentile(in_order, 99))


class _Lateness:
    """How late the packets of some viewers leave, while it is entered."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._due_s = 0.0
        self._calls = 0

    def due(self, due_s: float) -> None:
        """The next picture should leave now."""
        self._due_s = due_s

    def __enter__(self) -> None:
        self._video = original = Outlet.video

        def video(outlet: Outlet, picture: Picture) -> None:
            original(outlet, picture)
            self._calls += 1
            if self._calls % _SAMPLED == 0:
                self.late_ms.append(1000 * (time.monotonic() - self._due_s))

        setattr(Outlet, "video", video)  # noqa: B010 - the method is changed on purpose, for a while

    def __exit__(self, *error: object) -> None:
        setattr(Outlet, "video", self._video)  # noqa: B010


@contextmanager
def one_core() -> Iterator[frozenset[int]]:
    """Keep this process on one core and tell the others, for the audience: it must not take the sender's time."""
    if not hasattr(os, "sched_getaffinity") or len(cores := os.sched_getaffinity(0)) < 2:
        yield frozenset()
        return
    own = min(cores)
    os.sched_setaffinity(0, {own})
    try:
        yield frozenset(cores - {own})
    finally:
        os.sched_setaffinity(0, cores)


async def measure(
    programme: Programme, seconds: float, most: int, audience_cores: Collection[int] = ()
) -> dict[str, Any]:
    """All ways, with a small and a larger audience each."""
    ways: dict[str, tuple[Callable[[], Way], tuple[int, int]]] = {
        "streamgen": (lambda: OurFanout(programme), (most // 5, most)),
        "aiortc, packets": (lambda: StockPackets(programme), (10, 40)),
        "aiortc, relay": (lambda: StockRelay(programme), (1, 4)),
    }
    found: dict[str, Any] = {}
    for name, (make, audiences) in ways.items():
        loads = [await load(make, viewers, seconds, audience_cores) for viewers in audiences]
        found[name] = slope(*loads) | {"loads": [asdict(each) for each in loads]}
        print(f"{name}: {100 * found[name]['core_share_per_viewer']:.3f} % of a core for each viewer")
    return found


def slope(few: Load, many: Load) -> dict[str, float | None]:
    """What one viewer more costs; viewers per core is None where that drowned in noise."""
    share = (many.core_share - few.core_share) / (many.viewers - few.viewers)
    return {"core_share_per_viewer": share, "viewers_per_core": 1 / share if share > 0 else None}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Processor time of a viewer, three ways side by side.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each audience")
    parser.add_argument("--viewers", type=int, default=250, help="the larger audience of streamgen's own way")
    parser.add_argument("--no-record", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    programme = Programme.made()
    run = record.begin(
        "fanout", record.open_bundle(None), {"seconds": options.seconds, "viewers": options.viewers, "fps": FPS}
    )
    with one_core() as others:
        found = asyncio.run(measure(programme, options.seconds, options.viewers, others))
    figures = {"video_bitrate": programme.bitrate, "ways": found}
    ours, relay, packets = (
        found[name]["viewers_per_core"] for name in ("streamgen", "aiortc, relay", "aiortc, packets")
    )
    if ours and relay and packets:
        figures |= {"times_relay": ours / relay, "times_packets": ours / packets}
        print(f"streamgen {ours:.0f} viewers per core: {ours / relay:.0f} x relay, {ours / packets:.1f} x packets")
    print(f"99 % left within {found['streamgen']['loads'][-1]['late_p99_ms']:.1f} ms, {options.viewers} watching")
    finished = record.finish(run, figures, [])
    if not options.no_record:
        record.append(finished)
    return 0


if __name__ == "__main__":
    sys.exit(main())
