"""A viewer over a real connection: aiortc on both sides, VP8, H.264 and Opus from real encoders."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import av
import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from streamgen.packets import VideoCodec
from streamgen.webrtc.errors import SessionEndedError
from streamgen.webrtc.offer import Offer
from streamgen.webrtc.viewer import Viewer
from tests.webrtc.loopback import PICTURE_TICKS, RUNGS, Player, Programme, brightness, until
from tests.webrtc.test_subscription import Whim

UINT32 = 1 << 32
FAR = 2**32 // PICTURE_TICKS - 5  # the picture after which the RTP timestamps of an offset of 0 start again at 0


@asynccontextmanager
async def watching(programme: Programme, *, codec: VideoCodec | None = None) -> AsyncIterator[tuple[Player, Viewer]]:
    async with Player(codec=codec) as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
            await player.accept(await viewer.answer())
            yield player, viewer


def pts(player: Player, viewer: Viewer) -> list[int]:
    return [(timestamp - viewer.rtp_offset_video) % UINT32 for timestamp in player.video.timestamps]


def audio_pts(player: Player, viewer: Viewer) -> list[int]:
    return [(timestamp - viewer.rtp_offset_audio) % UINT32 for timestamp in player.audio.timestamps]


async def test_real_pictures_and_stereo_sound_arrive() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 20 and len(player.audio.frames) >= 50)
        first = pts(player, viewer)[0] // PICTURE_TICKS
        for number, shown in enumerate(player.video.pictures(), start=first):
            assert abs(float(shown.mean()) - 1.164 * (brightness(number) - 16)) < 12, number
        sound = player.audio.frames[-1]
        assert isinstance(sound, av.AudioFrame)
        left, right = sound.to_ndarray().reshape(-1, 2).astype(np.float64).T
        assert np.std(left) > 3000
        assert np.std(right) < np.std(left) / 10


async def test_timestamps_are_offset_plus_pts() -> None:
    programme = Programme("vp8", start=1000)
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.timestamps) >= 10 and len(player.audio.timestamps) >= 30)
        pictures, sounds = pts(player, viewer), audio_pts(player, viewer)
    first = pictures[0]
    assert first >= 1000 * PICTURE_TICKS
    assert first % PICTURE_TICKS == 0
    assert pictures == [first + each * PICTURE_TICKS for each in range(len(pictures))]
    assert sounds == [sounds[0] + each * 960 for each in range(len(sounds))]


async def test_timestamps_pass_the_end_of_32_bits() -> None:
    programme = Programme("vp8", start=FAR)
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 20)
        pictures = pts(player, viewer)
        start = pictures[0]
        steps = [(each - start) % UINT32 for each in pictures]
        assert steps == [each * PICTURE_TICKS for each in range(len(pictures))]
        assert programme.number * PICTURE_TICKS > UINT32


async def test_both_tracks_start_together_on_a_keyframe() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 5 and len(player.audio.frames) >= 5)
        first_picture, first_sound = pts(player, viewer)[0], audio_pts(player, viewer)[0]
    assert first_picture // PICTURE_TICKS in programme.keyframes
    # In units of both clocks: 90 kHz ticks x 8 = 48 kHz samples x 15.
    assert first_sound * 15 == first_picture * 8


async def test_sender_reports_put_both_tracks_on_one_clock() -> None:
    programme = Programme("vp8", start=50)
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.reports) >= 2 and len(player.audio.reports) >= 2)
        video = [(each.ntp_timestamp, each.rtp_timestamp - viewer.rtp_offset_video) for each in player.video.reports]
        audio = [(each.ntp_timestamp, each.rtp_timestamp - viewer.rtp_offset_audio) for each in player.audio.reports]
        origins = [(ntp / 2**32) - (pts % UINT32) / 90_000 for ntp, pts in video]
        origins += [(ntp / 2**32) - (pts % UINT32) / 48_000 for ntp, pts in audio]
    # Pictures were released much faster than real time: reports of the time of sending would differ by seconds.
    assert max(origins) - min(origins) < 1e-5
    assert all(info.packet_count > 0 for info in player.video.reports + player.audio.reports)


async def test_lost_picture_makes_a_keyframe() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, _):
        await programme.play_until(lambda: len(player.video.frames) >= 5)
        before = len(programme.keyframes)
        await player.video.ask_for_keyframe()
        await programme.play_until(lambda: len(programme.keyframes) > before)


async def test_h264_for_an_offer_that_has_only_that() -> None:
    programme = Programme("h264")
    async with watching(programme, codec="h264") as (player, viewer):
        assert viewer.codec == "h264"
        await programme.play_until(lambda: len(player.video.frames) >= 10)
        first = pts(player, viewer)[0] // PICTURE_TICKS
        assert first in programme.keyframes
        for number, shown in enumerate(player.video.pictures(), start=first):
            assert abs(float(shown.mean()) - 1.164 * (brightness(number) - 16)) < 12, number


async def test_leaving_does_not_disturb_another_viewer() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (steady, _):
        async with watching(programme) as (leaver, _):
            await programme.play_until(lambda: len(steady.video.frames) >= 5 and len(leaver.video.frames) >= 5)
        seen = len(steady.video.timestamps)
        await programme.play_until(lambda: len(steady.video.timestamps) >= seen + 20)
        assert programme.fanout.stats().subscribers == 1
        timestamps = steady.video.timestamps
        assert {(b - a) % UINT32 for a, b in itertools.pairwise(timestamps)} == {PICTURE_TICKS}
        assert steady.video.gaps == steady.audio.gaps == 0


async def test_a_change_of_layer_leaves_no_gap_in_what_is_received() -> None:
    programme = Programme("vp8", rungs=RUNGS)
    async with watching(programme) as (player, viewer):
        subscription = viewer._subscription
        await programme.play_until(lambda: len(player.video.frames) >= 5)
        for rung in (2, 0, 1):
            subscription.chooser = Whim(rung)  # type: ignore[assignment]
            switched = subscription.switches + (subscription.layer.rung != rung)
            await programme.play_until(lambda wanted=switched: subscription.switches == wanted)  # type: ignore[misc]
            seen = len(player.video.frames)
            await programme.play_until(lambda least=seen + 5: len(player.video.frames) >= least)  # type: ignore[misc]
        assert player.video.gaps == 0
        timestamps = player.video.timestamps
        assert {(b - a) % UINT32 for a, b in itertools.pairwise(timestamps)} == {PICTURE_TICKS}
        sizes = [(frame.width, frame.height) for frame in player.video.frames if isinstance(frame, av.VideoFrame)]
        assert {(rung.width, rung.height) for rung in RUNGS} <= set(sizes)
        first = pts(player, viewer)[0] // PICTURE_TICKS
        for number, shown in enumerate(player.video.pictures(), start=first):
            assert abs(float(shown.mean()) - 1.164 * (brightness(number) - 16)) < 12, number


@pytest.mark.parametrize("retransmissions", [True, False])
async def test_lost_packets_come_again(retransmissions: bool) -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 5)
        outlet = viewer._outlet
        assert outlet is not None
        assert outlet.video_stream is not None
        if not retransmissions:
            outlet.video_stream._form = replace(outlet.video_stream._form, rtx=None)
        handle = player.video._receiver._handle_rtp_packet
        lost: list[int] = []

        async def lossy(packet: RtpPacket, arrival_time_ms: int) -> None:
            media = packet.ssrc == player.video.rtp[0].ssrc and packet.sequence_number not in lost
            if media and len(lost) < 10 and packet.sequence_number % 2:
                lost.append(packet.sequence_number)
                return
            await handle(packet, arrival_time_ms)

        player.video._receiver._handle_rtp_packet = lossy  # type: ignore[method-assign]
        await programme.play_until(lambda: outlet.resent >= 10)
        seen = len(player.video.frames)
        await programme.play_until(lambda: len(player.video.frames) >= seen + 20)
        assert lost


async def test_one_that_does_not_read_does_not_disturb_another() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (steady, _), watching(programme) as (deaf, _):
        await programme.play_until(lambda: len(steady.video.frames) >= 5 and len(deaf.video.frames) >= 5)
        for transceiver in deaf.peer.getTransceivers():
            for protocol in transceiver.receiver.transport.transport._connection._protocols:
                protocol.transport.pause_reading()  # type: ignore[attr-defined]
        seen = len(steady.video.timestamps)
        await programme.play_until(lambda: len(steady.video.timestamps) >= seen + 40)
        timestamps = steady.video.timestamps
        assert {(b - a) % UINT32 for a, b in itertools.pairwise(timestamps)} == {PICTURE_TICKS}
        assert steady.video.gaps == steady.audio.gaps == 0


async def test_viewer_that_says_goodbye_is_closed() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 1)
        assert viewer.connected
        await player.close()
        async with asyncio.timeout(30):
            await viewer.wait_closed()
        assert not viewer.connected
        assert programme.fanout.stats().subscribers == 0


def data_channel_first(offer: str) -> str:
    """The offer of a browser that made a data channel before anything else."""
    head, *sections = offer.split("\r\nm=")
    sections = [section.removesuffix("\r\n") for section in (sections[-1], *sections[:-1])]
    mids = [next(line for line in section.splitlines() if line.startswith("a=mid:"))[6:] for section in sections]
    lines = [
        f"a=group:BUNDLE {' '.join(mids)}" if line.startswith("a=group:BUNDLE") else line for line in head.split("\r\n")
    ]
    return "\r\nm=".join(["\r\n".join(lines), *sections]) + "\r\n"


def data_channel_last(answer: str) -> str:
    """The answer to that, for a peer whose data channel comes last; which transport is shared stays as it is."""
    head, first, *others = answer.split("\r\nm=")
    return "\r\nm=".join([head, *(section.removesuffix("\r\n") for section in (*others, first))]) + "\r\n"


async def test_a_data_channel_that_comes_first_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sections then share its transport, which does not exist before the offer is read."""
    programme = Programme("vp8")
    async with Player() as player:
        player.peer.createDataChannel("steering")
        offer = Offer.read(data_channel_first(await player.offer()))
        async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
            heard: list[bool] = []
            original = viewer._heard

            def hear() -> None:
                heard.append(True)
                original()

            monkeypatch.setattr(viewer, "_heard", hear)
            await player.accept(data_channel_last(await viewer.answer()))
            await programme.play_until(lambda: len(player.video.frames) >= 5 and len(heard) >= 3)


