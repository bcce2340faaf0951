"""The benchmark of voters: that a crowd really votes over WebSockets, and what is made of what it saw."""

import asyncio
from collections import Counter

import pytest

from bench.crowd import Crowd, Seen
from bench.lean_socket import HandshakeError, LeanSocket, frame, read_frames
from bench.record import plain
from bench.targets import VOTERS_DETAILS, VOTERS_TARGETS, details, rows
from bench.voters import PHASES, Watcher, figures, lateness_ms
from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.protocol import AudienceControl, AudienceOverlay, Chunk, Health, encode
from streamgen.steering.voting import Voting
from tests.bench.records import run
from tests.client.station import on_air


async def test_a_crowd_votes_over_websockets_and_the_tally_is_theirs() -> None:
    voting = Voting(Audience(AudienceSettings(options=("rain", "snow"), vote_s=3600)))
    async with asyncio.timeout(120), on_air(voting=voting) as station:
        hub = station.steering
        hub.take(hub.connect("op", frozenset({"moderate"})), AudienceControl(id="s", action="start"))
        # Without tokens each connection is a visitor of its own.
        async with Crowd(f"ws{station.url[4:]}/steer/main", ["none"] * 6, 2) as crowd:
            seen = await crowd.vote("1.prompt", ("o1", "o2"), 3, 0.5)
    assert (seen.sent, seen.counted, seen.lost, dict(seen.refused)) == (18, 18, 0, {})
    assert len(seen.answer_s) == len(seen.shown_s) == 18
    assert min(seen.shown_s) > 0
    now = voting.audience.overlay(0.0)
    assert {each.id: each.votes for each in now.options if each.votes} == dict(seen.choices)
    assert now.voters == 6


async def test_a_server_that_does_not_take_it_is_said() -> None:
    async with asyncio.timeout(60), on_air() as station:
        with pytest.raises(HandshakeError, match="40"):
            await LeanSocket.connect(f"ws{station.url[4:]}/steer/none", "x", lambda text: None)


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_frames_of_every_length_are_read_whole(length: int) -> None:
    payload = b"x" * length
    sent = frame(1, payload)
    head = 2 if length < 126 else 4 if length < 65_536 else 10
    # As a server sends it: without the mask.
    received = bytearray(bytes((sent[0], sent[1] & 0x7F)) + sent[2:head] + payload)
    for cut in (1, len(received) - 1):
        part = bytearray(received[:cut])
        if cut < len(received):
            assert read_frames(part) == []
            assert part == received[:cut]
    both = received + received[:1]
    assert read_frames(both) == [(1, payload)]
    assert both == received[:1]


def seen(**changes: object) -> Seen:
    made = Seen(
        sent=4,
        counted=4,
        answer_s=[0.01, 0.02, 0.03, 0.04],
        shown_s=[0.1, 0.2, 0.3, 0.4],
        lasted_s=2.0,
        choices=Counter({"o1": 2}),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def watched(*, late_ms: float = 3.0, **delays: list[float]) -> Watcher:
    watcher = Watcher()
    watcher.delays_s |= {"alone": [10.0, 10.001], "connected": [10.002], "voting": [10.004]} | delays
    watcher.late_ms["voting"] = [late_ms]
    return watcher


GROWN = {"streamgen_underruns_total": 0.0, "streamgen_generator_restarts_total": 0.0}


def test_figures_of_a_good_run_meet_every_target() -> None:
    record = run("voters", figures(seen(), Counter({"o1": 2}), watched(), GROWN, {"server": 0.5}))
    record["figures"] = plain(record["figures"])
    assert [met for *_, met in rows(record, VOTERS_TARGETS)] == ["yes"] * len(VOTERS_TARGETS)
    assert dict(details(record, VOTERS_DETAILS))["votes taken per second"] == "2"


@pytest.mark.parametrize(
    ("saw", "tally", "watcher", "grown"),
    [
        (seen(), Counter({"o1": 1, "o2": 1}), watched(), GROWN),
        (seen(), Counter({"o1": 1}), watched(), GROWN),
        (seen(shown_s=[1.1]), Counter({"o1": 2}), watched(), GROWN),
        (seen(lost=1), Counter({"o1": 2}), watched(), GROWN),
        (seen(), Counter({"o1": 2}), watched(), {"streamgen_underruns_total": 1.0}),
        (seen(), Counter({"o1": 2}), watched(voting=[10.1]), GROWN),
        (seen(), Counter({"o1": 2}), watched(late_ms=51), GROWN),
    ],
)
def test_each_target_can_be_missed(saw: Seen, tally: Counter[str], watcher: Watcher, grown: dict[str, float]) -> None:
    record = run("voters", figures(saw, tally, watcher, grown, {}))
    record["figures"] = plain(record["figures"])
    assert sum(met == "NO" for *_, met in rows(record, VOTERS_TARGETS)) == 1


def test_what_several_processes_saw_is_put_together() -> None:
    both = seen()
    both.add(seen(lasted_s=3.0, choices=Counter({"o2": 1})))
    assert (both.sent, len(both.shown_s), both.lasted_s) == (8, 8, 3.0)
    assert both.choices == {"o1": 2, "o2": 1}


def test_the_watcher_notes_chunks_only_in_a_phase() -> None:
    watcher = Watcher()
    chunk = encode(Chunk(index=1, media_time=2.0, prompt="sea", rtp_video=180_000))
    watcher.take(chunk, 12.5)
    watcher.phase = "voting"
    watcher.take(chunk, 12.5)
    watcher.take(encode(AudienceOverlay(revision=1, mode="single")), 12.6)
    watcher.take('{"type": "news"}', 12.7)
    watcher.take(encode(Health(media_time=2.0, late_ms=4.5)), 12.8)
    assert watcher.late_ms["voting"] == [4.5]
    assert watcher.delays_s["voting"] == [10.5]
    assert watcher.vote is not None
    assert lateness_ms(watcher.delays_s) == dict.fromkeys(PHASES), "nothing to compare with"
