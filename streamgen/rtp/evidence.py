"""What a viewer's RTCP proves about the path to it. Free of I/O; times are seconds on any monotonic clock.

Three witnesses, of which none is reliable alone:

- **REMB** (draft-alvestrand-rmcat-remb): the receiver's own estimate. Chromium's follows the delay of packets
  (draft-ietf-rmcat-gcc-02, section 5): when a queue builds, it falls to 0.85 of the rate received; otherwise it grows
  by 8 % a second up to 1.5 times that rate. So a low REMB often says only that little was sent, and a *fall* below the
  rate sent says something. It is about the packets that carry their time of sending (abs-send-time), which the sound
  does not.
- **Loss** (receiver reports, NACK): a full queue, or a bad radio link, which fewer bits would not help.
- **Round trip** (receiver reports): a queue that builds.
"""

import math
from typing import Final

from streamgen.rtp.throughput import Throughput

REMB_FRESH_S: Final = 2.0  # ten of Chromium's, four of aiortc's: an older one is the estimate of another situation
REMB_FALL: Final = 0.95  # of the highest since the last fall; a browser's own rounding and clamping stay above it
REMB_FALL_MEMORY_S: Final = 3.0  # a fall counts this long: reports that confirm it come about once a second
REMB_LOW: Final = 0.75
"""Of the rate sent. A false alarm of the receiver gives 0.85, which alone proves nothing."""
REMB_LOW_S: Final = 0.5  # low this long without help from other witnesses: two or three of Chromium's

LOSS_SPAN_S: Final = 0.8
"""Reports that come closer together count as one. Chromium adds one to each REMB and each NACK: a dozen packets' worth,
of which a single lost one would be 8 %."""
LOSS_REPAIRED: Final = 0.08  # share lost that retransmission repairs well within a jitter buffer
LOSS_HIGH: Final = 0.10  # GCC's own limit (section 6); mean of two reports, or one beside a REMB that fell
LOSS_SEVERE: Final = 0.25  # one report is enough

NACK_HIGH: Final = 0.25  # packets asked for per packet sent; each may be asked for several times, hence above LOSS_HIGH
NACK_LEAST_PACKETS: Final = 20  # fewer are one lost picture
NACK_HIGH_S: Final = 1.2  # longer than the window that counts them, so that one gap in the air is over by then
NACK_SILENCE_S: Final = 0.5  # nothing asked for in this time: it is over

QUEUE_S: Final = 0.1  # round trip over its minimum that is not clean any more; Wi-Fi alone reaches half of it
QUEUE_HIGH_S: Final = 0.15  # in two reports in a row, and not shrinking: a jitter buffer of usual size is used up
QUEUE_SEVERE_S: Final = 0.4  # one report is enough
QUEUE_OF_MINIMUM: Final = 0.5  # the three grow to this share of the minimum on long paths, which vary more
RTT_MEMORY_S: Final = 30.0  # the minimum is that of the last 30 to 60 s: routes change

FEEDBACK_FRESH_S: Final = 6.0  # RFC 3550 has 5 s between reports by default (section 6.2)


