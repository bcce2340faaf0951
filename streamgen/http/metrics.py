"""`/metrics` in the Prometheus text format.

The numbers are read when they are asked for; nothing is counted here, and nothing global is registered.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamgen.audience.audience import Audience
from streamgen.packets import GeneratorStats
from streamgen.steering.hub import SteeringHub
from streamgen.version import __version__
from streamgen.webrtc.fanout import FanoutStats
from streamgen.webrtc.viewer import ViewerStats

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATUSES: Final = ("starting", "live", "buffering", "slate")


class ChannelStats(Protocol):
    """What a channel counts; `streamgen.channel_stats.ChannelStats` is the real one."""

    @property
    def generator(self) -> GeneratorStats | None:
        """The newest report of the generator, None before the first."""

    @property
    def fanout(self) -> FanoutStats:
        """Packets released to viewers."""

    @property
    def underruns(self) -> int:
        """How often the media stood still because a chunk came too late."""

    @property
    def restarts(self) -> int:
        """How often the generator process had to be started again."""


def metrics_text(
    stats: ChannelStats,
    steering: SteeringHub,
    viewers: int,
    viewer_stats: Sequence[ViewerStats],
    more: Callable[[], Iterable[Metric]] = tuple,
) -> bytes:
    """The whole page of metrics; `more` gives families of others."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(stats, steering, viewers, viewer_stats))
    registry.register(_More(more))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(
        self, stats: ChannelStats, steering: SteeringHub, viewers: int, viewer_stats: Sequence[ViewerStats]
    ) -> None:
        self._stats = stats
        self._steering = steering
        self._viewers = viewers
        self._viewer_stats = viewer_stats

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield _labelled_gauge("streamgen_build", "Version that runs; always 1.", "version", {__version__: 1.0})
        status = self._steering.status
        yield _labelled_gauge(
            "streamgen_channel_status",
            "1 for what viewers see now.",
            "status",
            {each: float(each == status) for each in STATUSES},
        )
        yield from self._generation()
        yield from self._media()
        yield from self._steered()

    def _generation(self) -> Iterator[Metric]:
        yield _counter("streamgen_underruns", "Times the media stood still.", self._stats.underruns)
        yield _counter("streamgen_generator_restarts", "Times the generator was started again.", self._stats.restarts)
        generator = self._stats.generator
        if generator is None:
            return
        yield _gauge("streamgen_chunk", "Newest chunk that was generated.", generator.chunk)
        yield _gauge("streamgen_realtime_ratio", "Media time made per second of work.", generator.realtime_ratio)
        yield _gauge("streamgen_lead_seconds", "How long before it is due a chunk is ready.", generator.lead_ms / 1000)
        yield _gauge("streamgen_sampler_steps", "Denoising steps per chunk.", generator.steps)
        yield _gauge("streamgen_generator_behind", "1 while chunks come late.", float(generator.behind))
        yield _gauge("streamgen_generator_resident_bytes", "Memory of the generator process.", generator.rss_bytes)
        stages = GaugeMetricFamily(
            "streamgen_stage_seconds", "Time per chunk in a stage.", labels=("stage", "quantile")
        )
        for quantile, of_stage in (("0.5", generator.stage_p50_ms), ("0.95", generator.stage_p95_ms)):
            for stage, milliseconds in of_stage.items():
                stages.add_metric((stage, quantile), milliseconds / 1000)
        yield stages

    def _media(self) -> Iterator[Metric]:
        fanout = self._stats.fanout
        yield _gauge("streamgen_viewers", "Viewers that receive media.", self._viewers)
        yield _labelled_counter(
            "streamgen_packets",
            "Encoded packets released, once for all viewers.",
            "kind",
            {"video": fanout.video_packets, "audio": fanout.audio_packets},
        )
        yield _counter("streamgen_keyframe_requests", "Keyframes that viewers asked for.", fanout.keyframe_requests)
        yield _counter(
            "streamgen_keyframe_requests_forwarded",
            "Requests for keyframes that reached the encoders.",
            fanout.keyframe_requests_forwarded,
        )
        yield _gauge("streamgen_layers_watched", "Layers that somebody watches.", fanout.layers)
        # Of those who are there now, so the numbers fall when somebody leaves.
        every = self._viewer_stats
        layers = Counter(each.layer for each in every)
        watching = GaugeMetricFamily(
            "streamgen_layer_viewers", "Viewers by the layer that they get.", labels=("codec", "rung")
        )
        for layer, count in sorted(layers.items()):
            watching.add_metric((layer.codec, str(layer.rung)), count)
        yield watching
        yield _gauge("streamgen_viewer_packets_resent", "Packets sent again.", sum(each.resent for each in every))
        yield _gauge(
            "streamgen_viewer_packets_refused",
            "Packets that this machine's network did not take.",
            sum(each.refused for each in every),
        )
        loss = max((max(each.video.loss, each.audio.loss) for each in every), default=0.0)
        yield _gauge("streamgen_viewer_loss_max", "Highest share of lost packets of any viewer.", loss)

    def _steered(self) -> Iterator[Metric]:
        session = self._steering.session
        yield _gauge("streamgen_steering_connections", "Clients connected for steering.", self._steering.connections)
        yield _labelled_counter(
            "streamgen_requests",
            "Steering requests by their final answer.",
            "outcome",
            {outcome: session.outcomes[outcome] for outcome in ("applied", "superseded", "rejected")},
        )
        yield _labelled_counter(
            "streamgen_rejections",
            "Rejected frames and requests by reason.",
            "reason",
            {reason: count for reason, count in session.rejections.items()},
        )
        if self._steering.voting is not None:
            yield from self._audience(self._steering.voting.audience)

    def _audience(self, audience: Audience) -> Iterator[Metric]:
        yield _counter("streamgen_votes", "Votes that were counted, changed ones included.", audience.votes)
        yield _labelled_counter(
            "streamgen_proposals",
            "Proposals by their end.",
            "outcome",
            {outcome: count for outcome, count in audience.outcomes.items()},
        )
        yield _labelled_counter(
            "streamgen_audience_refusals",
            "Votes, proposals and commands without effect.",
            "reason",
            {reason: count for reason, count in audience.refusals.items()},
        )


class _More(Collector):
    def __init__(self, more: Callable[[], Iterable[Metric]]) -> None:
        self._more = more

    def collect(self) -> Iterable[Metric]:
        """All families of others."""
        return self._more()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _labelled_gauge(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _labelled_counter(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
