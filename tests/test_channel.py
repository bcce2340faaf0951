import asyncio
import os
import signal
from pathlib import Path

import av
import pytest

from streamgen.channel import Channel
from streamgen.log.contents import ChunkMade, ChunkShown, Decided, GeneratorStarted, Panicked, Requested
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.media.audio_encoder import silence
from streamgen.media.layers import ladder
from streamgen.media.standby import Segments
from streamgen.packets import VIDEO_CODECS, Layer
from streamgen.protocol import ConfigUpdate, Health, Panic, PanicAction, PromptSet, ServerMessage
from streamgen.replay import lives
from streamgen.replay_file import replay_to_file
from streamgen_engines.errors import BundleError, HashMismatchError
from tests.media.decoding import decode_opus, decode_video
from tests.taped_channel import LIMIT_S, TapedChannel, answers, generators, running
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


async def test_slate_first_then_the_programme_on_the_same_timelines(bundle: Path) -> None:
    async with running(bundle) as channel:
        assert channel.steering.state().status == "starting"
        viewer = channel.fanout.add("vp8")
        await channel.until_live(3)
        assert channel.steering.state().status == "live"
        assert channel.steering.state().viewers == 1
        assert channel.records[0].prompt == "a red sun"
        assert [record.chunk for record in channel.records] == [0, 1, 2]
        stats = channel.stats()
        assert stats.pacer.state == "live"
        assert stats.restarts == 0
        assert stats.media_time_s >= channel.records[-1].media_time_s
        viewer.close()


async def test_a_moderator_is_told_how_the_channel_goes(bundle: Path) -> None:
    async with running(bundle) as channel:
        viewer = channel.fanout.add("vp8")
        moderator = channel.steering.connect(None, frozenset({"moderate", "prompt"}))
        await channel.until_live(3)
        channel.steering.take(moderator, PromptSet(id="a", text="rain"))

        def measured(message: ServerMessage) -> bool:
            return isinstance(message, Health) and message.prompt_to_packet.prompts == 1

        said = (await answers(moderator, measured))[-1]
        assert isinstance(said, Health)
        assert said.prompt_to_packet.last_ms is not None
        assert 0 < said.prompt_to_packet.last_ms < 1000 * LIMIT_S
        assert said.margin_ms is not None
        assert said.skew_ms is not None
        assert said.planned_fps == pytest.approx(12.5)
        assert said.fps > 0
        assert said.viewers == 1
        assert said.server_bytes is not None
        assert said.server_bytes > 10_000_000
        assert said.late_ms >= 0
        viewer.close()


async def test_without_a_scale_pictures_are_as_large_as_the_model_asks(bundle: Path) -> None:
    channel = TapedChannel(bundle, prompt="a red sun")
    channel.videos, channel.audios, channel.records = [], [], []
    async with asyncio.timeout(LIMIT_S), channel:
        viewer = channel.fanout.add("vp8")
        await channel.until(lambda: any(packet.keyframe for packet in channel.videos))
        (picture,) = decode_video([next(p for p in channel.videos if p.keyframe and p.layer == Layer("vp8", 0))])
        assert picture.shape[:2] == (384, 640)
        viewer.close()


class StartingChannel(TapedChannel):
    """Its generator never gets ready: what plays is the slate, however slow the machine is at drawing it."""

    async def _run_generator(self) -> None:
        await asyncio.Event().wait()


async def test_viewers_know_the_ladder_before_they_can_join_and_the_slate_is_in_every_layer(bundle: Path) -> None:
    channel = StartingChannel(bundle, prompt="a red sun", scale=4, bitrate=900_000)
    channel.videos, channel.audios, channel.records = [], [], []
    async with asyncio.timeout(LIMIT_S), channel:
        assert channel.fanout.rungs == ladder(640, 384, 900_000)
        await channel.until(lambda: bool(channel.videos))
        assert {packet.layer for packet in channel.videos if packet.keyframe} >= {
            Layer(codec, rung) for codec in VIDEO_CODECS for rung in range(3)
        }


async def test_pictures_that_a_graph_enlarges_make_another_ladder(tmp_path: Path) -> None:
    larger = add_upscaler(write_tiny_bundle(tmp_path), 3).root
    for upscale, size in ((True, (960, 576)), (None, (640, 384))):  # at 288 rows a scale of 2 is enough, at 96 it is 4
        channel = StartingChannel(larger, upscale=upscale)
        channel.videos, channel.audios, channel.records = [], [], []
        async with asyncio.timeout(LIMIT_S), channel:
            assert (channel.fanout.rungs[0].width, channel.fanout.rungs[0].height) == size
            assert channel._generator_settings.upscale == (upscale is True)


async def test_a_bundle_that_cannot_enlarge_pictures_is_refused_at_the_start(bundle: Path) -> None:
    with pytest.raises(BundleError, match="tiny cannot enlarge pictures"):
        async with StartingChannel(bundle, upscale=True):
            pass


