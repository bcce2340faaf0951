"""Trying a higher rate with padding before anybody's picture depends on it. Free of I/O and clocks.

The total rises geometrically, so that most of the time is spent near what is known to pass and a queue that forms
is small when the first witness speaks. It is then held, because the slowest witness, the receiver report, comes once
a second.
"""

import math
from typing import Final, Literal, TypeAlias

RAMP_PER_S: Final = 1.35
"""Factor a second. The witnesses need about a second, and then a third too much has filled a queue for that long on
average half: some 0.2 s of delay, which a jitter buffer hides. From a tenth of the target it takes 8 s."""
LEAST_START: Final = 0.1  # of the target: a still scene sends next to nothing, from which a ramp would never get away
HOLD_S: Final = 1.5  # one receiver report that covers mostly the held rate
PATIENCE_S: Final = 6.0  # in place of HOLD_S, for receivers that report every 5 s; without a report it has failed
REACHED: Final = 0.85  # of the target really left; less proves nothing (the viewer's sender had nothing to repeat)

REMB_STALL_S: Final = 0.8  # four of Chromium's without a rise: an estimate held back by delay, which does not fall
REMB_RISE: Final = 1.004  # per REMB_STALL_S; Chromium grows by 8 % a second, near a known limit by about 30 kbit/s
REMB_GRACE_S: Final = 1.5  # the receiver measures over 1 s, and the ramp starts flat
REMB_FALL: Final = 0.95  # of its highest during the probe
REMB_FOLLOWED: Final = 1.02  # over its value at the start, when it does not reach the target itself

LOSS_RISE: Final = 0.04  # mean of the probe's reports over the usual loss: twice the deviation of three at 5 % loss
LOSS_JUMP: Final = 0.12  # of one report

Verdict: TypeAlias = Literal["under way", "passed", "failed"]


class Probe:
    """One try. All rates are bit/s of the video stream: pictures, retransmissions and padding.

    Args:
        bitrate: what leaves without padding, at the start.
        target: the rate to prove.
        remb: the newest REMB, None for a viewer that sends none: loss and round trips then decide alone.
        usual_loss: share lost before the probe; what is lost anyway does not speak against more.
        now_s: seconds on any monotonic clock.
    """

    def __init__(self, *, bitrate: float, target: float, remb: float | None, usual_loss: float, now_s: float) -> None:
        self._started_s = now_s
        self._first = min(max(bitrate, LEAST_START * target), target)
        self._held_s = now_s + math.log(target / self._first) / math.log(RAMP_PER_S)  # end of the ramp
        self._target = target
        self._usual_loss = usual_loss
        self._first_remb = remb
        self._remb = remb
        self._remb_high = remb or 0.0
        self._remb_mark = remb or 0.0  # its value when it last rose
        self._remb_rose_s = now_s + REMB_GRACE_S
        self._losses: list[float] = []
        self._reported_s = now_s
        self._failed = False

    def total(self, now_s: float) -> float:
        """The rate at which everything together should leave now."""
        return min(self._target, self._first * math.exp(math.log(RAMP_PER_S) * (now_s - self._started_s)))

    def remb(self, bitrate: float, now_s: float) -> None:
        """A REMB came."""
        if self._remb is None:
            return
        self._remb = bitrate
        if bitrate >= REMB_RISE * self._remb_mark:
            self._remb_mark = bitrate
            self._remb_rose_s = max(self._remb_rose_s, now_s)
        stalled = now_s - self._remb_rose_s >= REMB_STALL_S
        fell = bitrate < REMB_FALL * self._remb_high
        self._remb_high = max(self._remb_high, bitrate)
        if bitrate < self._target and (stalled or fell):
            self._failed = True

    def report(self, fraction_lost: float, *, queueing: bool, now_s: float) -> None:
        """Receiver reports of about a second, or a longer one, came; `queueing`: its round trip has risen."""
        self._losses.append(fraction_lost)
        self._reported_s = now_s
        if queueing or fraction_lost > self._usual_loss + LOSS_JUMP:
            self._failed = True

    def verdict(self, sent_bitrate: float, now_s: float) -> Verdict:
        """How it stands, when `sent_bitrate` left in the last second."""
        held_s = now_s - self._held_s
        if self._failed:
            return "failed"
        if held_s < HOLD_S:
            return "under way"
        if self._reported_s < self._held_s:
            return "under way" if held_s < PATIENCE_S else "failed"
        lost = sum(self._losses) / len(self._losses)
        followed = (
            self._remb is None
            or self._first_remb is None
            or self._remb >= min(self._target, REMB_FOLLOWED * self._first_remb)
        )
        passed = followed and lost <= self._usual_loss + LOSS_RISE and sent_bitrate >= REACHED * self._target
        return "passed" if passed else "failed"
