"""What a bad network does to which packet, and when: the core of `relay`. Free of I/O; times are seconds.

One `Impairment` is one direction. A packet is lost by chance, or dropped because the queue before the bottleneck is
full; else it waits there for its turn, and then for the delay. Jitter makes packets wait longer but keeps their order;
a packet that is held back is overtaken by those behind it. Chance is seeded: the same packets at the same times fare
the same.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

HEADER_BYTES: Final = 28  # IPv4 and UDP, which the link carries as well


@dataclass(frozen=True, slots=True)
class Network:
    """One direction of a path.

    Attributes:
        loss: share of packets lost by chance, 0..1.
        delay_s: of every packet.
        jitter_s: up to so much more, evenly distributed; the order stays.
        reordered: share of packets that are held back, 0..1.
        held_back_s: for how long.
        bitrate: of the bottleneck (bit/s), None for none.
        queue_bytes: that wait before the bottleneck at most; what comes then is dropped (tail drop).
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reordered: float = 0.0
    held_back_s: float = 0.03
    bitrate: float | None = None
    queue_bytes: int = 40_000


@dataclass(slots=True)
class Counts:
    """What became of the packets so far."""

    offered: int = 0
    lost: int = 0  # by chance
    dropped: int = 0  # because the queue was full
    held_back: int = 0

    @property
    def carried(self) -> int:
        """Packets that arrive."""
        return self.offered - self.lost - self.dropped


class Impairment:
    """One direction of a path; its network may change at any time.

    Attributes:
        network: as it is now.
        counts: what it has done.
    """

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self.counts = Counts()
        self._random = Random(seed)
        self._free_s = 0.0  # when all that waits before the bottleneck has passed it
        self._last_s = 0.0  # arrival of the newest packet that was not held back

    def arrival_s(self, size_bytes: int, now_s: float) -> float | None:
        """When a packet of so many bytes arrives that leaves now; None: never."""
        network, counts = self.network, self.counts
        counts.offered += 1
        if self._random.random() < network.loss:
            counts.lost += 1
            return None
        passed_s = now_s
        if network.bitrate is not None:
            waiting_bytes = max(0.0, self._free_s - now_s) * network.bitrate / 8
            if waiting_bytes + size_bytes + HEADER_BYTES > network.queue_bytes:
                counts.dropped += 1
                return None
            self._free_s = max(self._free_s, now_s) + (size_bytes + HEADER_BYTES) * 8 / network.bitrate
            passed_s = self._free_s
        arrival_s = passed_s + network.delay_s + network.jitter_s * self._random.random()
        if self._random.random() < network.reordered:
            counts.held_back += 1
            return arrival_s + network.held_back_s
        self._last_s = max(self._last_s, arrival_s)
        return self._last_s

    def change(self, network: Network) -> None:
        """The path is like this from now on; what is on its way arrives as it would have."""
        if network.bitrate != self.network.bitrate:
            self._free_s = 0.0  # another link, before which nothing waits
        self.network = network