async def test_viewer_that_vanishes_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    programme = Programme("vp8")
    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer, silence_s=0.5) as viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: len(player.video.frames) >= 1)
            # Its network is gone: no goodbye, no answers to checks, no reports.
            for transceiver in player.peer.getTransceivers():
                for protocol in transceiver.receiver.transport.transport._connection._protocols:
                    monkeypatch.setattr(protocol, "datagram_received", lambda data, address: None)
                    monkeypatch.setattr(protocol.transport, "sendto", lambda data, address=None: None)
            async with asyncio.timeout(30):
                await viewer.wait_closed()
            assert programme.fanout.stats().subscribers == 0


async def test_viewer_that_never_connects_is_given_up() -> None:
    programme = Programme("vp8")
    ended: list[bool] = []
    async with Player() as player:
        offer = Offer.read(await player.offer())
        viewer = Viewer(
            programme.fanout.add(offer.codec), offer, connect_timeout_s=0.05, on_closed=lambda: ended.append(True)
        )
        await viewer.answer()
        async with asyncio.timeout(30):
            await viewer.wait_closed()
        assert ended == [True]
        assert programme.fanout.stats().subscribers == 0


@pytest.mark.parametrize("connected", [True, False])
async def test_a_session_ends_with_the_token_that_it_needs(connected: bool) -> None:
    programme = Programme("vp8")
    asked: list[float] = []
    over = asyncio.Event()

    async def moment(unix_s: float) -> None:
        asked.append(unix_s)
        await over.wait()

    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer, ends_at=1234.0, wait_until=moment) as viewer:
            answer = await viewer.answer()
            if connected:
                await player.accept(answer)
                await programme.play_until(lambda: len(player.video.frames) >= 1)
            assert (asked, viewer.connected) == ([1234.0], connected)
            over.set()
            async with asyncio.timeout(30):
                await viewer.wait_closed()
            assert programme.fanout.stats().subscribers == 0
            if connected:
                await until(lambda: player.video.ended)


