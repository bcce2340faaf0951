"""One viewer's share of the channel: which layer it gets, when it starts, and when it changes. Free of I/O.

A viewer starts both tracks on a keyframe; until that comes it is shown a still, where there is one. It changes its
layer on a keyframe of the new one, and goes on with the old one until that comes. Nothing is queued for a viewer: what
is released leaves at once, or in the next milliseconds where a large picture is spread out.
"""

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from streamgen.media.layers import FIRST_RUNG
from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, AudioPacket, Layer, VideoCodec
from streamgen.rtp.adaptation import RungChooser
from streamgen.rtp.outgoing import Picture

HELD_AUDIO_PACKETS: Final = 5
"""Sound of the very instant of the first keyframe may be released just before it."""


class Outlet(Protocol):
    """Where a viewer's media goes; `streamgen.webrtc.sender.Outlet` is the real one."""

    def video(self, picture: Picture) -> None:
        """Send a picture now."""

    def still(self, picture: Picture) -> None:
        """Send a picture of a moment that may be over, before the stream begins."""

    def audio(self, packet: AudioPacket) -> None:
        """Send 20 ms of sound now."""

    def probe(self, bitrate: int) -> None:
        """Send copies of what was sent, at so many bit/s, until told otherwise; 0 stops."""

    def tick(self, now_s: float) -> None:
        """Time passes: send reports that are due."""


class Switchboard(Protocol):
    """The fan-out as a subscription sees it."""

    @property
    def bitrates(self) -> Sequence[int]:
        """Ceilings of the rungs in bit/s, the largest picture first."""

    def watch(self, layer: Layer, change: int) -> None:
        """One viewer more or less for a layer."""

    def request_keyframe(self, layer: Layer) -> None:
        """A viewer of this layer needs a keyframe."""

    def still_of(self, layer: Layer) -> Picture | None:
        """A keyframe outside the stream, of what plays now; None where there is none."""

    def leave(self, subscription: "Subscription") -> None:
        """A viewer is gone."""


class _Phase(enum.Enum):
    IDLE = enum.auto()  # not connected yet: media passes by
    JOINING = enum.auto()  # waits for the keyframe that starts both tracks
    FLOWING = enum.auto()
    CLOSED = enum.auto()


def _nobody() -> None:
    """Nobody holds a connection."""


class Subscription:
    """What one viewer receives; made by `Fanout.add`.

    Attributes:
        codec: of all its layers.
        layer: what it watches now.
        switches: how often the layer changed.
        first_pts: media time of the first picture sent, in ticks of 90 kHz; None while none has been.
        on_failed: called when this viewer cannot be served any more.
    """

    def __init__(self, codec: VideoCodec, switchboard: Switchboard, now_s: Callable[[], float]) -> None:
        self.codec: VideoCodec = codec
        self.switches = 0
        self.first_pts: int | None = None
        self.on_failed: Callable[[], None] = _nobody
        self._switchboard = switchboard
        self._now_s = now_s
        self._outlet: Outlet | None = None
        self._phase = _Phase.IDLE
        self.chooser = RungChooser(switchboard.bitrates, now_s=now_s(), first=FIRST_RUNG)
        self.layer = Layer(codec, FIRST_RUNG)
        self._next: Layer | None = None  # the layer whose keyframe is waited for
        self._held_audio: deque[AudioPacket] = deque(maxlen=HELD_AUDIO_PACKETS)
        switchboard.watch(self.layer, 1)

    # The viewer's side.

    def start(self, outlet: Outlet) -> None:
        """Media can flow now: begin with the next keyframe. Calling it again changes nothing."""
        if self._phase is _Phase.IDLE:
            self._outlet = outlet
            self._phase = _Phase.JOINING
            if (still := self._switchboard.still_of(self.layer)) is not None:
                outlet.still(still)
                self.first_pts = still.pts
            self._switchboard.request_keyframe(self.layer)

    def request_keyframe(self) -> None:
        """The viewer lost a picture (PLI, FIR)."""
        if self._phase in (_Phase.JOINING, _Phase.FLOWING):
            self._switchboard.request_keyframe(self.layer)

    def close(self) -> None:
        """Leave the channel. Idempotent."""
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.CLOSED
        self._held_audio.clear()
        self._outlet = None
        self._abandon()
        self._switchboard.watch(self.layer, -1)
        self._switchboard.leave(self)

    def fail(self) -> None:
        """Nothing can be sent to this viewer: leave, and tell whoever holds the connection."""
        self.close()
        self.on_failed()

    @property
    def flowing(self) -> bool:
        """Whether media is sent."""
        return self._phase is _Phase.FLOWING

    # The fan-out's side.

    def pictures(self, instant: Mapping[Layer, Picture]) -> None:
        """One picture in every layer that has it."""
        if self._outlet is None:
            return
        if self._next is not None and (fresh := instant.get(self._next)) is not None and fresh.keyframe:
            self._switchboard.watch(self.layer, -1)
            self.layer, self._next = self._next, None
            self.switches += self._phase is _Phase.FLOWING
        picture = instant.get(self.layer)
        if picture is None:
            return
        if self._phase is _Phase.JOINING:
            if not picture.keyframe:
                return
            self._begin(picture)
        self._outlet.video(picture)
        if self.first_pts is None:
            self.first_pts = picture.pts

    def audio(self, packet: AudioPacket) -> None:
        """20 ms of sound."""
        if self._phase is _Phase.JOINING:
            self._held_audio.append(packet)
        elif self._phase is _Phase.FLOWING and self._outlet is not None:
            self._outlet.audio(packet)

    def tick(self, now_s: float) -> None:
        """About ten times a second: follow the network."""
        if self._phase is not _Phase.FLOWING or self._outlet is None:
            return
        choice = self.chooser.choose(now_s)
        self._aim(choice.rung)
        self._outlet.probe(choice.probe_bitrate)
        self._outlet.tick(now_s)

    def ladder_changed(self) -> None:
        """The channel's rungs are others now: choose anew among them."""
        rung = min(self.layer.rung, len(self._switchboard.bitrates) - 1)
        self.chooser = RungChooser(self._switchboard.bitrates, now_s=self._now_s(), first=rung)
        self._aim(rung)

    def _begin(self, keyframe: Picture) -> None:
        assert self._outlet is not None
        self._phase = _Phase.FLOWING
        for packet in self._held_audio:
            if packet.pts * VIDEO_CLOCK_HZ >= keyframe.pts * AUDIO_CLOCK_HZ:
                self._outlet.audio(packet)
        self._held_audio.clear()

    def _aim(self, rung: int) -> None:
        wanted = replace(self.layer, rung=rung)
        if wanted == self._next or (wanted == self.layer and self._next is None):
            return
        self._abandon()
        if wanted != self.layer:
            self._next = wanted
            self._switchboard.watch(wanted, 1)
            self._switchboard.request_keyframe(wanted)

    def _abandon(self) -> None:
        if self._next is not None:
            self._switchboard.watch(self._next, -1)
            self._next = None
