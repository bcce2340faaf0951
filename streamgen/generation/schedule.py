"""Just in time: when may a chunk start, and with how many steps? Free of I/O; time comes in as an argument.

A chunk starts as late as it safely can, at its deadline minus the 95th percentile of its stages minus a margin, so that
a prompt that arrives in the meantime still gets in. Nothing is queued beyond that lead. When time is short, chunks are
made with fewer sampler steps first; only when the fewest steps do not keep up is the generator `behind`. Where pictures
are enlarged by a graph that can be left out, it is before any step is: in a chunk that would be late, and for good
where there is no time for it.

Denoising is measured per pass of the transformer, so that a change of steps or guidance does not spoil the estimate.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 64  # measurements that percentiles are taken of: some 20 s
PRIMING_CHUNKS: Final = 2
"""Chunks that start at once: the pacer begins with the first one when it comes, and the second must be there soon."""

MARGIN_NS: Final = 60_000_000  # beyond the 95th percentile, at the least
FIRST_MARGIN_NS: Final = 160_000_000  # while little is known about the machine
_MARGIN_STEP_NS: Final = 40_000_000  # added after a chunk that was nearly late: this machine is noisier than its past
_MARGIN_DECAY: Final = 200  # one part of this many of the surplus is taken back per chunk: half of it in a minute
_NEARLY_LATE_NS: Final = 25_000_000
_FULL_LOAD: Final = 0.95  # of a chunk's duration that denoising may take
_EASY_LOAD: Final = 0.80  # below this, one step more is tried
_PATIENCE_CHUNKS: Final = 16  # before more steps are tried, or fewer for the sake of the other stages
_LATE_CHUNKS: Final = 3  # within `WINDOW` chunks that would have been late: then pictures are enlarged no more


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make one chunk: not before `start_ns` (monotonic), in `steps` sampler steps.

    `upscale` is whether there is time to enlarge its pictures by a graph.
    """

    start_ns: int
    steps: int
    upscale: bool = False


