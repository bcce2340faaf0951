"""Steering over the data channel of the session that watches: the real server, real aiortc on both sides."""

import asyncio

import pytest

import streamgen_client
from streamgen_client.lines import UNREAD_FRAMES, DataChannelLine
from tests.client.station import on_air
from tests.client.test_watch import take
from tests.webrtc.loopback import until

TOKEN = "for the operator"


async def test_a_prompt_goes_its_whole_way_beside_the_pictures() -> None:
    async with (
        on_air() as station,
        streamgen_client.connect(station.url) as client,
        client.watch(steer=True) as watch,
    ):
        assert station.steering.connections == 0  # nothing is opened that nobody asked for
        async with watch.steer() as steering:
            assert steering.state.prompt == "calm sea"
            assert "prompt" in steering.state.can
            request = steering.prompt("heavy rain")
            async with asyncio.timeout(30):
                applied = await request
            assert [event.type for event in request.events] == ["received", "accepted", "queued", "applied"]
            assert applied.media_time > 0
            assert (await steering.ping()).server_media_time > 0
            assert len(await take(watch, 5)) == 5
            assert station.steering.connections == 1
        await until(lambda: station.steering.connections == 0)
        assert len(await take(watch, 5)) == 5


async def test_it_can_be_opened_again_on_the_same_session() -> None:
    async with (
        on_air() as station,
        streamgen_client.connect(station.url) as client,
        client.watch(steer=True) as watch,
    ):
        for text in ("heavy rain", "snow", "fog"):
            async with watch.steer() as steering, asyncio.timeout(30):
                await steering.prompt(text)
            await until(lambda: station.steering.connections == 0)
        assert station.whep.viewers == 1


async def test_only_one_at_a_time() -> None:
    async with (
        on_air() as station,
        streamgen_client.connect(station.url) as client,
        client.watch(steer=True) as watch,
        watch.steer() as steering,
    ):
        with pytest.raises(streamgen_client.ConnectionLostError):
            await watch.steer().__aenter__()
        async with asyncio.timeout(30):
            await steering.prompt("heavy rain")
        assert station.steering.connections == 1


async def test_the_sessions_token_says_what_one_may() -> None:
    async with on_air(token=TOKEN) as station:
        async with (
            streamgen_client.connect(station.url, TOKEN) as client,
            client.watch(steer=True) as watch,
            watch.steer() as steering,
        ):
            assert set(steering.state.can) == {"prompt", "config", "panic", "moderate", "schedule"}
        async with (
            streamgen_client.connect(station.url) as client,
            client.watch(steer=True) as watch,
            watch.steer() as steering,
        ):
            assert steering.state.can == ()
            async with asyncio.timeout(30):
                with pytest.raises(streamgen_client.RejectedError) as caught:
                    await steering.prompt("heavy rain")
            assert caught.value.answer.reason == "forbidden"


async def test_who_may_not_steer_is_told_why_and_watches_on() -> None:
    async with (
        on_air(token=TOKEN) as station,
        streamgen_client.connect(station.url, "wrong") as client,
        client.watch(steer=True) as watch,
    ):
        with pytest.raises(streamgen_client.RefusedError, match="Wrong token"):
            await watch.steer().__aenter__()
        assert station.steering.connections == 0
        assert len(await take(watch, 5)) == 5


async def test_the_end_of_the_session_is_the_end_of_its_steering() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client:
        station.hold = True
        async with client.watch(steer=True) as watch, watch.steer() as steering:
            request = steering.prompt("heavy rain")
            async with asyncio.timeout(30):
                async for event in request:
                    if event.type == "accepted":
                        break
                await station.whep.close()
                with pytest.raises(streamgen_client.ConnectionLostError):
                    await request
        await until(lambda: station.steering.connections == 0)
        assert not [each for each in asyncio.all_tasks() if each.get_name().startswith(("steering", "data-channel"))]


async def test_a_session_without_steering_has_none() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.watch() as watch:
        with pytest.raises(AssertionError, match="steer=True"):
            watch.steer()


async def test_one_that_does_not_read_is_told_so_and_its_channel_closed() -> None:
    async with (
        on_air() as station,
        streamgen_client.connect(station.url) as client,
        client.watch(steer=True) as watch,
    ):
        line = DataChannelLine(watch._peer)
        await line.open()
        assert line._channel is not None
        for _ in range(UNREAD_FRAMES + 1):
            line._channel.emit("message", "{}")
        frames = line.frames()
        for _ in range(UNREAD_FRAMES):
            await anext(frames)
        with pytest.raises(streamgen_client.ConnectionLostError, match="than were read"):
            await anext(frames)
        await until(lambda: station.steering.connections == 0)
