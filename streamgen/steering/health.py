"""What `health` says: measured from what happens on the channel, without I/O and without a clock of its own.

All times are seconds on one monotonic clock, media times seconds of media. All methods belong to the event loop's
thread.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, ChunkRecord, GeneratorStats
from streamgen.protocol.health import Health, QueueDepths
from streamgen.steering.prompt_times import PromptClock

EVERY_S: Final = 1.0
RATE_WINDOW_S: Final = 3.0  # over which pictures per second are counted
MAX_STARTS: Final = 64  # starts of chunks that are remembered; the oldest is dropped


@dataclass(frozen=True, slots=True)
class Readings:
    """What others know about the channel at the moment of a report. Counts are since its start."""

    media_time_s: float
    viewers: int = 0
    connections: int = 0
    underruns: int = 0
    restarts: int = 0
    generator: GeneratorStats | None = None
    late_ms: float = 0.0  # the latest release since the last report
    server_bytes: int | None = None  # resident memory of this process
    queues: QueueDepths = field(default_factory=QueueDepths)


@dataclass(frozen=True, slots=True)
class _Start:
    at_s: float
    first_frame: int


class HealthMeter:
    """Follows one channel.

    Attributes:
        prompts: how long prompts take.
    """

    def __init__(self) -> None:
        self.prompts = PromptClock()
        self._starts: deque[_Start] = deque(maxlen=MAX_STARTS)
        self._planned_fps: float | None = None
        self._margin_ms: float | None = None
        self._least_margin_ms: float | None = None  # since the last report
        self._picture_late_s: float | None = None
        self._sound_late_s: float | None = None

    def chunk_started(self, record: ChunkRecord, now_s: float) -> None:
        """The first packet of this chunk leaves."""
        if self._starts and record.first_frame <= self._starts[-1].first_frame:
            self._starts.clear()  # another generator counts from nothing
        self._starts.append(_Start(now_s, record.first_frame))
        numerator, denominator = record.fps
        self._planned_fps = numerator / denominator
        margin_ms = record.timings_ms.get("lead")
        if margin_ms is not None:
            self._margin_ms = margin_ms
            least = self._least_margin_ms
            self._least_margin_ms = margin_ms if least is None else min(least, margin_ms)

    def picture_left(self, pts: int, media_time_s: float) -> None:
        """A picture of `pts` (90 kHz) leaves at this media time."""
        self._picture_late_s = media_time_s - pts / VIDEO_CLOCK_HZ

    def sound_left(self, pts: int, media_time_s: float) -> None:
        """A packet of sound of `pts` (48 kHz) leaves at this media time."""
        self._sound_late_s = media_time_s - pts / AUDIO_CLOCK_HZ

    def report(self, readings: Readings, now_s: float) -> Health:
        """How it goes; what is counted since the last report begins anew."""
        generator = readings.generator
        least, self._least_margin_ms = self._least_margin_ms, None
        skew_ms = None
        if self._picture_late_s is not None and self._sound_late_s is not None:
            skew_ms = round(1000 * (self._picture_late_s - self._sound_late_s), 1)
        return Health(
            media_time=round(readings.media_time_s, 3),
            margin_ms=_tenths(self._margin_ms),
            least_margin_ms=_tenths(least),
            realtime_ratio=None if generator is None else round(generator.realtime_ratio, 2),
            steps=None if generator is None else generator.steps,
            behind=generator is not None and generator.behind,
            fps=self._fps(now_s),
            planned_fps=None if self._planned_fps is None else round(self._planned_fps, 2),
            skew_ms=skew_ms,
            late_ms=round(readings.late_ms, 1),
            viewers=readings.viewers,
            connections=readings.connections,
            underruns=readings.underruns,
            restarts=readings.restarts,
            prompt_to_packet=self.prompts.times(),
            queues=readings.queues,
            generator_bytes=None if generator is None else generator.rss_bytes,
            server_bytes=readings.server_bytes,
        )

    def _fps(self, now_s: float) -> float:
        """Pictures that began to play per second, over the last `RATE_WINDOW_S`.

        The pictures of the newest chunk are under way, so that it ends the count. When no chunk has started for longer
        than one takes, the time since then counts as well: a stream that stands still falls to 0 and does not jump.
        """
        while len(self._starts) > 1 and self._starts[0].at_s < now_s - RATE_WINDOW_S:
            self._starts.popleft()
        if len(self._starts) < 2 or self._starts[-1].at_s < now_s - RATE_WINDOW_S:
            return 0.0
        first, before, last = self._starts[0], self._starts[-2], self._starts[-1]
        length_s = (last.first_frame - before.first_frame) / (self._planned_fps or 1.0)
        waited_s = max(0.0, now_s - last.at_s - length_s)
        return round((last.first_frame - first.first_frame) / max(last.at_s - first.at_s + waited_s, 1e-3), 2)


def _tenths(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
