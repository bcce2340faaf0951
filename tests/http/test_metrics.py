import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.packets import GeneratorStats
from streamgen.steering.voting import Voting
from streamgen.webrtc.fanout import FanoutStats
from tests.http.fakes import FakeStats, Server


async def samples(server: Server) -> dict[str, float]:
    async with server.client() as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_channel_that_has_just_started() -> None:
    found = await samples(Server())
    assert found["streamgen_channel_status starting"] == 1
    assert found["streamgen_channel_status live"] == 0
    assert found["streamgen_viewers"] == 0
    assert found["streamgen_underruns_total"] == 0
    assert "streamgen_realtime_ratio" not in found


async def test_everything_that_is_counted_is_shown() -> None:
    server = Server()
    server.channel.numbers = FakeStats(
        generator=GeneratorStats(
            chunk=99,
            realtime_ratio=1.75,
            stage_p50_ms={"denoise": 120.0},
            stage_p95_ms={"denoise": 150.0, "encode": 8.0},
            lead_ms=250.0,
            steps=3,
            behind=True,
            rss_bytes=300_000_000,
        ),
        fanout=FanoutStats(
            subscribers=2,
            video_packets=1000,
            audio_packets=1600,
            layers=3,
            switches=4,
            keyframe_requests=7,
            keyframe_requests_forwarded=5,
        ),
        underruns=2,
        restarts=1,
    )
    server.whep.open |= {"a", "b"}
    found = await samples(server)
    expected = {
        "streamgen_viewers": 2,
        "streamgen_viewer_loss_max": 0.25,
        "streamgen_chunk": 99,
        "streamgen_realtime_ratio": 1.75,
        "streamgen_lead_seconds": 0.25,
        "streamgen_sampler_steps": 3,
        "streamgen_generator_behind": 1,
        "streamgen_generator_resident_bytes": 300_000_000,
        "streamgen_stage_seconds 0.5 denoise": 0.12,
        "streamgen_stage_seconds 0.95 denoise": 0.15,
        "streamgen_stage_seconds 0.95 encode": 0.008,
        "streamgen_packets_total video": 1000,
        "streamgen_packets_total audio": 1600,
        "streamgen_layers_watched": 3,
        "streamgen_layer_viewers vp8 1": 2,
        "streamgen_viewer_packets_resent": 6,
        "streamgen_viewer_packets_refused": 2,
        "streamgen_keyframe_requests_total": 7,
        "streamgen_keyframe_requests_forwarded_total": 5,
        "streamgen_underruns_total": 2,
        "streamgen_generator_restarts_total": 1,
    }
    assert {name: found[name] for name in expected} == expected


async def test_votes_and_proposals_are_counted() -> None:
    voting = Voting(Audience(AudienceSettings(options=("rain", "snow"))))
    voting.audience.start("op", "1", 0.0)
    for option in ("o1", "o2", "o9"):
        voting.audience.vote("ann", option, None, option, 1.0)
    found = await samples(Server(voting=voting))
    assert found["streamgen_votes_total"] == 2
    assert found["streamgen_audience_refusals_total unknown_option"] == 1
    assert "streamgen_votes_total" not in await samples(Server())


async def test_the_operations_page_names_metrics_that_exist() -> None:
    server = Server()
    server.channel.numbers = FakeStats(generator=GeneratorStats(1, 1.0, {}, {}, 0.0, 4, False, 1))
    found = {name.split()[0] for name in await samples(server)}
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`(streamgen_\w+)", page))
    assert len(named) >= 6
    assert named <= found


async def test_two_servers_in_one_process_do_not_share_numbers() -> None:
    first, second = Server(), Server()
    first.channel.steering.session.outcomes["applied"] += 3
    assert (await samples(first))["streamgen_requests_total applied"] == 3
    assert (await samples(second))["streamgen_requests_total applied"] == 0