async def test_the_programme_is_covered_without_the_generator_and_comes_back_with_a_keyframe(bundle: Path) -> None:
    async with running(bundle) as channel:
        viewer = channel.fanout.add("vp8")
        await channel.until(lambda: channel.stats().pacer.state == "live" and len(channel.videos) > 8)

        channel.panic("hold")
        shown = len(channel.videos)
        await channel.until_live()  # it plays on beneath
        assert channel.stats().pacer.state == "held"
        assert len(channel.videos) == shown

        assert channel._cover is not None
        covers: tuple[tuple[PanicAction, Segments], ...] = (
            ("black", channel._cover.black),
            ("slate", channel._cover.slate),
        )
        for action, segments in covers:
            channel.panic(action)
            shown = len(channel.videos)
            await channel.until(lambda least=shown + 3: len(channel.videos) >= least)  # type: ignore[misc]
            prepared = {packet.data for segment in segments for packet in segment.video}
            assert {packet.data for packet in channel.videos[shown:]} <= prepared

        channel.panic("off")
        shown, chunks = len(channel.videos), len(channel.records)
        await channel.until(lambda: len(channel.videos) > shown)
        assert channel.videos[shown].keyframe
        # It was asked for: by itself the next one would come after four seconds, 12 chunks.
        assert len(channel.records) - chunks <= 6
        viewer.close()


async def test_an_operator_covers_a_channel_whose_generator_is_dead(bundle: Path) -> None:
    async with running(bundle) as channel:
        viewer = channel.fanout.add("vp8")
        operator = channel.steering.connect("op", frozenset({"panic"}))
        await channel.until(lambda: channel.stats().pacer.state == "live" and len(channel.videos) > 8)
        assert channel.generator_pid is not None
        os.kill(channel.generator_pid, signal.SIGSTOP)  # stuck, which nobody has noticed yet
        try:
            channel.steering.take(operator, Panic(id="a", action="black"))
            channel.steering.take(operator, Panic(id="b", action="mute"))
            shown, heard = len(channel.videos), len(channel.audios)
            await channel.until(lambda: len(channel.videos) >= shown + 3 and len(channel.audios) >= heard + 10)
            assert channel._cover is not None
            black = {packet.data for segment in channel._cover.black for packet in segment.video}
            assert {packet.data for packet in channel.videos[shown:]} <= black
            assert {packet.data for packet in channel.audios[-4:]} == {silence()}
            assert (channel.steering.state().cover, channel.steering.state().muted) == ("black", True)
        finally:
            os.kill(channel.generator_pid, signal.SIGCONT)
        channel.steering.take(operator, Panic(id="c", action="off"))
        await channel.until(lambda: channel.stats().pacer.state == "live")
        assert channel.steering.state().cover == "none"
        viewer.close()


async def test_what_was_asked_for_made_and_shown_is_written_down_and_can_be_made_again(
    bundle: Path, tmp_path: Path
) -> None:
    with ChannelLog(tmp_path / "log", "main") as log:
        async with running(bundle, log=log) as channel:
            operator = channel.steering.connect("op", frozenset({"prompt", "panic"}))
            await channel.until_live()
            channel.steering.take(operator, PromptSet(id="a", text="snow at night", transition_ms=900))
            await channel.until(lambda: any(record.applied == ("a",) for record in channel.records))
            channel.steering.take(operator, Panic(id="p", action="black"))
            assert channel.generator_pid is not None
            os.kill(channel.generator_pid, signal.SIGKILL)
            await channel.until(lambda: channel.stats().restarts == 1 and len(channel.records) > 4)
            await channel.until_live(4)
    contents = [each.content for each in LogReader(tmp_path / "log", "main")]
    kinds = {type(each) for each in contents}
    assert {Requested, Decided, GeneratorStarted, ChunkMade, ChunkShown, Panicked} <= kinds
    asked = [each for each in contents if isinstance(each, Requested)]
    assert [(each.client, each.id, each.message["type"]) for each in asked] == [
        ("op", "a", "prompt.set"),
        ("op", "p", "panic"),
    ]
    decided = [(each.id, each.decision) for each in contents if isinstance(each, Decided)]
    assert decided[:2] == [("a", "accepted"), ("a", "applied")]
    first, second = lives(contents)
    assert first.whole
    assert second.whole
    made = [each for each in contents if isinstance(each, ChunkMade)]
    assert any(0.0 < share < 1.0 for each in made for _, share in each.told), "a transition is in it"
    chunks, seconds = await asyncio.to_thread(
        replay_to_file, tmp_path / "log", "main", bundle, tmp_path / "again.mp4", life=1
    )
    assert chunks == sum(each.life == 1 for each in made)
    with av.open(tmp_path / "again.mp4") as file:
        pictures = sum(1 for _ in file.decode(video=0))
    assert pictures == 4 * chunks
    assert seconds == pytest.approx(0.32 * chunks)
    # Another server goes on in the same log, with numbers of its own.
    with ChannelLog(tmp_path / "log", "main") as log:
        async with running(bundle, log=log) as channel:
            await channel.until_live()
    again = lives(each.content for each in LogReader(tmp_path / "log", "main"))
    assert [each.number for each in again] == [1, 2, 3]
    assert all(each.whole for each in again)


