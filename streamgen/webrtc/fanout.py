"""Encode once, fan out packets: every released picture is packetised once per layer and sent to all of its viewers.

All methods belong to the event loop's thread. Nothing here waits and nothing is queued, so no viewer can hold up the
channel or another viewer: what a network does not take is lost to that viewer alone, who asks for it again.

Order: `video` collects the layers of one picture, `flush` sends it. The sound of every 20 ms is also the clock by which
viewers are looked after (reports, layers, probing), a few of them at a time.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from streamgen.media.layers import Rung
from streamgen.packets import (
    AUDIO_CLOCK_HZ,
    VIDEO_CLOCK_HZ,
    AudioPacket,
    ChunkRecord,
    Layer,
    Still,
    VideoCodec,
    VideoPacket,
)
from streamgen.rtp.outgoing import Picture
from streamgen.webrtc.keyframes import KeyframeCoalescer
from streamgen.webrtc.subscription import Subscription

logger = logging.getLogger(__name__)

TURNS: Final = 5
"""Each viewer is looked after in one of so many slots of 20 ms: ten times a second."""
DEFAULT_RUNGS: Final = (Rung(width=640, height=360, bitrate=2_500_000),)
_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True)
class FanoutStats:
    """Counts since the start; viewers that have left are included."""

    subscribers: int  # now
    video_packets: int  # pictures released by the channel, all layers
    audio_packets: int
    layers: int  # watched now
    switches: int  # of layers, by viewers that are still there
    keyframe_requests: int  # made by viewers
    keyframe_requests_forwarded: int  # that reached the encoders


def _ignore_watched(layer: Layer, watched: bool) -> None:
    """Nobody wants to know which layers are watched."""


def _ignore_request(layer: Layer) -> None:
    """Nobody can make a keyframe."""


class Fanout:
    """The channel's packets on one side, its viewers' subscriptions on the other. A `PacketSink` of the pacer.

    `on_watched(layer, watched)` is called when a layer gains its first or loses its last viewer;
    `on_keyframe_request(layer)` when the encoder should make a keyframe soon. Both are called on the event loop and
    must return at once. `now_ns` is a monotonic clock in ns.
    """

    def __init__(
        self,
        *,
        on_watched: Callable[[Layer, bool], None] = _ignore_watched,
        on_keyframe_request: Callable[[Layer], None] = _ignore_request,
        now_ns: Callable[[], int] = time.monotonic_ns,
        rungs: Sequence[Rung] = DEFAULT_RUNGS,
    ) -> None:
        self._on_watched = on_watched
        self._on_keyframe_request = on_keyframe_request
        self._now_ns = now_ns
        self._rungs = tuple(rungs)
        self._subscriptions: list[Subscription] = []
        self._watchers: dict[Layer, int] = {}
        self._keyframes: dict[Layer, KeyframeCoalescer] = {}
        self._instant: dict[Layer, Picture] = {}
        self._stills: dict[Layer, Picture] = {}
        self._newest_pts: dict[Layer, int] = {}
        self._media_time_s: float | None = None
        self._turn = 0
        self._video_packets = 0
        self._audio_packets = 0
        self._requests = 0
        self._forwarded = 0

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder of sizes, the largest first."""
        return self._rungs

    @property
    def bitrates(self) -> tuple[int, ...]:
        """Ceilings of the rungs in bit/s, the largest picture first."""
        return tuple(rung.bitrate for rung in self._rungs)

    def set_rungs(self, rungs: Sequence[Rung]) -> None:
        """The ladder of sizes is this one from now on; viewers of a rung that is gone move to the last."""
        if not rungs:
            raise ValueError("a channel has at least one size of picture")
        self._rungs = tuple(rungs)
        for subscription in self._subscriptions:
            subscription.ladder_changed()

    @property
    def watched(self) -> frozenset[Layer]:
        """The layers that somebody watches or waits for."""
        return frozenset(self._watchers)

    @property
    def media_time_s(self) -> float | None:
        """Media time (s) of the newest packet or chunk released, None before the first."""
        return self._media_time_s

    def add(self, codec: VideoCodec) -> Subscription:
        """A new viewer of `codec`, who also gets the sound. It leaves with `Subscription.close`."""
        subscription = Subscription(codec, self, lambda: self._now_ns() / _NS_PER_S)
        self._subscriptions.append(subscription)
        # Asked for before the viewer is connected, so that the encoder works while ICE and DTLS do.
        self.request_keyframe(subscription.layer)
        return subscription

    # The pacer's sink.

    def video(self, packet: VideoPacket) -> None:
        """A picture in one of its layers is released; `flush` sends it."""
        self._video_packets += 1
        self._media_time_s = packet.pts / VIDEO_CLOCK_HZ
        if self._instant and next(iter(self._instant.values())).pts != packet.pts:
            self.flush()
        if packet.keyframe and (asked := self._keyframes.get(packet.layer)) is not None:
            asked.keyframe()
        self._newest_pts[packet.layer] = packet.pts
        if packet.layer in self._watchers:
            self._instant[packet.layer] = Picture.of(packet.layer, packet.pts, packet.keyframe, packet.data)

    def still(self, still: Still | None) -> None:
        """What plays now as a picture on its own, for those who join until the next one comes."""
        if still is None:
            self._stills.clear()
        elif still.layer in self._watchers:
            self._stills[still.layer] = Picture.of(still.layer, still.pts, True, still.data)

    def flush(self) -> None:
        """Send the picture that was released last, in each viewer's layer."""
        instant, self._instant = self._instant, {}
        if not instant:
            return
        _each(tuple(self._subscriptions), lambda subscription: subscription.pictures(instant))
        now_ns = self._now_ns()
        for layer in instant:
            if (asked := self._keyframes.get(layer)) is not None and asked.due(now_ns):
                self._forward(layer)

    def audio(self, packet: AudioPacket) -> None:
        """Release 20 ms of sound to all viewers, and look after some of them."""
        self._audio_packets += 1
        self._media_time_s = packet.pts / AUDIO_CLOCK_HZ
        everybody = tuple(self._subscriptions)
        _each(everybody, lambda subscription: subscription.audio(packet))
        self._turn = (self._turn + 1) % TURNS
        now_s = self._now_ns() / _NS_PER_S
        _each(everybody[self._turn :: TURNS], lambda subscription: subscription.tick(now_s))

    def chunk_started(self, record: ChunkRecord) -> None:
        """Note the media time, which goes on while nobody watches and no packets come."""
        self._media_time_s = record.media_time_s

    def stats(self) -> FanoutStats:
        """The counts so far."""
        return FanoutStats(
            subscribers=len(self._subscriptions),
            video_packets=self._video_packets,
            audio_packets=self._audio_packets,
            layers=len(self._watchers),
            switches=sum(subscription.switches for subscription in self._subscriptions),
            keyframe_requests=self._requests,
            keyframe_requests_forwarded=self._forwarded,
        )

    # What subscriptions ask for.

    def watch(self, layer: Layer, change: int) -> None:
        """One viewer more (1) or less (-1) for a layer."""
        before = self._watchers.get(layer, 0)
        now = before + change
        assert now >= 0, f"{layer} has lost more viewers than it had"
        if now:
            self._watchers[layer] = now
        else:
            del self._watchers[layer]
            self._stills.pop(layer, None)
            # The encoder stops, and a request that it never answered must not silence the next viewer's.
            self._keyframes.pop(layer, None)
        if (before == 0) != (now == 0):
            self._on_watched(layer, now > 0)

    def request_keyframe(self, layer: Layer) -> None:
        """A viewer of this layer needs a keyframe."""
        self._requests += 1
        if self._keyframes.setdefault(layer, KeyframeCoalescer()).request(self._now_ns()):
            self._forward(layer)

    def still_of(self, layer: Layer) -> Picture | None:
        """A keyframe outside the stream, of what plays now; None where there is none.

        It bears the time of the picture that left last: receivers would take an older one for a late one, and wait
        longer for all that follow.
        """
        still = self._stills.get(layer)
        return None if still is None else replace(still, pts=max(still.pts, self._newest_pts.get(layer, 0)))

    def leave(self, subscription: Subscription) -> None:
        """A viewer is gone."""
        self._subscriptions.remove(subscription)

    def _forward(self, layer: Layer) -> None:
        self._forwarded += 1
        self._on_keyframe_request(layer)


def _each(subscriptions: Sequence[Subscription], serve: Callable[[Subscription], None]) -> None:
    """Serve each. One that fails, by a defect of ours, ends alone: nobody's connection may stop the channel."""
    for subscription in subscriptions:
        try:
            serve(subscription)
        except Exception:
            logger.exception("a viewer cannot be served and is given up")
            subscription.fail()
