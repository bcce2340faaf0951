"""What `health` says of a channel, and to whom."""

from dataclasses import replace

import pytest

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, GeneratorStats, PromptQueued
from streamgen.protocol import Accepted, Health, Permission, PromptSet, QueueDepths, ServerMessage
from streamgen.steering.health import RATE_WINDOW_S, HealthMeter, Readings
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.session import SteeringSession
from tests.steering.records import record

CHUNK_S = 0.32
FPS = 12.5
MODERATOR: frozenset[Permission] = frozenset({"moderate", "prompt"})
GENERATOR = GeneratorStats(
    chunk=9,
    realtime_ratio=1.618,
    stage_p50_ms={},
    stage_p95_ms={},
    lead_ms=20.0,
    steps=3,
    behind=True,
    rss_bytes=400_000_000,
)


def report(meter: HealthMeter, now_s: float) -> Health:
    return meter.report(Readings(media_time_s=now_s), now_s)


def play(meter: HealthMeter, chunks: range, *, start_s: float = 0.0, lead_ms: float = 50.0) -> None:
    for chunk in chunks:
        made = replace(record(chunk), timings_ms={"lead": lead_ms})
        meter.chunk_started(made, start_s + CHUNK_S * chunk)


def test_nothing_is_claimed_before_it_was_measured() -> None:
    said = report(HealthMeter(), 5.0)
    assert (said.margin_ms, said.least_margin_ms, said.skew_ms, said.realtime_ratio) == (None, None, None, None)
    assert (said.fps, said.planned_fps) == (0.0, None)


def test_the_margin_is_the_newest_and_the_least_since_the_last_report() -> None:
    meter = HealthMeter()
    for chunk, lead_ms in enumerate((60.0, -12.5, 41.25)):
        meter.chunk_started(replace(record(chunk), timings_ms={"lead": lead_ms}), CHUNK_S * chunk)
    said = report(meter, 1.0)
    assert (said.margin_ms, said.least_margin_ms) == (41.2, -12.5)
    again = report(meter, 2.0)
    assert (again.margin_ms, again.least_margin_ms) == (41.2, None)


def test_pictures_per_second_are_those_that_play() -> None:
    meter = HealthMeter()
    play(meter, range(40))
    last_s = CHUNK_S * 39
    for into_the_chunk_s in (0.0, 0.1, 0.3):
        assert report(meter, last_s + into_the_chunk_s).fps == pytest.approx(FPS, abs=0.01)
    assert report(meter, last_s).planned_fps == FPS


def test_a_stream_that_stands_still_falls_to_nothing() -> None:
    meter = HealthMeter()
    play(meter, range(40))
    last_s = CHUNK_S * 39
    rates = [report(meter, last_s + waited_s).fps for waited_s in (0.3, 1.0, 2.0, RATE_WINDOW_S + 0.1)]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[1] < FPS
    assert rates[-1] == 0.0


def test_another_generator_counts_from_nothing() -> None:
    meter = HealthMeter()
    play(meter, range(20))
    play(meter, range(10), start_s=CHUNK_S * 20 + 0.5)
    assert report(meter, CHUNK_S * 29 + 0.5).fps == pytest.approx(FPS, abs=0.01)


def test_skew_is_how_much_later_the_picture_left_than_the_sound() -> None:
    meter = HealthMeter()
    meter.picture_left(2 * VIDEO_CLOCK_HZ, 2.030)
    assert report(meter, 2.0).skew_ms is None
    meter.sound_left(round(1.9935 * AUDIO_CLOCK_HZ), 1.9985)  # pts need not lie on the grid of the pictures
    assert report(meter, 2.0).skew_ms == 25.0


def test_what_others_know_is_passed_on() -> None:
    readings = Readings(
        media_time_s=3.14159,
        viewers=3,
        connections=4,
        underruns=2,
        restarts=1,
        generator=GENERATOR,
        late_ms=2.34,
        server_bytes=150_000_000,
        queues=QueueDepths(chunks=1),
    )
    said = HealthMeter().report(readings, 0.0)
    assert said == Health(
        media_time=3.142,
        realtime_ratio=1.62,
        steps=3,
        behind=True,
        viewers=3,
        connections=4,
        underruns=2,
        restarts=1,
        late_ms=2.3,
        queues=QueueDepths(chunks=1),
        generator_bytes=400_000_000,
        server_bytes=150_000_000,
    )


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def drain(connection: Connection) -> list[ServerMessage]:
    return [await connection.outbox.get() for _ in range(len(connection.outbox))]


async def test_those_who_may_moderate_are_told_and_nobody_else() -> None:
    clock = Clock()
    hub = SteeringHub(SteeringSession("main"), send=lambda command: None, now_s=clock)
    moderator = hub.connect(None, MODERATOR)
    watcher = hub.connect(None, frozenset({"watch"}))
    hub.generator_ready()
    hub.take(moderator, PromptSet(id="a", text="rain"))
    hub.prompt_queued(PromptQueued("a", 300))
    await drain(moderator)
    hub.report_health(Readings(media_time_s=1.0, queues=QueueDepths(chunks=1)))
    (said,) = await drain(moderator)
    assert isinstance(said, Health)
    assert said.connections == 2
    assert said.queues == QueueDepths(prompts=1, chunks=1, outbox=1)  # the watcher has not read its state
    assert not any(isinstance(each, Health) for each in await drain(watcher))

    clock.now_s += 0.4
    hub.chunk_started(record(1, "a", "rain", applied=("a",)))
    hub.take(moderator, PromptSet(id="a", text="rain"))  # sent again: answered at once, and no second sample
    hub.report_health(Readings(media_time_s=2.0))
    health = [each for each in await drain(moderator) if isinstance(each, Health)]
    assert [(each.prompt_to_packet.prompts, each.prompt_to_packet.last_ms) for each in health] == [(1, 400)]


async def test_without_a_generator_the_newest_prompt_is_measured_and_a_refused_one_is_not() -> None:
    clock = Clock()
    hub = SteeringHub(SteeringSession("main"), send=lambda command: None, now_s=clock)
    moderator = hub.connect(None, MODERATOR)
    watcher = hub.connect(None, frozenset())
    hub.take(moderator, PromptSet(id="a", text="rain"))
    hub.take(moderator, PromptSet(id="b", text="snow"))  # supersedes the first, in the same breath
    hub.take(watcher, PromptSet(id="c", text="fire"))
    assert any(isinstance(each, Accepted) for each in await drain(moderator))
    hub.generator_ready()
    clock.now_s += 2.0
    hub.chunk_started(record(0, "b", "snow", applied=("b",)))
    hub.report_health(Readings(media_time_s=0.0))
    (health,) = [each for each in await drain(moderator) if isinstance(each, Health)]
    assert (health.prompt_to_packet.prompts, health.prompt_to_packet.last_ms) == (1, 2000)
