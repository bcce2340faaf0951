import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from streamgen.errors import GeneratorDiedError, GeneratorStartError, GeneratorUnresponsiveError
from streamgen.generation.process import MAX_EVENTS, GeneratorProcess, GeneratorSettings
from streamgen.packets import (
    EncodedChunk,
    Event,
    GeneratorStats,
    PromptQueued,
    PromptSuperseded,
    RequestKeyframe,
    SetCodecs,
    SetConfig,
    SetEpoch,
    SetPrompt,
)
from tests.tiny_bundle import write_tiny_bundle

LIMIT_S = 240.0  # of any wait: far beyond what it takes, even on a machine that is busy with other things


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> GeneratorSettings:
    return GeneratorSettings(bundle=write_tiny_bundle(tmp_path_factory.mktemp("bundle")), scale=1)


@asynccontextmanager
async def running(settings: GeneratorSettings) -> AsyncIterator[GeneratorProcess]:
    """A generator that has its epoch, under a time limit."""
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetCodecs(frozenset({"vp8"})))
        generator.send(SetEpoch(time.monotonic_ns()))
        yield generator


async def until(generator: GeneratorProcess, wanted: Callable[[Event], bool]) -> list[Event]:
    """Events up to and with the first one that is wanted."""
    events: list[Event] = []
    async for event in generator:
        events.append(event)
        if wanted(event):
            return events
    raise AssertionError("the generator ended")


def shows(name: str) -> Callable[[Event], bool]:
    """Whether an event is the first chunk that shows a prompt."""
    return lambda event: isinstance(event, EncodedChunk) and name in event.record.applied


def is_chunk(event: Event, index: int) -> bool:
    return isinstance(event, EncodedChunk) and event.index == index


