"""PyAV's WHIP publisher at a server that only plays: it is told so, and nothing of it stays."""

import asyncio
import sys
from typing import Final

import av
import pytest

from tests.clients.stage import PATIENCE_S, on_stage

# In a process of its own, since the muxer holds Python's lock while it waits for the answer.
PUBLISH: Final = """
import sys
import av
with av.open(sys.argv[1], "w", format="whip") as container:
    video = container.add_stream("libx264", rate=25, options={"profile": "baseline", "tune": "zerolatency"})
    video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
    for packet in video.encode(av.VideoFrame(160, 96, "yuv420p")):
        container.mux(packet)
"""


@pytest.mark.skipif("whip" not in av.formats_available, reason="this PyAV has no WHIP muxer; pip install 'av>=18.1'")
async def test_a_publisher_is_refused() -> None:
    async with on_stage("vp8") as stage:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISH, stage.url, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 1
        assert b"4XX Client Error" in complaint
        (post,) = stage.http.of("POST")
        assert b"a=sendonly" in post.body
        assert post.status == 422
        assert stage.whep.sessions == 0
