import pytest

from streamgen.media.layers import Rung
from streamgen.media.pacer import PacketSink
from streamgen.packets import AudioPacket, ChunkRecord, Layer, Still, VideoCodec, VideoPacket
from streamgen.webrtc.fanout import TURNS, Fanout
from streamgen.webrtc.subscription import Subscription
from tests.webrtc.test_subscription import Tape, Whim

MS = 1_000_000
PICTURE = 5400
RUNGS = (Rung(640, 360, 900_000), Rung(426, 240, 600_000), Rung(320, 180, 400_000))


def layer(codec: VideoCodec = "vp8", rung: int = 0) -> Layer:
    return Layer(codec, rung)


def picture(number: int, *, keyframe: bool = False, of: Layer | None = None) -> VideoPacket:
    of = of or layer()
    data = b"picture" if of.codec == "vp8" else b"\x00\x00\x01\x65picture"
    return VideoPacket(of, number * PICTURE, keyframe, data)


class Encoders:
    """The other side of a fan-out: what it was told, under a clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.watched: list[tuple[Layer, bool]] = []
        self.keyframes: list[Layer] = []
        self.fanout = Fanout(
            on_watched=lambda layer, watched: self.watched.append((layer, watched)),
            on_keyframe_request=self.keyframes.append,
            now_ns=lambda: self.now_ns,
            rungs=RUNGS,
        )

    def viewer(self, codec: VideoCodec = "vp8", rung: int = 0) -> tuple[Subscription, Tape]:
        """A viewer who stays at a rung."""
        subscription = self.fanout.add(codec)
        if subscription.layer.rung != rung:
            self.fanout.watch(subscription.layer, -1)
            subscription.layer = Layer(codec, rung)
            self.fanout.watch(subscription.layer, 1)
        subscription.chooser = Whim(rung)  # type: ignore[assignment]
        tape = Tape()
        subscription.start(tape)
        return subscription, tape

    def release(self, *packets: VideoPacket) -> None:
        for packet in packets:
            self.fanout.video(packet)
        self.fanout.flush()


def numbers(tape: Tape) -> list[int]:
    return [number for number, _ in tape.shown]


def test_fanout_is_a_packet_sink() -> None:
    sink: PacketSink = Fanout()
    sink.video(picture(0, keyframe=True))
    sink.audio(AudioPacket(0, b""))


def test_watched_is_told_for_the_first_and_the_last_viewer_of_a_layer() -> None:
    encoders = Encoders()
    one, two, three = (encoders.fanout.add(codec) for codec in ("vp8", "vp8", "h264"))
    vp8, h264 = one.layer, three.layer
    assert encoders.watched == [(vp8, True), (h264, True)]
    assert encoders.fanout.watched == {vp8, h264}
    one.close()
    three.close()
    assert encoders.watched[2:] == [(h264, False)]
    two.close()
    assert encoders.watched[3:] == [(vp8, False)]
    assert encoders.fanout.watched == frozenset()
    assert encoders.fanout.stats().subscribers == 0


def test_keyframe_is_asked_for_as_soon_as_a_viewer_joins() -> None:
    encoders = Encoders()
    joined = encoders.fanout.add("vp8")
    assert encoders.keyframes == [joined.layer]


def test_requests_of_many_viewers_are_one_until_the_keyframe() -> None:
    encoders = Encoders()
    viewers = [encoders.fanout.add("vp8") for _ in range(10)]
    for viewer in viewers:
        viewer.start(Tape())
    assert encoders.keyframes == [viewers[0].layer]
    assert encoders.fanout.stats().keyframe_requests == 20
    assert encoders.fanout.stats().keyframe_requests_forwarded == 1


def test_layers_have_floors_of_their_own() -> None:
    encoders = Encoders()
    encoders.viewer("vp8", 0)
    encoders.keyframes.clear()
    encoders.viewer("vp8", 2)
    encoders.viewer("h264", 0)
    assert {layer("vp8", 2), layer("h264", 0)} <= set(encoders.keyframes)


def test_request_within_the_floor_is_made_with_a_later_picture() -> None:
    encoders = Encoders()
    viewer, _ = encoders.viewer()
    encoders.release(picture(0, keyframe=True))
    encoders.keyframes.clear()
    encoders.now_ns = 100 * MS
    viewer.request_keyframe()
    encoders.release(picture(1))
    assert encoders.keyframes == []
    encoders.now_ns = 500 * MS
    encoders.release(picture(2))
    assert encoders.keyframes == [layer()]


def test_a_new_first_viewer_is_not_silenced_by_an_unanswered_request() -> None:
    encoders = Encoders()
    encoders.fanout.add("vp8").close()
    encoders.keyframes.clear()
    joined = encoders.fanout.add("vp8")
    assert encoders.keyframes == [joined.layer]


def test_a_picture_reaches_every_viewer_of_its_layer_only() -> None:
    encoders = Encoders()
    (_, one), (_, two), (_, small) = (encoders.viewer("vp8", rung) for rung in (0, 0, 2))
    _, other = encoders.viewer("h264")
    encoders.release(picture(0, keyframe=True), picture(0, keyframe=True, of=layer("h264")))
    encoders.release(picture(1), picture(1, of=layer("h264")), picture(1, keyframe=True, of=layer("vp8", 2)))
    assert numbers(one) == numbers(two) == numbers(other) == [0, 1]
    assert numbers(small) == [1]
    encoders.fanout.audio(AudioPacket(12 * 960, b""))
    for tape in (one, two, small, other):
        assert tape.sound == [12 * 960]


def test_a_picture_is_packetised_once_for_all_its_viewers() -> None:
    encoders = Encoders()
    tapes = [encoders.viewer()[1] for _ in range(3)]
    encoders.release(picture(0, keyframe=True))
    assert len({id(tape.pictures[0]) for tape in tapes}) == 1


def test_nothing_is_sent_before_all_layers_of_a_picture_are_there() -> None:
    encoders = Encoders()
    viewer, tape = encoders.viewer("vp8", 0)
    encoders.release(picture(0, keyframe=True, of=layer("vp8", 0)))
    whim = viewer.chooser
    assert isinstance(whim, Whim)
    whim.choice = type(whim.choice)(2, 0)
    viewer.tick(1.0)
    # The old layer's picture is released first, and the new layer's keyframe of the same time after it.
    encoders.release(picture(1, of=layer("vp8", 0)), picture(1, keyframe=True, of=layer("vp8", 2)))
    assert tape.shown == [(0, 0), (1, 2)]


def test_a_picture_that_was_not_flushed_leaves_with_the_next() -> None:
    encoders = Encoders()
    _, tape = encoders.viewer()
    encoders.fanout.video(picture(0, keyframe=True))
    encoders.fanout.video(picture(1))
    assert numbers(tape) == [0]
    encoders.fanout.flush()
    assert numbers(tape) == [0, 1]


def test_a_joiner_gets_nothing_before_its_keyframe() -> None:
    encoders = Encoders()
    _, early = encoders.viewer()
    encoders.release(picture(0, keyframe=True))
    _, late = encoders.viewer()
    encoders.release(picture(1))
    encoders.release(picture(2, keyframe=True))
    assert numbers(late) == [2]
    assert numbers(early) == [0, 1, 2]


def test_a_joiner_is_shown_the_newest_still_of_its_layer_until_it_is_over() -> None:
    encoders = Encoders()
    _, first = encoders.viewer()
    assert not first.stills
    encoders.release(picture(0, keyframe=True))
    encoders.fanout.still(Still(layer(), 0, b"old"))
    encoders.fanout.still(Still(layer(), 4 * PICTURE, b"new"))
    encoders.fanout.still(Still(layer("h264"), 4 * PICTURE, b"unwatched"))
    _, joined = encoders.viewer()
    assert [(still.pts, still.keyframe) for still in joined.stills] == [(4 * PICTURE, True)]
    encoders.release(picture(6))
    _, later = encoders.viewer()
    assert [still.pts for still in later.stills] == [6 * PICTURE], "the time of the newest picture"
    assert not first.stills, "those who watch are not shown it"
    _, other = encoders.viewer("h264")
    assert not other.stills
    encoders.fanout.still(None)
    _, late = encoders.viewer()
    assert not late.stills


@pytest.mark.parametrize("broken", ["video", "audio", "tick"])
def test_a_viewer_that_cannot_be_served_ends_and_the_others_go_on(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encoders = Encoders()
    bad, bad_tape = encoders.viewer()
    _, good = encoders.viewer()
    failed: list[bool] = []
    bad.on_failed = lambda: failed.append(True)

    def fails(*given: object) -> None:
        raise ZeroDivisionError("a defect")

    encoders.release(picture(0, keyframe=True))
    monkeypatch.setattr(bad_tape, broken, fails)
    for number in range(1, 2 * TURNS):
        encoders.release(picture(number))
        encoders.fanout.audio(AudioPacket(960 * number, b"sound"))
    assert failed == [True]
    assert numbers(good) == list(range(2 * TURNS))
    assert encoders.fanout.stats().subscribers == 1
    assert [each.message for each in caplog.records] == ["a viewer cannot be served and is given up"]


def test_a_still_does_not_outlive_the_last_viewer_of_its_layer() -> None:
    encoders = Encoders()
    viewer, _ = encoders.viewer()
    encoders.fanout.still(Still(layer(), 0, b"still"))
    viewer.close()
    _, joined = encoders.viewer()
    assert not joined.stills


def test_leaving_disturbs_nobody() -> None:
    encoders = Encoders()
    (leaver, _), (_, steady) = encoders.viewer(), encoders.viewer()
    encoders.release(picture(0, keyframe=True))
    leaver.close()
    for number in range(1, 4):
        encoders.release(picture(number))
    assert numbers(steady) == [0, 1, 2, 3]


def test_a_viewer_that_leaves_while_a_picture_is_sent_disturbs_nobody() -> None:
    encoders = Encoders()

    class Leaving(Tape):
        def video(self, picture: object) -> None:
            leaver.close()

    leaver = encoders.fanout.add("vp8")
    rung = leaver.layer.rung
    leaver.start(Leaving())
    _, steady = encoders.viewer(rung=rung)
    encoders.release(picture(0, keyframe=True, of=layer(rung=rung)))
    encoders.release(picture(1, of=layer(rung=rung)))
    assert numbers(steady) == [0, 1]


def test_every_viewer_is_looked_after_ten_times_a_second() -> None:
    encoders = Encoders()
    tapes = [encoders.viewer()[1] for _ in range(7)]
    encoders.release(picture(0, keyframe=True))
    for number in range(50):  # a second
        encoders.now_ns = number * 20 * MS
        encoders.fanout.audio(AudioPacket(number * 960, b""))
    assert {len(tape.ticks) for tape in tapes} == {50 // TURNS}


def test_when_the_ladder_changes_viewers_are_told() -> None:
    encoders = Encoders()
    _, tape = encoders.viewer(rung=2)
    encoders.release(picture(0, keyframe=True, of=layer(rung=2)))
    encoders.fanout.set_rungs(RUNGS[:1])
    encoders.release(picture(1, keyframe=True, of=layer(rung=0)))
    assert tape.shown == [(0, 2), (1, 0)]
    assert encoders.fanout.bitrates == (900_000,)


def test_media_time_goes_on_without_viewers() -> None:
    fanout = Fanout()
    assert fanout.media_time_s is None
    record = ChunkRecord(
        chunk=3, first_frame=12, fps=(25, 2), pts=90_000, prompt_id=None, prompt="", seed=0, guidance=1.0, steps=4
    )
    fanout.chunk_started(record)
    assert fanout.media_time_s == 1.0
    fanout.video(VideoPacket(layer(), 180_000, True, b"picture"))
    assert fanout.media_time_s == 2.0
    fanout.audio(AudioPacket(48_000 * 3, b""))
    assert fanout.media_time_s == 3.0


def test_released_packets_are_counted_per_picture_not_per_viewer() -> None:
    encoders = Encoders()
    encoders.viewer()
    encoders.viewer()
    encoders.release(picture(0, keyframe=True))
    encoders.fanout.audio(AudioPacket(0, b""))
    stats = encoders.fanout.stats()
    assert (stats.video_packets, stats.audio_packets, stats.subscribers, stats.layers) == (1, 1, 2, 1)