async def reached(condition: Callable[[], bool]) -> None:
    """Wait for something outside of the event loop; the caller's time limit bounds it."""
    while not condition():  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    await reached(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def test_chunks_come_in_order_and_join(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        ready = generator.ready
        assert (ready.width, ready.height, ready.fps, ready.sample_rate) == (160, 96, (25, 2), 24_000)
        assert ready.chunk_duration_ns == 320_000_000
        assert ready.model == "tiny"
        events = await until(generator, lambda event: is_chunk(event, 5))

    chunks = [event for event in events if isinstance(event, EncodedChunk)]
    assert [chunk.index for chunk in chunks] == list(range(6))
    assert [packet.pts for chunk in chunks for packet in chunk.video] == list(range(0, 24 * 7_200, 7_200))
    audio = [packet.pts for chunk in chunks for packet in chunk.audio]
    assert audio == list(range(audio[0], audio[0] + 960 * len(audio), 960))
    assert chunks[0].video[0].keyframe
    assert all(set(chunk.record.timings_ms) == {"denoise", "decode", "encode", "lead"} for chunk in chunks)
    stats = [event for event in events if isinstance(event, GeneratorStats)]
    assert stats
    assert stats[-1].rss_bytes > 10_000_000
    assert set(stats[-1].stage_p95_ms) == {"denoise", "decode", "encode"}


async def test_nothing_is_made_before_the_epoch_and_what_came_before_it_counts_from_the_start(
    settings: GeneratorSettings,
) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetConfig(guidance=2.0, seed=77))
        generator.send(SetPrompt("first", "a red sun"))
        events = await until(generator, lambda event: isinstance(event, PromptQueued))
        assert not any(isinstance(event, EncodedChunk) for event in events)
        generator.send(SetEpoch(time.monotonic_ns()))
        events = await until(generator, lambda event: is_chunk(event, 0))
    chunk = events[-1]
    assert isinstance(chunk, EncodedChunk)
    assert chunk.record.applied == ("first",)
    assert (chunk.record.prompt, chunk.record.guidance, chunk.record.seed) == ("a red sun", 2.0, 77)
    assert chunk.video == ()  # nobody watches
    assert len(chunk.audio) == 16


async def test_a_burst_of_prompts_coalesces_and_the_last_is_shown(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        names = [f"p{n}" for n in range(40)]
        for name in names:
            generator.send(SetPrompt(name, f"{name} over the sea"))
        events = await until(generator, shows("p39"))
        events += await until(generator, lambda event: isinstance(event, EncodedChunk))

    chunks = [event for event in events if isinstance(event, EncodedChunk)]
    applied = [name for chunk in chunks for name in chunk.record.applied]
    superseded = [event.id for event in events if isinstance(event, PromptSuperseded)]
    assert applied[-1] == "p39"
    assert len(applied) <= 3  # one per chunk at most: the burst lasts far less than a chunk
    assert sorted(applied + superseded) == sorted(names)
    assert chunks[-1].record.prompt_id == "p39"
    assert any(isinstance(event, PromptQueued) and event.id == "p39" and event.eta_ms < 5_000 for event in events)


async def test_text_of_any_kind_is_taken(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        for name, text in {"a": "", "b": "海の上の赤い月", "c": "\ud800 half a pair", "d": "x" * 100_000}.items():
            generator.send(SetPrompt(name, text))
            await until(generator, shows(name))


async def test_keyframe_on_request(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 1))
        generator.send(RequestKeyframe("vp8"))
        events = await until(
            generator, lambda event: isinstance(event, EncodedChunk) and any(p.keyframe for p in event.video)
        )
        assert is_chunk(events[-1], 2) or is_chunk(events[-1], 3)


async def test_a_later_epoch_moves_the_start_of_chunks(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        later_ns = time.monotonic_ns() + 1_000_000_000
        generator.send(SetEpoch(later_ns - 5 * 320_000_000))  # chunk 5 is due in a second
        await until(generator, lambda event: is_chunk(event, 6))
        # Chunk 6 is due 320 ms after chunk 5, and no chunk is made more than one chunk and a bit ahead.
        assert time.monotonic_ns() > later_ns + 320_000_000 - 2 * 320_000_000


async def test_interrupt_is_left_to_the_parent(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGINT)
        await until(generator, lambda event: is_chunk(event, 3))
        os.kill(generator.pid, signal.SIGINT)
        await until(generator, lambda event: is_chunk(event, 5))


async def test_kill_is_reported_by_name(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 1))
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGKILL)
        with pytest.raises(GeneratorDiedError, match="SIGKILL"):
            await until(generator, lambda event: False)
        generator.send(SetCodecs(frozenset()))  # to nobody: no error
        with pytest.raises(StopAsyncIteration):
            await anext(generator)


async def test_a_hung_process_is_given_up_and_ended_by_force(settings: GeneratorSettings) -> None:
    hurried = replace(settings, silence_timeout_s=5.0, stop_timeout_s=0.3)
    async with running(hurried) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(GeneratorUnresponsiveError, match="said nothing"):
            await until(generator, lambda event: False)
    assert not psutil.pid_exists(pid)


async def test_a_process_that_does_not_read_is_given_up(settings: GeneratorSettings) -> None:
    async with running(replace(settings, stop_timeout_s=0.3)) as generator:
        await until(generator, lambda event: is_chunk(event, 0))
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        for n in range(5_000):
            generator.send(SetPrompt(f"p{n}", "x" * 500))
        with pytest.raises(GeneratorUnresponsiveError, match="does not read"):
            await until(generator, lambda event: False)


async def test_unusable_bundle_is_reported_with_its_reason(settings: GeneratorSettings, tmp_path: Path) -> None:
    broken = write_tiny_bundle(tmp_path / "broken")
    (broken / "denoise.onnx").write_bytes(b"not a graph")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(GeneratorStartError, match=r"denoise\.onnx: SHA-256"):
            async with GeneratorProcess(replace(settings, bundle=broken)):
                pass


async def test_start_that_takes_too_long_is_given_up(settings: GeneratorSettings) -> None:
    generator = GeneratorProcess(replace(settings, start_timeout_s=0.01, stop_timeout_s=0.1))
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(GeneratorStartError, match=r"not ready after 0\.01 s"):
            await generator.__aenter__()
    assert generator.pid is None


async def test_cancelled_start_leaves_no_process_behind(settings: GeneratorSettings) -> None:
    before = set(psutil.Process().children(recursive=True))
    generator = GeneratorProcess(settings)
    starting = asyncio.create_task(generator.__aenter__())
    await reached(lambda: generator.pid is not None)
    pid = generator.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pid not in {child.pid for child in psutil.Process().children(recursive=True)} - {p.pid for p in before}


async def test_close_is_idempotent_and_ends_the_process(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        pid = generator.pid
        assert pid is not None
    assert generator.pid is None
    assert not psutil.pid_exists(pid)
    await generator.close()
    generator.send(SetCodecs(frozenset()))


async def test_events_that_nobody_takes_are_bounded_and_none_is_lost(settings: GeneratorSettings) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        # An epoch long ago: the generator is late for good and makes chunks as fast as it can.
        generator.send(SetEpoch(time.monotonic_ns() - 3_600 * 10**9))
        await reached(lambda: generator.waiting_events >= MAX_EVENTS)
        for _ in range(50):
            await asyncio.sleep(0.01)
            assert generator.waiting_events <= MAX_EVENTS
        events = await until(generator, lambda event: is_chunk(event, 60))
    assert [event.index for event in events if isinstance(event, EncodedChunk)] == list(range(61))


async def test_memory_is_flat_over_many_chunks(settings: GeneratorSettings) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetCodecs(frozenset({"vp8"})))
        generator.send(SetEpoch(time.monotonic_ns() - 3_600 * 10**9))
        process = psutil.Process(generator.pid)
        await until(generator, lambda event: is_chunk(event, 40))
        early = process.memory_info().rss
        await until(generator, lambda event: is_chunk(event, 240))
        assert process.memory_info().rss - early < 6 * 2**20


async def test_process_dies_with_its_parent(settings: GeneratorSettings, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from streamgen.generation.process import GeneratorProcess, GeneratorSettings\n"
        "async def main():\n"
        "    async with GeneratorProcess(GeneratorSettings(Path(sys.argv[1]))) as generator:\n"
        "        print(generator.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    async with asyncio.timeout(LIMIT_S):
        parent = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(settings.bundle), stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        await parent.wait()
        await gone(pid)


def test_the_server_never_loads_a_runtime() -> None:
    check = "import sys, streamgen.channel; assert 'onnxruntime' not in sys.modules; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=LIMIT_S)
