"""Which rung of the ladder one viewer gets. Free of I/O; times are seconds on any monotonic clock.

Down fast, up slowly. A rung that is proven too much (`evidence`) is left at the next `choose`; a larger one is tried
only after several clean seconds, and, unless the viewer's REMB vouches for it with room to spare, only after padding
has shown that the path carries it (`probe`). Every failure doubles the wait for the next try. A viewer that sends no
feedback stays where it is.

All rates are of the video stream with retransmissions and padding, because REMB is about these alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from streamgen.rtp.evidence import Evidence
from streamgen.rtp.probe import Probe
from streamgen.rtp.throughput import Throughput

SPARE: Final = 1.1  # a larger rung needs a tenth more than its ceiling: keyframes, retransmission, other traffic
SETTLE_S: Final = 1.5  # after a step down: keyframe of the new rung, one round trip, one report about the old rung
UP_WAIT_S: Final = 5.0  # clean seconds before a step up: the longest interval of receiver reports, five of Chromium's
UP_WAIT_MAX_S: Final = 60.0  # a path that got better is found within a minute
PROVEN_S: Final = 20.0  # a step up that is undone sooner was a failure; one that holds so long ends the longer waits
LOSS_CLEAN: Final = 0.02  # GCC's limit for going up (draft-ietf-rmcat-gcc-02, section 6); above it REMB is not enough
REMB_PATIENCE_S: Final = 8.0  # Chromium's first REMB comes after about 5 s; a viewer without one by then has none
ACTIVITY_LEAST: Final = 0.05  # of the ceiling: a still picture may move in the next moment


@dataclass(frozen=True, slots=True)
class Choice:
    """What a viewer should get from now on."""

    rung: int
    probe_bitrate: int
    """bit/s of padding (retransmitted copies) to send on top, 0 for none."""


class RungChooser:
    """Collects one viewer's feedback and chooses.

    Attributes:
        switches: changes of the rung so far.
        probes: tries with padding so far.
        failed_probes: those of them that ended without a step up.
    """

    def __init__(self, bitrates: Sequence[int], *, now_s: float, first: int | None = None) -> None:
        """Start on rung `first`, by default the middle one (the smaller of two).

        Args:
            bitrates: ceiling of each rung in bit/s, falling.
            now_s: the time now.
            first: a rung.

        Raises:
            ValueError: no rungs, ceilings that do not fall or are not positive, or no such rung.
        """
        if not bitrates or bitrates[-1] <= 0:
            raise ValueError("a ladder needs at least one rung, each with a bitrate above 0")
        if any(larger <= smaller for larger, smaller in pairwise(bitrates)):
            raise ValueError(f"bitrates must fall from rung to rung, got {list(bitrates)}")
        rung = len(bitrates) // 2 if first is None else first
        if not 0 <= rung < len(bitrates):
            raise ValueError(f"there is no rung {rung}: the ladder has {len(bitrates)}")
        self.switches = 0
        self.probes = 0
        self.failed_probes = 0
        self._bitrates = tuple(bitrates)
        self._rung = rung
        self._evidence = Evidence()
        self._media = Throughput()
        self._padding = Throughput()
        self._activity = 1.0  # rate of the encoder by its ceiling: calm scenes stay far below
        self._measured_from_s = now_s  # a whole window of the rung that is sent lies behind at this time
        self._settled_s = now_s  # nothing heard before this counts
        self._clean_since_s = now_s
        self._up_wait_s = UP_WAIT_S
        self._stepped_up_s: float | None = None  # the last step up, while it may still prove a failure
        self._distrust = False  # REMB has vouched, or a probe passed, for too much
        self._probe: Probe | None = None

    def remb(self, bitrate: float, now_s: float) -> None:
        """A REMB (bit/s) came."""
        self._evidence.remb(bitrate, self._sent_bitrate(now_s), now_s)
        if self._probe is not None:
            self._probe.remb(bitrate, now_s)

    def report(self, fraction_lost: float, rtt_s: float | None, now_s: float) -> None:
        """A receiver report of the video stream came.

        Args:
            fraction_lost: share of packets lost since the report before, 0..1.
            rtt_s: the round trip that this report gives, not smoothed; None if it gives none.
            now_s: the time now.
        """
        span_loss = self._evidence.report(fraction_lost, rtt_s, now_s)
        if self._probe is not None and span_loss is not None:
            self._probe.report(span_loss, queueing=self._evidence.queueing(), now_s=now_s)

    def nacked(self, packets: int, now_s: float) -> None:
        """So many packets of the video stream were asked for again, each counted as often as it was asked for."""
        self._evidence.nacked(packets, self._media.packets(now_s), now_s)

    def sent(self, size_bytes: int, now_s: float, *, packets: int = 1, padding: bool = False) -> None:
        """So much left, in so many packets: of the video stream, retransmitted, or (`padding`) what `choose` asked for.

        Sound is not counted here. The packets of a picture may be told in one call.
        """
        (self._padding if padding else self._media).add(size_bytes, now_s, packets)

    def choose(self, now_s: float) -> Choice:
        """What to send now. To be called about ten times a second."""
        if self._probe is not None:
            return self._go_on(self._probe, now_s)
        if now_s < self._settled_s:
            self._evidence.forget()
            self._clean_since_s = now_s
            return Choice(self._rung, 0)
        if now_s >= self._measured_from_s:
            self._activity = min(1.0, max(ACTIVITY_LEAST, self._media.bitrate(now_s) / self._bitrates[self._rung]))
        if self._stepped_up_s is not None and now_s - self._stepped_up_s >= PROVEN_S:
            self._stepped_up_s = None
            self._distrust = False
            self._up_wait_s = UP_WAIT_S
        limit = self._evidence.congestion(self._sent_bitrate(now_s), now_s)
        if limit is not None or not self._evidence.clean(now_s):
            self._clean_since_s = now_s
        if limit is not None and self._rung < len(self._bitrates) - 1:
            self._step_down(limit, now_s)
        elif self._rung > 0 and now_s - self._clean_since_s >= self._up_wait_s:
            self._try_larger(now_s)
        return Choice(self._rung, 0)

    def _sent_bitrate(self, now_s: float) -> float:
        return self._media.bitrate(now_s) + self._padding.bitrate(now_s)

    def _step_down(self, limit: float, now_s: float) -> None:
        """To the largest rung that fits into `limit` (bit/s) as the scene is now, at least one down."""
        last = len(self._bitrates) - 1
        fitting = (rung for rung in range(self._rung + 1, last) if self._activity * self._bitrates[rung] <= limit)
        self._switch(next(fitting, last), now_s)
        self._settled_s = now_s + SETTLE_S
        self._evidence.forget()
        if self._stepped_up_s is not None:
            self._stepped_up_s = None
            self._failed(now_s)

    def _try_larger(self, now_s: float) -> None:
        """Step up if REMB vouches for it, else find out with padding."""
        evidence = self._evidence
        needed = SPARE * self._bitrates[self._rung - 1]
        remb = evidence.fresh_remb(now_s)
        if remb is None and evidence.remb_bitrate is not None:
            return  # it has fallen silent: what it would say about the padding is not heard either
        if remb is None and evidence.first_report_s is not None and now_s < evidence.first_report_s + REMB_PATIENCE_S:
            return
        if remb is not None and remb >= needed and evidence.loss <= LOSS_CLEAN and not self._distrust:
            self._step_up(now_s)
            return
        self.probes += 1
        self._probe = Probe(
            bitrate=self._sent_bitrate(now_s), target=needed, remb=remb, usual_loss=evidence.usual_loss, now_s=now_s
        )

    def _go_on(self, probe: Probe, now_s: float) -> Choice:
        """Follow a probe to its end."""
        sent_bitrate = self._sent_bitrate(now_s)
        verdict = probe.verdict(sent_bitrate, now_s)
        if self._evidence.congestion(sent_bitrate, now_s) is not None:
            verdict = "failed"
        if verdict == "under way":
            return Choice(self._rung, max(0, round(probe.total(now_s) - self._media.bitrate(now_s))))
        self._probe = None
        self._evidence.forget()
        if verdict == "passed":
            self._step_up(now_s)
        else:
            self.failed_probes += 1
            # What is heard in the next moments is about the padding.
            self._settled_s = now_s + SETTLE_S
            self._failed(now_s)
        return Choice(self._rung, 0)

    def _step_up(self, now_s: float) -> None:
        self._switch(self._rung - 1, now_s)
        self._stepped_up_s = now_s

    def _switch(self, rung: int, now_s: float) -> None:
        self.switches += 1
        self._rung = rung
        self._measured_from_s = now_s + SETTLE_S
        self._clean_since_s = now_s

    def _failed(self, now_s: float) -> None:
        """A step up, or the padding in place of one, was too much."""
        self._up_wait_s = min(2 * self._up_wait_s, UP_WAIT_MAX_S)
        self._distrust = True
        self._clean_since_s = now_s