async def test_only_watched_layers_are_encoded(bundle: Path) -> None:
    async with running(bundle) as channel:
        await channel.until_live()
        slate = len(channel.videos)
        await channel.until_live()
        assert len(channel.videos) == slate  # nobody watches

        viewer = channel.fanout.add("h264")
        await channel.until(lambda: len(channel.videos) >= slate + 6)
        live = channel.videos[slate:]
        assert {packet.layer for packet in live} == {Layer("h264", 0)}
        assert live[0].keyframe

        viewer.close()
        await channel.until_live(3)
        ended = len(channel.videos)
        await channel.until_live()
        assert len(channel.videos) == ended


async def test_what_is_released_can_be_decoded_across_the_slate(bundle: Path) -> None:
    async with running(bundle, first_restart_s=2.0) as channel:
        viewers = [channel.fanout.add("vp8"), channel.fanout.add("h264")]
        await channel.until_live(4)
        assert channel.generator_pid is not None
        os.kill(channel.generator_pid, signal.SIGKILL)
        await channel.until(lambda: channel.steering.status == "slate")
        await channel.until_live(3)
        for viewer in viewers:
            viewer.close()
    for layer in (Layer("vp8", 0), Layer("h264", 0)):
        packets = [packet for packet in channel.videos if packet.layer == layer]
        assert len(decode_video(packets)) == len(packets)
    assert decode_opus(packet.data for packet in channel.audios).shape == (2, 960 * len(channel.audios))


async def test_prompts_are_steered_end_to_end_and_the_latest_wins(bundle: Path) -> None:
    async with running(bundle) as channel:
        connection = channel.steering.connect(None, frozenset({"prompt", "config"}))
        await channel.until_live()
        for n in range(12):
            channel.steering.take(connection, PromptSet(id=f"p{n}", text=f"storm number {n}"))
        messages = await answers(connection, lambda m: m.type == "applied" and m.id == "p11")
        ends = {m.id: m.type for m in messages if m.type in ("applied", "superseded", "rejected")}
        assert set(ends) == {f"p{n}" for n in range(12)}
        applied = messages[-1]
        assert applied.type == "applied"
        (record,) = [record for record in channel.records if "p11" in record.applied]
        assert (applied.chunk, applied.media_time) == (record.chunk, record.media_time_s)
        assert channel.steering.state().prompt == "storm number 11"

        channel.steering.take(connection, ConfigUpdate(id="c", guidance=3.0, seed=42))
        await answers(connection, lambda m: m.type == "applied" and m.id == "c")
        assert (channel.records[-1].guidance, channel.records[-1].seed) == (3.0, 42)


async def test_applied_is_said_when_the_chunk_leaves(bundle: Path) -> None:
    async with running(bundle) as channel:
        connection = channel.steering.connect(None, frozenset({"prompt"}))
        await channel.until_live()
        channel.steering.take(connection, PromptSet(id="p", text="rain"))
        messages = await answers(connection, lambda m: m.type == "applied" and m.id == "p")
        applied = messages[-1]
        assert applied.type == "applied"
        # Not before its time on the media clock, and it is that chunk's time.
        assert channel.media_time_s >= applied.media_time
        assert applied.rtp_video == next(r.pts for r in channel.records if r.chunk == applied.chunk)


async def test_second_viewer_gets_a_keyframe(bundle: Path) -> None:
    async with running(bundle) as channel:
        first = channel.fanout.add("vp8")
        await channel.until_live(4)
        shown = len(channel.videos)
        second = channel.fanout.add("vp8")
        await channel.until(lambda: any(packet.keyframe for packet in channel.videos[shown:]))
        # Asked for, and not the one that comes by itself some seconds later.
        asked = next(index for index, packet in enumerate(channel.videos[shown:]) if packet.keyframe)
        assert asked <= 16
        first.close()
        second.close()


async def test_unusable_bundle_is_refused_at_the_start(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        await Channel(tmp_path).__aenter__()
    broken = write_tiny_bundle(tmp_path / "broken")
    (broken / "decode_video.onnx").write_bytes(b"damaged")
    with pytest.raises(HashMismatchError, match=r"decode_video\.onnx"):
        await Channel(broken).__aenter__()
    with pytest.raises(ValueError, match="scale"):
        await Channel(bundle, scale=0).__aenter__()
    assert not generators()
