"""One viewer's share of the channel: two bounded queues that start together on a keyframe.

All methods belong to the event loop's thread.

Full queues, by policy: video drops everything up to the next keyframe, because pictures after a gap cannot be
decoded; audio drops its oldest packet. Neither ever waits, so no viewer can hold up the channel. What is dropped
after the start is counted; what passed before the viewer's first keyframe was never meant for it.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket, VideoCodec, VideoPacket

VIDEO_BACKLOG_PACKETS: Final = 44  # 2.6 s at 50/3 pictures/s
AUDIO_BACKLOG_PACKETS: Final = 128  # 2.6 s of 20 ms packets
# Sound of the very instant of the first keyframe may be released just before it.
HELD_AUDIO_PACKETS: Final = 5

Packet = TypeVar("Packet")


class SubscriptionClosedError(Exception):
    """The subscription is over; nothing more will come."""


class _Phase(enum.Enum):
    IDLE = enum.auto()  # not connected yet: packets pass by
    JOINING = enum.auto()  # waits for the keyframe that starts both tracks
    FLOWING = enum.auto()
    RESYNCING = enum.auto()  # video overflowed: sound goes on, pictures wait for a keyframe
    CLOSED = enum.auto()


class _Lane(Generic[Packet]):
    """A queue for one consumer. The bound is kept by the owner, who knows what may be dropped."""

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self.packets.clear()
        self._changed.set()

    async def get(self) -> Packet:
        while not self.packets:
            if self._closed:
                raise SubscriptionClosedError
            self._changed.clear()
            await self._changed.wait()
        return self.packets.popleft()


class Subscription:
    """What one viewer receives; made by `Fanout.add`.

    It lets packets pass by until `start()`, which a viewer calls when its connection can carry media; then it
    waits for the next keyframe. Sound before that keyframe's media time is discarded.
    """

    def __init__(
        self,
        codec: VideoCodec,
        *,
        need_keyframe: Callable[[], None],
        on_close: Callable[["Subscription"], None],
        video_backlog: int = VIDEO_BACKLOG_PACKETS,
        audio_backlog: int = AUDIO_BACKLOG_PACKETS,
    ) -> None:
        self.codec: VideoCodec = codec
        self.video_dropped = 0
        self.audio_dropped = 0
        # Media time of the first packet delivered, in 90 kHz ticks; None while none has been.
        self.first_pts: int | None = None
        self._need_keyframe = need_keyframe
        self._on_close = on_close
        self._video_backlog = video_backlog
        self._audio_backlog = audio_backlog
        self._phase = _Phase.IDLE
        self._video: _Lane[VideoPacket] = _Lane()
        self._audio: _Lane[AudioPacket] = _Lane()
        self._held_audio: deque[AudioPacket] = deque(maxlen=HELD_AUDIO_PACKETS)

    # The viewer's side.

    def start(self) -> None:
        """Media can flow now: begin with the next keyframe. Calling it again changes nothing."""
        if self._phase is _Phase.IDLE:
            self._phase = _Phase.JOINING
            self._need_keyframe()

    def request_keyframe(self) -> None:
        """The viewer lost a picture (PLI, FIR)."""
        if self._phase in (_Phase.JOINING, _Phase.FLOWING, _Phase.RESYNCING):
            self._need_keyframe()

    async def next_video(self) -> VideoPacket:
        """The next picture. Raises `SubscriptionClosedError` when there will be none."""
        return await self._video.get()

    async def next_audio(self) -> AudioPacket:
        """The next 20 ms of sound. Raises `SubscriptionClosedError` when there will be none."""
        return await self._audio.get()

    def close(self) -> None:
        """Leave the channel. Idempotent; a waiting `next_video` or `next_audio` raises."""
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.CLOSED
        self._held_audio.clear()
        self._video.close()
        self._audio.close()
        self._on_close(self)

    # The fan-out's side.

    def offer_video(self, packet: VideoPacket) -> int:
        """Take a picture, by the policy above. Returns how many pictures were dropped for it."""
        if self._phase in (_Phase.IDLE, _Phase.CLOSED):
            return 0
        dropped = 0
        if self._phase is not _Phase.FLOWING:
            if packet.keyframe:
                self._begin(packet)
            elif self._phase is _Phase.RESYNCING:
                dropped = 1
        elif len(self._video.packets) < self._video_backlog:
            self._video.put(packet)
        else:
            dropped = self._overflow(packet)
        self.video_dropped += dropped
        return dropped

    def offer_audio(self, packet: AudioPacket) -> int:
        """Take 20 ms of sound, by the policy above. Returns how many packets were dropped for it."""
        if self._phase is _Phase.JOINING:
            self._held_audio.append(packet)
        if self._phase not in (_Phase.FLOWING, _Phase.RESYNCING):
            return 0
        dropped = 0
        if len(self._audio.packets) >= self._audio_backlog:
            self._audio.packets.popleft()
            dropped = 1
        self._audio.put(packet)
        self.audio_dropped += dropped
        return dropped

    def _begin(self, keyframe: VideoPacket) -> None:
        if self._phase is _Phase.JOINING:
            self.first_pts = keyframe.pts
            for packet in self._held_audio:
                if packet.pts * VIDEO_CLOCK_HZ >= keyframe.pts * AUDIO_CLOCK_HZ:
                    self._audio.put(packet)
            self._held_audio.clear()
        self._phase = _Phase.FLOWING
        self._video.put(keyframe)

    def _overflow(self, packet: VideoPacket) -> int:
        waiting = self._video.packets
        dropped = 0
        if packet.keyframe:
            dropped = len(waiting)
            waiting.clear()
        else:
            while waiting:
                waiting.popleft()
                dropped += 1
                if waiting and waiting[0].keyframe:
                    break
        if waiting or packet.keyframe:
            self._video.put(packet)
            return dropped
        self._phase = _Phase.RESYNCING
        self._need_keyframe()
        return dropped + 1
