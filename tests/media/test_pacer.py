import asyncio

import pytest

from streamgen.media.clock import SLOT_NS
from streamgen.media.pacer import Pacer
from streamgen.media.pacing import MAX_WAITING_CHUNKS, PlayState
from streamgen.packets import ChunkRecord, VideoPacket
from tests.media.fakes import CHUNK_NS, LAYERS, SILENCE, HandTimer, ListSink, make_chunk, make_slate


async def test_packets_leave_at_exactly_their_times() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    shifts: list[int] = []
    states: list[PlayState] = []
    async with Pacer(
        sink, slate=make_slate(), silence=SILENCE, timer=timer, on_shift=shifts.append, on_state=states.append
    ) as pacer:
        for index in range(5):
            await pacer.put(make_chunk(index))
            await timer.advance(CHUNK_NS)

    assert states == ["live"]
    assert len(shifts) == 1
    for now, packet in sink.videos:
        # pts counts from media time 0; programme time was laid onto it by the one shift.
        assert now - shifts[0] == (packet.pts - sink.records[0][1].pts) * 1_000_000_000 // 90_000
    gaps = [later - now for (now, _), (later, _) in zip(sink.audios, sink.audios[1:], strict=False)]
    assert set(gaps) == {SLOT_NS}
    assert [record.chunk for _, record in sink.records] == [0, 1, 2, 3, 4]


async def test_buffering_is_reported_and_playing_goes_on_after_a_shift() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    states: list[PlayState] = []
    shifts: list[int] = []
    async with Pacer(
        sink, slate=make_slate(), silence=SILENCE, timer=timer, on_state=states.append, on_shift=shifts.append
    ) as pacer:
        await pacer.put(make_chunk(0))
        await timer.advance(2 * CHUNK_NS)
        assert states == ["live", "buffering"]
        await pacer.put(make_chunk(1))
        await timer.advance(CHUNK_NS // 2)
        assert states == ["live", "buffering", "live"]
        stats = pacer.stats()
    assert stats.underruns == 1
    assert shifts[1] - shifts[0] == stats.filled_slots * SLOT_NS
    pts = [packet.pts for _, packet in sink.audios]
    assert pts == list(range(pts[0], pts[0] + 960 * len(pts), 960))


async def test_full_queue_blocks_the_caller_until_a_chunk_starts() -> None:
    timer = HandTimer()
    async with Pacer(ListSink(timer), slate=make_slate(), silence=SILENCE, timer=timer) as pacer:
        for index in range(MAX_WAITING_CHUNKS):
            await pacer.put(make_chunk(index))
        putting = asyncio.create_task(pacer.put(make_chunk(MAX_WAITING_CHUNKS)))
        await timer.settle()
        assert not putting.done()
        await timer.advance(CHUNK_NS)
        assert putting.done()
        assert pacer.stats().waiting_chunks <= MAX_WAITING_CHUNKS


async def test_a_late_event_loop_sends_everything_with_unchanged_stamps() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    async with Pacer(sink, slate=make_slate(), silence=SILENCE, timer=timer) as pacer:
        await pacer.put(make_chunk(0))
        await timer.advance(CHUNK_NS // 2)
        pacer.stats()
        timer.now += 100_000_000  # nobody looked at the clock for a while
        await timer.advance(CHUNK_NS)
        assert 80_000_000 < pacer.take_late_ns() <= 100_000_000
        assert pacer.take_late_ns() == 0
    pts = [packet.pts for _, packet in sink.audios]
    assert pts == list(range(pts[0], pts[0] + 960 * len(pts), 960))


async def test_the_programme_is_covered_and_uncovered_at_once() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    states: list[PlayState] = []
    async with Pacer(sink, slate=make_slate(), silence=SILENCE, timer=timer, on_state=states.append) as pacer:
        await pacer.put(make_chunk(0))
        await pacer.put(make_chunk(1))
        await timer.advance(CHUNK_NS // 2)
        pacer.hold()
        assert pacer.state == "held"
        await timer.advance(SLOT_NS)
        assert states == ["live", "held"]
        assert sink.audios[-1][1].data == b"fade 0.0"
        pacer.show_standby(make_slate(1, name="black"))
        await timer.advance(SLOT_NS)
        assert sink.audios[-1][1].data == b"black sound 0.0"
        pacer.resume()
        await timer.advance(SLOT_NS)
    assert states == ["live", "held", "standby", "live"]
    assert sink.audios[-1][1].data.startswith(b"sound 0.")


async def test_the_sink_is_told_when_all_layers_of_a_picture_are_there() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    async with Pacer(sink, slate=make_slate(), silence=SILENCE, timer=timer) as pacer:
        await pacer.put(make_chunk(0, layers=LAYERS))
        await timer.advance(CHUNK_NS)
    assert sink.videos
    assert {pictures % len(LAYERS) for pictures, _ in sink.flushed} == {0}
    assert sink.flushed[-1] == (len(sink.videos), len(sink.audios))


async def test_close_is_idempotent_and_stops_everything() -> None:
    timer = HandTimer()
    sink = ListSink(timer)
    pacer = Pacer(sink, slate=make_slate(), silence=SILENCE, timer=timer)
    async with pacer:
        await timer.advance(CHUNK_NS)
    await pacer.close()
    released = len(sink.audios)
    assert released
    await timer.advance(CHUNK_NS)
    assert len(sink.audios) == released


async def test_a_failing_sink_ends_the_pacer_loudly() -> None:
    class Broken(ListSink):
        def video(self, packet: VideoPacket) -> None:
            raise RuntimeError("the sink broke")

    timer = HandTimer()
    pacer = Pacer(Broken(timer), slate=make_slate(), silence=SILENCE, timer=timer)
    with pytest.raises(RuntimeError, match="the sink broke"):
        async with pacer:
            await timer.advance(CHUNK_NS)
    await pacer.close()


async def test_what_only_listens_cannot_stop_the_media_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Deaf(ListSink):
        def chunk_started(self, record: ChunkRecord) -> None:
            super().chunk_started(record)
            raise RuntimeError("steering broke")

    timer = HandTimer()
    sink = Deaf(timer)

    def broken(state: PlayState) -> None:
        raise RuntimeError("the status broke")

    async with Pacer(sink, slate=make_slate(), silence=SILENCE, timer=timer, on_state=broken) as pacer:
        for index in range(3):
            await pacer.put(make_chunk(index))
            await timer.advance(CHUNK_NS)
    assert [record.chunk for _, record in sink.records] == [0, 1, 2]
    pts = [packet.pts for _, packet in sink.audios]
    assert pts == list(range(pts[0], pts[0] + 960 * len(pts), 960))
    assert sorted(str(each.exc_info[1]) for each in caplog.records if each.exc_info) == [
        "steering broke",
        "the status broke",
    ]


async def test_media_time_follows_the_clock() -> None:
    timer = HandTimer()
    async with Pacer(ListSink(timer), slate=make_slate(), silence=SILENCE, timer=timer) as pacer:
        before = pacer.media_time_s
        await timer.advance(2_000_000_000)
        assert pacer.media_time_s - before == pytest.approx(2.0 - 0.04, abs=1e-9)
