"""How much has left lately: bytes and packets of a sliding window. Free of I/O and clocks.

One instance is fed with every packet of a viewer, so a packet costs a division and a few additions, and memory is
fixed when it is made.
"""

from typing import Final

WINDOW_S: Final = 1.0  # what browsers measure the received rate over, so that the two can be compared
BUCKETS: Final = 10  # the window moves in tenths: a sum is at most a tenth of the window too short


class Throughput:
    """Counts over the last `window_s` seconds. Times are seconds on any monotonic clock that starts at or after 0."""

    __slots__ = ("_bucket_s", "_bytes", "_newest", "_packets", "_size_bytes", "_size_packets", "_started_s")

    def __init__(self, window_s: float = WINDOW_S, buckets: int = BUCKETS) -> None:
        self._bucket_s = window_s / buckets
        self._size_bytes = [0] * buckets  # per bucket; bucket n of all time lies in place n modulo their number
        self._size_packets = [0] * buckets
        self._bytes = 0  # sums of the two lists
        self._packets = 0
        self._newest = -1  # the bucket that is being filled, counted from time 0
        self._started_s: float | None = None  # time of the first packet; None before it

    def add(self, size_bytes: int, now_s: float, packets: int = 1) -> None:
        """These bytes, in this many packets, left now."""
        bucket = int(now_s / self._bucket_s)
        if bucket > self._newest:
            self._turn(bucket)
            if self._started_s is None:
                self._started_s = now_s
        place = self._newest % len(self._size_bytes)
        self._size_bytes[place] += size_bytes
        self._size_packets[place] += packets
        self._bytes += size_bytes
        self._packets += packets

    def packets(self, now_s: float) -> int:
        """Packets of the window that ends now."""
        self._turn(int(now_s / self._bucket_s))
        return self._packets

    def bitrate(self, now_s: float) -> float:
        """Mean rate (bit/s) of the window that ends now, or of the time since the first packet if that is shorter."""
        if self._started_s is None:
            return 0.0
        self._turn(int(now_s / self._bucket_s))
        oldest_s = (self._newest - len(self._size_bytes) + 1) * self._bucket_s
        # Of a moment after the first packet a rate would be meaningless: count at least one bucket's time.
        covered_s = max(now_s - max(oldest_s, self._started_s), self._bucket_s)
        return self._bytes * 8 / covered_s

    def clear(self) -> None:
        """Forget everything."""
        self._size_bytes = [0] * len(self._size_bytes)
        self._size_packets = [0] * len(self._size_packets)
        self._bytes = 0
        self._packets = 0
        self._started_s = None
        self._newest = -1

    def _turn(self, bucket: int) -> None:
        """Empty the buckets that have left the window, up to the one that is filled from now on."""
        count = len(self._size_bytes)
        for number in range(max(self._newest + 1, bucket - count + 1), bucket + 1):
            place = number % count
            self._bytes -= self._size_bytes[place]
            self._packets -= self._size_packets[place]
            self._size_bytes[place] = 0
            self._size_packets[place] = 0
        self._newest = max(self._newest, bucket)