async def test_a_session_that_ends_before_its_token_waits_for_nothing() -> None:
    programme = Programme("vp8")
    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer, ends_at=2.0**40) as viewer:
            await viewer.answer()
    assert not [each for each in asyncio.all_tasks() if each.get_name().startswith("viewer")]


async def test_close_during_negotiation_refuses_the_answer() -> None:
    programme = Programme("vp8")
    async with Player() as player:
        offer = Offer.read(await player.offer())
        viewer = Viewer(programme.fanout.add(offer.codec), offer)
        answer = asyncio.create_task(viewer.answer())
        await asyncio.sleep(0)
        await viewer.close()
        with pytest.raises(SessionEndedError, match="POST a new offer"):
            await answer
        await viewer.close()
        assert programme.fanout.stats().subscribers == 0


async def test_statistics_count_what_was_sent_and_reported() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.reports) >= 2 and len(player.video.frames) >= 5)
        stats = await viewer.stats()
        assert (stats.state, stats.codec) == ("connected", "vp8")
        assert stats.video.packets >= len(player.video.rtp) > 0
        assert stats.video.payload_bytes > 0
        assert stats.audio.packets > 0
        assert (stats.resent, stats.refused, stats.switches) == (0, 0, 0)

        async def measured() -> bool:
            return (await viewer.stats()).video.rtt_ms is not None

        async with asyncio.timeout(30):
            while not await measured():
                programme.release()
                await asyncio.sleep(0.05)
        stats = await viewer.stats()
        assert stats.video.rtt_ms is not None
        assert 0 <= stats.video.rtt_ms < 10_000
        assert stats.video.packets_lost == 0


async def test_player_sees_the_end() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        await programme.play_until(lambda: len(player.video.frames) >= 1)
        await viewer.close()
        await until(lambda: player.video.ended and player.audio.ended)
