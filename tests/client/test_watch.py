import asyncio
import itertools

import numpy as np
import pytest

import streamgen_client
from streamgen.webrtc.whep import WhepLimits
from streamgen_client.watch import Picture, Sound, Watch
from tests.client.station import on_air
from tests.webrtc.loopback import HEIGHT, PICTURE_TICKS, WIDTH, brightness, until


async def take(watch: Watch, count: int) -> list[Picture]:
    pictures: list[Picture] = []
    async with asyncio.timeout(60):
        async for picture in watch.pictures():
            pictures.append(picture)
            if len(pictures) == count:
                break
    return pictures


async def test_pictures_carry_their_media_time() -> None:
    async with (
        on_air(start=1000) as station,
        streamgen_client.connect(station.url) as client,
        client.watch() as watch,
    ):
        pictures = await take(watch, 12)
    for picture in pictures:
        assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
        assert picture.rgb.dtype == np.uint8
        assert picture.pts is not None
        number, rest = divmod(picture.pts, PICTURE_TICKS)
        assert (number >= 1000, rest) == (True, 0)
        assert abs(float(picture.rgb.mean()) - 1.164 * (brightness(number) - 16)) < 12
        assert picture.media_time_s == picture.pts / 90_000
    assert {(b.pts or 0) - (a.pts or 0) for a, b in itertools.pairwise(pictures)} == {PICTURE_TICKS}


async def test_media_time_beyond_32_bits() -> None:
    start = 3 * 2**32 // PICTURE_TICKS - 10  # the timestamps wrap while it is watched
    async with (
        on_air(start=start) as station,
        streamgen_client.connect(station.url) as client,
        client.watch() as watch,
    ):
        pictures = await take(watch, 12)
        assert all((picture.pts or 0) >= start * PICTURE_TICKS for picture in pictures)
        assert pictures[-1].rgb.shape == (HEIGHT, WIDTH, 3)


async def test_sound_is_stereo_and_on_the_same_media_time() -> None:
    async with on_air(start=50) as station, streamgen_client.connect(station.url) as client, client.watch() as watch:
        sounds: list[Sound] = []
        async with asyncio.timeout(60):
            async for sound in watch.sound():
                sounds.append(sound)
                if len(sounds) == 20:
                    break
        async with asyncio.timeout(60):
            picture = await anext(watch.pictures())
    assert all(sound.samples.shape == (2, 960) and sound.samples.dtype == np.float32 for sound in sounds)
    assert {(b.pts or 0) - (a.pts or 0) for a, b in itertools.pairwise(sounds)} == {960}
    left, right = np.concatenate([sound.samples for sound in sounds[5:]], axis=1)
    assert 0.2 < float(np.std(left)) < 0.5
    assert float(np.std(right)) < float(np.std(left)) / 10
    assert sounds[0].media_time_s is not None
    assert picture.media_time_s is not None
    assert abs(sounds[0].media_time_s - picture.media_time_s) < 5


async def test_both_kinds_in_one_loop() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.watch() as watch:
        kinds: set[type] = set()
        received_s: list[float] = []
        async with asyncio.timeout(60):
            async for media in watch:
                kinds.add(type(media))
                received_s.append(media.received_s)
                if len(kinds) == 2 and len(received_s) >= 30:
                    break
        assert kinds == {Picture, Sound}
        assert received_s == sorted(received_s)


async def test_what_nobody_takes_is_bounded_and_counted() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.watch() as watch:
        await until(lambda: watch.dropped_pictures >= 3 and watch.dropped_sounds >= 3)
        pictures = await take(watch, 64)
        assert {(b.pts or 0) - (a.pts or 0) for a, b in itertools.pairwise(pictures[:60])} == {PICTURE_TICKS}


async def test_leaving_ends_the_session_on_the_server() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client:
        async with client.watch() as watch:
            await take(watch, 1)
            assert station.programme.fanout.stats().subscribers == 1
        assert station.programme.fanout.stats().subscribers == 0
        await watch.close()
        assert [picture async for picture in watch.pictures()] == []


async def test_full_server_says_when_to_come_back() -> None:
    limits = WhepLimits(max_viewers=1)
    async with (
        on_air(limits=limits) as station,
        streamgen_client.connect(station.url) as client,
        client.watch() as watch,
    ):
        await take(watch, 1)
        second = client.watch()
        with pytest.raises(streamgen_client.RefusedError, match="places are taken") as caught:
            await second.__aenter__()
        assert (caught.value.status, caught.value.retry_after_s) == (503, 10)
        await take(watch, 3)


async def test_channel_that_is_not_live() -> None:
    async with on_air(live=False) as station, streamgen_client.connect(station.url) as client:
        with pytest.raises(streamgen_client.RefusedError, match="try again") as caught:
            await client.watch().__aenter__()
        assert (caught.value.status, caught.value.retry_after_s) == (409, 2)


async def test_session_that_the_server_ends() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.watch() as watch:
        await take(watch, 1)
        await station.whep.close()
        with pytest.raises(streamgen_client.ConnectionLostError, match="watch again"):
            await take(watch, 10_000)
