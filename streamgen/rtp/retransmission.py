"""Which requests for lost packets (NACK, RFC 4585 section 6.2.1) are answered. Free of I/O and clocks.

A viewer decides what it asks for, so an answer must have a price: all answers together are a bounded share of the
media that the viewer gets anyway, and one packet is not sent again while the last copy may still be on its way, nor
without end.
"""

from dataclasses import dataclass
from typing import Final

from streamgen.rtp.throughput import Throughput

SHARE: Final = 0.25  # of the media rate: loss up to LOSS_HIGH of `evidence` twice over; beyond it a smaller rung helps
LEAST_BITRATE: Final = 64_000  # calm scenes: about six full packets a second
BURST_S: Final = 1.0  # of the allowed rate, saved up while nothing is lost: a keyframe's packets at once
LEAST_BURST_BYTES: Final = 3_000  # two full packets, whatever the rate
MOST_ANSWERS: Final = 4  # per packet; at 5 % loss one in 3 million would need a fifth copy
DEFAULT_RTT_S: Final = 0.1  # until a receiver report has given one
LEAST_SPACING_S: Final = 0.01  # on short paths: Chromium asks again after 5 ms at the soonest
MOST_SPACING_S: Final = 1.0  # a round trip beyond it is a full queue, or made up
MEMORY_S: Final = 10.0  # well beyond any history of sent packets, well before a sequence number comes again
MEMORY_PACKETS: Final = 2048  # most of them at once; the one answered longest ago is forgotten first


@dataclass(frozen=True, slots=True)
class RetransmissionCounts:
    """What became of the requests so far, in packets."""

    allowed: int = 0
    too_soon: int = 0  # the copy before was sent less than a round trip ago
    too_often: int = 0  # sent again often enough
    over_share: int = 0  # the share of the media rate was used up


@dataclass(slots=True)
class _Answered:
    last_s: float
    times: int


class RetransmissionLimit:
    """The limit of one viewer's video stream. Times are seconds on any monotonic clock."""

    def __init__(
        self,
        *,
        share: float = SHARE,
        least_bitrate: int = LEAST_BITRATE,
        burst_s: float = BURST_S,
        most_answers: int = MOST_ANSWERS,
    ) -> None:
        """Make a limit.

        Args:
            share: of the media rate of the last second that answers may take.
            least_bitrate: bit/s that they may always take.
            burst_s: how many seconds' worth can be saved up.
            most_answers: to requests for one packet.

        Raises:
            ValueError: one of them is not positive.
        """
        if min(share, least_bitrate, burst_s, most_answers) <= 0:
            raise ValueError("share, least_bitrate, burst_s and most_answers must be above 0")
        self._share = share
        self._least_bitrate = least_bitrate
        self._burst_s = burst_s
        self._most_answers = most_answers
        self._media = Throughput()
        self._saved_bytes: float | None = None  # None: as many as can be, nothing was asked for yet
        self._filled_s = 0.0
        self._answered: dict[int, _Answered] = {}  # by sequence number, the one answered longest ago first
        self._allowed = self._too_soon = self._too_often = self._over_share = 0

    @property
    def counts(self) -> RetransmissionCounts:
        """The counts so far."""
        return RetransmissionCounts(self._allowed, self._too_soon, self._too_often, self._over_share)

    def __len__(self) -> int:
        """Packets that are remembered."""
        return len(self._answered)

    def sent(self, size_bytes: int, now_s: float) -> None:
        """A packet of media left for the first time; neither answers nor padding count."""
        self._media.add(size_bytes, now_s)

    def allow(self, sequence: int, size_bytes: int, now_s: float, rtt_s: float | None) -> bool:
        """Whether to answer a request for a packet now. If so, it counts as answered.

        Args:
            sequence: its sequence number in the media stream, 16 bits.
            size_bytes: of the answer.
            now_s: the time now.
            rtt_s: the smoothed round trip, None while there is none.
        """
        self._forget(now_s)
        answered = self._answered.get(sequence)
        if answered is not None:
            rtt_s = DEFAULT_RTT_S if rtt_s is None else rtt_s
            if now_s - answered.last_s < min(max(rtt_s, LEAST_SPACING_S), MOST_SPACING_S):
                self._too_soon += 1
                return False
            if answered.times >= self._most_answers:
                self._too_often += 1
                return False
        if not self._take(size_bytes, now_s):
            self._over_share += 1
            return False
        self._allowed += 1
        # Taken out and put in again, so that the order stays that of the last answers.
        self._answered.pop(sequence, None)
        self._answered[sequence] = _Answered(now_s, 1 if answered is None else answered.times + 1)
        if len(self._answered) > MEMORY_PACKETS:
            del self._answered[next(iter(self._answered))]
        return True

    def _take(self, size_bytes: int, now_s: float) -> bool:
        """Use up that many saved bytes, if there are as many."""
        byte_rate = max(self._least_bitrate, self._share * self._media.bitrate(now_s)) / 8
        most_bytes = max(self._burst_s * byte_rate, LEAST_BURST_BYTES)
        saved = most_bytes
        if self._saved_bytes is not None:
            saved = min(most_bytes, self._saved_bytes + max(0.0, now_s - self._filled_s) * byte_rate)
        self._filled_s = now_s
        self._saved_bytes = saved
        if size_bytes > saved:
            return False
        self._saved_bytes = saved - size_bytes
        return True

    def _forget(self, now_s: float) -> None:
        while self._answered:
            sequence = next(iter(self._answered))
            if now_s - self._answered[sequence].last_s <= MEMORY_S:
                return
            del self._answered[sequence]
