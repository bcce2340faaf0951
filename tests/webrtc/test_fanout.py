import asyncio
import logging

import pytest

from streamgen.media.pacer import PacketSink
from streamgen.packets import AudioPacket, ChunkRecord, VideoCodec, VideoPacket
from streamgen.webrtc.fanout import Fanout
from streamgen.webrtc.subscription import Subscription

MS = 1_000_000
PICTURE = 7200


def picture(number: int, *, keyframe: bool = False, codec: VideoCodec = "vp8") -> VideoPacket:
    return VideoPacket(codec, number * PICTURE, keyframe, b"picture")


class Encoders:
    """The other side of a fan-out: what it was told, under a clock that the test moves."""

    def __init__(self, *, video_backlog: int = 4) -> None:
        self.now_ns = 0
        self.watched: list[tuple[VideoCodec, bool]] = []
        self.keyframes: list[VideoCodec] = []
        self.fanout = Fanout(
            on_watched=lambda codec, watched: self.watched.append((codec, watched)),
            on_keyframe_request=self.keyframes.append,
            now_ns=lambda: self.now_ns,
            video_backlog=video_backlog,
        )


async def shown(subscription: Subscription, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await subscription.next_video()).pts // PICTURE for _ in range(count)]


async def heard(subscription: Subscription, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await subscription.next_audio()).pts for _ in range(count)]


def test_fanout_is_a_packet_sink() -> None:
    sink: PacketSink = Fanout()
    sink.video(picture(0, keyframe=True))
    sink.audio(AudioPacket(0, b""))


def test_watched_is_told_for_the_first_and_the_last_viewer_of_a_codec() -> None:
    encoders = Encoders()
    one, two = encoders.fanout.add("vp8"), encoders.fanout.add("vp8")
    three = encoders.fanout.add("h264")
    assert encoders.watched == [("vp8", True), ("h264", True)]
    assert encoders.fanout.watched == {"vp8", "h264"}
    one.close()
    three.close()
    assert encoders.watched[2:] == [("h264", False)]
    two.close()
    assert encoders.watched[3:] == [("vp8", False)]
    assert encoders.fanout.watched == frozenset()
    assert encoders.fanout.stats().subscribers == 0


def test_keyframe_is_asked_for_as_soon_as_a_viewer_joins() -> None:
    encoders = Encoders()
    encoders.fanout.add("vp8")
    assert encoders.keyframes == ["vp8"]


def test_requests_of_many_viewers_are_one_until_the_keyframe() -> None:
    encoders = Encoders()
    viewers = [encoders.fanout.add("vp8") for _ in range(10)]
    for viewer in viewers:
        viewer.start()
    assert encoders.keyframes == ["vp8"]
    assert encoders.fanout.stats().keyframe_requests == 20
    assert encoders.fanout.stats().keyframe_requests_forwarded == 1


def test_codecs_have_floors_of_their_own() -> None:
    encoders = Encoders()
    encoders.fanout.add("vp8")
    encoders.fanout.add("h264")
    assert encoders.keyframes == ["vp8", "h264"]


def test_request_within_the_floor_is_made_with_a_later_picture() -> None:
    encoders = Encoders()
    viewer = encoders.fanout.add("vp8")
    viewer.start()
    encoders.fanout.video(picture(0, keyframe=True))
    encoders.now_ns = 100 * MS
    viewer.request_keyframe()
    encoders.fanout.video(picture(1))
    assert encoders.keyframes == ["vp8"]
    encoders.now_ns = 500 * MS
    encoders.fanout.video(picture(2))
    assert encoders.keyframes == ["vp8", "vp8"]


def test_a_new_first_viewer_is_not_silenced_by_an_unanswered_request() -> None:
    encoders = Encoders()
    encoders.fanout.add("vp8").close()
    encoders.now_ns = 600 * MS
    encoders.fanout.add("vp8")
    assert encoders.keyframes == ["vp8", "vp8"]


async def test_packets_reach_every_viewer_of_the_codec_only() -> None:
    fanout = Encoders().fanout
    one, two, other = fanout.add("vp8"), fanout.add("vp8"), fanout.add("h264")
    for viewer in (one, two, other):
        viewer.start()
    fanout.video(picture(0, keyframe=True))
    fanout.video(picture(3, keyframe=True, codec="h264"))
    fanout.video(picture(1))
    fanout.audio(AudioPacket(12 * 960, b""))
    assert await shown(one, 2) == await shown(two, 2) == [0, 1]
    assert await shown(other, 1) == [3]
    for viewer in (one, two, other):
        assert await heard(viewer, 1) == [12 * 960]


async def test_a_joiner_gets_nothing_before_its_keyframe() -> None:
    fanout = Encoders().fanout
    early = fanout.add("vp8")
    early.start()
    fanout.video(picture(0, keyframe=True))
    late = fanout.add("vp8")
    late.start()
    fanout.video(picture(1))
    fanout.video(picture(2, keyframe=True))
    assert await shown(late, 1) == [2]
    assert await shown(early, 3) == [0, 1, 2]


async def test_one_that_stalls_overflows_alone(caplog: pytest.LogCaptureFixture) -> None:
    encoders = Encoders(video_backlog=4)
    fanout = encoders.fanout
    stalled, steady = fanout.add("vp8"), fanout.add("vp8")
    for viewer in (stalled, steady):
        viewer.start()
    received: list[int] = []
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            encoders.now_ns += 80 * MS
            fanout.video(picture(number, keyframe=number == 0))
            received += await shown(steady, 1)
    assert received == list(range(100))
    assert steady.video_dropped == 0
    assert stalled.video_dropped == 100
    assert fanout.stats().video_dropped == 100
    assert [record.message for record in caplog.records] == [
        "a viewer is too slow: dropped 5 pictures up to the next keyframe"
    ]
    # It wakes up: the next picture is a keyframe, for which it had asked.
    assert len(encoders.keyframes) >= 2
    fanout.video(picture(100, keyframe=True))
    assert await shown(stalled, 1) == [100]


async def test_leaving_disturbs_nobody() -> None:
    fanout = Encoders().fanout
    leaver, steady = fanout.add("vp8"), fanout.add("vp8")
    for viewer in (leaver, steady):
        viewer.start()
    fanout.video(picture(0, keyframe=True))
    leaver.close()
    for number in range(1, 4):
        fanout.video(picture(number))
    assert await shown(steady, 4) == [0, 1, 2, 3]


def test_media_time_goes_on_without_viewers() -> None:
    fanout = Fanout()
    assert fanout.media_time_s is None
    record = ChunkRecord(
        chunk=3, first_frame=12, fps=(25, 2), pts=90_000, prompt_id=None, prompt="", seed=0, guidance=1.0, steps=4
    )
    fanout.chunk_started(record)
    assert fanout.media_time_s == 1.0
    fanout.video(picture(25, keyframe=True))
    assert fanout.media_time_s == 2.0
    fanout.audio(AudioPacket(48_000 * 3, b""))
    assert fanout.media_time_s == 3.0


def test_released_packets_are_counted_per_picture_not_per_viewer() -> None:
    fanout = Fanout()
    fanout.add("vp8")
    fanout.add("vp8")
    fanout.video(picture(0, keyframe=True))
    fanout.audio(AudioPacket(0, b""))
    stats = fanout.stats()
    assert (stats.video_packets, stats.audio_packets, stats.subscribers) == (1, 1, 2)
