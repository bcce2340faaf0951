"""Generator processes of a channel: they die, hang, fall behind, run out of memory, and are gone when it closes."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from streamgen.channel import Channel
from streamgen.generation.ladder import Patience
from streamgen.protocol import PromptSet
from streamgen_engines.bundle import bundled
from streamgen_engines.gpu_options import GpuOptions
from tests.generation import stand_in_worker
from tests.taped_channel import LIMIT_S, generators, running
from tests.tensorrt.stand_in import fail, words
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose smaller sibling lies beside it."""
    folder = tmp_path_factory.mktemp("siblings")
    write_tiny_bundle(folder / "tinier", name="tinier")
    return write_tiny_bundle(folder / "tiny", smaller="tinier")


async def test_killed_generator_shows_the_slate_and_comes_back(bundle: Path) -> None:
    # A pause longer than what is still queued: on a fast machine a new generator is otherwise there before the slate.
    async with running(bundle, first_restart_s=2.0) as channel:
        viewer = channel.fanout.add("vp8")
        connection = channel.steering.connect(None, frozenset({"prompt"}))
        channel.steering.take(connection, PromptSet(id="p", text="snow at night"))
        await channel.until(lambda: bool(channel.records) and channel.records[-1].prompt == "snow at night")
        first = channel.generator_pid
        assert first is not None
        last_record = channel.records[-1]

        os.kill(first, signal.SIGKILL)
        await channel.until(lambda: channel.steering.status == "slate")
        shown = len(channel.videos)
        await channel.until(lambda: len(channel.videos) > shown)
        assert channel.videos[shown - 1].keyframe or channel.videos[shown].pts > channel.videos[shown - 1].pts
        played = len(channel.records)
        await channel.until(lambda: len(channel.records) > played + 1)

        assert channel.steering.status == "live"
        assert channel.generator_pid not in (None, first)
        assert channel.stats().restarts == 1
        again = channel.records[played]
        assert again.chunk == 0
        assert again.prompt == "snow at night"  # a restart forgets nothing
        assert again.pts > last_record.pts
        viewer.close()


async def test_a_generator_that_cannot_keep_up_is_replaced_by_the_smaller_one(
    siblings: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As if the first report of each generator were the last straw.
    monkeypatch.setattr(Patience, "exhausted", lambda patience, behind: True)
    async with running(siblings) as channel:
        await channel.until_live()
        await channel.until(lambda: channel.stats().restarts == 1)
        await channel.until_live(20)
        assert channel.stats().restarts == 1, "there is nothing smaller still"
        assert channel.steering.state().status == "live"
        assert channel.records[-1].prompt == "a red sun"
    assert "tinier takes over" in caplog.text


async def test_hung_generator_is_replaced(bundle: Path) -> None:
    async with running(bundle, silence_timeout_s=5.0) as channel:
        await channel.until_live()
        pid = channel.generator_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await channel.until(lambda: channel.steering.status == "buffering")
        await channel.until(lambda: channel.steering.status == "slate")
        played = len(channel.records)
        await channel.until(lambda: len(channel.records) > played)
        assert not psutil.pid_exists(pid)
        assert channel.stats().underruns >= 1


async def test_close_is_idempotent_and_leaves_no_process(bundle: Path) -> None:
    async with running(bundle) as channel:
        await channel.until_live()
        assert generators()
    await channel.close()
    assert not generators()
    released = len(channel.audios)
    await asyncio.sleep(0.05)
    assert len(channel.audios) == released


async def test_closing_during_the_start_leaves_no_process(bundle: Path) -> None:
    entering = asyncio.create_task(Channel(bundle, scale=1).__aenter__())
    async with asyncio.timeout(LIMIT_S):
        while not generators():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.005)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
    assert not generators()


async def test_memory_that_runs_out_on_the_gpu_shows_the_slate_and_the_programme_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From TensorRT's words to a new generator; TensorRT and its GPU are stand-ins."""
    monkeypatch.setattr("streamgen.generation.process._run", stand_in_worker.run)
    gpu = GpuOptions(plan_cache=tmp_path / "plans")
    card = bundled("testcard").root
    async with running(card, first_restart_s=2.0, runtime="tensorrt-rtx", gpu=gpu) as channel:
        await channel.until_live(2)
        fail(tmp_path, "denoise.onnx", "Error Code 1: Cuda Runtime (out of memory)", times=2)
        await channel.until(lambda: channel.steering.status == "slate")
        await channel.until_live(2)
        assert channel.steering.status == "live"
        assert channel.stats().restarts == 1
    assert "denoise.onnx failed for want of memory" in caplog.text
    assert len(set(words(tmp_path, "builds"))) == len(words(tmp_path, "builds"))  # nothing was built again
