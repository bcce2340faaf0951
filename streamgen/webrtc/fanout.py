"""Encode once, fan out packets: every released packet goes to the bounded queues of all viewers.

All methods belong to the event loop's thread. Nothing here waits: a viewer that falls behind loses packets
(see `subscription`), everybody else notices nothing.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket, ChunkRecord, VideoCodec, VideoPacket
from streamgen.webrtc.keyframes import KeyframeCoalescer
from streamgen.webrtc.subscription import AUDIO_BACKLOG_PACKETS, VIDEO_BACKLOG_PACKETS, Subscription

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FanoutStats:
    """Counts since the start; viewers that have left are included."""

    subscribers: int  # now
    video_packets: int  # released by the channel, all codecs
    audio_packets: int
    video_dropped: int  # not delivered to a viewer whose queue was full, summed over viewers
    audio_dropped: int
    keyframe_requests: int  # made by viewers
    keyframe_requests_forwarded: int  # that reached the encoders


def _ignore_watched(codec: VideoCodec, watched: bool) -> None:
    """Nobody wants to know which codecs are watched."""


def _ignore_request(codec: VideoCodec) -> None:
    """Nobody can make a keyframe."""


class Fanout:
    """The channel's packets on one side, its viewers' subscriptions on the other. A `PacketSink` of the pacer.

    `on_watched(codec, watched)` is called when a codec gains its first or loses its last viewer;
    `on_keyframe_request(codec)` when the encoder should make a keyframe soon. Both are called on the event
    loop and must return at once. `now_ns` is a monotonic clock in ns.
    """

    def __init__(
        self,
        *,
        on_watched: Callable[[VideoCodec, bool], None] = _ignore_watched,
        on_keyframe_request: Callable[[VideoCodec], None] = _ignore_request,
        now_ns: Callable[[], int] = time.monotonic_ns,
        video_backlog: int = VIDEO_BACKLOG_PACKETS,
        audio_backlog: int = AUDIO_BACKLOG_PACKETS,
    ) -> None:
        self._on_watched = on_watched
        self._on_keyframe_request = on_keyframe_request
        self._now_ns = now_ns
        self._video_backlog = video_backlog
        self._audio_backlog = audio_backlog
        self._subscriptions: dict[VideoCodec, list[Subscription]] = {"vp8": [], "h264": []}
        self._keyframes: dict[VideoCodec, KeyframeCoalescer] = {
            "vp8": KeyframeCoalescer(),
            "h264": KeyframeCoalescer(),
        }
        self._media_time_s: float | None = None
        self._video_packets = 0
        self._audio_packets = 0
        self._video_dropped = 0
        self._audio_dropped = 0

    @property
    def watched(self) -> frozenset[VideoCodec]:
        """The codecs that somebody watches."""
        return frozenset(codec for codec, viewers in self._subscriptions.items() if viewers)

    @property
    def media_time_s(self) -> float | None:
        """Media time (s) of the newest packet or chunk released, None before the first."""
        return self._media_time_s

    def add(self, codec: VideoCodec) -> Subscription:
        """A new viewer of `codec`, who also gets the sound. It leaves with `Subscription.close`."""
        subscription = Subscription(
            codec,
            need_keyframe=lambda: self._request_keyframe(codec),
            on_close=self._remove,
            video_backlog=self._video_backlog,
            audio_backlog=self._audio_backlog,
        )
        viewers = self._subscriptions[codec]
        viewers.append(subscription)
        if len(viewers) == 1:
            self._on_watched(codec, True)
        # Asked for before the viewer is connected, so that the encoder works while ICE and DTLS do.
        self._request_keyframe(codec)
        return subscription

    def video(self, packet: VideoPacket) -> None:
        """Release a picture to all viewers of its codec."""
        self._video_packets += 1
        self._media_time_s = packet.pts / VIDEO_CLOCK_HZ
        keyframes = self._keyframes[packet.codec]
        if packet.keyframe:
            keyframes.keyframe()
        for subscription in self._subscriptions[packet.codec]:
            dropped = subscription.offer_video(packet)
            if dropped > 1:
                logger.warning("a viewer is too slow: dropped %d pictures up to the next keyframe", dropped)
            self._video_dropped += dropped
        if keyframes.due(self._now_ns()):
            self._on_keyframe_request(packet.codec)

    def audio(self, packet: AudioPacket) -> None:
        """Release 20 ms of sound to all viewers."""
        self._audio_packets += 1
        self._media_time_s = packet.pts / AUDIO_CLOCK_HZ
        for viewers in self._subscriptions.values():
            for subscription in viewers:
                self._audio_dropped += subscription.offer_audio(packet)

    def chunk_started(self, record: ChunkRecord) -> None:
        """Note the media time, which goes on while nobody watches and no packets come."""
        self._media_time_s = record.media_time_s

    def stats(self) -> FanoutStats:
        """The counts so far."""
        return FanoutStats(
            subscribers=sum(len(viewers) for viewers in self._subscriptions.values()),
            video_packets=self._video_packets,
            audio_packets=self._audio_packets,
            video_dropped=self._video_dropped,
            audio_dropped=self._audio_dropped,
            keyframe_requests=sum(each.requests for each in self._keyframes.values()),
            keyframe_requests_forwarded=sum(each.forwarded for each in self._keyframes.values()),
        )

    def _request_keyframe(self, codec: VideoCodec) -> None:
        if self._keyframes[codec].request(self._now_ns()):
            self._on_keyframe_request(codec)

    def _remove(self, subscription: Subscription) -> None:
        viewers = self._subscriptions[subscription.codec]
        viewers.remove(subscription)
        if not viewers:
            # The encoder stops, and a request that it never answered must not silence the next viewer's.
            self._keyframes[subscription.codec].reset()
            self._on_watched(subscription.codec, False)
