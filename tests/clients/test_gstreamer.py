"""GStreamer's webrtcbin as viewer, in a process of its own: with and without a relay."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any, Final

import pytest

from streamgen.packets import VideoCodec
from tests.clients import needed
from tests.clients.coturn import relaying
from tests.clients.stage import PATIENCE_S, Stage, on_stage
from tests.webrtc.loopback import HEIGHT, WIDTH, brightness

PROGRAM: Final = needed.FOLDER / "whep_gstreamer.py"
PICTURES: Final = 25


async def watch(stage: Stage, *options: str) -> dict[str, Any]:
    """What a viewer with these options found."""
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(needed.gstreamer),
        str(PROGRAM),
        stage.url,
        f"--pictures={PICTURES}",
        f"--limit={PATIENCE_S / 2}",
        *options,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


def check(found: dict[str, Any]) -> None:
    """The pictures of the programme arrived in their order, and its sound on the left only."""
    assert found["error"] is None
    assert found["size"] == [WIDTH, HEIGHT]
    numbers = [round((luma - brightness(0)) / (brightness(1) - brightness(0))) for luma in found["lumas"]]
    for number, luma in zip(numbers, found["lumas"], strict=True):
        assert 0 <= number < 20
        assert abs(luma - brightness(number)) <= 3
    following = sum((after - before) % 20 == 1 for before, after in itertools.pairwise(numbers))
    # On a machine that is too slow a decoder may leave pictures out; it never changes their order.
    assert following >= PICTURES // 2
    left, right = found["peaks"]
    assert found["samples"] >= 24_000
    assert 12_000 < left < 20_000  # of 32767: a tone of half of full scale
    assert right < 1_000


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_webrtcbin_plays(codec: VideoCodec) -> None:
    async with on_stage("vp8", "h264") as stage:
        found = await watch(stage, f"--codec={codec}")
        await stage.empty()
    check(found)
    (post,) = stage.http.of("POST")
    assert post.status == 201
    assert (b"VP8/90000" in post.body, b"H264/90000" in post.body) == (codec == "vp8", codec == "h264")
    # In one message: webrtcbin waits until it knows all its candidates.
    assert post.body.count(b"a=candidate") > 0
    assert stage.http.of("PATCH") == []
    (delete,) = stage.http.of("DELETE")
    assert (delete.path, delete.status) == (post.answer_headers["location"], 200)


async def test_webrtcbin_plays_through_the_relay_that_options_tells(tmp_path: Path) -> None:
    async with relaying(tmp_path) as relay, on_stage("vp8", loopback=True, **relay.settings) as stage:
        watching = asyncio.create_task(watch(stage, "--relay"))
        async with asyncio.timeout(PATIENCE_S):
            while not (stage.whep.viewers or watching.done()):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        assert stage.remote_ports() <= relay.relay_ports
        assert stage.remote_ports() != set()
        found = await watching
        await stage.empty()
    check(found)
    assert [each.status for each in stage.http.of("OPTIONS")] == [200]
