import asyncio

import streamgen_client
from tests.client.station import on_air


async def test_prompt_to_photon_ends_with_the_first_picture_of_the_chunk() -> None:
    async with (
        on_air(start=200) as station,
        streamgen_client.connect(station.url) as client,
        client.watch() as watch,
        client.steer() as steering,
    ):
        async with asyncio.timeout(60):
            await anext(watch.pictures())
            measured = await streamgen_client.measure(watch, steering, "heavy rain")
        assert measured.applied.media_time >= 200 / 12.5
        assert measured.applied.rtp_video is not None
        # Older pictures were waiting to be taken: they show the prompt before.
        assert measured.shown_pts >= measured.applied.rtp_video
        assert measured.sent_s < measured.applied_s
        assert measured.sent_s < measured.shown_s
        assert measured.latency_s == measured.shown_s - measured.sent_s