class Evidence:
    """Collects feedback and says what it proves.

    Attributes:
        remb_bitrate: the newest REMB (bit/s), None before the first.
        loss: share lost, mean of the last two spans of `LOSS_SPAN_S` or more, 0..1.
        usual_loss: the same over about the last ten.
        first_report_s: time of the first receiver report, None before it.
    """

    def __init__(self) -> None:
        self.remb_bitrate: float | None = None
        self.loss = 0.0
        self.usual_loss = 0.0
        self.first_report_s: float | None = None
        self._heard_s = -math.inf
        self._remb_s = -math.inf
        self._remb_high = 0.0  # highest since the last fall
        self._remb_fell_s = -math.inf  # last fall below the rate sent
        self._remb_low_since_s: float | None = None
        self._last_loss: float | None = None
        self._reported_s = -math.inf  # the last report
        self._span_from_s = -math.inf  # the last report that is counted in `loss`
        self._span_lost_s = 0.0  # share lost times time, since then
        self._queue_s = 0.0  # round trip over its minimum in the last report, and in the one before
        self._queue_before_s = 0.0
        self._queue_news = False  # the last report came after the last `forget`
        self._low_rtt_s = math.inf  # minimum of this RTT_MEMORY_S and of the one before
        self._low_rtt_before_s = math.inf
        self._low_rtt_since_s = -math.inf
        self._nacked = Throughput()
        self._nack_high_since_s: float | None = None
        self._nack_share = 0.0
        self._nack_s = -math.inf

    def remb(self, bitrate: float, sent_bitrate: float, now_s: float) -> None:
        """A REMB came; `sent_bitrate` (bit/s) is what leaves for this viewer now, without the sound."""
        self._heard_s = self._remb_s = now_s
        self.remb_bitrate = bitrate
        if bitrate < REMB_FALL * self._remb_high:
            self._remb_high = bitrate
            # One that falls and stays above the rate sent has only followed a scene that became calm.
            if bitrate < sent_bitrate:
                self._remb_fell_s = now_s
        self._remb_high = max(self._remb_high, bitrate)
        if bitrate >= REMB_LOW * sent_bitrate:
            self._remb_low_since_s = None
        elif self._remb_low_since_s is None:
            self._remb_low_since_s = now_s

    def report(self, fraction_lost: float, rtt_s: float | None, now_s: float) -> float | None:
        """A receiver report of the video stream came: share lost since the one before, and its own round trip.

        Returns the share lost of the span that it completes, None if it completes none.
        """
        self._heard_s = now_s
        span_loss = self._span_loss(fraction_lost, now_s)
        if span_loss is not None:
            self.usual_loss += 0.2 * (span_loss - self.usual_loss)
            self.loss = (span_loss + (self._last_loss or 0.0)) / 2
            self._last_loss = span_loss
        if rtt_s is not None:
            if now_s - self._low_rtt_since_s >= RTT_MEMORY_S:
                self._low_rtt_before_s, self._low_rtt_s = self._low_rtt_s, math.inf
                self._low_rtt_since_s = now_s
            self._low_rtt_s = min(self._low_rtt_s, rtt_s)
            self._queue_before_s, self._queue_s = self._queue_s, rtt_s - self._minimum_rtt_s
            self._queue_news = True
        return span_loss

    def nacked(self, packets: int, sent_packets: int, now_s: float) -> None:
        """So many packets were asked for again; `sent_packets` left in the last second."""
        self._heard_s = self._nack_s = now_s
        self._nacked.add(0, now_s, packets)
        nacked = self._nacked.packets(now_s)
        self._nack_share = min(1.0, nacked / max(1, sent_packets))
        if nacked < NACK_LEAST_PACKETS or self._nack_share < NACK_HIGH:
            self._nack_high_since_s = None
        elif self._nack_high_since_s is None:
            self._nack_high_since_s = now_s

    def forget(self) -> None:
        """What came so far was about another rate. The estimate and the round trips stay: a queue drains slowly."""
        self.loss = 0.0
        self._last_loss = None
        self._span_from_s, self._span_lost_s = self._reported_s, 0.0
        self._remb_high = self.remb_bitrate or 0.0
        self._remb_fell_s = -math.inf
        self._remb_low_since_s = None
        self._queue_news = False
        self._nacked.clear()
        self._nack_high_since_s = None

    def fresh_remb(self, now_s: float) -> float | None:
        """The newest REMB (bit/s) if it still says something."""
        return self.remb_bitrate if now_s - self._remb_s <= REMB_FRESH_S else None

    def queueing(self, limit_s: float = QUEUE_S) -> bool:
        """Whether the last report's round trip lies that far (longer on long paths) above the minimum."""
        return self._queue_s > self._scaled(limit_s)

    def clean(self, now_s: float) -> bool:
        """Whether the viewer is heard and nothing hints at a path that is full."""
        return (
            now_s - self._heard_s <= FEEDBACK_FRESH_S
            and self.first_report_s is not None
            and now_s - self._remb_fell_s > REMB_FALL_MEMORY_S
            and self.loss <= LOSS_REPAIRED
            and not self.queueing()
            and not self._nacks_are_high(now_s)
        )

    def congestion(self, sent_bitrate: float, now_s: float) -> float | None:
        """What the path carries at most (bit/s) when it is proven to carry less than `sent_bitrate`, else None."""
        limits: list[float] = []
        last_loss = self._last_loss or 0.0
        remb = self.fresh_remb(now_s)
        if remb is not None and remb < sent_bitrate and now_s - self._remb_fell_s <= REMB_FALL_MEMORY_S:
            low = self._remb_low_since_s is not None and now_s - self._remb_low_since_s >= REMB_LOW_S
            if low or self.queueing() or last_loss > LOSS_HIGH:
                limits.append(remb)
        if self.loss > LOSS_HIGH or last_loss > LOSS_SEVERE:
            limits.append(sent_bitrate * (1 - max(self.loss, last_loss)))
        if self._nacks_are_high(now_s, for_s=NACK_HIGH_S):
            limits.append(sent_bitrate * (1 - self._nack_share))
        if self._queue_news and self._queue_s >= self._queue_before_s:
            builds = self._queue_before_s > self._scaled(QUEUE_HIGH_S)
            if builds or self.queueing(QUEUE_SEVERE_S):
                limits.append(sent_bitrate)
        return min(limits, default=None)

    def _span_loss(self, fraction_lost: float, now_s: float) -> float | None:
        """The share lost since the last counted report, if that is long enough ago."""
        if self.first_report_s is None:
            self.first_report_s = self._reported_s = self._span_from_s = now_s
            self.usual_loss = fraction_lost
            return fraction_lost
        self._span_lost_s += fraction_lost * (now_s - self._reported_s)
        self._reported_s = now_s
        span_s = now_s - self._span_from_s
        if span_s < LOSS_SPAN_S:
            return None
        span_loss = self._span_lost_s / span_s
        self._span_from_s, self._span_lost_s = now_s, 0.0
        return span_loss

    @property
    def _minimum_rtt_s(self) -> float:
        return min(self._low_rtt_s, self._low_rtt_before_s)

    def _scaled(self, queue_s: float) -> float:
        minimum_s = self._minimum_rtt_s
        return max(queue_s, QUEUE_OF_MINIMUM * minimum_s) if math.isfinite(minimum_s) else queue_s

    def _nacks_are_high(self, now_s: float, *, for_s: float = 0.0) -> bool:
        since_s = self._nack_high_since_s
        return since_s is not None and now_s - self._nack_s <= NACK_SILENCE_S and now_s - since_s >= for_s