class Durations:
    """Percentiles over the newest measurements of one stage, in ns."""

    def __init__(self, window: int = WINDOW) -> None:
        self._values: deque[int] = deque(maxlen=window)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, duration_ns: int) -> None:
        """One more measurement."""
        self._values.append(duration_ns)

    def percentile(self, percent: int) -> int:
        """The nearest-rank percentile; 0 when nothing was measured."""
        if not self._values:
            return 0
        ordered = sorted(self._values)
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Schedule:
    """Start times and steps of one generator's chunks.

    Attributes:
        epoch_ns: monotonic time of programme time 0; None until the parent sets it, and nothing starts before.
        margin_ns: what is kept in reserve beyond the 95th percentile.
        steps: sampler steps that the machine can sustain now.
        upscales: pictures are enlarged by a graph that can be left out; never set again once it was given up.
    """

    def __init__(
        self,
        *,
        chunk_ns: int,
        max_steps: int,
        min_steps: int = 1,
        sound_ahead_ns: int = 0,
        closing_passes: int = 1,
        upscales: bool = False,
    ) -> None:
        """Nothing is measured yet.

        Args:
            chunk_ns: media time of one chunk.
            max_steps, min_steps: sampler steps at full quality and at the least.
            sound_ahead_ns: how much before the first picture the first packet of sound is due.
            closing_passes: passes of a chunk that belong to no step; see `SamplerPart.closing_passes`.
            upscales: pictures are enlarged by a graph that can be left out.
        """
        self.epoch_ns: int | None = None
        self.margin_ns = FIRST_MARGIN_NS
        self.steps = max_steps
        self.upscales = upscales
        self._chunk_ns = chunk_ns
        self._max_steps = max_steps
        self._min_steps = min_steps
        self._sound_ahead_ns = sound_ahead_ns
        self._closing_passes = closing_passes
        self._pass = Durations()  # one pass of the transformer
        self._after = Durations()  # decoding, enlarging, encoding and handing over
        self._plainly = Durations()  # the same without enlarging
        self._hurried: deque[int] = deque(maxlen=_LATE_CHUNKS)  # chunks that had no time to be enlarged
        self._since_change = 0
        self._priming_until = PRIMING_CHUNKS

    def prime(self, chunk: int) -> None:
        """The media stands still on purpose and goes on with this chunk: it and the next start at once.

        They are late by design, so that nothing is learned from their lead and no quality is given up for it.
        """
        self._priming_until = chunk + PRIMING_CHUNKS

    def deadline_ns(self, chunk: int) -> int:
        """When a chunk must have reached the pacer. Needs the epoch."""
        assert self.epoch_ns is not None
        return self.epoch_ns + chunk * self._chunk_ns - self._sound_ahead_ns

    def plan(self, chunk: int, now_ns: int, *, per_step: int, extra_passes: int = 0) -> Plan | None:
        """How to make a chunk; None while there is no epoch. Ask again after waiting, things may have changed.

        Args:
            chunk: programme index.
            now_ns: monotonic time.
            per_step: passes of the transformer that every step costs; see `Condition.passes_per_step`.
            extra_passes: of this chunk alone, such as those that read the past again.
        """
        if self.epoch_ns is None:
            return None
        if chunk < self._priming_until or not len(self._pass):
            return Plan(now_ns, self.steps, self.upscales)
        latest_ns = self.deadline_ns(chunk) - self._after.percentile(95)
        extra_ns = self._pass.percentile(95) * extra_passes
        start_ns = latest_ns - self._denoise_ns(self.steps, per_step) - extra_ns - self.margin_ns
        # Late already: what can still be saved is saved with fewer steps.
        steps = self.steps
        begun_ns = max(now_ns, start_ns) + extra_ns
        upscale = self.upscales
        if upscale and begun_ns + self._denoise_ns(steps, per_step) > latest_ns:
            upscale = False
            latest_ns = self.deadline_ns(chunk) - self._plainly.percentile(95)
        while steps > self._min_steps and begun_ns + self._denoise_ns(steps, per_step) > latest_ns:
            steps -= 1
        return Plan(start_ns, steps, upscale)

    def started(self, chunk: int, plan: Plan) -> None:
        """A chunk is made after this plan."""
        if self.upscales and not plan.upscale:
            self._hurried.append(chunk)
            if len(self._hurried) == _LATE_CHUNKS and chunk - self._hurried[0] < WINDOW:
                self._stop_upscaling()

    def denoised(self, duration_ns: int, steps: int, *, per_step: int, made: int | None = None) -> None:
        """A chunk was denoised in this time; adapts the steps that the machine can sustain.

        Args:
            duration_ns, steps, per_step: of this chunk.
            made: passes that were really run, where they were counted; None takes those that steps should cost.
        """
        self._pass.add(duration_ns // (made or self._passes(steps, per_step)))
        self._since_change += 1
        affordable, easy = _FULL_LOAD * self._chunk_ns, _EASY_LOAD * self._chunk_ns
        after_ns = self._after.percentile(50)
        if self.upscales:
            weary = self._since_change >= _PATIENCE_CHUNKS and after_ns > affordable
            if weary or self._typical_ns(self.steps, per_step) > affordable:
                self._stop_upscaling()
                return
        before = self.steps
        while self.steps > self._min_steps and self._typical_ns(self.steps, per_step) > affordable:
            self.steps -= 1
        if self.steps == before and self._since_change >= _PATIENCE_CHUNKS:
            if after_ns > affordable:
                # Decoding and encoding fall behind for want of processor time: leave them more of it.
                self.steps = max(self.steps - 1, self._min_steps)
            elif self._typical_ns(self.steps + 1, per_step) < easy and after_ns < easy:
                self.steps = min(self.steps + 1, self._max_steps)
        if self.steps != before:
            self._since_change = 0

    def delivered(self, chunk: int, duration_ns: int, now_ns: int, *, upscaling_ns: int = 0) -> int:
        """A chunk left for the pacer; returns its lead in ns (negative: late).

        Args:
            chunk: programme index.
            duration_ns: since it was denoised.
            now_ns: monotonic time.
            upscaling_ns: of this, what enlarging its pictures took; 0 where they were not.
        """
        plainly_ns = duration_ns - upscaling_ns
        self._plainly.add(plainly_ns)
        if not self.upscales:
            self._after.add(plainly_ns)
        elif upscaling_ns:  # a chunk that was hurried says nothing of those that are not
            self._after.add(duration_ns)
        lead_ns = self.deadline_ns(chunk) - now_ns
        if chunk >= self._priming_until and lead_ns < _NEARLY_LATE_NS:
            self.margin_ns = min(self.margin_ns + _MARGIN_STEP_NS, self._chunk_ns)
        else:
            self.margin_ns -= (self.margin_ns - MARGIN_NS) // _MARGIN_DECAY
        return lead_ns

    def eta_ns(self, next_chunk: int, now_ns: int, *, per_step: int) -> int:
        """How long until a prompt that is ready now is seen, `next_chunk` being the next one to start."""
        if self.epoch_ns is None:
            return self._denoise_ns(self.steps, per_step) + self._after.percentile(95) + self.margin_ns
        return max(0, self.epoch_ns + next_chunk * self._chunk_ns - now_ns)

    def behind(self, *, per_step: int) -> bool:
        """Whether even the fewest steps do not keep up, and there is nothing else to leave out."""
        slowest = max(self._typical_ns(self._min_steps, per_step), self._after.percentile(50))
        return not self.upscales and self.steps == self._min_steps and slowest > self._chunk_ns

    def realtime_ratio(self, *, per_step: int) -> float:
        """Media time made per time that the slowest stage works; 0 while nothing was measured."""
        slowest = max(self._typical_ns(self.steps, per_step), self._after.percentile(50))
        return self._chunk_ns / slowest if slowest else 0.0

    def _stop_upscaling(self) -> None:
        """What it took is given back to the other stages, and how fast they are without it is measured anew."""
        self.upscales = False
        self._after, self._plainly, self._pass = self._plainly, Durations(), Durations()
        self._since_change = 0

    def _denoise_ns(self, steps: int, per_step: int) -> int:
        return self._pass.percentile(95) * self._passes(steps, per_step)

    def _typical_ns(self, steps: int, per_step: int) -> int:
        return self._pass.percentile(50) * self._passes(steps, per_step)

    def _passes(self, steps: int, per_step: int) -> int:
        return passes(steps, per_step, self._closing_passes)


def passes(steps: int, per_step: int, closing: int = 1) -> int:
    """Runs of the transformer per chunk: so many per step, and those that write the cache."""
    return steps * per_step + closing
