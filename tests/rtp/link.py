"""A bottleneck between one sender and one viewer, with the feedback that a browser sends, in simulated time.

The link has a capacity, a queue with tail drop, a delay and random loss. The receiver estimates as Chromium does
(draft-ietf-rmcat-gcc-02, section 5, in outline): first REMB after 5 s, then four a second; growth of 8 % a second, slow
near a known maximum, up to 1.5 times the rate received; 0.85 of the rate received when the queue grows. The sound
does not count for it. Receiver reports come about once a second, and one more with each REMB; only the first after a
sender report gives a round trip. Requests for lost packets come after one round trip.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from streamgen.rtp.adaptation import Choice, RungChooser
from streamgen.rtp.throughput import Throughput

TICK_S: Final = 0.01
FPS: Final = 25
PACKET_BYTES: Final = 1200
HEADER_BYTES: Final = 40  # UDP/IP and SRTP tag, which the link carries but nobody counts
SOUND_BITRATE: Final = 140_000  # Opus at 128 kbit/s, and 50 headers of 20 bytes and SRTP tags a second
REMB_S: Final = 0.24  # between two of Chromium's
KEYFRAME: Final = 3.0  # size by that of a usual picture


@dataclass
class Link:
    """One direction with a queue; the way back is never full."""

    capacity: float  # bit/s
    delay_s: float = 0.03
    queue_s: float = 0.5  # at this capacity; a packet that would wait longer is dropped
    loss: float = 0.0
    rng: Random = field(default_factory=lambda: Random(1))
    free_s: float = 0.0  # when everything that waits has left

    def queueing_s(self, now_s: float) -> float:
        return max(0.0, self.free_s - now_s)

    def carry(self, size_bytes: int, now_s: float) -> float | None:
        """When it arrives, None if it is lost."""
        if self.queueing_s(now_s) > self.queue_s:
            return None
        self.free_s = max(self.free_s, now_s) + (size_bytes + HEADER_BYTES) * 8 / self.capacity
        return None if self.rng.random() < self.loss else self.free_s + self.delay_s


class Estimator:
    """The receiver's REMB. `clings`: it stays when less is received, as Chromium's does, else it follows down."""

    def __init__(self, *, clings: bool = True) -> None:
        self.received = Throughput()
        self._clings = clings
        self._bitrate: float | None = None
        self._near_maximum: float | None = None
        self._delay_s = math.inf  # lowest one-way delay
        self._smooth_s = 0.0
        self._before_s = 0.0

    def arrived(self, size_bytes: int, sent_s: float, now_s: float) -> None:
        self.received.add(size_bytes, now_s)
        delay_s = now_s - sent_s
        self._delay_s = min(self._delay_s, delay_s)
        self._smooth_s += 0.1 * (delay_s - self._delay_s - self._smooth_s)

    def estimate(self, step_s: float, now_s: float) -> float:
        """Bit/s, `step_s` after the one before."""
        received = self.received.bitrate(now_s)
        grows = self._smooth_s - self._before_s
        self._before_s = self._smooth_s
        if self._bitrate is None:
            self._bitrate = received
        if grows > 0.008 and self._smooth_s > 0.02:
            self._bitrate = min(self._bitrate, 0.85 * received)
            self._near_maximum = received
        elif grows > -0.004:
            ceiling = 1.5 * received + 10_000
            if self._near_maximum is not None and received > 1.15 * self._near_maximum:
                self._near_maximum = None
            growth = 30_000 * step_s if self._near_maximum is not None else 0.08 * step_s * self._bitrate
            grown = self._bitrate + growth
            self._bitrate = max(self._bitrate, min(grown, ceiling)) if self._clings else min(grown, ceiling)
        return self._bitrate


@dataclass
class Viewing:
    """One viewer on a link, from its first packet on.

    Attributes:
        activity: rate of the encoder by its ceiling.
        feedback: whether RTCP comes back at all; `remb`: whether REMB does.
        choices: time and choice, whenever it changed its rung; the first one is that at the start.
    """

    bitrates: Sequence[int]
    link: Link
    activity: float = 0.85
    feedback: bool = True
    remb: bool = True
    clings: bool = True
    jitter_s: float = 0.0  # up to this much more round trip
    first: int | None = None
    seed: int = 1
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        self.start_s = self.now_s
        self.chooser = RungChooser(self.bitrates, now_s=self.now_s, first=self.first)
        self.choice = self.chooser.choose(self.now_s)
        self.choices: list[tuple[float, Choice]] = [(self.now_s, self.choice)]
        self.padding_s = 0.0  # time spent sending padding
        self.longest_queue_s = 0.0
        self.lost = 0  # packets, all of them
        self._rng = Random(self.seed)
        self._estimator = Estimator(clings=self.clings)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sent = 0  # since the last report
        self._gone = 0
        self._padding_bytes = 0.0
        self._media_rung = self.choice.rung
        self._tick = 0
        self._next_report_s = self.now_s + 1.0
        self._next_remb_s = self.now_s + 5.0
        self._next_round_trip_s = self.now_s + 0.5  # when the next sender report has come

    @property
    def rung(self) -> int:
        return self.choice.rung

    def switches_between(self, from_s: float, to_s: float) -> int:
        """Changes of the rung in a span of time, in seconds from the start."""
        return sum(from_s <= at_s - self.start_s < to_s for at_s, _ in self.choices[1:])

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TICK_S)):
            self._tick += 1
            self.now_s += TICK_S
            self._step()

    def _step(self) -> None:
        while self._events and self._events[0][0] <= self.now_s:
            heapq.heappop(self._events)[2]()
        if self._tick % round(1 / FPS / TICK_S) == 0:
            self._picture()
        if self._tick % 2 == 0:
            self._send(SOUND_BITRATE // 8 // 50, kind="sound")
        self._padding_bytes += self.choice.probe_bitrate / 8 * TICK_S
        while self._padding_bytes >= PACKET_BYTES:
            self._padding_bytes -= PACKET_BYTES
            self._send(PACKET_BYTES, kind="padding")
        self.longest_queue_s = max(self.longest_queue_s, self.link.queueing_s(self.now_s))
        if self.feedback:
            self._receiver()
        if self._tick % 10 == 0:
            choice = self.chooser.choose(self.now_s)
            if choice.rung != self.choice.rung:
                self.choices.append((self.now_s, choice))
            self.choice = choice
            self.padding_s += 0.1 * (choice.probe_bitrate > 0)

    def _picture(self) -> None:
        size = self.activity * self.bitrates[self.rung] / 8 / FPS * self._rng.uniform(0.7, 1.3)
        if self._media_rung != self.rung:
            self._media_rung = self.rung
            size *= KEYFRAME
        while size > 0:
            self._send(min(PACKET_BYTES, math.ceil(size)), kind="media")
            size -= PACKET_BYTES

    def _send(self, size_bytes: int, *, kind: str) -> None:
        if kind != "sound":
            self.chooser.sent(size_bytes, self.now_s, padding=kind == "padding")
        sent_s = self.now_s
        arrival_s = self.link.carry(size_bytes, sent_s)
        if kind == "media":
            self._sent += 1
        if arrival_s is not None:
            if kind != "sound":
                self._at(arrival_s, lambda: self._estimator.arrived(size_bytes, sent_s, arrival_s))
            return
        self.lost += 1
        if kind == "media":
            self._gone += 1
            if self.feedback:
                self._at(sent_s + 2 * self.link.delay_s + self.link.queueing_s(sent_s), lambda: self._ask(size_bytes))

    def _ask(self, size_bytes: int) -> None:
        self.chooser.nacked(1, self.now_s)
        self._send(size_bytes, kind="again")

    def _receiver(self) -> None:
        if self.now_s >= self._next_report_s:
            self._next_report_s += self._rng.uniform(0.8, 1.2)
            self._report()
        if self.remb and self.now_s >= self._next_remb_s:
            self._next_remb_s += REMB_S
            self._report()
            bitrate = self._estimator.estimate(REMB_S, self.now_s)
            self._at(self.now_s + self.link.delay_s, lambda: self.chooser.remb(bitrate, self.now_s))

    def _report(self) -> None:
        fraction = self._gone / max(1, self._sent)
        self._sent = self._gone = 0
        rtt_s = None
        if self.now_s >= self._next_round_trip_s:
            self._next_round_trip_s = self.now_s + self._rng.uniform(0.5, 1.5)
            rtt_s = 2 * self.link.delay_s + self.link.queueing_s(self.now_s) + self._rng.uniform(0, self.jitter_s)
        self._at(self.now_s + self.link.delay_s, lambda: self.chooser.report(fraction, rtt_s, self.now_s))

    def _at(self, time_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), event))
